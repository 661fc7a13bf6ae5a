"""What a run reports while it goes on: counts of each frame, and the events of its rules, in words and as a table."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from tracker.analytics import Analytics
from tracker.formats.core.atomic import AtomicText
from tracker.protocols import Sink
from tracker.types import Event, FrameResult, TrackState

__all__ = ["COLUMNS", "EventLog", "FrameInfo", "counts_in_words", "rules_summary"]

COLUMNS = ("time", "kind", "name", "class", "id", "value")
"""Of the table of events; time in seconds of the video."""


class FrameInfo(Sink):
    """A sink that prints one line per frame: its number and time, what it shows by class, and the ids."""

    def write(self, result: FrameResult) -> None:
        tracks = result.tracks
        seen = tracks[(tracks.states == TrackState.CONFIRMED) & (tracks.detection_rows >= 0)]
        who = " ".join(
            f"{_label(result.labels, class_id)}#{track}"
            for track, class_id in zip(seen.ids.tolist(), seen.class_ids.tolist(), strict=True)
        )
        counts = counts_in_words(result)
        _print(f"frame {result.frame.index}  {result.frame.time:.3f} s  {counts or 'nothing'}" + f"  {who}" * bool(who))

    def close(self) -> None:
        """Each line is whole already."""

    discard = close


class EventLog(Sink):
    """A sink that prints the events of a run as they happen, unless `quiet`, and writes them as CSV at its end."""

    def __init__(self, path: Path, analytics: Analytics, *, quiet: bool = False) -> None:
        self._file, self._analytics, self._quiet = AtomicText(path), analytics, quiet
        self._write_row(COLUMNS)

    def write(self, result: FrameResult) -> None:
        for event in result.events:
            self._report(event)

    def close(self) -> None:
        for event in self._analytics.finish():
            self._report(event)
        self._file.close()

    def discard(self) -> None:
        self._file.discard()

    def _report(self, event: Event) -> None:
        label = _label(self._analytics.labels, event.class_id)
        self._write_row((f"{event.time:.3f}", event.kind, event.name, label, event.track_id, f"{event.value:.3f}"))
        if not self._quiet:
            _print(f"{event.time:.2f} s  {in_words(event, label)}")

    def _write_row(self, row: Sequence[object]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        self._file.write(line.getvalue())


def counts_in_words(result: FrameResult) -> str:
    """Such as `person 3, car 1`, most first; empty where nothing is seen."""
    return ", ".join(f"{name} {count}" for name, count in result.counts().items())


def rules_summary(analytics: Analytics) -> list[str]:
    """One line per line, with its crossings by class, and per zone, with who is inside."""
    lines = []
    for rule in analytics.rules.line:
        parts = []
        for inward, word in ((True, "in"), (False, "out")):
            classes = Counter(
                {
                    _label(analytics.labels, class_id): number
                    for (name, class_id, direction), number in analytics.counts.items()
                    if name == rule.name and direction == inward
                }
            )
            named = ", ".join(f"{name} {number}" for name, number in classes.most_common())
            parts.append(f"{word} {sum(classes.values())}" + f" ({named})" * bool(named))
        lines.append(f"{rule.name}: {', '.join(parts)}")
    lines += [f"{zone.rule.name}: {sum(zone.occupancy().values())} inside" for zone in analytics.zones]
    return lines


def in_words(event: Event, label: str) -> str:
    """An event as a sentence without its end."""
    who = f"{label} {event.track_id}"
    words = {
        "line": f"{who} crossed {event.name}, {'in' if event.value > 0 else 'out'}",
        "zone-enter": f"{who} entered {event.name}",
        "zone-leave": f"{who} left {event.name} after {event.value:.1f} s",
        "zone-dwell": f"{who} stays in {event.name}, {event.value:.1f} s",
        "speed": f"{who} at {event.value:.0f} km/h",
    }
    return words.get(event.kind, f"{who}: {event.kind} {event.name}")


def _label(labels: Sequence[str], class_id: int) -> str:
    return labels[class_id] if 0 <= class_id < len(labels) else f"class {class_id}"


def _print(line: str) -> None:
    """A line on stdout, above the bar of the progress where one is shown."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()
