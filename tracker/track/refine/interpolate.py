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
from tracker.track.refine.track_evidence import FillEvidence
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
    evidence: FillEvidence
    """How likely an object is where nothing was detected; boxes are filled in where it is likelier than not."""
    smooth: bool
    sides: tuple[float, float]
    """Where the image ends on the left and on the right."""
    halfway: float
    """How often rows lie halfway between the two beside them."""


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """What new tracks are made of: stretches of old ones, which do not overlap within a new one."""

    names: Int64[ndarray, " n"]
    """The new track."""
    tracks: Int64[ndarray, " n"]
    """The old one."""
    first_frames: Int64[ndarray, " n"]
    last_frames: Int64[ndarray, " n"]
    log_odds: Float64[ndarray, " n"]
    """That the new track is real."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, chosen: ndarray | slice) -> Spans:
        """The chosen stretches."""
        bounds = self.first_frames[chosen], self.last_frames[chosen]
        return Spans(self.names[chosen], self.tracks[chosen], *bounds, self.log_odds[chosen])

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
    smoothed = _smoothed(
        box_filter,
        rows.frames - start,
        places,
        rows.boxes,
        times[start : end + 1] - times[start],
        _ratios(times, start, end, interval),
        filling,
        longest_gap_s=filling.longest_gap_s + interval / 4,
    )
    frames, tracks, boxes = smoothed.frames + start, smoothed.tracks, smoothed.boxes
    first, last, names = np.array([(piece.first, piece.last, piece.name) for piece in group], np.int64).T
    own = (frames >= first[tracks]) & (frames <= last[tracks])
    missing = np.flatnonzero(own & ~smoothed.detected)
    if len(missing):
        odds = np.array([spans.log_odds[piece.spans.start] for piece in group])[tracks[missing]]
        hidden = _hidden(source, frames[missing], boxes[missing])
        inside = _inside(boxes[missing], filling.sides)
        spread = smoothed.position_std[missing]
        likely = filling.evidence.log_odds(spread, hidden, inside, odds, filling.halfway) >= 0
        own[missing[~likely]] = False
    frames, tracks, boxes = frames[own], tracks[own], boxes[own]
    sources, seen = smoothed.sources[own], smoothed.detected[own]
    origins = np.where(seen, Origin.DETECTED, Origin.INTERPOLATED).astype(np.uint8)
    found = Observations(frames, names[tracks], rows.class_ids[sources], rows.scores[sources], boxes, origins)
    return Part(found, np.where(seen, rows.tracks[sources], 0))


def _hidden(
    source: TrackedRows, frames: Int64[ndarray, " n"], boxes: Float64[ndarray, "n 4"]
) -> Float64[ndarray, " n"]:
    """The largest fraction of each box behind one detected box whose lower edge is lower."""
    hidden = np.zeros(len(boxes))
    order = frames.argsort(kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(frames[order]) > 1) + 1)
    for run in runs:
        there = source.between(int(frames[run[0]]), int(frames[run[-1]]))
        by_frame = there.frames.argsort(kind="stable")
        others, at = there.boxes[by_frame], there.frames[by_frame]
        lows, highs = at.searchsorted(frames[run]), at.searchsorted(frames[run], side="right")
        for row, low, high in zip(run.tolist(), lows.tolist(), highs.tolist(), strict=True):
            if high > low:
                hidden[row] = _behind(boxes[row], others[low:high])
    return hidden


def _behind(box: Float64[ndarray, " 4"], others: Float64[ndarray, "k 4"]) -> float:
    """The largest fraction of a box that one of the others in front of it covers."""
    left, top, right, bottom = box
    x1, y1, x2, y2 = others.T
    width = np.clip(np.minimum(x2, right) - np.maximum(x1, left), 0, None)
    height = np.clip(np.minimum(y2, bottom) - np.maximum(y1, top), 0, None)
    covered = width * height * (y2 > bottom)
    return min(float(covered.max()) / max(float((right - left) * (bottom - top)), 1.0), 1.0)


def _inside(boxes: Float64[ndarray, "n 4"], sides: tuple[float, float]) -> Float64[ndarray, " n"]:
    """How far from the nearer side of the image, in box widths; negative beyond it."""
    x1, _, x2, _ = boxes.T
    left, right = sides
    distance: ndarray = np.minimum(x1 - left, right - x2) / np.maximum(x2 - x1, 1.0)
    return distance


@dataclass(frozen=True, slots=True, eq=False)
class _SmoothedRows:
    """Detected rows, and those that may be filled in, by track, then frame."""

    frames: Int64[ndarray, " m"]
    tracks: Int64[ndarray, " m"]
    boxes: Float64[ndarray, "m 4"]
    sources: Int64[ndarray, " m"]
    """The row each is or comes after."""
    detected: Bool[ndarray, " m"]
    """Whether it is that row."""
    position_std: Float64[ndarray, " m"]


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
) -> _SmoothedRows:
    """Some tracks smoothed, with what is missing in gaps that are not too long, where motion was foreseen."""
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
    foreseen = smoothed.trust[full] >= LEAST_TRUST
    chosen = np.flatnonzero(seen | ((gap <= longest_gap_s) & foreseen))
    return _SmoothedRows(
        all_frames[chosen],
        names[all_tracks[chosen]],
        boxes[chosen],
        source[chosen],
        seen[chosen],
        smoothed.position_std[full][chosen],
    )
