"""Counts of a live run, of its recording, and of a world whose true counts are known."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.paths import END, HEIGHT, RATE, START, WIDTH, paths, tracks_at
from tests.analytics.paths import Path as Way
from tracker.analytics import Analytics, LineRule, Rules, ZoneRule, rules_to_toml
from tracker.annotate.recount import edit_recording, make_analytics, recount_all
from tracker.annotate.sink import RecordingSink
from tracker.store import Recording, RecordingInfo, RecordingWriter
from tracker.types import Detections, Event, Frame, FrameResult

LABELS = ("person",)
SQUARE = ((200.0, 100.0), (400.0, 100.0), (400.0, 300.0), (200.0, 300.0))
RULES = Rules(line=(LineRule("gate", START, END),), zone=(ZoneRule("square", SQUARE, max_dwell_s=1.0),))


class Untroubled:
    """A pipeline that is never at a checkpoint."""

    def note_at(self, frame: int) -> None:
        return None

    def state(self) -> dict[str, int]:
        return {"done": 0}


def record(path: Path, ways: list[Way]) -> list[Event]:
    """Write a finished recording of the ways; the events of a live run over the same results."""
    info = RecordingInfo({"name": "world"}, WIDTH, HEIGHT, LABELS, rules=rules_to_toml(RULES))
    live, events = Analytics(RULES, LABELS, width=WIDTH, height=HEIGHT), []
    writer = RecordingWriter.create(path, info)
    sink = RecordingSink(writer, Untroubled(), damage=lambda: 0, analyse=make_analytics(info))  # type: ignore[arg-type]
    image = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (HEIGHT, WIDTH, 3))
    for frame in range(max(len(way.points) for way in ways)):
        tracks = tracks_at(ways, frame)
        detections = Detections(tracks.boxes, tracks.scores, tracks.class_ids)
        events += live(tracks, frame / RATE)
        sink.write(FrameResult(Frame(image, frame, frame / RATE, "world"), detections, tracks, LABELS))
    sink.finish()
    writer.complete_with(None, sink.last_events())
    writer.close()
    return [*events, *live.finish()]


def crossings(events: list[Event]) -> Counter[tuple[int, bool]]:
    """How often each track crossed the line which way."""
    return Counter((event.track_id, event.value > 0) for event in events if event.kind == "line")


@settings(max_examples=12, deadline=None)
@given(st.lists(paths(), min_size=1, max_size=4))
def test_truth_live_run_and_recording_count_the_same(ways: list[Way]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        live = record(Path(folder) / "a.sqlite", ways)
        with Recording(Path(folder) / "a.sqlite") as recording:
            stored = [row.event for row in recording.events()]
            again, _ = recount_all(recording, (stretch.observations for stretch in recording.chunks()))
    for number, way in enumerate(ways, start=1):
        assert crossings(live)[number, True] == way.inward
        assert crossings(live)[number, False] == way.outward
    assert stored == live
    assert [row.event for row in again] == live


@settings(max_examples=8, deadline=None)
@given(st.lists(paths(), min_size=2, max_size=3), st.floats(0.1, 0.9))
def test_corrections_recount_what_a_run_over_the_corrected_rows_counts(ways: list[Way], share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.sqlite"
        record(path, ways)
        with edit_recording(path) as editor:
            before = editor.events()
            frame = max(1, int(share * editor.track(1).last_frame))
            for edit in (
                lambda: editor.split(1, frame),
                lambda: editor.merge(2, 1, boxes_of=2),
                lambda: editor.delete(2),
            ):
                edit()
                whole, _ = recount_all(editor, (stretch.observations for stretch in editor.chunks()))
                assert _ordered(editor.events()) == _ordered(whole)
            while editor.undo():
                continue
            assert _ordered(editor.events()) == _ordered(before)


def _ordered(rows: list) -> list:  # type: ignore[type-arg]
    return sorted(rows, key=lambda row: (row.frame, row.event.time, row.event.kind, row.event.track_id))


def test_a_recording_without_rules_has_no_events(tmp_path: Path) -> None:
    info = RecordingInfo({"name": "world"}, WIDTH, HEIGHT, LABELS)
    assert make_analytics(info) is None
    RecordingWriter.create(tmp_path / "a.sqlite", info).close()
    with Recording(tmp_path / "a.sqlite") as recording:
        assert recount_all(recording, []) == ([], None)
    with pytest.raises(ValueError, match="recount"):
        _open_without_recount(tmp_path)


def _open_without_recount(folder: Path) -> None:
    from tracker.store import RecordingEditor

    path = folder / "ruled.sqlite"
    record(path, [Way(np.array([(300.0, 200.0)] * 3), 0, 0)])
    RecordingEditor(path)
