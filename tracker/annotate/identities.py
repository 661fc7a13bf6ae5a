"""Which tracks of several cameras are one person or vehicle: a global solution over all pairs of tracks.

Cameras are uncalibrated. Each pair of tracks has log-odds of being one object: by appearance, judged against how alike
tracks of those two cameras are that nobody thinks the same; by time, since nobody is in two places at once where fields
of view do not overlap, and the way from one camera to another takes about as long for all. Whether two cameras overlap,
and how long the way takes, is learned from the pairs that appearance alone is sure of. Then tracks are grouped so that
the sum of log-odds within groups is largest (correlation clustering; Bansal, Blum and Chawla, Machine Learning 2004),
by joining the best groups and moving single tracks until nothing improves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray

__all__ = ["AcrossConfig", "Identities", "Member", "Track", "Unsure", "find_identities"]

OFTEN = 0.3
"""Fraction of sure pairs seen by both cameras at once from which the cameras are taken to overlap."""
SILVERMAN, LEAST_WIDTH, MOST_WIDTH = 1.06, 0.1, 0.5
"""Silverman's rule for the width of a kernel ("Density Estimation", 1986, eq. 3.28), held where few pairs would give
spikes, or one wide hill."""
DENSITY_PAIRS = 500
"""Pairs that the density of all pairs is made of: more change nothing that is seen."""
LEAST_DENSITY = 0.01
"""Added to both densities: where hardly any pair lies, their ratio says nothing."""
MOST_SWEEPS = 20
"""Rounds in which tracks may change their group; it settles in two or three."""
NO_GAIN = 1e-9
"""Less than this is rounding, and would let two tracks change places for ever."""
PASSES = 2
"""The second learns time from the groups of the first."""
CERTAIN = 1e3
"""Log-odds of what a person decided, and of what cannot be."""


class Member(NamedTuple):
    """A track of a camera."""

    camera: int
    track: int


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What is known of one track: where, when, of what class, and how it looks."""

    member: Member
    start: float
    """Seconds on a clock that all cameras share."""
    end: float
    label: str
    vectors: Float32[ndarray, "k d"]
    """Unit vectors of its views."""


@dataclass(frozen=True, slots=True)
class AcrossConfig:
    """When tracks of different cameras are one object."""

    base: float = -8.2
    """Log-odds of two tracks whose views have nothing in common, time left aside."""
    alike_weight: float = 11.2
    """For the similarity: the mean of the mean and of the largest cosine of two tracks' views."""
    least_log_odds: float = 0.0
    """Groups are joined from this sum of log-odds on."""
    unsure_log_odds: float = -3.0
    """Groups that are not joined but likelier than this are named unsure, for a person to decide."""
    time_weight: float = 1.0
    """For the log-odds that the time between two tracks gives."""
    time_limits: tuple[float, float] = (-1.0, 4.5)
    """Those lie between: who comes back later did not take the usual way."""
    simultaneous_s: float = 0.5
    """Two tracks that are there together for longer are in two places at once."""
    sure_pairs: int = 3
    """From so many pairs on, overlap and the time of the way are learned."""


class Unsure(NamedTuple):
    """Two groups that may be one."""

    first: int
    """Place in `Identities.groups`."""
    second: int
    probability: float


@dataclass(frozen=True, slots=True)
class Identities:
    """Every track in one group; groups in the order in which they are first seen."""

    groups: tuple[tuple[Member, ...], ...]
    unsure: tuple[Unsure, ...]


def find_identities(
    tracks: Sequence[Track],
    config: AcrossConfig | None = None,
    *,
    same: Sequence[tuple[Member, Member]] = (),
    different: Sequence[tuple[Member, Member]] = (),
) -> Identities:
    """Tracks grouped by object; `same` and `different` are what a person decided, and hold,
    but for two tracks that one camera shows at the same time."""
    config = config or AcrossConfig()
    tracks = sorted(tracks, key=lambda track: (track.start, track.member))
    if not tracks:
        return Identities((), ())
    places = {track.member: place for place, track in enumerate(tracks)}
    cameras = np.array([track.member.camera for track in tracks])
    appearance, possible = _appearance(tracks, config), _possible(tracks)
    decided, twice = _decided(places, same, different, len(tracks)), _twice(tracks)
    sure = possible & (appearance > 0) & _mutual_best(np.where(possible, appearance, -np.inf), cameras)
    for _ in range(PASSES):
        odds = np.where(possible, appearance + _time(tracks, sure, config), -CERTAIN)
        odds = np.where(decided != 0, decided * CERTAIN, odds)
        odds[twice] = -CERTAIN
        np.fill_diagonal(odds, 0.0)
        groups = _improve(_join(np.arange(len(tracks)), odds, config.least_log_odds), odds)
        sure = possible & (groups[:, None] == groups)
        np.fill_diagonal(sure, False)
    _, firsts, groups = np.unique(groups, return_index=True, return_inverse=True)
    groups = firsts.argsort().argsort()[groups]
    members = tuple(
        tuple(tracks[place].member for place in np.flatnonzero(groups == group).tolist())
        for group in range(groups.max() + 1)
    )
    return Identities(members, _unsure(groups, odds, config))


def _appearance(tracks: Sequence[Track], config: AcrossConfig) -> Float64[ndarray, "n n"]:
    """Log-odds by appearance: some view may be of a side that the other track never shows, so the best pair counts."""
    means = np.array([track.vectors.mean(axis=0) for track in tracks], np.float64)
    vectors = np.concatenate([track.vectors for track in tracks]).astype(np.float32)
    starts = np.cumsum([0, *(len(track.vectors) for track in tracks[:-1])])
    best = np.empty((len(tracks), len(tracks)))
    for row, track in enumerate(tracks):
        best[row] = np.maximum.reduceat((track.vectors @ vectors.T).max(axis=0), starts)
    odds: ndarray = config.base + config.alike_weight * (means @ means.T + best) / 2
    return odds


def _possible(tracks: Sequence[Track]) -> Bool[ndarray, "n n"]:
    """Pairs of one class that are not two boxes of one camera at the same time."""
    labels = np.array([track.label for track in tracks])
    possible: ndarray = (labels[:, None] == labels) & ~_twice(tracks)
    return possible


def _twice(tracks: Sequence[Track]) -> Bool[ndarray, "n n"]:
    """Pairs of which one camera shows both at the same time: no decision makes them one."""
    cameras = np.array([track.member.camera for track in tracks])
    twice: ndarray = (cameras[:, None] == cameras) & (_together(tracks) >= 0)
    return twice


def _together(tracks: Sequence[Track]) -> Float64[ndarray, "n n"]:
    """Seconds that both of a pair are there; negative is the time between them."""
    starts, ends = np.array([(track.start, track.end) for track in tracks]).T
    together: ndarray = np.minimum(ends[:, None], ends) - np.maximum(starts[:, None], starts)
    return together


def _time(tracks: Sequence[Track], sure: Bool[ndarray, "n n"], config: AcrossConfig) -> Float64[ndarray, "n n"]:
    """Log-odds by time: what is in two places at once, and how usual the way is, as learned from what is sure."""
    cameras = np.array([track.member.camera for track in tracks])
    together = _together(tracks)
    odds = np.zeros_like(together)
    following = sure & _next_of(sure, together)
    for one in np.unique(cameras):
        for other in np.unique(cameras):
            block = np.ix_(np.flatnonzero(cameras == one), np.flatnonzero(cameras == other))
            seconds = together[block]
            odds[block] = _by_time(
                seconds, seconds[sure[block]], seconds[following[block]], config, overlap_allowed=bool(one != other)
            )
    both: ndarray = (odds + odds.T) / 2
    return both


def _next_of(sure: Bool[ndarray, "n n"], together: Float64[ndarray, "n n"]) -> Bool[ndarray, "n n"]:
    """Pairs with the shortest time between of all that one of the two is sure to be in: a way without a stop."""
    seconds = np.where(sure, together, -np.inf)
    nearest: ndarray = (seconds == seconds.max(axis=1, keepdims=True)) | (seconds == seconds.max(axis=0))
    return nearest


def _mutual_best(odds: Float64[ndarray, "n n"], cameras: Int64[ndarray, " n"]) -> Bool[ndarray, "n n"]:
    """Pairs of which each is the other's best in its camera."""
    best = np.zeros(odds.shape, bool)
    for camera in np.unique(cameras):
        columns = np.flatnonzero(cameras == camera)
        block = odds[:, columns].copy()
        block[columns, np.arange(len(columns))] = -np.inf
        best[np.arange(len(odds)), columns[block.argmax(axis=1)]] = True
    mutual: ndarray = best & best.T
    return mutual


def _by_time(
    seconds: Float64[ndarray, "n m"],
    sure: Float64[ndarray, " k"],
    following: Float64[ndarray, " j"],
    config: AcrossConfig,
    *,
    overlap_allowed: bool,
) -> Float64[ndarray, "n m"]:
    """Log-odds of pairs of two cameras by the seconds that they are there together (negative: apart)."""
    twice = seconds > config.simultaneous_s
    overlap = overlap_allowed and len(sure) >= config.sure_pairs and (sure > config.simultaneous_s).mean() > OFTEN
    odds = np.where(twice & (not overlap), -CERTAIN, 0.0)
    ways = -following[following <= config.simultaneous_s]
    if len(ways) >= config.sure_pairs:
        # Kernel densities of the logarithm of the way's seconds: of sure pairs against all pairs.
        usual, apart = np.log(np.maximum(ways, 0) + 1.0), np.log(np.maximum(-seconds, 0) + 1.0)
        width = float(np.clip(SILVERMAN * usual.std() * len(usual) ** (-1 / 5), LEAST_WIDTH, MOST_WIDTH))
        all_pairs = apart[~twice]
        step = max(len(all_pairs) // DENSITY_PAIRS, 1)
        likely, unlikely = _density(apart, usual, width), _density(apart, all_pairs[::step], width)
        ratio = np.log((likely + LEAST_DENSITY) / (unlikely + LEAST_DENSITY))
        odds = np.where(twice, odds, config.time_weight * np.clip(ratio, *config.time_limits))
    return odds


def _density(at: Float64[ndarray, "n m"], points: Float64[ndarray, " k"], width: float) -> Float64[ndarray, "n m"]:
    """A Gaussian kernel density."""
    distance = (at[..., None] - points) / width
    density: ndarray = np.exp(-(distance**2) / 2).mean(axis=-1) / (width * np.sqrt(2 * np.pi))
    return density


def _decided(
    places: Mapping[Member, int],
    same: Sequence[tuple[Member, Member]],
    different: Sequence[tuple[Member, Member]],
    count: int,
) -> Int64[ndarray, "n n"]:
    """1 where a person joined two tracks, -1 where he split them; what is no longer there does not count."""
    decided = np.zeros((count, count), np.int64)
    for pairs, sign in ((same, 1), (different, -1)):
        for one, other in pairs:
            if one in places and other in places:
                decided[places[one], places[other]] = decided[places[other], places[one]] = sign
    return decided


def _join(groups: Int64[ndarray, " n"], odds: Float64[ndarray, "n n"], least: float) -> Int64[ndarray, " n"]:
    """Groups joined two at a time, the best pair first, as long as their sum of log-odds is more than `least`."""
    between = odds.copy()
    np.fill_diagonal(between, -np.inf)
    members = {place: [place] for place in range(len(groups))}
    sizes = np.ones(len(groups))
    groups = groups.copy()
    while len(members) > 1:
        mean = between / np.outer(sizes, sizes)
        one, other = np.unravel_index(int(mean.argmax()), mean.shape)
        if between[one, other] <= least:
            break
        between[one] += between[other]
        between[:, one] = between[one]
        between[one, one] = -np.inf
        between[other], between[:, other] = -np.inf, -np.inf
        sizes[one] += sizes[other]
        members[int(one)] += members.pop(int(other))
        groups[members[int(one)]] = one
    return groups


def _improve(groups: Int64[ndarray, " n"], odds: Float64[ndarray, "n n"]) -> Int64[ndarray, " n"]:
    """Single tracks moved to the group that gains most, or to one of their own, until none gains."""
    groups = groups.copy()
    for _ in range(MOST_SWEEPS):
        moved = False
        for place in range(len(groups)):
            names, positions = np.unique(groups, return_inverse=True)
            sums = np.bincount(positions, weights=odds[place])
            own = int(np.flatnonzero(names == groups[place])[0])
            best = int(sums.argmax())
            if sums[best] > max(sums[own], 0.0) + NO_GAIN:
                groups[place], moved = names[best], True
            elif sums[own] < -NO_GAIN:
                groups[place], moved = groups.max() + 1, True
        if not moved:
            break
    return groups


def _unsure(groups: Int64[ndarray, " n"], odds: Float64[ndarray, "n n"], config: AcrossConfig) -> tuple[Unsure, ...]:
    """Pairs of groups that were not joined and may be one, likeliest first."""
    one_of = np.eye(int(groups.max()) + 1)[groups]
    sums, counts = one_of.T @ odds @ one_of, one_of.sum(axis=0)
    mean = sums / np.outer(counts, counts)
    likely = np.argwhere(np.triu((mean > config.unsure_log_odds) & (sums > -CERTAIN / 2), 1))
    found = [Unsure(int(one), int(other), float(1 / (1 + np.exp(-mean[one, other])))) for one, other in likely]
    return tuple(sorted(found, key=lambda pair: -pair.probability))
