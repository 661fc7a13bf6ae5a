"""Corrections in the real window: saved as they are made, undone, counted anew, exported, found again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QInputDialog
from PyQt6.sip import isdeleted

from gui.recording.export_dialog import ExportDialog
from gui.recording.store_reader import count_rows
from tests.gui.conftest import App, put_line, rows_of
from tracker.analytics import Analytics, LineRule, Rules
from tracker.annotate.recount import edit_recording
from tracker.annotate.sink import as_tracks
from tracker.formats import find_format
from tracker.observations import Origin
from tracker.store import Recording
from tracker.types import Event


def core_events(store: Path, line: LineRule) -> list[Event]:
    """What the core's analytics find in the rows of a store."""
    with Recording(store) as recording:
        info = recording.info
        analytics = Analytics(Rules(line=(line,)), info.labels, width=info.width, height=info.height)
        found: list[Event] = []
        for stretch in recording.chunks():
            for _, time, rows in stretch.by_frame():
                found += analytics(as_tracks(rows), time)
        return [*found, *analytics.finish()]


def line_counts(events: list[Event]) -> tuple[int, int]:
    return sum(event.value > 0 for event in events), sum(event.value < 0 for event in events)


def test_corrections_are_saved_undone_done_again_exported_and_found_again(
    finished: App, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    store, original = recording.store, rows_of(recording.store)
    assert recording.overview is not None
    keep, other = page.tracks.shown[:2]

    asked: list[tuple[object, ...]] = []

    def choose(*arguments: object, editable: bool) -> tuple[str, bool]:
        asked.append(arguments)
        return str(keep), len(asked) > 1

    monkeypatch.setattr(QInputDialog, "getItem", choose)
    recording.select([keep, other])
    page.corrections.merge()
    finished.until(lambda: asked)
    assert f"Tracks {keep}, {other} are visible together in" in str(asked[0][2])
    finished.until(lambda: not window.background.busy)
    assert rows_of(store) == original, "nothing is merged where nobody says whose boxes stay"
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
    assert Origin.MANUAL in moved.origins.tolist()

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
    assert said == ["Written: clip.txt, clip.html; MOT text cannot hold: classes, time stamps"]
    finished.until(lambda: not window.recordings.findChildren(ExportDialog))


def test_what_comes_too_late_for_a_closed_recording_is_not_reported(finished: App, clip: Path, numbered: Path) -> None:
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
        for stretch in store.chunks():
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
    finished.until(lambda: window.recorded_events.thumbnail_count > 0)
    window.engine.change("overlay.blur_classes", ["person"])
    assert window.recorded_events.thumbnail_count == 0, "what is to be hidden is not shown small either"
    window.engine.change("overlay.blur_classes", [])
    finished.until(lambda: window.recorded_events.thumbnail_count > 0)
    window.recorded_events._activated(window.recorded_events._list.item(0))  # type: ignore[arg-type]
    first = min(event.time for event in core_events(recording.store, line))
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
    ((points, closed, text),) = recording.counts.figures(float(recording.player.times[-1]))
    assert (points, closed) == ((line.start, line.end), False)
    assert text == f"{line.name}  in {truth[0]}  out {truth[1]}", "snapshots have it as the annotated video has"
    window.commands["recording.snapshot"].trigger()
    finished.until(lambda: list((finished.folder / "out").glob("*.png")))
    (snapshot,) = (finished.folder / "out").glob("*.png")
    finished.until(lambda: cv2.imread(str(snapshot)) is not None)
    assert cv2.imread(str(snapshot))[100:120, 79:82].max(axis=(1, 2)).min() > 150


def test_what_is_refused_counts_frames_as_the_window_does(finished: App, clip: Path) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    recording.select(page.tracks.shown[:1])
    (track,) = recording.selected
    finished.edit(window, page.corrections.delete_here)
    said: list[str] = []
    page.said.connect(said.append)
    for refused, words in (
        (page.corrections.delete_here, f"track {track} is not seen in frame 1"),
        (page.corrections.split, f"split: track {track} has nothing on one side of frame 1"),
    ):
        refused()
        finished.until(lambda: said)
        assert "frame 1 of" in page.transport.position_words
        assert said == [words]
        said.clear()
