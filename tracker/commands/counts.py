"""`counts`: how many of what, at which line and in which zone, in many recordings: one table."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.commands.outputs import output_file, own_folder
from tracker.commands.recording_files import find_recordings, for_each_recording
from tracker.formats.core.atomic import AtomicText
from tracker.paths import typed_path
from tracker.store import Recording

__all__ = ["add_parsers", "count_rows", "counts_table", "write_counts"]

COLUMNS = ("recording", "what", "name", "class", "count")


def add_parsers(subparsers: Any) -> None:
    """Add `counts`."""
    parser = subparsers.add_parser(
        "counts",
        help="tracks and events of many recordings in one table",
        description="Count the tracks of each class, and the events of each line and zone, as they stand after all "
        "corrections.",
    )
    text = "recordings of annotate, or folders of them, looked into with all their sub-folders"
    parser.add_argument("recordings", nargs="+", type=typed_path, metavar="PATH", help=text)
    parser.add_argument("--out", type=output_file(".csv"), metavar="FILE.csv", help="write the table as CSV too")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    rows: list[tuple[str, str, str, str, int]] = []

    def count(path: Path, name: str) -> None:
        with Recording(path) as recording:
            rows.extend(count_rows(recording, name))

    status = for_each_recording(find_recordings(options.recordings), count)
    if rows:
        sys.stdout.write(counts_table(rows) + "\n")
    if rows and options.out is not None:
        write_counts(options.out, rows)
    return status


def count_rows(recording: Recording, name: str) -> list[tuple[str, str, str, str, int]]:
    """Recording, what is counted (tracks, or a kind of event), the rule's name, class and count."""
    labels = recording.info.labels
    rows = [(name, "tracks", "", labels[class_id], count) for class_id, count in recording.track_counts().items()]
    events = Counter((each.event.kind, each.event.name, each.event.class_id) for each in recording.events())
    for (kind, rule, class_id), count in sorted(events.items()):
        rows.append((name, str(kind), rule, labels[class_id], count))
    return rows or [(name, "tracks", "", "", 0)]


def counts_table(rows: Sequence[tuple[str, str, str, str, int]]) -> str:
    """The rows for people."""
    cells = [COLUMNS, *((*row[:4], str(row[4])) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = []
    for row in cells:
        padded = [text.ljust(width) for text, width in zip(row[:4], widths[:4], strict=True)]
        lines.append("  ".join([*padded, row[4].rjust(widths[4])]))
    return "\n".join(lines)


def write_counts(path: Path, rows: Sequence[tuple[str, str, str, str, int]]) -> None:
    """The rows as CSV with a head line."""
    own_folder(path.parent)
    with AtomicText(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
