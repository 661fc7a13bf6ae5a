"""Linked tracks in every frame of their lives: gaps filled, boxes smoothed, some tracks at a time.

What smoothing holds of a row is many times the row, so tracks that begin at about the same time are taken together
up to a fixed number of rows, and long ones are cut into windows. A window sees `MARGIN` frames more at both sides:
what lies that far off moves no box by a millionth of a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from tracker.observations import Observations, Origin
from tracker.track.kalman import BoxFilter
from tracker.track.refine.smooth import FIT_ROWS, fit_noise, smooth
from tracker.track.refine.tracked_rows import TrackedRows

__all__ = ["Filling", "Part", "Spans", "fill_and_smooth"]

GROUP_ROWS = 8192
WINDOW = 1024
"""Frames; a track of twice as many is cut."""
MARGIN = 256
FIRST_FRAMES = 64
LEAST_TRUST = 0.5
"""Nothing is filled in where a track's motion was foreseen less well than this; see `smooth.Smoothed.trust`."""


@dataclass(frozen=True, slots=True)
class Filling:
    """How gaps are filled and boxes smoothed."""

    longest_gap_s: float
    most_blur: float
    """Boxes are filled in only where their place is known to this share of their size, as a standard deviation."""
    smooth: bool


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """What new tracks are made of: stretches of old ones, which do not overlap within a new one."""

    names: Int64[ndarray, " n"]
    """The new track."""
    tracks: Int64[ndarray, " n"]
    """The old one."""
    first_frames: Int64[ndarray, " n"]
    last_frames: Int64[ndarray, " n"]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, chosen: ndarray | slice) -> Spans:
        """The chosen stretches."""
        return Spans(self.names[chosen], self.tracks[chosen], self.first_frames[chosen], self.last_frames[chosen])

    def rows(self, source: TrackedRows, first: int, last: int) -> Observations:
        """Their rows from frame `first` to `last`, both included, under the old ids, ordered by stretch, then frame."""
        chosen = (self.first_frames <= last) & (self.last_frames >= first)
        bounds = np.maximum(self.first_frames[chosen], first), np.minimum(self.last_frames[chosen], last)
        spans = zip(self.tracks[chosen].tolist(), *(bound.tolist() for bound in bounds), strict=True)
        return Observations.joined([source.of(*span) for span in spans])


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some tracks after refinement, rows in no order of frames."""

    rows: Observations
    before: Int64[ndarray, " n"]
    """The track each row belonged to; 0 for one put in."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A whole track, or a window of a long one."""

    name: int
    spans: slice
    """Its stretches, of all that are ordered by name."""
    first: int
    last: int


def fill_and_smooth(
    source: TrackedRows, spans: Spans, times: Float64[ndarray, " f"], filling: Filling
) -> Iterator[Part]:
    """Every track in every frame of its life; gaps too long to fill are left open. Times never decrease."""
    if not len(spans):
        return
    spans = spans[np.lexsort((spans.first_frames, spans.names))]
    interval = float(np.median(np.diff(times), overwrite_input=True)) if len(times) > 1 else 1.0
    box_filter = _fitted(source, spans, times, interval)
    for group in _groups(_pieces(spans)):
        yield _filled(source, spans, group, box_filter, times, interval, filling)


def _fitted(source: TrackedRows, spans: Spans, times: Float64[ndarray, " f"], interval: float) -> BoxFilter:
    """The filter that fits the recording's first rows."""
    start, end = int(spans.first_frames.min()), int(spans.last_frames.max())
    last = start + FIRST_FRAMES - 1
    while True:
        near = spans[spans.first_frames <= last]
        parts = [near[place : place + 1].rows(source, start, last) for place in range(len(near))]
        rows = Observations.joined(parts)
        if len(rows) >= FIT_ROWS or last >= end:
            break
        last = start + 2 * (last - start) + 1
    names = np.repeat(near.names, [len(part) for part in parts])
    order = np.lexsort((names, rows.frames))[:FIT_ROWS]
    frames, boxes = rows.frames[order] - start, rows.boxes[order]
    return fit_noise(
        frames, np.unique(names[order], return_inverse=True)[1], boxes, _ratios(times, start, last, interval)
    )


def _ratios(times: Float64[ndarray, " f"], first: int, last: int, interval: float) -> Float64[ndarray, " k"]:
    """Times since the frame before in nominal intervals, 0 for the first."""
    steps = np.diff(times[first : last + 1], prepend=times[first])
    return steps / interval if interval > 0 else np.ones(len(steps))


def _pieces(spans: Spans) -> list[_Piece]:
    """All tracks, long ones in windows, ordered by their first frames; stretches come ordered by name."""
    pieces = []
    edges = np.flatnonzero(np.diff(spans.names, prepend=-1, append=-1))
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        first, last = int(spans.first_frames[start]), int(spans.last_frames[start:stop].max())
        count = max((last - first + 1) // WINDOW, 1)
        for window in range(count):
            begin = first + window * WINDOW
            end = last if window == count - 1 else begin + WINDOW - 1
            pieces.append(_Piece(int(spans.names[start]), slice(start, stop), begin, end))
    return sorted(pieces, key=lambda piece: (piece.first, piece.name))


def _groups(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Successive pieces that have about so many rows together."""
    group: list[_Piece] = []
    rows = 0
    for piece in pieces:
        group.append(piece)
        rows += piece.last - piece.first + 1 + 2 * MARGIN
        if rows >= GROUP_ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _filled(
    source: TrackedRows,
    spans: Spans,
    group: list[_Piece],
    box_filter: BoxFilter,
    times: Float64[ndarray, " f"],
    interval: float,
    filling: Filling,
) -> Part:
    margin = max(MARGIN, int(2 * filling.longest_gap_s / interval) if interval > 0 else 0)
    parts = [spans[piece.spans].rows(source, piece.first - margin, piece.last + margin) for piece in group]
    rows = Observations.joined(parts)
    places = np.repeat(np.arange(len(group)), [len(part) for part in parts])
    order = np.lexsort((places, rows.frames))
    rows, places = rows[order], places[order]
    start, end = int(rows.frames[0]), int(rows.frames[-1])
    frames, tracks, boxes, sources, seen = _smoothed(
        box_filter,
        rows.frames - start,
        places,
        rows.boxes,
        times[start : end + 1] - times[start],
        _ratios(times, start, end, interval),
        filling,
        longest_gap_s=filling.longest_gap_s + interval / 4,
    )
    frames = frames + start
    first, last, names = np.array([(piece.first, piece.last, piece.name) for piece in group], np.int64).T
    own = (frames >= first[tracks]) & (frames <= last[tracks])
    frames, tracks, boxes, sources, seen = (column[own] for column in (frames, tracks, boxes, sources, seen))
    origins = np.where(seen, Origin.DETECTED, Origin.INTERPOLATED).astype(np.uint8)
    found = Observations(frames, names[tracks], rows.class_ids[sources], rows.scores[sources], boxes, origins)
    return Part(found, np.where(seen, rows.tracks[sources], 0))


def _smoothed(
    box_filter: BoxFilter,
    frames: Int64[ndarray, " n"],
    tracks: Int64[ndarray, " n"],
    measured: Float64[ndarray, "n 4"],
    times: Float64[ndarray, " f"],
    ratios: Float64[ndarray, " f"],
    filling: Filling,
    *,
    longest_gap_s: float,
) -> tuple[
    Int64[ndarray, " m"], Int64[ndarray, " m"], Float64[ndarray, "m 4"], Int64[ndarray, " m"], Bool[ndarray, " m"]
]:
    """Frames, tracks and boxes of some tracks; the row each is or comes after, and whether it is that row."""
    names, places = np.unique(tracks, return_inverse=True)
    smoothed = smooth(box_filter, frames, places, measured, ratios)
    # Rows of both lists in the same order of (track, frame), to see which of the smoothed are observed.
    full, own = np.lexsort((smoothed.frames, smoothed.tracks)), np.lexsort((frames, places))
    all_frames, all_tracks, boxes = smoothed.frames[full], smoothed.tracks[full], smoothed.boxes[full]
    key, own_key = all_tracks * len(times) + all_frames, places[own] * len(times) + frames[own]
    seen = np.zeros(len(key), bool)
    seen[key.searchsorted(own_key)] = True
    latest = seen.cumsum() - 1
    source, following = own[latest], own[latest + ~seen]  # a track's last row is a seen one
    gap = times[frames[following]] - times[frames[source]]
    share = (times[all_frames] - times[frames[source]]) / np.where(gap > 0, gap, 1.0)
    straight = measured[source] + (measured[following] - measured[source]) * share[:, None]
    boxes = straight + (boxes - straight) * (smoothed.trust[full] if filling.smooth else 0 * share)[:, None]
    sure = (smoothed.position_std[full] <= filling.most_blur) & (smoothed.trust[full] >= LEAST_TRUST)
    chosen = np.flatnonzero(seen | ((gap <= longest_gap_s) & sure))
    return all_frames[chosen], names[all_tracks[chosen]], boxes[chosen], source[chosen], seen[chosen]
