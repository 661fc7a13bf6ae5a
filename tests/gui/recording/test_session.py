"""Recordings in the real window: opened, played, sought, annotated behind, closed and opened again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtTest import QTest

from gui.canvas.hit_testing import Shape
from gui.recording.annotation import job_of, request_of_settings
from gui.window import Window
from tests.annotate.tiny import HEIGHT, WIDTH, write_clip
from tests.gui.conftest import App, rows_of
from tests.video.synthetic import read_number
from tracker.annotate.run import annotate_recording
from tracker.factory import load_settings
from tracker.overlay import Overlay, OverlayConfig
from tracker.store import Recording
from tracker.store.rows import to_stored


def test_a_seek_shows_exactly_the_frame_that_was_asked_for(app: App, numbered: Path) -> None:
    window = app.start()
    recording = app.open(window, numbered)
    assert recording.player.count == 60
    for frame in (37, 0, 59, 12, 11, 38):
        app.show(recording, frame)
        rendered = window.recordings.view.rendered
        assert rendered is not None
        assert read_number(rendered.result.frame.image) == frame
        assert rendered.result.frame.time == pytest.approx(recording.player.times[frame])
    seen = window.recordings.view.rendered
    assert seen is not None
    assert read_number(np.ascontiguousarray(seen.pixels[:, :, 2::-1])) == 38, "what is painted is that frame too"


def test_keys_step_skip_loop_and_change_the_speed_as_in_mpv(app: App, numbered: Path) -> None:
    window = app.start()
    recording = app.open(window, numbered)
    player, view = recording.player, window.recordings.view
    view.setFocus()
    app.show(recording, 20)

    def press(key: Qt.Key) -> None:
        QTest.keyClick(view, key)

    press(Qt.Key.Key_Period)
    app.until(lambda: player.index == 21)
    press(Qt.Key.Key_Comma)
    press(Qt.Key.Key_Comma)
    app.until(lambda: player.index == 19)
    press(Qt.Key.Key_L)
    app.show(recording, 24)
    press(Qt.Key.Key_L)
    assert player.loop_range == (19, 24)
    press(Qt.Key.Key_BracketRight)
    assert player.speed > 1
    press(Qt.Key.Key_Space)
    assert player.playing
    seen: set[int] = set()
    app.until(lambda: seen.add(player.index) or (len(seen) > 3 and player.playing))
    press(Qt.Key.Key_Space)
    assert not player.playing
    assert seen <= set(range(19, 25))
    press(Qt.Key.Key_End)
    app.until(lambda: player.index == 59)
    press(Qt.Key.Key_Left)
    app.until(lambda: player.index < 59)
    assert player.times[59] - player.times[player.index] == pytest.approx(min(5.0, player.times[59]), abs=0.25)


def test_a_hidden_region_is_hidden_from_the_first_frame_on(
    finished: App, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    recording.use_shapes([Shape("blur", "hidden 1", ((0.0, 0.0), (float(WIDTH), float(HEIGHT))))])
    finished.until(lambda: not window.background.busy)
    finished.close(window)
    monkeypatch.setattr("gui.recording.session.read_overview", lambda store: None)  # takes longer than the first frame
    again = finished.start()
    again.preferences.keep("autoplay", value=False)
    again.open(str(clip))
    opened = again.recordings.recording
    assert opened is not None
    hidden = OverlayConfig(blur_regions=((0.0, 0.0, 1.0, 1.0),))
    drawn: list[bool] = []

    def look() -> None:
        rendered = opened.rendered
        assert rendered is not None
        height, width = rendered.pixels.shape[:2]
        assert (width, height) == (WIDTH, HEIGHT), "no larger than the frame: it is compared as it is"
        drawn.append(bool((rendered.pixels[:, :, 2::-1] == Overlay(hidden)(rendered.result)).all()))

    opened.frame_rendered.connect(look)
    finished.until(lambda: drawn)
    assert all(drawn)


def test_opening_plays_at_once_while_the_timeline_fills(app: App, clip: Path) -> None:
    window = app.start()
    page = window.recordings
    recording = app.open(window, clip, play=True)
    app.until(lambda: recording.player.index > 0)
    assert recording.annotation is not None
    filled: list[float] = []
    app.until(lambda: filled.append((page.timeline.annotated or (0.0, 0.0))[1]) or recording.finished)
    app.until(lambda: page.timeline.annotated == pytest.approx((0.0, recording.player.times[-1])))
    assert filled == sorted(filled)
    app.until(lambda: page.transport.words == "")
    assert not page.transport._hold.isVisible(), "nothing is left to hold or to go on with"
    assert {bar.track_id for bar in page.timeline.bars} == set(page.tracks.shown)
    assert len(page.tracks.shown) >= 4


def test_every_frame_shows_its_own_boxes(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    for frame in (5, 140, 60, 61):
        finished.show(recording, frame)
        assert recording.rendered is not None
        result = recording.rendered.result
        with Recording(recording.store) as store:
            rows = store.observations_in(frame)
        assert len(rows)
        assert result.tracks.ids.tolist() == rows.tracks.tolist()
        np.testing.assert_allclose(result.tracks.boxes, rows.boxes, atol=0.01)
        for x1, y1, x2, y2 in rows.boxes.tolist():
            inside = result.frame.image[max(int(y1), 0) : int(y2) + 1, max(int(x1), 0) : int(x2) + 1]
            assert inside.max() > 150, "a bright block lies in each box"


def test_holding_an_annotation_and_going_on_never_waits(app: App, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "held.mp4", 1500, seed=6)
    window = app.start()
    recording = app.open(window, video)
    app.until(lambda: recording.overview is not None and recording.overview.last_frame > 0)
    recording.stop_annotation()
    app.until(lambda: not recording.annotating)
    assert recording.annotation is not None
    if recording.finished:
        pytest.skip("this machine annotated 60 s of video before it was asked to hold")
    app.until(lambda: window.recordings.transport.words == "Annotation is held")
    recording.annotate_again()
    recording.annotate_again()
    app.until(lambda: recording.annotating)
    app.until(lambda: recording.finished)


def test_closing_during_annotation_loses_nothing_and_the_ids_stay_the_same(app: App, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "long.mp4", 1500, seed=5)
    window = app.start()
    recording = app.open(window, video)
    app.until(lambda: recording.overview is not None and recording.overview.last_frame > 0)
    overview = recording.overview
    assert overview is not None
    app.close(window)
    store = recording.store
    with Recording(store) as opened:
        if opened.complete:
            pytest.skip("this machine annotated 60 s of video before the window closed")
        begun = list(to_stored(opened.observations_in(0, opened.last_frame)))
    assert begun

    again = app.start()
    recording = app.open(again, video)
    app.until(lambda: recording.finished)
    ended = rows_of(store)
    assert ended[: len(begun)] == begun

    unbroken = job_of(video, tmp_path / "unbroken")
    annotate_recording(unbroken, request_of_settings(load_settings(app.tree, "test"), refine=False))
    assert rows_of(unbroken.store) == ended


def test_selection_is_the_same_in_frame_table_and_timeline(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    finished.show(recording, 60)
    assert recording.rendered is not None
    tracks = recording.rendered.result.tracks
    track, box = int(tracks.ids[0]), tracks.boxes[0].tolist()
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    at = QPointF(*page.view.view().to_view(centre))
    QTest.mouseClick(page.view, Qt.MouseButton.LeftButton, pos=at.toPoint())
    clicked = recording.selected
    assert clicked == {page.view.track_at(centre)}
    assert set(page.tracks.selected()) == clicked
    page.tracks.select([track])
    page.tracks.chosen.emit([track])
    assert recording.selected == {track}
    window.commands["recording.solo"].setChecked(True)
    finished.until(lambda: recording.rendered is not None and recording.rendered.result.tracks.ids.tolist() == [track])
    assert "seen by the network" in recording.explain(track)
    window.commands["recording.follow"].setChecked(True)
    assert page.view.view().zoom > 1
    page.tracks.filter_by("no such track")
    assert page.tracks.shown == []
    page.tracks.filter_by("")
    page.tracks.sort_by(4, descending=True)
    lengths = {bar.track_id: bar.end_s - bar.start_s for bar in page.timeline.bars}
    shown = [lengths[track_id] for track_id in page.tracks.shown]
    assert shown == sorted(shown, reverse=True)


def test_a_real_video_plays_and_seeks(app: App, shared: Path) -> None:
    video = app.folder / "people.mp4"
    shutil.copy(shared / "data" / "video" / "supervision_walking.mp4", video)
    window = app.start()
    recording = app.open(window, video, play=True)
    app.until(lambda: recording.player.index > 2)
    recording.player.play(on=False)
    app.show(recording, 100)
    assert recording.rendered is not None
    seen = recording.rendered.result.frame
    assert seen.time == pytest.approx(recording.player.times[100])
    recording.stop_annotation()
    app.until(lambda: not window.engine.loading)
    assert window.engine.problem == ""
    assert "ONNX Runtime" in window._engine_text.text(), "the status line says what is at work"


def test_a_file_that_is_no_video_says_so_in_the_window(app: App, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video at all" * 50)
    window: Window = app.start()
    window.open(str(broken))
    recording = window.recordings.recording
    assert recording is not None
    app.until(lambda: recording.player.problem)
    assert "broken.mp4" in recording.player.problem
    app.until(lambda: recording.annotation is not None and recording.annotation.problem)
    app.until(lambda: "broken.mp4" in window.recordings.transport.words)


def test_a_file_that_cannot_be_opened_offers_nothing_to_do_with_it(app: App) -> None:
    broken = app.folder / "broken.mp4"
    broken.write_bytes(b"this is no video at all" * 50)
    window = app.start()
    page = window.recordings
    window.open(str(broken))
    recording = page.recording
    assert recording is not None
    app.until(lambda: recording.player.problem and recording.annotation is not None and recording.annotation.problem)
    app.until(lambda: page.transport.words)
    app.until(lambda: page.transport._hold.isHidden())
    assert page.transport._finish.isHidden()
    for name in ("line", "zone", "blur", "again", "range"):
        command = window.commands[f"recording.{name}"]
        assert not command.isEnabled(), name
    assert not recording.job.base.parent.exists(), "an empty folder is not left"
