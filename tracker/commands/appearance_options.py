"""Options of commands that show a network what tracks look like, and the network they mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tracker.annotate.appearance import describe_tracks
from tracker.commands.options import not_empty
from tracker.paths import typed_path
from tracker.protocols import Embed
from tracker.store.appearances import Views

__all__ = ["add_appearance_options", "describe"]


def add_appearance_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    text = "re-identification network, as of track; the one that comes with the program unless given"
    parser.add_argument("--reid-model", type=not_empty, metavar="FILE", help=text)
    video = "folder with the recorded videos, where they were moved"
    parser.add_argument("--videos", type=typed_path, metavar="DIR", help=video)


def describe(path: Path, network: str, embed: Embed, videos: Path | None, source: str) -> Views:
    """The views of a recording's tracks; a bar shows how far the video is read, where it has to be."""
    with tqdm(desc=path.name, unit=" frames", leave=False, dynamic_ncols=True, disable=not sys.stderr.isatty()) as bar:
        moved = videos / Path(source).name if videos is not None else None
        return describe_tracks(path, network, embed, video=moved, report=_reporter(bar))


def _reporter(bar: tqdm[Any]) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return report
