"""`report`: a recording as one HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tracker.annotate.report.page import write_report
from tracker.commands.outputs import spare_inputs
from tracker.store import Recording

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `report`."""
    parser = subparsers.add_parser(
        "report",
        help="a recording as one HTML page",
        description="Write counts, dwell, a heat map and a picture of each track of a recording as one HTML page.",
    )
    parser.add_argument("recording", type=Path, metavar="FILE.sqlite", help="a recording of annotate")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help="the page to write")
    parser.add_argument("--video", type=Path, metavar="FILE", help="where the video is now, if it was moved")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    spare_inputs(options.out, options.recording, *([options.video] if options.video else []))
    with Recording(options.recording) as recording:
        write_report(recording, options.out, video=options.video)
    sys.stdout.write(f"{options.out}\n")
    return 0
