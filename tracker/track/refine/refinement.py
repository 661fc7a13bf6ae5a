"""A finished recording gone over once more, with hindsight that no live tracker has.

Fragments of one object are linked across occlusions: every end of a fragment is compared with every later start by
motion, size, look and the time between, and the links are chosen together as one assignment, so that an early greedy
choice never takes what a later pair needs more. Then gaps are filled, boxes smoothed (Rauch-Tung-Striebel) and tracks
that are likelier false than real dropped. An account tells all that was changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from tracker.observations import Observations, Origin
from tracker.track.refine.fragments import CutTracks, cut_tracks
from tracker.track.refine.interpolate import Filling, Part, Spans, fill_and_smooth
from tracker.track.refine.link import LinkConfig, link_fragments
from tracker.track.refine.track_evidence import TrackEvidence
from tracker.track.refine.tracked_rows import RowsInMemory, TrackedRows

__all__ = ["Account", "Drop", "Link", "RefineConfig", "Refined", "Refinement", "refine"]


CUT_FRAMES = 2.5
"""Nominal intervals: one missed frame is no gap at any frame rate."""
SLOWEST_INTERVAL = 0.25
"""Where frames are rarer than this many seconds, each counts as that much time when fragments are linked: four frames
tell a speed, and a gap is long by what was missed in it."""


@dataclass(frozen=True, slots=True)
class RefineConfig:
    """How a finished recording is gone over."""

    link: LinkConfig = field(default_factory=LinkConfig)
    """When two fragments are one object."""
    fill_gap_s: float = 2.0
    """Gaps up to this many seconds are filled with the boxes the motion implies."""
    fill_blur: float = 0.08
    """Boxes are filled in only where their place is known to this share of their size, as a standard deviation."""
    smooth: bool = True
    """Whether boxes are smoothed over time."""
    split_gap_s: float = 0.25
    """Tracks are cut where they were unseen for longer than this, and for two frames or more; what belongs together is
    then linked again."""
    evidence: TrackEvidence = field(default_factory=TrackEvidence)
    """How likely a track is a real object."""
    fragment_log_odds: float = -1.0
    """Tracks less likely real than this are dropped before anything is linked; 0 is as likely as not."""
    track_log_odds: float = 0.5
    """Tracks less likely real than this, links included, are dropped; above 0 since what was linked is no proof."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two fragments that became one track: `joined` is now called `kept`."""

    kept: int
    joined: int
    gap_s: float
    log_odds: float
    """How likely they are one object; 0 is as likely as not."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A track taken out, and why."""

    track: int
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    """All that was changed."""

    links: tuple[Link, ...]
    drops: tuple[Drop, ...]
    filled: dict[int, int]
    """Rows put in, by track."""
    smoothed: int
    """Rows whose box was smoothed."""
    cuts: dict[int, int] = field(default_factory=dict)
    """Tracks that were cut off from another, and which: what came after a gap was not the same object."""

    def __str__(self) -> str:
        rows = sum(self.filled.values())
        return (
            f"{len(self.cuts)} cuts, {len(self.links)} links, {rows} rows filled in {len(self.filled)} tracks, "
            f"{self.smoothed} boxes smoothed, {len(self.drops)} false tracks dropped"
        )


@dataclass(frozen=True, slots=True)
class Refined:
    """The recording after refinement."""

    observations: Observations
    account: Account


def refine(observations: Observations, times: Float64[ndarray, " f"], config: RefineConfig | None = None) -> Refined:
    """The recording with hindsight; `times` are the time stamps of all its frames in seconds.

    Ids are those that came in: a linked track keeps the id of its first fragment, and only what was cut off from a
    track gets a new one, after all others. Deterministic.
    """
    refinement = Refinement(RowsInMemory(observations), times, config)
    rows = Observations.joined([part.rows for part in refinement.parts()])
    return Refined(rows[np.lexsort((rows.tracks, rows.frames))], refinement.account)


class Refinement:
    """Hindsight over rows that need not fit into memory: what is held grows with the fragments, not with the rows.

    Everything is decided when it is made; `parts` then fills and smooths some tracks at a time, in no order of
    frames, and completes the account.
    """

    def __init__(self, rows: TrackedRows, times: Float64[ndarray, " f"], config: RefineConfig | None = None) -> None:
        self._rows = rows
        self._times = np.maximum.accumulate(np.asarray(times, np.float64))
        self._config = config = config or RefineConfig()
        interval = float(np.median(np.diff(self._times))) if len(times) > 1 else 1.0
        pace = max(interval / SLOWEST_INTERVAL, 1.0)
        longest_gap_s = max(config.split_gap_s, CUT_FRAMES * interval) / pace
        cuts = cut_tracks(rows.by_track(), self._times / pace, longest_gap_s=longest_gap_s, span_s=config.link.span_s)
        free = int(cuts.tracks.max(initial=0)) + 1
        keep, drops = _unlikely(cuts, cuts.tracks, config.evidence, interval, config.fragment_log_odds)
        cuts = cuts.only(keep)
        names, self._links, new = _link(cuts, free, pace, config)
        keep, weak = _unlikely(cuts, names, config.evidence, interval, config.track_log_odds)
        self._drops = drops + weak
        self._spans = Spans(names[keep], cuts.tracks[keep], cuts.first_frames[keep], cuts.last_frames[keep])
        kept = set(names[keep].tolist())
        self._cuts = {name: track for name, track in new.items() if name in kept}
        self._filled: Counter[int] = Counter()
        self._smoothed = 0

    @property
    def account(self) -> Account:
        """All that was changed; of filled and smoothed rows those that `parts` has given so far."""
        return Account(
            tuple(self._links), tuple(self._drops), dict(sorted(self._filled.items())), self._smoothed, self._cuts
        )

    def parts(self) -> Iterator[Part]:
        """Every track in every frame of its life, smoothed; gaps too long to fill are left open."""
        self._filled.clear()
        self._smoothed = 0
        config = self._config
        filling = Filling(config.fill_gap_s, config.fill_blur, config.smooth)
        for part in fill_and_smooth(self._rows, self._spans, self._times, filling):
            filled = part.rows.origins == Origin.INTERPOLATED
            self._filled.update(part.rows.tracks[filled].tolist())
            self._smoothed += int((~filled).sum()) if config.smooth else 0
            yield part


def _link(
    cuts: CutTracks, free: int, pace: float, config: RefineConfig
) -> tuple[Int64[ndarray, " n"], list[Link], dict[int, int]]:
    """What each fragment is called after linking, the links, and the cuts that stayed; new names begin at `free`."""
    names, following = cuts.tracks.copy(), cuts.ends.following
    cut_off = following[following >= 0]
    names[cut_off] = free + np.arange(len(cut_off))
    if not len(cuts):
        return names, [], {}
    before, after, odds = link_fragments(cuts.ends, config.link)
    root = np.arange(len(names))
    start, end = cuts.ends.start, cuts.ends.end
    order = start[after].argsort(kind="stable")
    links = []
    for one, other, likely in zip(before[order].tolist(), after[order].tolist(), odds[order].tolist(), strict=True):
        root[other] = root[one]
        if following[one] != other:
            links.append(Link(int(names[root[one]]), int(names[other]), pace * float(start[other] - end[one]), likely))
    stayed = {int(names[place]): int(cuts.tracks[place]) for place in cut_off if root[place] == place}
    return names[root], links, stayed


def _unlikely(
    cuts: CutTracks, names: Int64[ndarray, " n"], evidence: TrackEvidence, interval: float, least: float
) -> tuple[Bool[ndarray, " n"], list[Drop]]:
    """Which fragments stay, and the tracks that do not."""
    unique, places, counts, means = cuts.totals(names)
    odds = evidence.log_odds(counts, means, interval)
    dropped = odds < least
    drops = [
        Drop(
            int(unique[place]),
            int(counts[place]),
            f"{counts[place]} rows of mean score {means[place]:.2f}: real with probability "
            f"{1 / (1 + np.exp(-odds[place])):.2f}",
        )
        for place in np.flatnonzero(dropped)
    ]
    return ~dropped[places], drops
