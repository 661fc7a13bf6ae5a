"""Recordings in the real window: played, annotated, corrected, counted, exported, closed and opened again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.sip import isdeleted

from gui.annotation import job_of, orders_of_settings
from gui.export_dialog import ExportDialog
from gui.recorded import count_rows
from gui.video_view import VideoView
from gui.window import Window
from tests.batch.tiny import write_clip
from tests.gui.conftest import App
from tests.video.synthetic import irregular_ticks, read_number
from tests.video.synthetic import write_clip as write_numbered
from tracker.analytics import Analytics, LineRule, Rules
from tracker.batch.recorder import as_tracks
from tracker.batch.recording_run import annotate_recording
from tracker.batch.rules import edit_recording
from tracker.build import load_settings
from tracker.formats import find_format
from tracker.store import Origin, Recording
from tracker.types import Event


def rows_of(store: Path) -> list[tuple[int, ...]]:
    with Recording(store) as recording:
        return list(recording.observations_in(0, 10**6).to_stored())


def put_line(view: VideoView, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Click the two ends of a line, given in pixels of the frame."""
    for point in (start, end):
        at = QPointF(*view.view().to_view(point))
        for kind in (QMouseEvent.Type.MouseButtonPress, QMouseEvent.Type.MouseButtonRelease):
            event = QMouseEvent(kind, at, at, Qt.MouseButton.LeftButton, Qt.MouseButton.LeftButton,
                                Qt.KeyboardModifier.NoModifier)  # fmt: skip
            press = kind == QMouseEvent.Type.MouseButtonPress
            view.mousePressEvent(event) if press else view.mouseReleaseEvent(event)


def core_events(store: Path, line: LineRule) -> list[Event]:
    """What the core's analytics find in the rows of a store."""
    with Recording(store) as recording:
        info = recording.info
        analytics = Analytics(Rules(line=(line,)), info.labels, width=info.width, height=info.height)
        found: list[Event] = []
        for stretch in recording.stretches():
            for _, time, rows in stretch.by_frame():
                found += analytics(as_tracks(rows), time)
        return [*found, *analytics.finish()]


def line_counts(events: list[Event]) -> tuple[int, int]:
    return sum(event.value > 0 for event in events), sum(event.value < 0 for event in events)


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A video of irregular stamps and B-frames whose frames carry their number."""
    ticks = irregular_ticks(60, seed=4)
    return write_numbered(tmp_path / "numbered.mkv", frames=60, ticks=ticks, b_frames=2, key_every=12)


def test_a_seek_shows_exactly_the_frame_that_was_asked_for(app: App, numbered: Path) -> None:
    window = app.start()
    recording = app.open(window, numbered)
    assert recording.player.count == 60
    for frame in (37, 0, 59, 12, 11, 38):
        app.show(recording, frame)
        picture = window.recordings.view.picture
        assert picture is not None
        assert read_number(picture.result.frame.image) == frame
        assert picture.result.frame.time == pytest.approx(recording.player.times[frame])
    seen = window.recordings.view.picture
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


def test_opening_plays_at_once_while_the_timeline_fills(app: App, clip: Path) -> None:
    window = app.start()
    page = window.recordings
    recording = app.open(window, clip, play=True)
    app.until(lambda: recording.player.index > 0)
    assert recording.annotation is not None
    filled: list[float] = []
    app.until(lambda: filled.append(page.timeline.annotated_s) or recording.correctable)
    app.until(lambda: page.timeline.annotated_s == pytest.approx(recording.player.times[-1]))
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
        assert recording.picture is not None
        result = recording.picture.result
        with Recording(recording.store) as store:
            rows = store.observations_in(frame)
        assert len(rows)
        assert result.tracks.ids.tolist() == rows.tracks.tolist()
        np.testing.assert_allclose(result.tracks.boxes, rows.boxes, atol=0.01)
        for x1, y1, x2, y2 in rows.boxes.tolist():
            inside = result.frame.image[max(int(y1), 0) : int(y2) + 1, max(int(x1), 0) : int(x2) + 1]
            assert inside.max() > 150, "a bright block lies in each box"


def test_corrections_are_saved_undone_done_again_exported_and_found_again(
    finished: App, clip: Path, tmp_path: Path
) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    store, original = recording.store, rows_of(recording.store)
    assert recording.overview is not None
    keep, other = page.tracks.shown[:2]

    recording.select([keep, other])
    finished.edit(window, page.corrections.merge)
    merged = rows_of(store)
    assert other not in page.tracks.shown
    assert recording.selected == {keep}
    finished.edit(window, lambda: QTest.keyClick(page.view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier))
    assert rows_of(store) == original
    finished.edit(window, page.corrections.redo)
    assert rows_of(store) == merged

    track = next(entry for entry in recording.overview.tracks if entry.track_id == keep)
    middle = (track.first_frame + track.last_frame) // 2
    finished.show(recording, middle)
    recording.select([keep])
    finished.edit(window, page.corrections.split)
    (part,) = recording.selected
    finished.edit(window, lambda: page.corrections.change_class("tram"))
    finished.edit(window, lambda: page.corrections.relabel(777))
    assert part not in page.tracks.shown
    assert 777 in page.tracks.shown
    finished.edit(window, lambda: page.corrections.move_box(777, (10.0, 12.0, 40.0, 50.0)))
    recording.select([])
    finished.edit(window, lambda: page.corrections.add_box((60.0, 60.0, 90.0, 90.0), "lamp"))
    added = max(page.tracks.shown)
    recording.select([added])
    finished.edit(window, page.corrections.delete)
    final = rows_of(store)
    finished.close(window)

    again = finished.start()
    recording = finished.open_finished(again, clip)
    assert rows_of(store) == final
    finished.show(recording, middle)
    assert recording.box_of(777) == pytest.approx((10.0, 12.0, 40.0, 50.0))
    assert again.commands["recording.undo"].isEnabled()
    with Recording(store) as opened:
        labels = opened.info.labels
        moved = opened.observations_of(777)
    assert labels[int(moved.class_ids[0])] == "tram"
    assert Origin.SET in moved.origins.tolist()

    again.recordings.export()
    dialog = again.recordings.findChild(ExportDialog)
    assert dialog is not None
    dialog.choose(["mot", "coco", "jsonl"], tmp_path / "exported")
    dialog.write()
    finished.until(lambda: "Written" in dialog.words)
    dialog.close()
    for name in ("mot", "coco", "jsonl"):
        suffix = {"mot": ".txt", "coco": ".json", "jsonl": ".jsonl"}[name]
        written = find_format(name).load().read(tmp_path / "exported" / f"clip{suffix}")
        ids = set(written.objects.track_ids.tolist())
        assert ids == set(again.recordings.tracks.shown), name
        assert len(written.objects.track_ids) == len(final), name


def test_all_tracks_go_at_once_and_come_back_by_one_undo(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    before = rows_of(recording.store)
    recording.select(page.tracks.shown)
    finished.edit(window, page.corrections.delete)
    assert page.tracks.shown == []
    assert page.timeline.bars == []
    assert rows_of(recording.store) == []
    finished.edit(window, page.corrections.undo)
    assert rows_of(recording.store) == before
    assert not window.commands["recording.undo"].isEnabled()


def test_an_export_goes_on_when_its_dialog_is_closed(finished: App, clip: Path, tmp_path: Path) -> None:
    window = finished.start()
    finished.open_finished(window, clip)
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog.choose(["mot", "report"], tmp_path / "exported")
    said: list[str] = []
    window.recordings.said.connect(said.append)
    dialog.write()
    assert window.recordings.exporting
    dialog.close()
    finished.until(lambda: said)
    assert said == ["Written: clip.txt, clip.html"]
    finished.until(lambda: not window.recordings.findChildren(ExportDialog))


def test_what_comes_too_late_for_a_closed_recording_is_not_told(finished: App, clip: Path, numbered: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    recording.select([window.recordings.tracks.shown[0]])
    window.recordings.corrections.delete()
    window.recordings.heat.turn(on=True)
    store = recording.store
    finished.open(window, numbered)
    finished.until(lambda: isdeleted(recording))
    finished.until(lambda: not window.background.busy or window.recordings.recording is not recording)
    with edit_recording(store) as editor:
        assert len(editor.edits()) == 1, "the correction itself is not lost"


def test_the_heat_map_is_the_core_s_and_follows_corrections(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    assert page.view.layer is None
    window.commands["recording.heat"].setChecked(True)
    finished.until(lambda: page.view.layer is not None)
    before = recording.heat()
    assert before is not None
    with Recording(recording.store) as store:
        analytics = Analytics(Rules(), store.info.labels, width=store.info.width, height=store.info.height)
        for stretch in store.stretches():
            for _, time, rows in stretch.by_frame():
                analytics(as_tracks(rows), time)
    np.testing.assert_allclose(before.seconds, analytics.heat.seconds)
    window.docks.bring("counts")
    finished.until(lambda: window.recorded_counts.shows_heat)
    recording.select([page.tracks.shown[0]])
    finished.edit(window, page.corrections.delete)

    def cooler() -> bool:
        now = recording.heat()
        return now is not None and now.seconds.sum() < before.seconds.sum() - 0.1

    finished.until(cooler)
    window.commands["recording.heat"].setChecked(False)
    assert page.view.layer is None


def test_holding_an_annotation_and_going_on_never_waits(app: App, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "held.mp4", 250, seed=6)
    window = app.start()
    recording = app.open(window, video)
    app.until(lambda: recording.overview is not None and recording.overview.last_frame > 0)
    recording.stop_annotation()
    app.until(lambda: not recording.annotating)
    assert recording.annotation is not None
    if recording.correctable:
        pytest.skip("this machine annotated 10 s of video before it was asked to hold")
    app.until(lambda: window.recordings.transport.words == "Annotation is held")
    recording.annotate_again()
    recording.annotate_again()
    app.until(lambda: recording.annotating)
    app.until(lambda: recording.correctable)


def test_a_line_counts_what_the_core_counts_and_follows_corrections(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    window.commands["recording.line"].setChecked(True)
    start, end = (80.0, 2.0), (80.0, 126.0)
    put_line(page.view, start, end)
    (shape,) = page.view.shapes
    line = LineRule(shape.name, shape.points[0], shape.points[1])
    truth = line_counts(core_events(recording.store, line))
    assert sum(truth) > 0, "blocks must cross the middle, or this test shows nothing"
    finished.until(lambda: [(row.inward, row.outward) for row in window.recorded_counts.rows] == [truth])
    assert window.recorded_events.count == sum(truth)

    window.docks.bring("events")
    finished.until(lambda: window.recorded_events.pictured > 0)
    window.engine.change("overlay.blur_classes", ["person"])
    assert window.recorded_events.pictured == 0, "what is to be hidden is not shown small either"
    window.engine.change("overlay.blur_classes", [])
    finished.until(lambda: window.recorded_events.pictured > 0)
    window.recorded_events._activated(window.recorded_events._list.item(0))  # type: ignore[arg-type]
    first = core_events(recording.store, line)[0].time
    finished.until(lambda: abs(recording.player.times[recording.player.index] - first) < 0.05)

    crossing = next(event.track_id for event in core_events(recording.store, line))
    recording.select([crossing])
    finished.edit(window, page.corrections.delete)
    fewer = line_counts(core_events(recording.store, line))
    assert sum(fewer) < sum(truth)
    finished.until(lambda: [(row.inward, row.outward) for row in window.recorded_counts.rows] == [fewer])
    finished.edit(window, page.corrections.undo)
    finished.until(lambda: [(row.inward, row.outward) for row in window.recorded_counts.rows] == [truth])
    with Recording(recording.store) as store:
        kept = [row.event for row in store.events()]
    assert line_counts(kept) == truth, "the store has them too, for reports and exports"
    rows = count_rows(kept, Rules(line=(line,)))
    assert [(row.inward, row.outward) for row in rows] == [truth]


def test_closing_during_annotation_loses_nothing_and_the_ids_stay_the_same(app: App, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "long.mp4", 1500, seed=5)
    window = app.start()
    recording = app.open(window, video)
    app.until(lambda: recording.overview is not None and recording.overview.last_frame > 0)
    overview = recording.overview
    assert overview is not None
    seconds = app.close(window)
    assert seconds < 10
    store = recording.store
    with Recording(store) as opened:
        if opened.complete:
            pytest.skip("this machine annotated 60 s of video before the window closed")
        begun = list(opened.observations_in(0, opened.last_frame).to_stored())
    assert begun

    again = app.start()
    recording = app.open(again, video)
    app.until(lambda: recording.correctable)
    ended = rows_of(store)
    assert ended[: len(begun)] == begun

    unbroken = job_of(video, tmp_path / "unbroken")
    annotate_recording(unbroken, orders_of_settings(load_settings(app.tree, "test"), refine=False))
    assert rows_of(unbroken.store) == ended


def test_selection_is_the_same_in_picture_table_and_timeline(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    finished.show(recording, 60)
    assert recording.picture is not None
    tracks = recording.picture.result.tracks
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
    finished.until(lambda: recording.picture is not None and recording.picture.result.tracks.ids.tolist() == [track])
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
    assert recording.picture is not None
    seen = recording.picture.result.frame
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
