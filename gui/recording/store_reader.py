"""A recording's store as the window sees it: rows as results, an overview, counts by what is drawn, corrections."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from gui.rules.counting import CountRow
from tracker.analytics import Analytics, Rules
from tracker.annotate.recount import edit_recording, stored_rules
from tracker.annotate.render import with_masks
from tracker.annotate.sink import as_tracks
from tracker.errors import FormatError
from tracker.observations import Observations, Origin
from tracker.store import Edit, Recording, RecordingEditor, TrackSummary
from tracker.types import Detections, Event, EventKind, Frame, FrameResult, Tracks

__all__ = ["Change", "Overview", "RowReader", "correct", "count_recording", "count_rows", "read_overview"]


SAME_S = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """All of a recording at a glance."""

    tracks: tuple[TrackSummary, ...]
    labels: tuple[str, ...]
    events: tuple[Event, ...]
    rules: Rules
    """Lines and zones that the events come from."""
    size: tuple[int, int]
    """Width and height of the frame."""
    last_frame: int
    last_s: float
    """Time of that frame."""
    complete: bool
    edits: tuple[Edit, ...] = ()
    keyframes: tuple[tuple[int, int], ...] = ()
    """Track and frame of each box that a person set."""
    semantic_labels: tuple[str, ...] = ()
    """Labels of pixels; empty where no pixels were labelled."""
    first_frame: int = 0
    """Of those recorded: later than the first of the video where only a range was asked for."""
    whole: bool = False
    """Whether it reaches the video's end: nobody asked for an earlier one, before or while it was annotated."""

    def agrees_with(self, times: Float64[ndarray, " n"]) -> bool:
        """Whether the last frame is where a player says, who goes by what the file promises; true while unknown."""
        last = self.last_frame
        return last < 0 or not len(times) or (last < len(times) and abs(times[last] - self.last_s) <= SAME_S)

    @property
    def can_undo(self) -> bool:
        """Whether there is a correction to take back."""
        return any(not edit.undone for edit in self.edits)

    @property
    def can_redo(self) -> bool:
        """Whether there is a correction to make once more."""
        return any(edit.undone for edit in self.edits)


def read_overview(path: Path) -> Overview | None:
    """What the store holds now; None while there is none yet."""
    if not path.exists():
        return None
    with Recording(path) as recording, recording.snapshot():
        info = recording.info
        last = recording.last_frame
        asked = info.settings.get("frames")
        rules = stored_rules(info, str(path))
        return Overview(
            tuple(recording.tracks()),
            tuple(info.labels),
            tuple(sorted((row.event for row in recording.events()), key=lambda event: event.time)),
            rules,
            (info.width, info.height),
            last,
            recording.time_of(last) if last >= 0 else 0.0,
            recording.complete,
            tuple(recording.edits()),
            tuple(recording.keyframes()),
            recording.semantic_labels,
            recording.first_frame,
            recording.complete and not recording.note("ended") and (asked is None or asked[1] is None),
        )


class RowReader:
    """Rows of single frames as results, for the player's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recording: Recording | None = None
        self._number = 0
        self._lock = threading.Lock()
        self.solo: frozenset[int] = frozenset()
        """When not empty, only these tracks are shown."""

    def __call__(self, frame: Frame) -> FrameResult:
        """What the store holds of this frame, nothing where it does not reach."""
        return self._read(frame)[0]

    def recorded(self, frame: Frame) -> FrameResult | None:
        """What the store holds of this frame, None where it does not reach."""
        result, held = self._read(frame)
        return result if held else None

    def _read(self, frame: Frame) -> tuple[FrameResult, bool]:
        """What the store holds of this frame, and whether it reaches there."""
        empty = FrameResult(frame, Detections.empty(), Tracks.empty(), ())
        with self._lock:
            recording = self._open()
            if recording is None:
                return empty, False
            try:
                held = bool(len(recording.frame_times(frame.index, frame.index)[0]))
                rows = recording.observations_in(frame.index, masks=True)
                semantic_labels = recording.semantic_labels
                semantic = recording.semantic(frame.index) if semantic_labels else None
            except FormatError:
                self._close()
                return empty, False
            labels = recording.info.labels
        tracks = as_tracks(rows)
        detections = Detections(tracks.boxes, tracks.scores, tracks.class_ids)
        if self.solo:  # the others stay detections: whom to hide does not hang on who is shown
            tracks = tracks[np.isin(tracks.ids, list(self.solo))]
        result = FrameResult(frame, detections, tracks, labels)
        return FrameResult(frame, with_masks(rows, result), tracks, labels, semantic, semantic_labels), held

    def explain(self, frame: int, track_id: int, labels: Sequence[str]) -> str:
        """Where a box comes from, in words."""
        with self._lock:
            recording = self._open()
            if recording is None:
                return ""
            rows = recording.observations_in(frame)
            rows = rows[rows.tracks == track_id]
            if not len(rows):
                return ""
            track = recording.track(track_id)
            start, end = recording.time_of(track.first_frame), recording.time_of(track.last_frame)
        return _describe(rows, track, labels, start, end)

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        with self._lock:
            self._close()

    def _open(self) -> Recording | None:
        try:
            number = self._path.stat().st_ino
        except OSError:
            self._close()
            return None
        if number != self._number:  # a run that begins anew puts another file in its place
            self._close()
        if self._recording is None:
            try:
                self._recording, self._number = Recording(self._path), number
            except FormatError:
                return None
        return self._recording

    def _close(self) -> None:
        if self._recording is not None:
            self._recording.close()
            self._recording = None


def _describe(rows: Observations, track: TrackSummary, labels: Sequence[str], start: float, end: float) -> str:
    class_id, score = int(rows.class_ids[0]), float(rows.scores[0])
    name = labels[class_id] if 0 <= class_id < len(labels) else f"class {class_id}"
    origin = {
        Origin.DETECTED: f"seen by the network with score {score:.2f}",
        Origin.INTERPOLATED: "filled in between boxes before and after",
        Origin.MANUAL: "set by a person",
    }[Origin(int(rows.origins[0]))]
    return (
        f"{name} {track.track_id}: {origin}.\n"
        f"In {track.observations} frames from {start:.1f} s to {end:.1f} s; a track is kept once it was confirmed."
    )


def count_recording(path: Path, rules: Rules) -> tuple[Event, ...]:
    """What the rules notice in all that the store holds now, as the core's analytics find it."""
    with Recording(path) as recording, recording.snapshot():
        info = recording.info
        analytics = Analytics(rules, info.labels, width=info.width, height=info.height)
        events: list[Event] = []
        for stretch in recording.chunks():
            for _, time, rows in stretch.by_frame():
                events += analytics(as_tracks(rows), time)
        events += analytics.finish()
    return tuple(sorted(events, key=lambda event: event.time))


def count_rows(events: Iterable[Event], rules: Rules, now: float = math.inf) -> list[CountRow]:
    """The counts of each line and zone that these events add up to; who is inside is of the time `now`."""
    inward, outward, stays, inside = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for event in events:
        if event.time <= now:
            inside[event.name] += {EventKind.ZONE_ENTER: 1, EventKind.ZONE_LEAVE: -1}.get(event.kind, 0)
        if event.kind == EventKind.LINE:
            (inward if event.value > 0 else outward)[event.name] += 1
        elif event.kind == EventKind.ZONE_ENTER:
            inward[event.name] += 1
        elif event.kind == EventKind.ZONE_LEAVE:
            outward[event.name] += 1
            stays[event.name] += event.value  # type: ignore[assignment]
    rows = [CountRow("line", line.name, inward[line.name], outward[line.name]) for line in rules.line]
    for zone in rules.zone:
        left = outward[zone.name]
        stay = stays[zone.name] / left if left else 0.0
        rows.append(CountRow("zone", zone.name, inward[zone.name], left, stay, inside[zone.name]))
    return rows


Change = Callable[[RecordingEditor], Edit | None]


def correct(path: Path, change: Change) -> Edit | None:
    """Make one correction; it is on disk when this returns.

    Raises ConfigError or FormatError where it makes no sense; nothing is changed then.
    """
    with edit_recording(path) as editor:
        return change(editor)
