"""Which fragments of tracks are one object: costs of all possible links, and the best choice among them together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from numpy import ndarray

from tracker.track.assignment import assign

__all__ = ["Fragments", "LinkConfig", "centred", "end_of", "link_fragments", "pair_log_odds"]


PAIRS_AT_ONCE = 32768
"""Pairs weighed together: a few megabytes, however many fragments there are."""
NEAR, SOON_S = 0.2, 0.1
"""Distances in box heights, and seconds, below which nearer and sooner hardly count more: boxes jitter by as much, and
the logarithm of nothing is without end."""

_End: TypeAlias = tuple[Float64[ndarray, " 4"], Float64[ndarray, " 2"]]
"""Shape and speed."""


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """When two fragments are one object.

    The log-odds of a pair are `base` less each difference times its weight; weights are a logistic regression on
    which ends belonged together in the MOT15, MOT17-02 and KITTI sequences we measure with.
    """

    min_log_odds: float = 1.1
    """Pairs less likely than this are not linked; 0 is as likely as not. More than even: a wrong link takes the
    identity of two tracks, and odds fitted to some footage are off by up to half on other."""
    longest_gap_s: float = 6.0
    """Fragments further apart in time are not linked."""
    span_s: float = 1.0
    """Seconds at the end of a fragment that its motion is measured on."""
    steadiness_s: float = 2.0
    """Speed is believed to last about this long."""
    base: float = -2.1
    """Log-odds of two ends one box height apart, no time between, of equal size, where one has a single row."""
    offset_weight: float = 1.8
    """For the logarithm of the distance from where motion leads, in box heights."""
    gap_weight: float = 0.25
    """For the logarithm of the gap in seconds."""
    height_weight: float = 1.5
    """For the absolute logarithm of the ratio of heights."""
    width_weight: float = 0.8
    """For the absolute logarithm of the ratio of widths."""
    unknown_motion: float = 0.2
    """Taken off for each of the two ends that has too few rows to tell how it moves: those of flickers."""
    rows_weight: float = 0.6
    """For the logarithm of the rows of the shorter fragment, `many_rows` at most: flickers lie near everything."""
    many_rows: int = 10
    """More rows than this tell no more about an end."""
    own_bonus: float = 2.7
    """Added where the tracker itself went on from one to the other: that is undone only where it is unlikely. And where
    it did so by what is unlikely to be either, such as a flicker in between: then the two may belong together all the
    same."""
    appearance_weight: float = 8.0
    """For the cosine distance of the embeddings, where there are any, above `appearance_typical`."""
    appearance_typical: float = 0.25
    """Cosine distance at which embeddings speak neither for nor against a link."""


@dataclass(frozen=True, slots=True, eq=False)
class Fragments:
    """The two ends of every fragment: when, where, how large, how fast, what it looked like."""

    start: Float64[ndarray, " n"]
    end: Float64[ndarray, " n"]
    first: Float64[ndarray, "n 4"]
    """Centre, width and height at the start, fitted over the span."""
    last: Float64[ndarray, "n 4"]
    first_speed: Float64[ndarray, "n 2"]
    """Pixels per second of the centre."""
    last_speed: Float64[ndarray, "n 2"]
    class_ids: Int32[ndarray, " n"]
    counts: Int64[ndarray, " n"]
    """Rows of each."""
    embeddings: Float32[ndarray, "n d"] | None
    following: Int64[ndarray, " n"]
    """The fragment the tracker itself went on with, -1 for none."""
    settled: Bool[ndarray, " n"]
    """Whether that one follows in any case: two tracks that changed places were put right there."""


def centred(boxes: Float64[ndarray, "n 4"]) -> Float64[ndarray, "n 4"]:
    """Centre, width and height of xyxy boxes."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1)


def end_of(times: Float64[ndarray, " k"], shapes: Float64[ndarray, "k 4"], at: float, span_s: float) -> _End:
    """Shape and speed at one end: a straight line through the rows within the span."""
    near = np.abs(times - at) <= span_s
    when, shape = times[near] - at, shapes[near]
    mean, middle = shape.mean(axis=0), float(when.mean())
    spread = float(((when - middle) ** 2).sum())
    if len(when) < 3 or spread <= 0:
        return shapes[np.abs(times - at).argmin()], np.zeros(2)
    slope = ((when - middle)[:, None] * (shape - mean)).sum(axis=0) / spread
    return mean - slope * middle, slope[:2]


def link_fragments(
    fragments: Fragments, config: LinkConfig
) -> tuple[Int64[ndarray, " k"], Int64[ndarray, " k"], Float64[ndarray, " k"]]:
    """The links chosen: the fragment before, the one after, and their log-odds.

    Each fragment has at most one before and one after it; the choice has the largest sum of odds above the limit.
    What is settled comes last, with odds without end.

    One object walks right at 20 px a second, is gone for a second at x = 40, and comes back at x = 60; another one
    stands far away. The first two fragments, of 60 rows each, are four times as likely one object as two:

    >>> fragments = Fragments(
    ...     start=np.array([0.0, 3.0, 3.0]),
    ...     end=np.array([2.0, 5.0, 5.0]),
    ...     first=np.array([[0.0, 50, 20, 40], [60.0, 50, 20, 40], [400.0, 50, 20, 40]]),
    ...     last=np.array([[40.0, 50, 20, 40], [100.0, 50, 20, 40], [400.0, 50, 20, 40]]),
    ...     first_speed=np.array([[20.0, 0], [20.0, 0], [0.0, 0]]),
    ...     last_speed=np.array([[20.0, 0], [20.0, 0], [0.0, 0]]),
    ...     class_ids=np.zeros(3, np.int32),
    ...     counts=np.array([60, 60, 60]),
    ...     embeddings=None,
    ...     following=np.full(3, -1),
    ...     settled=np.zeros(3, bool),
    ... )
    >>> before, after, log_odds = link_fragments(fragments, LinkConfig())
    >>> before.tolist(), after.tolist(), log_odds.round(1).tolist()
    ([0], [1], [1.4])
    """
    settled = np.flatnonzero(fragments.settled)
    begun = np.zeros(len(fragments.start), bool)
    begun[fragments.following[settled]] = True
    lines, breaks = _lines(fragments, config)
    likely = []
    for before, after in _candidates(fragments, config):
        free = ~(fragments.settled[before] | begun[after])
        before, after = before[free], after[free]
        around = (lines[before] == lines[after]) & (breaks[before] < breaks[after])
        around &= fragments.following[before] != after
        odds = pair_log_odds(fragments, before, after, config) + config.own_bonus * around
        good = odds > config.min_log_odds
        likely.append((before[good], after[good], odds[good]))
    before, after, odds = (np.concatenate(column) for column in zip(*likely, strict=True))
    count = len(fragments.start)
    chosen_before, chosen_after = assign(before, after, odds - config.min_log_odds)
    table = dict(zip((before * count + after).tolist(), odds.tolist(), strict=True))
    chosen_odds = np.array([table[key] for key in (chosen_before * count + chosen_after).tolist()], np.float64)
    return (
        np.concatenate([chosen_before, settled]),
        np.concatenate([chosen_after, fragments.following[settled]]),
        np.concatenate([chosen_odds, np.full(len(settled), np.inf)]),
    )


def _lines(fragments: Fragments, config: LinkConfig) -> tuple[Int64[ndarray, " n"], Int64[ndarray, " n"]]:
    """The line of fragments each is in, all that the tracker took for one object, and after how many unlikely steps."""
    following = fragments.following
    lines, breaks = np.arange(len(following)), np.zeros(len(following), np.int64)
    steps = np.flatnonzero(following >= 0)
    lines[following[steps]] = steps
    while (lines[lines] != lines).any():  # each pass doubles how far back it looks
        lines = lines[lines]
    steps = steps[~fragments.settled[steps]]
    breaks[following[steps]] = pair_log_odds(fragments, steps, following[steps], config) <= config.min_log_odds
    order = np.lexsort((fragments.start, lines))
    breaks[order] = breaks[order].cumsum()
    return lines, breaks


def _candidates(
    fragments: Fragments, config: LinkConfig
) -> Iterator[tuple[Int64[ndarray, " k"], Int64[ndarray, " k"]]]:
    """Every pair in which one ends before the other starts, and not too long before; some at a time."""
    order = fragments.start.argsort(kind="stable")
    starts = fragments.start[order]
    low = starts.searchsorted(fragments.end, side="right")
    high = np.maximum(starts.searchsorted(fragments.end + config.longest_gap_s, side="right"), low)
    counts = high - low
    edges = np.diff(counts.cumsum() // PAIRS_AT_ONCE).nonzero()[0] + 1
    for rows in np.split(np.arange(len(starts)), edges):
        own = counts[rows]
        place = np.arange(own.sum()) + np.repeat(low[rows] - (own.cumsum() - own), own)
        before, after = np.repeat(rows, own), order[place]
        same = fragments.class_ids[before] == fragments.class_ids[after]
        yield before[same], after[same]


def pair_log_odds(
    fragments: Fragments, before: Int64[ndarray, " k"], after: Int64[ndarray, " k"], config: LinkConfig
) -> Float64[ndarray, " k"]:
    """How likely each pair is one object: the end of the first with the start of the second, 0 is as likely as not."""
    gap = fragments.start[after] - fragments.end[before]
    last, first = fragments.last[before], fragments.first[after]
    reach = (config.steadiness_s * (1 - np.exp(-gap / config.steadiness_s)))[:, None]
    ahead = last[:, :2] + fragments.last_speed[before] * reach - first[:, :2]
    back = first[:, :2] - fragments.first_speed[after] * reach - last[:, :2]
    _, _, last_width, last_height = np.maximum(last, 1.0).T
    _, _, first_width, first_height = np.maximum(first, 1.0).T
    offset = np.sqrt(((ahead**2).sum(axis=1) + (back**2).sum(axis=1)) / (2 * last_height * first_height))
    odds: ndarray = (
        config.base
        - config.offset_weight * np.log(offset + NEAR)
        - config.gap_weight * np.log(gap + SOON_S)
        - config.height_weight * np.abs(np.log(last_height / first_height))
        - config.width_weight * np.abs(np.log(last_width / first_width))
    )
    unknown = (fragments.last_speed[before] == 0).all(axis=1) * 1.0 + (fragments.first_speed[after] == 0).all(axis=1)
    odds = odds - config.unknown_motion * unknown
    shorter = np.minimum(fragments.counts[before], fragments.counts[after])
    odds = odds + config.rows_weight * np.log(np.clip(shorter, 1, config.many_rows))
    odds = odds + config.own_bonus * (fragments.following[before] == after)
    if fragments.embeddings is not None:
        distance = 1 - (fragments.embeddings[before] * fragments.embeddings[after]).sum(axis=1)
        odds = odds - config.appearance_weight * (distance - config.appearance_typical)
    return odds
