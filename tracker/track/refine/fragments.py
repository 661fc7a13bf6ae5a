"""Tracks cut into fragments, row by row: of each only its two ends and sums are kept, however long it is."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from tracker.observations import Observations
from tracker.track.assignment import similarity
from tracker.track.refine.link import Fragments, centred, end_of
from tracker.track.refine.swaps import Swap
from tracker.track.refine.track_evidence import certainty

__all__ = ["CutTracks", "cut_tracks"]

COLUMNS = 20
"""Numbers kept of a fragment."""
FRAMES_AT_MOST = 2**32
HALFWAY_OVERLAP = 0.5
SURE_SHARE = 0.95
"""This share of the rows is less sure than those that show how sure a detector can be."""
SURE_STEP, SURE_STEPS = 0.05, 200
"""Certainties are counted in so many steps of that width."""


@dataclass(frozen=True, slots=True, eq=False)
class CutTracks:
    """All fragments, one row each, ordered by track, then time."""

    tracks: Int64[ndarray, " n"]
    """The track each was cut from."""
    first_frames: Int64[ndarray, " n"]
    last_frames: Int64[ndarray, " n"]
    counts: Int64[ndarray, " n"]
    """Rows in each."""
    scores: Float64[ndarray, " n"]
    """Sum over the rows."""
    ends: Fragments
    sides: tuple[float, float]
    """The leftmost and the rightmost edge of any box: where the image ends, as far as anything shows."""
    surest: float
    """How sure the detector was of the rows it was surest of, one in twenty; see `certainty`."""
    halfway: float
    """The share of rows that lie halfway between the rows of the frames before and after, IoU 0.5 or more."""

    def __len__(self) -> int:
        return len(self.tracks)

    def totals(
        self, names: Int64[ndarray, " n"]
    ) -> tuple[Int64[ndarray, " t"], Int64[ndarray, " t"], ndarray, ndarray]:
        """The different names fragments were given, the place of each fragment's, and rows and mean score of each."""
        unique, places = np.unique(names, return_inverse=True)
        counts = np.bincount(places, weights=self.counts, minlength=len(unique))
        means = np.bincount(places, weights=self.scores, minlength=len(unique)) / np.maximum(counts, 1)
        return unique, places, counts.astype(np.int64), means

    def only(self, keep: Bool[ndarray, " n"]) -> CutTracks:
        """The chosen fragments; of a track all or none. What followed one that is not chosen follows none."""
        place = keep.cumsum() - 1
        following = self.ends.following[keep]
        following = np.where((following >= 0) & keep[following], following, -1)
        ends = Fragments(
            self.ends.start[keep],
            self.ends.end[keep],
            self.ends.first[keep],
            self.ends.last[keep],
            self.ends.first_speed[keep],
            self.ends.last_speed[keep],
            self.ends.class_ids[keep],
            self.ends.counts[keep],
            None if self.ends.embeddings is None else self.ends.embeddings[keep],
            np.where(following >= 0, place[following], -1),
            self.ends.settled[keep] & (following >= 0),
        )
        return CutTracks(
            self.tracks[keep],
            self.first_frames[keep],
            self.last_frames[keep],
            self.counts[keep],
            self.scores[keep],
            ends,
            self.sides,
            self.surest,
            self.halfway,
        )


class _Fragment:
    """One fragment as far as it has been seen."""

    def __init__(self, track: int, frame: int, time: float) -> None:
        self.track, self.first_frame, self.last_frame = track, frame, frame
        self.start, self.end = time, time
        self.head: list[tuple[ndarray, ndarray]] = []
        self.tail = np.empty(0), np.empty((0, 4))
        self.count, self.scores = 0, 0.0
        self.classes = np.zeros(0, np.int64)
        self.embed_rows: ndarray | None = None

    def add(self, rows: Observations, times: Float64[ndarray, " k"], span_s: float) -> None:
        """Take its next rows."""
        shapes = centred(rows.boxes)
        if times[0] - self.start <= span_s:
            near = times - self.start <= span_s
            self.head.append((times[near], shapes[near]))
        self.last_frame, self.end = int(rows.frames[-1]), float(times[-1])
        when, where = np.concatenate([self.tail[0], times]), np.concatenate([self.tail[1], shapes])
        near = self.end - when <= span_s
        self.tail = when[near], where[near]
        self.count += len(rows)
        self.scores += float(rows.scores.sum())
        classes = np.bincount(rows.class_ids, minlength=len(self.classes))
        classes[: len(self.classes)] += self.classes
        self.classes = classes
        if rows.embeddings is not None:
            embed_rows = rows.embeddings.sum(axis=0)
            self.embed_rows = embed_rows if self.embed_rows is None else self.embed_rows + embed_rows

    def finish(self, span_s: float) -> list[float]:
        """What is kept of it, in the order of COLUMNS."""
        times, shapes = (np.concatenate(column) for column in zip(*self.head, strict=True))
        first, first_speed = end_of(times, shapes, self.start, span_s)
        last, last_speed = end_of(*self.tail, self.end, span_s)
        facts = self.track, self.first_frame, self.last_frame, self.count, self.classes.argmax()
        return [*facts, self.scores, self.start, self.end, *first, *last, *first_speed, *last_speed]


def cut_tracks(
    blocks: Iterable[Observations],
    times: Float64[ndarray, " f"],
    *,
    longest_gap_s: float,
    span_s: float,
    swaps: Sequence[Swap] = (),
) -> CutTracks:
    """Tracks cut at gaps that are longer, and where two changed places; blocks of rows come by track, then frame.

    `times` are those of all frames, `span_s` is how much of its ends a fragment's motion is measured on. What follows a
    fragment that ends in a swap is the other track's.
    """
    cut_keys = np.sort([key for swap in swaps for key in _keys(np.array([swap.one, swap.other]), swap.last_frame)])
    cuts, embeddings = array("d"), []
    left, right = np.inf, -np.inf
    sure = np.zeros(SURE_STEPS, np.int64)
    halfway, between = 0, 0
    latest = Observations.empty()
    going: _Fragment | None = None
    for rows in blocks:
        if not len(rows):
            continue
        when = times[rows.frames]
        left, right = min(left, float(rows.boxes[:, 0].min())), max(right, float(rows.boxes[:, 2].max()))
        steps = (certainty(rows.scores) / SURE_STEP).astype(np.int64)
        sure += np.bincount(np.minimum(steps, SURE_STEPS - 1), minlength=SURE_STEPS)
        latest = Observations.joined([latest, rows])
        hits = _halfway(latest)
        halfway, between = halfway + int(hits.sum()), between + len(hits)
        latest = latest[-2:]
        swapped = cut_keys.searchsorted(_keys(rows.tracks, rows.frames))
        begins = np.ones(len(rows), bool)
        begins[1:] = (np.diff(rows.tracks) != 0) | (np.diff(when) > longest_gap_s) | (np.diff(swapped) > 0)
        if going is not None:
            before = cut_keys.searchsorted(_keys(np.array([going.track]), going.last_frame))
            begins[0] = rows.tracks[0] != going.track or when[0] - going.end > longest_gap_s or swapped[0] > before[0]
        edges = [0, *(np.flatnonzero(begins[1:]) + 1).tolist(), len(rows)]
        for start, stop in pairwise(edges):
            part = rows[np.arange(start, stop)]
            if begins[start]:
                if going is not None:
                    cuts.extend(going.finish(span_s))
                    embeddings.append(going.embed_rows)
                going = _Fragment(int(part.tracks[0]), int(part.frames[0]), float(when[start]))
            assert going is not None
            going.add(part, when[start:stop], span_s)
    if going is not None:
        cuts.extend(going.finish(span_s))
        embeddings.append(going.embed_rows)
    described = [embed_rows for embed_rows in embeddings if embed_rows is not None]
    surest = SURE_STEP * (1 + int(sure.cumsum().searchsorted(SURE_SHARE * sure.sum())))
    share = (halfway + 1) / (between + 2)
    return _table(np.array(cuts).reshape(-1, COLUMNS), described, (left, right), surest, swaps, share)


def _halfway(rows: Observations) -> Bool[ndarray, " k"]:
    """Of every row that its track has rows beside, in the frames before and after, whether it lies halfway between.

    Rows come by track, then frame.
    """
    middle = 1 + np.flatnonzero((rows.tracks[2:] == rows.tracks[:-2]) & (rows.frames[2:] - rows.frames[:-2] == 2))
    expected = (rows.boxes[middle - 1] + rows.boxes[middle + 1]) / 2
    own = np.arange(len(middle))
    overlap = similarity("iou", expected.T, rows.boxes[middle].T, own, own)
    hits: ndarray = overlap >= HALFWAY_OVERLAP
    return hits


def _keys(tracks: Int64[ndarray, " n"], frames: Int64[ndarray, " n"] | int) -> Int64[ndarray, " n"]:
    """One number for each track and frame, in the order of tracks, then frames."""
    return tracks * FRAMES_AT_MOST + frames


def _following(
    tracks: Int64[ndarray, " n"], first_frames: Int64[ndarray, " n"], swaps: Sequence[Swap]
) -> tuple[Int64[ndarray, " n"], Bool[ndarray, " n"]]:
    """The fragment the tracker went on with after each, -1 for none, or the other track's after a swap; and which."""
    count = len(tracks)
    following, settled = np.full(count, -1), np.zeros(count, bool)
    going_on = np.flatnonzero(np.diff(tracks) == 0)
    following[going_on] = going_on + 1
    keys = _keys(tracks, first_frames)
    for swap in swaps:
        names = np.array([swap.one, swap.other])
        places = keys.searchsorted(_keys(names, swap.last_frame), side="right") - 1
        if (places >= 0).all() and (tracks[places] == names).all() and (following[places] >= 0).all():
            following[places] = following[places[::-1]]
            settled[places] = True
    return following, settled


def _table(
    columns: Float64[ndarray, "n 20"],
    embeddings: list[ndarray],
    sides: tuple[float, float],
    surest: float,
    swaps: Sequence[Swap],
    halfway: float,
) -> CutTracks:
    tracks, first_frames, last_frames, counts, classes = columns[:, :5].T.astype(np.int64)
    scores, start, end = columns[:, 5:8].T
    following, settled = _following(tracks, first_frames, swaps)
    described = None
    if embeddings:
        described = np.stack(embeddings)
        described = described / np.maximum(np.linalg.norm(described, axis=1, keepdims=True), 1e-9)
    ends = Fragments(
        start,
        end,
        first=columns[:, 8:12],
        last=columns[:, 12:16],
        first_speed=columns[:, 16:18],
        last_speed=columns[:, 18:20],
        class_ids=classes.astype(np.int32),
        counts=counts,
        embeddings=described,
        following=following,
        settled=settled,
    )
    return CutTracks(tracks, first_frames, last_frames, counts, scores, ends, sides, surest, halfway)
