"""Offline refinement of a finished recording: it sees the future, which no online tracker can.

Tracks that met and went on with each other's object are put right, as far as their motion before and after tells.
Fragments of one object are linked across occlusions: every end of a fragment is compared with every later start by
motion, size, appearance and the time between, and the links are chosen together as one assignment, so that an early
greedy choice never takes what a later pair needs more. Then gaps are filled, boxes smoothed (Rauch-Tung-Striebel) and
tracks that are likelier false than real dropped. An account lists all that was changed.
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
from tracker.track.refine.swaps import Swap, SwapConfig, find_swaps
from tracker.track.refine.track_evidence import EarlyEvidence, FillEvidence, TrackEvidence
from tracker.track.refine.tracked_rows import RowsInMemory, TrackedRows

__all__ = ["Account", "Drop", "Link", "RefineConfig", "Refined", "Refinement", "Swap", "refine"]


CUT_FRAMES = 2.5
"""Nominal intervals: one missed frame is no gap at any frame rate."""
SHORTEST_INTERVAL, LONGEST_INTERVAL = 1 / 240, 3600.0
"""Of frames, in seconds, that rates are believed for."""
SLOWEST_INTERVAL = 0.25
"""Where frames are rarer than this many seconds, each counts as that much time when fragments are linked: four frames
tell a speed, and a gap is long by what was missed in it."""


@dataclass(frozen=True, slots=True)
class RefineConfig:
    """How a finished recording is gone over."""

    link: LinkConfig = field(default_factory=LinkConfig)
    """When two fragments are one object."""
    swap: SwapConfig = field(default_factory=SwapConfig)
    """When two tracks changed places where they met."""
    fill_gap_s: float = 6.0
    """Gaps up to this many seconds may be filled with the boxes the motion implies."""
    fill: FillEvidence = field(default_factory=FillEvidence)
    """How likely an object is where nothing was detected; a row is filled in where it is likelier than not."""
    smooth: bool = True
    """Whether boxes are smoothed over time."""
    split_gap_s: float = 0.25
    """Tracks are cut where they were unseen for longer than this, and for two frames or more; what belongs together is
    then linked again."""
    evidence: TrackEvidence = field(default_factory=TrackEvidence)
    """How likely a track is a real object."""
    fragment_log_odds: float = -1.0
    """Tracks less likely real than this are dropped before anything is linked; 0 is as likely as not."""
    reported_log_odds: float = -0.5
    """What the tracker itself reported at a frame a second is dropped only where less likely real than this, links
    included."""
    reported_rate_weight: float = 0.25
    """More than that, for the logarithm of the frames per second: at many, what flickers is soon reported."""
    track_log_odds: float = 2.0
    """What the tracker did not report is added only where likelier real than this, links included, and where its rows
    are expected to be worth more than the change of identity that a new track may be."""
    early: EarlyEvidence = field(default_factory=EarlyEvidence)
    """How likely rows before the tracker reported their track are on its object."""
    early_log_odds: float = 0.6
    """Such rows are added only where likelier right than this."""


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
    swaps: tuple[Swap, ...] = ()
    """Tracks that had gone on with each other's object, put right; ids as the tracker gave them."""

    def __str__(self) -> str:
        rows = sum(self.filled.values())
        return (
            f"{len(self.cuts)} cuts, {len(self.links)} links, {rows} rows filled in {len(self.filled)} tracks, "
            f"{self.smoothed} boxes smoothed, {len(self.drops)} false tracks dropped, {len(self.swaps)} swaps undone"
        )


@dataclass(frozen=True, slots=True)
class Refined:
    """The recording after refinement."""

    observations: Observations
    account: Account


def refine(observations: Observations, times: Float64[ndarray, " f"], config: RefineConfig | None = None) -> Refined:
    """The recording refined; `times` are the time stamps of all its frames in seconds.

    Ids are those that came in: a linked track keeps the id of its first fragment, and only what was cut off from a
    track gets a new one, after all others. Deterministic.
    """
    refinement = Refinement(RowsInMemory(observations), times, config)
    rows = Observations.joined([part.rows for part in refinement.parts()])
    return Refined(rows[np.lexsort((rows.tracks, rows.frames))], refinement.account)


class Refinement:
    """Refinement of rows that need not fit into memory: what is held grows with the fragments, not with the rows.

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
        paced = self._times / pace
        span_s, swaps = config.link.span_s, find_swaps(rows, paced, config.swap, config.link)
        cuts = cut_tracks(rows.by_track(), paced, longest_gap_s=longest_gap_s, span_s=span_s, swaps=swaps)
        free = int(cuts.tracks.max(initial=0)) + 1
        reported = rows.reported()
        keep, drops, _ = _unlikely(cuts, cuts.tracks, reported[0], interval, config, least=config.fragment_log_odds)
        cuts = cuts.only(keep)
        names, self._links, new = _link(cuts, free, pace, config)
        least = config.track_log_odds
        keep, weak, odds = _unlikely(cuts, names, reported[0], interval, config, least=least, worth_a_switch=True)
        self._swaps = _done(swaps, cuts)
        self._drops = drops + weak
        self._sides, self._halfway = cuts.sides, cuts.halfway
        firsts = _believed_from(rows, cuts, odds, _first_reported(cuts, *reported), config)
        keep &= firsts <= cuts.last_frames
        self._spans = Spans(names[keep], cuts.tracks[keep], firsts[keep], cuts.last_frames[keep], odds[keep])
        kept = set(names[keep].tolist())
        self._cuts = {name: track for name, track in new.items() if name in kept}
        self._filled: Counter[int] = Counter()
        self._smoothed = 0

    @property
    def account(self) -> Account:
        """All that was changed; of filled and smoothed rows those that `parts` has given so far."""
        filled = dict(sorted(self._filled.items()))
        return Account(tuple(self._links), tuple(self._drops), filled, self._smoothed, self._cuts, self._swaps)

    def parts(self) -> Iterator[Part]:
        """Every track in every frame of its life, smoothed; gaps too long to fill are left open."""
        self._filled.clear()
        self._smoothed = 0
        config = self._config
        filling = Filling(config.fill_gap_s, config.fill, config.smooth, self._sides, self._halfway)
        for part in fill_and_smooth(self._rows, self._spans, self._times, filling):
            filled = part.rows.origins == Origin.INTERPOLATED
            self._filled.update(part.rows.tracks[filled].tolist())
            self._smoothed += int((~filled).sum()) if config.smooth else 0
            yield part


def _done(swaps: list[Swap], cuts: CutTracks) -> tuple[Swap, ...]:
    """The swaps of which both tracks are among the fragments, in the order of time."""
    settled = set(cuts.tracks[cuts.ends.settled].tolist())
    done = [swap for swap in swaps if {swap.one, swap.other} <= settled]
    return tuple(sorted(done, key=lambda swap: (swap.last_frame, swap.one)))


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
    cuts: CutTracks,
    names: Int64[ndarray, " n"],
    reported: Int64[ndarray, " t"],
    interval: float,
    config: RefineConfig,
    *,
    least: float,
    worth_a_switch: bool = False,
) -> tuple[Bool[ndarray, " n"], list[Drop], Float64[ndarray, " n"]]:
    """Which fragments stay, the tracks that do not, and for each fragment the log-odds that its track is real.

    What was not reported stays from `least` on; and, on demand, where the rows expected right less those expected
    wrong outnumber the change of identity that a right track may bring: n (2 p - 1) > p.
    """
    unique, places, counts, means = cuts.totals(names)
    odds = config.evidence.log_odds(counts, means, interval)
    limits = np.full(len(unique), least)
    if worth_a_switch:
        with np.errstate(divide="ignore"):
            limits = np.maximum(limits, -np.log(1 - 1 / counts))
    rate = -np.log(np.clip(interval, SHORTEST_INTERVAL, LONGEST_INTERVAL))
    trusted = config.reported_log_odds + config.reported_rate_weight * rate
    limits[places[np.isin(cuts.tracks, reported)]] = trusted
    dropped = odds < limits
    drops = [
        Drop(
            int(unique[place]),
            int(counts[place]),
            f"{counts[place]} rows of mean score {means[place]:.2f}: real with probability "
            f"{1 / (1 + np.exp(-odds[place])):.2f}",
        )
        for place in np.flatnonzero(dropped)
    ]
    return ~dropped[places], drops, odds[places]


def _first_reported(
    cuts: CutTracks, reported: Int64[ndarray, " t"], frames: Int64[ndarray, " t"]
) -> Int64[ndarray, " n"]:
    """The first frame of each fragment in which the tracker reported its track; as it is where it never did."""
    place = np.minimum(reported.searchsorted(cuts.tracks), max(len(reported) - 1, 0))
    if not len(reported):
        return cuts.first_frames
    firsts: ndarray = np.maximum(np.where(reported[place] == cuts.tracks, frames[place], 0), cuts.first_frames)
    return firsts


def _believed_from(
    rows: TrackedRows,
    cuts: CutTracks,
    odds: Float64[ndarray, " n"],
    reported: Int64[ndarray, " n"],
    config: RefineConfig,
) -> Int64[ndarray, " n"]:
    """The frame each fragment is taken from: of the rows before `reported`, those at its end that are likely right.

    The choice has the largest sum of odds above the limit; `odds` are those that each fragment's track is real.
    """
    firsts = reported.copy()
    for place in np.flatnonzero(cuts.first_frames < reported).tolist():
        last = min(int(cuts.last_frames[place]), int(reported[place]) - 1)
        early = rows.of(int(cuts.tracks[place]), int(cuts.first_frames[place]), last)
        worth = config.early.log_odds(early.scores, float(odds[place]), cuts.surest) - config.early_log_odds
        sums = worth[::-1].cumsum()[::-1]
        best = int(sums.argmax())
        if sums[best] >= 0:
            firsts[place] = early.frames[best]
    return firsts
