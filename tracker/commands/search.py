"""`search`: the tracks that look like one, in its recording and in others."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tracker.annotate.appearance import open_network
from tracker.annotate.similar import TrackIndex
from tracker.commands.appearance_options import add_appearance_options, describe
from tracker.commands.recording_files import find_recordings
from tracker.errors import ConfigError
from tracker.paths import typed_path
from tracker.store import Recording

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `search`."""
    parser = subparsers.add_parser(
        "search",
        help="tracks that look like one",
        description="Rank the tracks of recordings by how much they look like one of them. What tracks look like is "
        "kept in their recordings, so that only the first search reads the videos.",
    )
    like = "the track to look for: its recording, # and its id"
    parser.add_argument("--like", required=True, metavar="FILE.sqlite#ID", help=like)
    text = "recordings, or folders of them, to search besides the track's own"
    parser.add_argument("recordings", nargs="*", type=typed_path, metavar="PATH", help=text)
    parser.add_argument("--top", type=int, default=20, metavar="N", help="tracks to list (default 20)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_appearance_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    own, track = _asked_for(options.like)
    if options.top < 1:
        raise ConfigError(f"--top {options.top}: expected 1 or more")
    found = find_recordings([own, *options.recordings])
    found = list({path.resolve(): (path, name) for path, name in reversed(found)}.values())[::-1]
    network, embed = open_network(options.reid_model or "")
    parts = []
    for path, _ in found:
        with Recording(path) as recording:
            if path.resolve() == own.resolve():
                recording.track(track)  # refuses an id that is not there before any video is read
            source, labels = str(recording.info.source.get("path", "")), recording.info.labels
        parts.append((describe(path, network, embed, options.videos, source), labels))
    place = next(place for place, (path, _) in enumerate(found) if path.resolve() == own.resolve())
    matches = TrackIndex.of(parts).like(place, track, count=options.top)
    rows = []
    for match in matches:
        path, name = found[match.recording]
        views = parts[match.recording][0]
        times = views.times[views.tracks == match.track]
        rows.append((name, str(path), match.track, float(times.min()), match.similarity))
    if options.json:
        keys = ("recording", "path", "track", "time_s", "similarity")
        answer = [dict(zip(keys, (*row[:3], round(row[3], 3), round(row[4], 4)), strict=True)) for row in rows]
        sys.stdout.write(json.dumps(answer, indent=1, ensure_ascii=False) + "\n")
    else:
        width = max([9, *(len(row[0]) for row in rows)])
        sys.stdout.write(f"{'recording':{width}}  track    time_s  similarity\n")
        for name, _, number, time, similarity in rows:
            sys.stdout.write(f"{name:{width}}  {number:5}  {time:8.1f}  {similarity:10.3f}\n")
    return 0


def _asked_for(text: str) -> tuple[Path, int]:
    path, mark, number = text.rpartition("#")
    if not mark or not number.isdecimal() or not path:
        raise ConfigError(f"--like {text}: expected a recording, # and a track's id, such as street.sqlite#12")
    return typed_path(path), int(number)
