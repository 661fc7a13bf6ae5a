"""`counts`: how many of what, at which line and in which zone, in many recordings: one table."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tracker.commands.outputs import output_file, own_folder
from tracker.commands.recording_files import find_recordings, for_each_recording
from tracker.formats.core.atomic import AtomicText
from tracker.paths import typed_path
from tracker.store import Recording
from tracker.types import Event, EventKind

__all__ = ["CountRow", "add_parsers", "count_rows", "counts_table", "write_counts"]

COLUMNS = ("recording", "what", "name", "class", "direction", "count")


class CountRow(NamedTuple):
    """How many of what there are in a recording; the columns of the table."""

    recording: str
    what: str
    """tracks, or a kind of event."""
    name: str
    """Of the line or zone."""
    class_name: str
    direction: str
    """in or out, of a line."""
    number: int


def add_parsers(subparsers: Any) -> None:
    """Add `counts`."""
    parser = subparsers.add_parser(
        "counts",
        help="tracks and events of many recordings in one table",
        description="Count the tracks of each class, and the events of each line (in and out) and zone, as they stand "
        "after all corrections.",
    )
    text = "recordings of annotate, or folders of them, looked into with all their sub-folders"
    parser.add_argument("recordings", nargs="+", type=typed_path, metavar="PATH", help=text)
    parser.add_argument("--out", type=output_file(".csv"), metavar="FILE.csv", help="write the table as CSV too")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    rows: list[CountRow] = []

    def count(path: Path, name: str) -> None:
        with Recording(path) as recording:
            rows.extend(count_rows(recording, name))

    status = for_each_recording(find_recordings(options.recordings), count)
    if rows:
        sys.stdout.write(counts_table(rows) + "\n")
    if rows and options.out is not None:
        write_counts(options.out, rows)
    return status


def count_rows(recording: Recording, name: str) -> list[CountRow]:
    """Tracks of each class, then events by kind, rule, class and direction; `name` is what the recording is called."""
    labels = recording.info.labels
    counts = recording.track_counts()
    rows = [CountRow(name, "tracks", "", labels[class_id], "", count) for class_id, count in counts.items()]
    events = Counter(
        (each.event.kind, each.event.name, each.event.class_id, _direction(each.event)) for each in recording.events()
    )
    for (kind, rule, class_id, direction), count in sorted(events.items()):
        rows.append(CountRow(name, str(kind), rule, labels[class_id], direction, count))
    return rows or [CountRow(name, "tracks", "", "", "", 0)]


def _direction(event: Event) -> str:
    """Which way a line was crossed."""
    return ("in" if event.value > 0 else "out") if event.kind is EventKind.LINE else ""


def counts_table(rows: Sequence[CountRow]) -> str:
    """The rows for people."""
    cells = [COLUMNS, *((*row[:-1], str(row.number)) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = []
    for row in cells:
        padded = [text.ljust(width) for text, width in zip(row[:-1], widths[:-1], strict=True)]
        lines.append("  ".join([*padded, row[-1].rjust(widths[-1])]))
    return "\n".join(lines)


def write_counts(path: Path, rows: Sequence[CountRow]) -> None:
    """The rows as CSV with a head line."""
    own_folder(path.parent)
    with AtomicText(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
