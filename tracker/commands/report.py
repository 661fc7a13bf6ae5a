"""`report`: recordings as HTML pages, with one table of what they count."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tracker.annotate.report.html_page import write_report
from tracker.commands.counts import CountRow, count_rows, counts_table, write_counts
from tracker.commands.options import hidden_by_user
from tracker.commands.outputs import own_folder, spare_inputs
from tracker.commands.recording_files import find_recordings, for_each_recording
from tracker.errors import ConfigError
from tracker.paths import typed_path
from tracker.store import Recording

__all__ = ["add_parsers"]

COUNTS = "counts.csv"
PAGES = (".html", ".htm")


def add_parsers(subparsers: Any) -> None:
    """Add `report`."""
    parser = subparsers.add_parser(
        "report",
        help="recordings as HTML pages",
        description="Write counts, dwell, a heat map and an image of each track of a recording as one HTML page. Of "
        f"several recordings, or a folder, each has its page below --out, and {COUNTS} there counts all.",
    )
    text = "recordings of annotate, or folders of them, looked into with all their sub-folders"
    parser.add_argument("recordings", nargs="+", type=typed_path, metavar="PATH", help=text)
    out = "the page to write; of several recordings the folder for their pages"
    parser.add_argument("--out", type=typed_path, required=True, metavar="FILE.html", help=out)
    parser.add_argument("--video", type=typed_path, metavar="FILE", help="where the video is now, if it was moved")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    spare_inputs(options.out, *options.recordings, *([options.video] if options.video else []))
    hidden = hidden_by_user()
    (first, *others) = options.recordings
    if not others and not first.is_dir():
        if options.out.suffix.lower() not in PAGES:
            raise ConfigError(f"--out {options.out}: expected a name ending in {' or '.join(PAGES)}")
        with Recording(first) as recording:
            write_report(recording, options.out, video=options.video, hidden=hidden)
        sys.stdout.write(f"{options.out}\n")
        return 0
    if options.video is not None:
        raise ConfigError("--video goes with one recording")
    if options.out.is_file() or options.out.suffix.lower() in PAGES:
        raise ConfigError(f"--out {options.out}: several recordings need a folder for their pages")
    rows: list[CountRow] = []

    def write_page(path: Path, name: str) -> None:
        page = options.out / f"{name}.html"
        own_folder(page.parent)
        with Recording(path) as recording:
            write_report(recording, page, hidden=hidden)
            rows.extend(count_rows(recording, name))
        sys.stdout.write(f"{page}\n")

    status = for_each_recording(find_recordings(options.recordings), write_page)
    if rows:
        write_counts(options.out / COUNTS, rows)
        sys.stdout.write(f"{options.out / COUNTS}\n\n{counts_table(rows)}\n")
    return status
