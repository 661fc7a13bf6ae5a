"""What pointer and keys mean in the frame: while it plays, where boxes overlap, where a shape lies below."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QInputDialog

from gui.canvas.hit_testing import Point, boxes_at
from gui.canvas.video_view import VideoView
from gui.recording.session import PlayedRecording
from gui.window import Window
from tests.gui.conftest import App, put_line
from tracker.overlay import Overlay, OverlayConfig

PRESS, MOVE, RELEASE = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseMove,
    QEvent.Type.MouseButtonRelease,
)


def point_at(view: VideoView, kind: QEvent.Type, point: Point) -> None:
    """The pointer at a point of the frame."""
    at, left = QPointF(*view.view().to_view(point)), Qt.MouseButton.LeftButton
    event = QMouseEvent(kind, at, at, left, left, Qt.KeyboardModifier.NoModifier)
    {PRESS: view.mousePressEvent, MOVE: view.mouseMoveEvent, RELEASE: view.mouseReleaseEvent}[kind](event)


def click(view: VideoView, point: Point) -> None:
    point_at(view, PRESS, point)
    point_at(view, RELEASE, point)


def pass_time(app: App, seconds: float) -> None:
    end = time.monotonic() + seconds
    app.until(lambda: time.monotonic() > end)


def with_line(app: App, window: Window) -> None:
    """A line down the middle, counted."""
    window.commands["recording.line"].setChecked(True)
    put_line(window.recordings.view, (80.0, 2.0), (80.0, 126.0))
    app.until(lambda: not window.background.busy)


def playing_track(app: App, recording: PlayedRecording) -> tuple[int, int]:
    """Play until a selected track is seen well inside; its id and the frame shown."""
    assert recording.overview is not None
    track = max(recording.overview.tracks, key=lambda entry: entry.observations)
    app.show(recording, track.first_frame + 5)
    recording.select([track.track_id])
    recording.player.play(on=True)
    app.until(lambda: recording.player.index > track.first_frame + 8 and recording.box_of(track.track_id))
    assert recording.rendered is not None
    return track.track_id, recording.rendered.result.frame.index


def test_a_box_dragged_while_the_video_plays_is_that_of_the_frame_where_it_was_taken(finished: App, clip: Path) -> None:
    window = finished.start()
    view = window.recordings.view
    recording = finished.open_finished(window, clip)
    track, frame = playing_track(finished, recording)
    box = recording.box_of(track)
    assert box is not None
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    point_at(view, PRESS, (x, y))
    point_at(view, MOVE, (x + 4, y + 4))
    assert not recording.player.playing, "the next frame must not take its place"
    pass_time(finished, 0.2)
    finished.edit(window, lambda: (point_at(view, MOVE, (x + 6, y + 6)), point_at(view, RELEASE, (x + 6, y + 6))))
    assert recording.overview is not None
    assert recording.overview.edits[-1].details["frame"] == frame
    finished.until(lambda: recording.rendered is not None and recording.rendered.result.frame.index == frame)


def test_a_box_drawn_while_the_video_plays_stays_in_its_frame_while_the_class_is_asked_for(
    finished: App, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = finished.start()
    view = window.recordings.view
    recording = finished.open_finished(window, clip)
    _, frame = playing_track(finished, recording)
    recording.select([])

    def answer(*_: object) -> tuple[str, bool]:
        pass_time(finished, 0.3)
        return "lamp", True

    monkeypatch.setattr(QInputDialog, "getItem", answer)
    window.commands["recording.box"].setChecked(True)
    point_at(view, PRESS, (10, 10))
    point_at(view, MOVE, (40, 40))
    finished.edit(window, lambda: point_at(view, RELEASE, (40, 40)))
    assert recording.overview is not None
    assert recording.overview.edits[-1].details["frame"] == frame


def test_a_click_that_trembles_corrects_nothing_and_one_more_takes_the_track_below(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    finished.show(recording, 60)
    assert recording.rendered is not None
    tracks = recording.rendered.result.tracks
    box = tracks.boxes[0].tolist()
    inner = (box[0] + 6, box[1] + 6, box[2] - 6, box[3] - 6)
    finished.edit(window, lambda: page.corrections.add_box(inner, "lamp"))
    finished.show(recording, 61)
    finished.show(recording, 60)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    assert recording.selected == {max(page.tracks.shown)}, "a new track is selected"
    recording.select([])
    edits = len(recording.overview.edits) if recording.overview is not None else 0
    below = [int(tracks.ids[row]) for row in boxes_at(tracks.boxes, centre)]
    order = []
    QTest.keyRelease(page.view, Qt.Key.Key_Control)  # Qt remembers the last key of earlier tests
    for _ in range(len(below) + 2):
        point_at(page.view, PRESS, centre)
        point_at(page.view, MOVE, (centre[0] + 1 / page.view.view().scale, centre[1]))
        point_at(page.view, RELEASE, centre)
        order.append(set(recording.selected))
    new = max(page.tracks.shown)
    assert order == [{track} for track in (new, *below, new)], "from the smallest on, and around"
    pass_time(finished, 0.2)
    assert recording.overview is not None
    assert len(recording.overview.edits) == edits


def test_delete_at_a_line_removes_the_line_and_not_the_selected_track(finished: App, clip: Path) -> None:
    window = finished.start()
    finished.activate(window)
    page = window.recordings
    recording = finished.open_finished(window, clip)
    with_line(finished, window)
    recording.select(page.tracks.shown[:1])
    page.view.setFocus()
    point_at(page.view, MOVE, (80.0, 60.0))
    QTest.keyClick(page.view, Qt.Key.Key_Delete)
    assert page.view.shapes == []
    finished.until(lambda: not window.background.busy)
    assert recording.overview is not None
    assert {edit.kind for edit in recording.overview.edits} == {"rules"}
    with_line(finished, window)
    page.view.leaveEvent(QEvent(QEvent.Type.Leave))
    finished.edit(window, lambda: QTest.keyClick(page.view, Qt.Key.Key_Delete))
    assert [edit.kind for edit in recording.overview.edits][-1] == "delete"
    assert len(page.view.shapes) == 1, "the pointer is no longer there"


def test_escape_gives_up_what_is_being_drawn_before_it_unselects(finished: App, clip: Path) -> None:
    window = finished.start()
    finished.activate(window)
    page = window.recordings
    recording = finished.open_finished(window, clip)
    recording.select(page.tracks.shown[:1])
    window.commands["recording.line"].setChecked(True)
    page.view.setFocus()
    click(page.view, (10, 10))
    QTest.keyClick(page.view, Qt.Key.Key_Escape)
    assert page.view.tool == "look"
    assert not window.commands["recording.line"].isChecked()
    assert recording.selected
    QTest.keyClick(page.view, Qt.Key.Key_Escape)
    assert not recording.selected


def test_a_shape_stays_in_hand_while_the_recording_grows_behind_it(finished: App, clip: Path) -> None:
    window = finished.start()
    view = window.recordings.view
    recording = finished.open_finished(window, clip)
    with_line(finished, window)
    point_at(view, PRESS, (80.0, 2.0))
    point_at(view, MOVE, (90.0, 10.0))
    recording.changed.emit()
    point_at(view, MOVE, (100.0, 20.0))
    point_at(view, RELEASE, (100.0, 20.0))
    assert view.shapes[0].points[0] == pytest.approx((100.0, 20.0), abs=1)
    finished.until(lambda: not window.background.busy)
    assert recording.counts.shapes == view.shapes


def test_tracks_shown_alone_are_all_shown_again_once_they_are_gone(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    finished.show(recording, 60)
    recording.select([page.tracks.shown[0]])
    window.commands["recording.solo"].setChecked(True)
    finished.edit(window, page.corrections.delete)
    assert not window.commands["recording.solo"].isChecked()
    finished.until(lambda: recording.rendered is not None and len(recording.rendered.result.tracks) > 0)


def test_people_stay_hidden_while_one_track_is_shown_alone(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    finished.show(recording, 60)
    assert recording.rendered is not None
    tracks = recording.rendered.result.tracks
    alone = int(tracks.ids[0])
    assert len(tracks) > 1
    window.engine.change("overlay.blur_classes", ["person", "car"])
    recording.select([alone])
    window.commands["recording.solo"].setChecked(True)
    finished.until(lambda: recording.rendered is not None and len(recording.rendered.result.tracks) == 1)
    shown = recording.rendered
    config = OverlayConfig(boxes=False, masks=False, class_names=False, ids=False, scores=False)
    hidden = Overlay(replace(config, blur_classes=("person", "car")))(shown.result)
    clear = shown.result.frame.image
    for row in range(1, len(tracks)):
        x1, y1, x2, y2 = (round(max(side, 0)) for side in tracks.boxes[row].tolist())
        assert (hidden[y1:y2, x1:x2] != clear[y1:y2, x1:x2]).mean() > 0.2


def test_what_was_marked_in_one_recording_means_nothing_in_the_next(finished: App, clip: Path, numbered: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    finished.show(recording, 100)
    page.playback.loop()
    recording.select(page.tracks.shown[:1])
    window.commands["recording.solo"].setChecked(True)
    other = finished.open(window, numbered)
    finished.show(other, 30)
    page.playback.loop()
    assert other.player.loop_range is None, "one end is no loop"
    assert not window.commands["recording.solo"].isChecked()


def test_a_loop_of_one_frame_keeps_the_frame_s_pace(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    finished.show(recording, 20)
    page.playback.loop()
    page.playback.loop()
    made: list[int] = []
    original = recording.player._render
    recording.player._render = lambda frame: (made.append(frame.index), original(frame))[1]  # type: ignore[func-returns-value]
    recording.player.play(on=True)
    pass_time(finished, 1.0)
    assert 0 < len(made) <= 27, "25 frames a second, however fast the machine is"
