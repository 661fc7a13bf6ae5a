"""`across`: one id for one person or vehicle over several recordings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.annotate.across import PROJECT, Across, across_of, all_tracks, write_table
from tracker.annotate.appearance import open_network
from tracker.commands.appearance_options import add_appearance_options, describe
from tracker.commands.outputs import output_file, own_folder
from tracker.commands.recording_files import find_recordings
from tracker.errors import ConfigError
from tracker.paths import typed_path
from tracker.store import Recording

__all__ = ["add_parsers", "find_across"]


def add_parsers(subparsers: Any) -> None:
    """Add `across`."""
    parser = subparsers.add_parser(
        "across",
        help="one id over several recordings",
        description="Find which tracks of several recordings are one person or vehicle: by what they look like, and by "
        "time, as nobody is in two places at once and ways from camera to camera take about as long for all. "
        f"{PROJECT} beside the recordings keeps the identities and what people decide in the window; a table of the "
        "same name in CSV lists every track.",
    )
    text = "recordings of annotate, or folders of them, looked into with all their sub-folders"
    parser.add_argument("recordings", nargs="+", type=typed_path, metavar="PATH", help=text)
    start = "when a recording's first frame was, in seconds on a clock that all share; 0 unless given; may be repeated"
    parser.add_argument("--start", action="append", default=[], metavar="NAME=SECONDS", help=start)
    project = f"the project file; {PROJECT} beside the first recording unless given"
    parser.add_argument("--project", type=output_file(".json"), metavar="FILE.json", help=project)
    add_appearance_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    found = find_recordings(options.recordings)
    starts = _starts(options.start, found)
    path = options.project or found[0][0].parent / PROJECT
    sys.stdout.write(find_across(options, found, starts, path) + "\n")
    return 0


def find_across(
    options: argparse.Namespace, found: Sequence[tuple[Path, str]], starts: dict[Path, float], path: Path
) -> str:
    """Find the identities of recordings, write the project and its table, and say in a few words what was found."""
    if len(found) < 2:
        raise ConfigError(f"{found[0][0]}: one recording alone; across joins the tracks of two or more")
    own_folder(path.parent)
    network, embed = open_network(options.reid_model or "")
    sources = {}
    for each, _ in found:
        with Recording(each) as recording:
            sources[each] = str(recording.info.source.get("path", ""))
    across = across_of([each for each, _ in found], starts, path)
    tracks = all_tracks(across, lambda each: describe(each, network, embed, options.videos, sources[each]))
    across = across.found(tracks)
    across.write(path)
    table = path.with_suffix(".csv")
    write_table(table, across, tracks, [name for _, name in found])
    return f"{_summary(across)}\n{path}\n{table}"


def _summary(across: Across) -> str:
    several = sum(len({member.camera for member in each.members}) > 1 for each in across.identities)
    tracks = sum(len(each.members) for each in across.identities)
    return (
        f"{tracks} tracks of {len(across.recordings)} recordings: {len(across.identities)} identities, {several} of "
        f"them in two recordings or more; {len(across.unsure)} pairs are unsure"
    )


def _starts(texts: Sequence[str], found: Sequence[tuple[Path, str]]) -> dict[Path, float]:
    names = {name: path for path, name in found}
    starts = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if name not in names:
            raise ConfigError(f"--start {text}: no recording is called {name!r}; there are {', '.join(names)}")
        try:
            starts[names[name]] = float(value)
        except ValueError as error:
            raise ConfigError(f"--start {text}: expected NAME=SECONDS") from error
    return starts
