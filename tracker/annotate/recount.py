"""Rules of a recording, applied to what is recorded: live, over all of it, or over some tracks after a correction."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from tracker.analytics import Analytics, Rules, load_rules, rules_to_toml
from tracker.annotate.sink import as_tracks
from tracker.config import build
from tracker.errors import ConfigError
from tracker.formats.core.rle import rle_to_window, window_to_rle
from tracker.observations import Observations
from tracker.store import Edit, RecordedEvent, Recording, RecordingEditor, RecordingInfo

__all__ = ["change_rules", "edit_recording", "make_analytics", "read_rules", "recount", "recount_all"]

Moment = tuple[int, float, Observations]
"""A frame's index, time and rows."""


def read_rules(path: Path) -> str:
    """A rules file as the text that recordings keep. Raises ConfigError for a file that makes no sense."""
    return rules_to_toml(load_rules(path))


def make_analytics(info: RecordingInfo) -> Analytics | None:
    """What turns the recording's rows into events, None where it has no rules."""
    if not info.rules:
        return None
    return Analytics(stored_rules(info, "rules of the recording"), info.labels, width=info.width, height=info.height)


def stored_rules(info: RecordingInfo, where: str) -> Rules:
    """The rules that a recording keeps, none where it has none. Raises ConfigError for text that is no rules."""
    try:
        tables = tomllib.loads(info.rules)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: not TOML: {error}. Give the recording its rules again.") from error
    return build(Rules, tables, where)


def edit_recording(path: Path | str) -> RecordingEditor:
    """A recording open for corrections that keep its events true."""
    return RecordingEditor(path, recount, _shift_mask)


def change_rules(path: Path | str, rules: Rules, **details: Any) -> Edit:
    """Other rules for a recording, and the events they find in it as it stands after all corrections.

    `details` are plain values to keep with the edit. Raises ConfigError for rules that do not fit the recording;
    nothing is changed then.
    """
    text = rules_to_toml(rules) if rules.line or rules.zone or rules.speed else ""
    with edit_recording(path) as editor:
        return editor.change_rules(text, **details)


def recount_all(recording: Recording, parts: Iterable[Observations]) -> tuple[list[RecordedEvent], Analytics | None]:
    """The events of other rows in place of the recording's own, and the analytics that saw all of it."""
    analytics = make_analytics(recording.info)
    if analytics is None:
        return [], None
    frames, times = recording.frame_times()
    return list(_events(analytics, _by_frame(frames, times, parts), recording.last_frame)), analytics


def recount(recording: Recording, track_ids: Sequence[int] | None) -> list[RecordedEvent]:
    """The events of some tracks, or of all, as the recording's rules see them now.

    Tracks do not influence each other's events, so the others keep theirs. Frames without any of the tracks are passed
    over, but for those in which the rules find out that a track is gone.
    """
    if track_ids is None:
        return recount_all(recording, (stretch.observations for stretch in recording.chunks()))[0]
    analytics = make_analytics(recording.info)
    rows = recording.observations_of(*track_ids)
    if analytics is None or not len(rows):
        return []
    frames, times = recording.frame_times(int(rows.frames[0]))
    kept = _worth_a_look(frames, times, rows, [zone.lost_s for zone in analytics.rules.zone])
    return list(_events(analytics, _by_frame(frames[kept], times[kept], [rows]), recording.last_frame))


def _worth_a_look(
    frames: Int64[ndarray, " f"], times: Float64[ndarray, " f"], rows: Observations, lost_s: Sequence[float]
) -> Int64[ndarray, " k"]:
    """Places of the frames with rows, of those before each, and of those around the time a lost track is given up."""
    chosen = []
    for track in np.unique(rows.tracks).tolist():
        seen = np.searchsorted(frames, rows.frames[rows.tracks == track])
        chosen += [seen, seen - 1]
        for seconds in lost_s:
            given_up = np.searchsorted(times, times[seen] + seconds)
            chosen += [given_up + step for step in (-1, 0, 1)]
    places = np.unique(np.concatenate(chosen))
    inside: ndarray = places[(places >= 0) & (places < len(frames))]
    return inside


def _by_frame(
    frames: Int64[ndarray, " f"], times: Float64[ndarray, " f"], parts: Iterable[Observations]
) -> Iterator[Moment]:
    """Every frame with its rows; the parts are in order, and no frame is spread over two."""
    at = 0
    for part in parts:
        if not len(part):
            continue
        end = int(np.searchsorted(frames, part.frames[-1], side="right"))
        starts = np.searchsorted(part.frames, frames[at:end])
        ends = np.searchsorted(part.frames, frames[at:end], side="right")
        for place, start, stop in zip(range(at, end), starts.tolist(), ends.tolist(), strict=True):
            yield int(frames[place]), float(times[place]), part[start:stop]
        at = end
    for place in range(at, len(frames)):
        yield int(frames[place]), float(times[place]), Observations.empty()


def _events(analytics: Analytics, moments: Iterable[Moment], last_frame: int) -> Iterator[RecordedEvent]:
    for frame, time, rows in moments:
        yield from (RecordedEvent(frame, event) for event in analytics(as_tracks(rows), time))
    yield from (RecordedEvent(last_frame, event) for event in analytics.finish())


def _shift_mask(counts: str, dx: int, dy: int, width: int, height: int) -> str | None:
    (rows, columns), covered = rle_to_window({"size": [height, width], "counts": counts})
    left, top = columns.start + dx, rows.start + dy
    inside = covered[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    if not inside.any():
        return None
    return window_to_rle(inside, left=max(left, 0), top=max(top, 0), width=width, height=height)["counts"]
