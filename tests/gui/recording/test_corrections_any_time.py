"""Corrections while annotation runs, after it is held, and over its end; lines and zones undone in their turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from gui.canvas.hit_testing import Shape
from gui.recording.corrections_panel import CorrectionsPanel
from gui.recording.edit_commands import describe_edit
from gui.recording.store_reader import read_overview
from tests.annotate.tiny import write_clip
from tests.gui.canvas.test_video_view import MOVE, PRESS, RELEASE, point_at
from tests.gui.conftest import App, put_line, rows_of
from tests.store.recordings import finished as finished_store
from tracker.annotate.recount import edit_recording
from tracker.observations import Origin
from tracker.store import Edit, Recording, RecordingEditor, check_store


@pytest.fixture(scope="session")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be corrected while it is annotated."""
    return write_clip(tmp_path_factory.mktemp("minute") / "minute.mp4", 1500)


def test_a_recording_is_corrected_while_it_is_annotated_and_ends_corrected(app: App, minute: Path) -> None:
    window = app.start()
    page = window.recordings
    recording = app.open(window, minute)
    app.until(lambda: recording.correctable)
    assert recording.annotating
    overview = recording.overview
    assert overview is not None
    gone, moved = (track.track_id for track in overview.tracks[:2])
    recording.select([gone])
    app.edit(window, page.corrections.delete)
    app.edit(window, lambda: page.corrections.move_box(moved, (1.0, 2.0, 30.0, 40.0), frame=5))
    app.until(lambda: recording.finished)
    assert gone not in page.tracks.shown
    with Recording(recording.store) as store:
        row = store.observations_in(5)
        row = row[row.tracks == moved]
        assert (row.boxes.tolist(), row.origins.tolist()) == ([[1.0, 2.0, 30.0, 40.0]], [Origin.MANUAL])
        assert store.last_frame == 1499
    app.edit(window, page.corrections.undo)
    app.edit(window, page.corrections.undo)
    assert gone in page.tracks.shown
    check_store(recording.store)


def test_an_annotation_that_is_held_is_corrected_and_finished_there(app: App, minute: Path) -> None:
    window = app.start()
    page = window.recordings
    recording = app.open(window, minute)
    app.until(lambda: recording.correctable)
    page.transport.held.emit()
    app.until(lambda: not recording.annotating)
    overview = recording.overview
    assert overview is not None
    assert not overview.complete
    recording.select([overview.tracks[0].track_id])
    assert window.commands["recording.delete"].isEnabled()
    app.edit(window, page.corrections.delete)
    page.transport.finished.emit()
    app.until(lambda: recording.finished)
    overview = recording.overview
    assert overview is not None
    assert 0 < overview.last_frame < 1499
    assert page.timeline.annotated == pytest.approx((0.0, recording.player.times[overview.last_frame]))
    app.close(window)
    window = app.start()
    again = app.open_finished(window, minute)
    assert not again.annotating, "it is not gone on with unasked"
    assert again.overview is not None
    assert again.overview.last_frame == overview.last_frame


def test_only_the_range_between_two_marks_is_annotated(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    window.commands["recording.range"].trigger()
    assert not window.commands["recording.range"].isEnabled()
    assert "Shift+I" in window.commands.why_not("recording.range")
    finished.show(recording, 30)
    QTest.keyClick(page.view, Qt.Key.Key_I, Qt.KeyboardModifier.ShiftModifier)
    finished.show(recording, 89)
    QTest.keyClick(page.view, Qt.Key.Key_O, Qt.KeyboardModifier.ShiftModifier)
    assert recording.player.loop_range == (30, 89)
    finished.until(lambda: window.commands["recording.range"].isEnabled())
    window.commands["recording.range"].trigger()
    finished.until(lambda: recording.finished and recording.overview and recording.overview.last_frame == 89)
    with Recording(recording.store) as store:
        assert (store.first_frame, store.last_frame, store.frame_count()) == (30, 89, 60)
        assert store.observation_count() > 0
    times = recording.player.times
    finished.until(lambda: page.timeline.annotated == pytest.approx((times[30], times[89])))
    finished.close(window)
    window = finished.start()
    finished.open_finished(window, clip)
    assert window.recordings.timeline.annotated == pytest.approx((times[30], times[89]))


def test_a_snapshot_is_refused_where_nothing_says_where_people_are(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    recording.annotate_again(30, 89)
    finished.until(lambda: recording.finished and recording.overview and recording.overview.last_frame == 89)
    window.engine.change("overlay.blur_classes", ["person", "car"])
    folder, said = finished.folder / "out", list[str]()
    recording.said.connect(said.append)

    def saved() -> list[Path]:
        return list(folder.glob("*.png"))

    for frame in (5, 120):
        finished.show(recording, frame)
        window.commands["recording.snapshot"].trigger()
        finished.until(lambda: said)
        assert "this frame is not annotated" in said.pop()
        assert not saved()
    finished.show(recording, 60)
    window.commands["recording.snapshot"].trigger()
    finished.until(saved)
    finished.until(lambda: said)
    assert recording.rendered is not None
    image, frame_shown = cv2.imread(str(saved()[0]))[:, :, ::-1], recording.rendered.result
    for box in frame_shown.tracks.boxes.tolist():
        x1, y1, x2, y2 = (round(side) for side in box)
        inside = (slice(max(y1, 0) + 6, y2 - 6), slice(max(x1, 0) + 6, x2 - 6))
        assert (image[inside] != frame_shown.frame.image[inside]).mean() > 0.3, "in the range everybody is hidden"
    said.clear()
    window.engine.change("overlay.blur_classes", ["person", "bus"])
    window.commands["recording.snapshot"].trigger()
    finished.until(lambda: said)
    assert "bus is to be hidden" in said[-1]
    assert len(saved()) == 1
    window.engine.change("overlay.blur_classes", [])
    finished.show(recording, 5)
    window.commands["recording.snapshot"].trigger()
    finished.until(lambda: len(saved()) == 2)


def test_undo_takes_back_lines_in_their_turn_and_nothing_else(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    gone = page.tracks.shown[0]
    recording.select([gone])
    finished.edit(window, page.corrections.delete)
    window.commands["recording.line"].setChecked(True)
    finished.edit(window, lambda: put_line(page.view, (80.0, 2.0), (80.0, 126.0)))
    finished.edit(window, lambda: page.view.rename_shape("line 1", "gate"))
    finished.until(lambda: [row.name for row in window.recorded_counts.rows] == ["gate"])
    finished.edit(window, page.corrections.undo)
    assert [shape.name for shape in page.view.shapes] == ["line 1"]
    finished.edit(window, page.corrections.undo)
    assert page.view.shapes == []
    assert gone not in page.tracks.shown, "the correction before stays"
    finished.edit(window, page.corrections.redo)
    assert [shape.name for shape in page.view.shapes] == ["line 1"]
    with Recording(recording.store) as store:
        assert "line 1" in store.info.rules
    finished.until(lambda: window.recorded_counts.rows)
    times = [event.time for event in recording.counts.events]
    assert times == sorted(times)


def test_who_is_inside_is_of_the_frame_that_is_shown(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    zone = Shape("zone", "zone 1", ((0.0, 0.0), (80.0, 0.0), (80.0, 128.0), (0.0, 128.0)))
    finished.edit(window, lambda: recording.use_shapes([zone]))
    finished.until(lambda: recording.counts.events)
    enters = [event.time for event in recording.counts.events if event.kind == "zone-enter"]
    leaves = [event.time for event in recording.counts.events if event.kind == "zone-leave"]
    seen = set()
    for frame in (0, 40, 80, 149):
        finished.show(recording, frame)
        (row,) = recording.count_rows()
        now = recording.player.times[frame]
        assert row.inside == sum(time <= now for time in enters) - sum(time <= now for time in leaves)
        assert row.inward == len(enters)
        seen.add(row.inside)
    assert len(seen) > 1, "the number must change, or this test shows nothing"


def test_a_box_that_is_drawn_stays_in_sight_while_its_class_is_asked_and_a_new_class_blanks_nothing(
    finished: App, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    finished.show(recording, 40)
    assert recording.rendered is not None
    count = len(recording.rendered.result.tracks.ids)
    assert count
    shown: list[object] = []

    def answer(*arguments: object) -> tuple[str, bool]:
        shown.append(page.view.pending)
        return "lamp", len(shown) > 1

    monkeypatch.setattr(QInputDialog, "getItem", answer)
    for taken in (False, True):
        window.commands["recording.box"].setChecked(True)
        point_at(page.view, PRESS, (10, 10))
        point_at(page.view, MOVE, (40, 40))
        if not taken:
            point_at(page.view, RELEASE, (40, 40))
            assert page.view.pending is None
            continue
        finished.edit(window, lambda: point_at(page.view, RELEASE, (40, 40)))
    assert shown[1] == pytest.approx((10.0, 10.0, 40.0, 40.0), abs=1)
    finished.until(lambda: recording.rendered is not None and len(recording.rendered.result.tracks.ids) == count + 1)
    assert page.view.pending is None
    assert recording.selected == {max(page.tracks.shown)}
    assert page.timeline.keyframes == [(max(page.tracks.shown), pytest.approx(recording.player.times[40]))]


def test_a_tool_that_cannot_be_used_says_why(finished: App, clip: Path) -> None:
    window = finished.start()
    commands = window.commands
    assert commands.why_not("recording.split") == "Open a recording first."
    recording = finished.open_finished(window, clip)
    assert "Select one track" in commands.why_not("recording.split")
    assert commands.why_not("recording.split") in commands["recording.split"].toolTip()
    assert "Nothing was corrected" in commands.why_not("recording.undo")
    recording.select(window.recordings.tracks.shown[:1])
    assert commands.why_not("recording.split") == ""
    assert "Ctrl" in commands.why_not("recording.merge")
    for name in ("line", "zone", "blur"):
        assert commands.keys_of(f"live.{name}") == commands.keys_of(f"recording.{name}")


def test_boxes_between_two_keyframes_stay_until_somebody_asks(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    assert recording.overview is not None
    track = max(recording.overview.tracks, key=lambda entry: entry.observations)
    with Recording(recording.store) as store:
        before = store.observations_of(track.track_id)
    first, last = int(before.frames[3]), int(before.frames[-4])
    recording.select([track.track_id])
    for frame in (last, first):
        finished.show(recording, frame)
        finished.edit(window, lambda: page.corrections.move_box(track.track_id, (10.0, 10.0, 50.0, 50.0)))
    with Recording(recording.store) as store:
        after = store.observations_of(track.track_id)
    assert np.count_nonzero((after.boxes != before.boxes).any(axis=1)) == 2
    assert sorted(frame for _, frame in recording.overview.keyframes) == [first, last]
    panel = page.corrected
    assert [text.partition(" (")[0] for text in panel.keyframes] == [
        f"{track.track_id}, frame {frame + 1}" for frame in (first, last)
    ]
    assert panel.corrections == [f"box {track.track_id}, frame {frame + 1}" for frame in (first, last)]
    panel._keyframes.itemActivated.emit(panel._keyframes.item(1))
    finished.until(lambda: recording.rendered is not None and recording.rendered.result.frame.index == last)
    finished.show(recording, first)
    finished.edit(window, page.corrections.interpolate)
    with edit_recording(recording.store) as editor:
        assert editor.edits()[-1].details["replaced"] == sum(first < frame < last for frame in before.frames.tolist())
        middle = editor.observations_of(track.track_id)
        assert (middle.boxes[(middle.frames >= first) & (middle.frames <= last)] == [10.0, 10.0, 50.0, 50.0]).all()


def test_keyframes_have_their_times_as_soon_as_these_are_known(qtbot: QtBot, tmp_path: Path) -> None:
    store = finished_store(tmp_path / "a.sqlite")
    with RecordingEditor(store) as editor:
        editor.set_box(2, 5, (1, 1, 9, 9))
    overview = read_overview(store)
    panel = CorrectionsPanel()
    qtbot.addWidget(panel)
    panel.show_overview(overview, lambda _: 0.0)  # the file is still looked through
    panel.show_overview(overview, lambda frame: frame / 10)
    assert panel.keyframes == ["2, frame 6 (0:00.50)"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda editor: editor.delete([1, 2], 4, 4), "delete 1, 2, frame 5"),
        (lambda editor: editor.delete([1], 4, 6), "delete 1, frames 5 to 7"),
        (lambda editor: editor.delete(2), "delete 2"),
        (lambda editor: editor.relabel(1, 9), "relabel 1 to 9"),
        (lambda editor: editor.change_class([1, 2], "lamp"), "class 1, 2: lamp"),
        (lambda editor: editor.merge(1, 3, boxes_of=1), "merge 3 into 1"),
        (lambda editor: editor.split(2, 6), "split 2, frame 7: 4 from there on"),
        (lambda editor: editor.set_box(1, 3, (1, 1, 9, 9)), "box 1, frame 4"),
    ],
)
def test_a_correction_says_where_it_was_made_and_what_became_of_it(
    tmp_path: Path, change: Callable[[RecordingEditor], Edit], words: str
) -> None:
    with RecordingEditor(finished_store(tmp_path / "a.sqlite")) as editor:
        assert describe_edit(change(editor)) == words


def test_a_damaged_recording_offers_repair_in_words_that_are_not_cut_off(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    store, rows = recording.store, rows_of(recording.store)
    finished.close(window)
    sound = store.read_bytes()
    (store.parent / "copy.sqlite").write_bytes(sound)
    for again in (True, False):
        store.write_bytes(sound[:100] + b"\xff" * (len(sound) - 100))
        window = finished.start()
        window.open(str(clip))
        page = window.recordings
        finished.until(lambda page=page: page.repair_bar.isVisible())
        assert str(store) in page.repair_bar.words
        assert "damaged" in page.repair_bar.words
        page.repair_bar.annotate_again.click() if again else page.repair_bar.copy_chosen.emit(
            store, store.parent / "copy.sqlite"
        )
        found = page.recording
        assert found is not None
        finished.until(lambda found=found: found.finished)
        assert not page.repair_bar.isVisible()
        assert rows_of(store) == rows
        assert window.commands["recording.box"].isEnabled()
        finished.close(window)
    kept = sorted(path.name for path in store.parent.iterdir() if ".damaged" in path.name)
    assert kept == [f"{store.name}.damaged", f"{store.name}.damaged2"]
