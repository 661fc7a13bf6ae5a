"""Tracks that met and went on with each other's object, told by which way round their motion and sizes fit.

What happens while two objects are in one place is left out: both tracks are measured before they met and after they
parted, and each half of one is compared with both halves of the other, as fragments are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from tracker.observations import Observations
from tracker.track.assignment import overlapping
from tracker.track.refine.link import Fragments, LinkConfig, centred, end_of, pair_log_odds
from tracker.track.refine.tracked_rows import TrackedRows

__all__ = ["Swap", "SwapConfig", "find_swaps"]

BLOCK_S = 30.0
"""Seconds gone over at once."""
FRAMES_AT_ONCE = 64
"""Frames whose boxes are compared together."""


@dataclass(frozen=True, slots=True)
class SwapConfig:
    """When two tracks are taken to have gone on with each other's object.

    The log-odds are `base` and, times `weight`, what the two links across have more than the tracks' own: a logistic
    regression on which meetings exchanged the objects in the MOT15, MOT17-02 and KITTI sequences we measure with,
    forwards and backwards, at full to a tenth of the frame rate, among those whose links across were both likely.
    """

    base: float = -1.9
    """Log-odds where both ways round fit as well: tracks seldom change places."""
    weight: float = 1.9
    """For the log-odds of both links across less those of both tracks' own."""
    min_log_odds: float = 0.0
    """Tracks less likely than this to have changed places are left alone; 0 is as likely as not."""
    min_link_log_odds: float = 0.0
    """Each link across must be likelier than this by itself: where nothing fits, the better of two says nothing."""
    reach: float = 0.5
    """Tracks meet where their centres are nearer than this, across in widths and along in heights added up."""
    longest_s: float = 6.0
    """Tracks unseen or together for longer are not compared."""
    least_rows: int = 3
    """Rows a track must have before and after, that it can be told how it moves."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Two tracks that changed places: from after `last_frame` on each is the other."""

    one: int
    other: int
    last_frame: int
    log_odds: float


def find_swaps(rows: TrackedRows, times: Float64[ndarray, " f"], config: SwapConfig, link: LinkConfig) -> list[Swap]:
    """The tracks that changed places where they met, the likeliest first; none is changed twice at one time.

    One object walks right at 50 px a second, another left, a little below; they meet at 2 s. Track 1 turns round there
    and follows the second one back, and track 2 the first:

    >>> from tracker.track.refine.tracked_rows import RowsInMemory
    >>> times, early = np.arange(41) / 10, np.arange(41) <= 20
    >>> right, left = 50 * times, 200 - 50 * times
    >>> x = np.concatenate([np.where(early, right, left), np.where(early, left, right)])
    >>> y = np.concatenate([np.where(early, 0, 6), np.where(early, 6, 0)])
    >>> rows = Observations.rounded(
    ...     np.tile(np.arange(41), 2),
    ...     tracks=np.repeat([1, 2], 41),
    ...     class_ids=np.zeros(82, np.int64),
    ...     scores=np.full(82, 0.9),
    ...     boxes=np.stack([x, y, x + 40, y + 80], axis=1),
    ... )
    >>> swap, = find_swaps(RowsInMemory(rows), times, SwapConfig(), LinkConfig())
    >>> swap.one, swap.other, swap.last_frame, round(swap.log_odds, 1)
    (1, 2, 20, 2.7)
    """
    found: list[tuple[Swap, float, float]] = []
    for block, first, last in _blocks(rows, times, config.longest_s + link.span_s):
        meetings = [_parted(block, times, meeting, config, link) for meeting in _meetings(block, config)]
        weighed = [each for each in meetings if each is not None and first <= each.first_frame <= last]
        if weighed:
            found += _likely(weighed, config, link)
    chosen: list[Swap] = []
    taken: dict[int, list[tuple[float, float]]] = {}
    for swap, begin, end in sorted(found, key=lambda each: -each[0].log_odds):
        spans = [span for track in (swap.one, swap.other) for span in taken.get(track, [])]
        if all(end < start or stop < begin for start, stop in spans):
            chosen.append(swap)
            for track in (swap.one, swap.other):
                taken.setdefault(track, []).append((begin, end))
    return chosen


def _blocks(
    rows: TrackedRows, times: Float64[ndarray, " f"], margin_s: float
) -> Iterator[tuple[Observations, int, int]]:
    """Rows by track, then frame, of some frames and of a margin on both sides, and the first and last frame of them."""
    first = 0
    while first < len(times):
        last = int(times.searchsorted(times[first] + BLOCK_S, side="right")) - 1
        low, high = times.searchsorted((times[first] - margin_s, times[last] + margin_s)).tolist()
        block = rows.between(low, min(high, len(times) - 1))
        yield block[np.lexsort((block.frames, block.tracks))], first, last
        first = last + 1


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Frames in which two tracks are in one place, and where each of them begins and ends among a block's rows."""

    one: slice
    other: slice
    first_frame: int
    last_frame: int


def _meetings(block: Observations, config: SwapConfig) -> Iterator[_Meeting]:
    """Where two tracks meet that have rows enough; a track that is not seen is taken to be halfway in between."""
    edges = np.flatnonzero(np.diff(block.tracks, prepend=-1, append=-1))
    long = np.flatnonzero(np.diff(edges) >= 2 * config.least_rows)
    spans = [slice(int(edges[place]), int(edges[place + 1])) for place in long]
    if len(spans) < 2:
        return
    shapes = centred(block.boxes)
    frames, owners, paths = [], [], []
    for place, span in enumerate(spans):
        seen = block.frames[span]
        every = np.arange(seen[0], seen[-1] + 1)
        frames.append(every)
        owners.append(np.full(len(every), place))
        paths.append(np.stack([np.interp(every, seen, column) for column in shapes[span].T]))
    frame, owner, path = np.concatenate(frames), np.concatenate(owners), np.concatenate(paths, axis=1)
    order = frame.argsort(kind="stable")
    frame, owner, path = frame[order], owner[order], path[:, order]
    keys = []
    edges = frame.searchsorted(np.arange(frame[0], frame[-1] + 1 + FRAMES_AT_ONCE, FRAMES_AT_ONCE))
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        first, second = _close(frame[start:stop], path[:, start:stop], config.reach)
        both = owner[start:stop][first] * len(spans) + owner[start:stop][second]
        keys.append(np.stack([both, frame[start:stop][first]]))
    pairs, at = np.concatenate(keys, axis=1)
    order = np.lexsort((at, pairs))
    pairs, at = pairs[order], at[order]
    begins = np.flatnonzero((np.diff(pairs, prepend=-1) != 0) | (np.diff(at, prepend=-2) != 1))
    ends = np.flatnonzero((np.diff(pairs, append=-1) != 0) | (np.diff(at, append=-2) != 1))
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        one, other = divmod(int(pairs[begin]), len(spans))
        yield _Meeting(spans[one], spans[other], int(at[begin]), int(at[end]))


def _close(
    frames: Int64[ndarray, " n"], shapes: Float64[ndarray, "4 n"], reach: float
) -> tuple[Int64[ndarray, " k"], Int64[ndarray, " k"]]:
    """Every pair of one frame that is near enough; of rows ordered by frame, then track, the earlier one first."""
    x, y, width, height = shapes
    if not len(frames):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    apart = frames * (2 * np.abs(x).max() + 2 * width.max() + 1.0)  # side by side, no two frames share any place
    boxes = np.stack([x - width / 2 + apart, y - height / 2, x + width / 2 + apart, y + height / 2])
    one, other = overlapping(boxes, boxes)
    one, other = one[one < other], other[one < other]
    across = np.abs(x[one] - x[other]) / np.maximum(np.maximum(width[one], width[other]), 1.0)
    along = np.abs(y[one] - y[other]) / np.maximum(np.maximum(height[one], height[other]), 1.0)
    near = across + along < reach
    return one[near], other[near]


@dataclass(frozen=True, slots=True)
class _Parted:
    """A meeting, and both tracks before and after it."""

    one: int
    other: int
    first_frame: int
    last_frame: int
    before: tuple[ndarray, ...]
    """When each was last seen before, its shape and its speed there."""
    after: tuple[ndarray, ...]


def _parted(
    block: Observations, times: Float64[ndarray, " f"], meeting: _Meeting, config: SwapConfig, link: LinkConfig
) -> _Parted | None:
    """Both tracks as they were before and after; None where one was too short, unseen too long, or of another class."""
    before, after = [], []
    for span in (meeting.one, meeting.other):
        frames = block.frames[span]
        until = int(frames.searchsorted(meeting.first_frame))
        since = int(frames.searchsorted(meeting.last_frame, side="right"))
        if until < config.least_rows or len(frames) - since < config.least_rows:
            return None
        when, shapes = times[frames], centred(block.boxes[span])
        if when[since] - when[until - 1] > config.longest_s:
            return None
        before.append((when[until - 1], *end_of(when[:until], shapes[:until], when[until - 1], link.span_s)))
        after.append((when[since], *end_of(when[since:], shapes[since:], when[since], link.span_s)))
    if block.class_ids[meeting.one.start] != block.class_ids[meeting.other.start]:
        return None
    names = int(block.tracks[meeting.one.start]), int(block.tracks[meeting.other.start])
    columns = (tuple(np.array(column) for column in zip(*ends, strict=True)) for ends in (before, after))
    return _Parted(*names, meeting.first_frame, meeting.last_frame, *columns)


def _likely(meetings: list[_Parted], config: SwapConfig, link: LinkConfig) -> list[tuple[Swap, float, float]]:
    """The swaps that are likely enough, and the time each was measured on."""
    count = 2 * len(meetings)
    end, last, last_speed = (np.concatenate(column) for column in zip(*(each.before for each in meetings), strict=True))
    start, first, first_speed = (
        np.concatenate(column) for column in zip(*(each.after for each in meetings), strict=True)
    )
    halves = Fragments(
        start,
        end,
        first,
        last,
        first_speed,
        last_speed,
        class_ids=np.zeros(count, np.int32),
        counts=np.full(count, link.many_rows),
        embeddings=None,
        following=np.full(count, -1),
        settled=np.zeros(count, bool),
    )
    own = np.arange(count)
    across = own ^ 1  # the other one of each pair
    kept = pair_log_odds(halves, own, own, link).reshape(-1, 2)
    crossed = pair_log_odds(halves, own, across, link).reshape(-1, 2)
    odds = config.base + config.weight * (crossed.sum(axis=1) - kept.sum(axis=1))
    good = (odds >= config.min_log_odds) & (crossed.min(axis=1) >= config.min_link_log_odds)
    found = []
    for place in np.flatnonzero(good).tolist():
        each = meetings[place]
        middle = (each.first_frame + each.last_frame) // 2
        begin, finish = float(each.before[0].min()) - link.span_s, float(each.after[0].max()) + link.span_s
        found.append((Swap(each.one, each.other, middle, float(odds[place])), begin, finish))
    return found
