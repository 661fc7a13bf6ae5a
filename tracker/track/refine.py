"""A finished recording gone over once more, with hindsight that no live tracker has.

Fragments of one object are linked across occlusions: every end of a fragment is compared with every later start by
motion, size, look and the time between, and the links are chosen together as one assignment, so that an early greedy
choice never takes what a later pair needs more. Then gaps are filled, boxes smoothed (Rauch-Tung-Striebel) and ghosts
dropped. An account tells all that was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from numpy import ndarray

from tracker.track.kalman import BoxFilter
from tracker.track.link import Fragments, LinkConfig, link_fragments
from tracker.track.smooth import FIT_ROWS, fit_noise, groups, smooth
from tracker.types import Detections, Tracks

__all__ = ["Account", "Drop", "Link", "Observations", "RefineConfig", "Refined", "refine"]


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
    """Tracks are cut where they were unseen for longer than this; what belongs together is then linked again."""
    fragment_rows: int = 3
    """Fragments seen in fewer frames than this are dropped before anything is linked."""
    ghost_rows: int = 8
    """Tracks seen in fewer frames than this, links included, are dropped."""
    ghost_score: float = 0.0
    """Tracks whose mean score is less are dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Who was seen where in a recording, one row per object and frame, ordered by frame, then id."""

    frames: Int64[ndarray, " n"]
    """Place of the frame in the recording, from 0."""
    ids: Int64[ndarray, " n"]
    boxes: Float32[ndarray, "n 4"]
    scores: Float32[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    embeddings: Float32[ndarray, "n d"] | None = None
    filled: Bool[ndarray, " n"] | None = None
    """Rows put in where the object was not detected; None for none."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: ndarray) -> Observations:
        """The chosen rows."""
        looks = None if self.embeddings is None else self.embeddings[rows]
        filled = None if self.filled is None else self.filled[rows]
        return Observations(
            self.frames[rows], self.ids[rows], self.boxes[rows], self.scores[rows], self.class_ids[rows], looks, filled
        )

    @classmethod
    def from_tracks(cls, tracks: Sequence[Tracks], detections: Sequence[Detections] | None = None) -> Observations:
        """What a tracker gave, frame by frame: every row seen in its frame, tentative ones too.

        Tentative rows matter: hindsight keeps the first moments of an object that was confirmed later. With
        `detections` the boxes are the detections themselves, which smooth better than what a filter made of them,
        and their embeddings come along.
        """
        seen = [one[one.detection_rows >= 0] for one in tracks]
        frames = np.concatenate([np.empty(0, np.int64), *(np.full(len(one), at) for at, one in enumerate(seen))])
        boxes = [one.boxes for one in seen]
        looks = None
        if detections is not None:
            boxes = [found.boxes[one.detection_rows] for found, one in zip(detections, seen, strict=True)]
            described = [found.embeddings for found in detections if len(found)]
            if described and all(look is not None for look in described):
                looks = np.concatenate(
                    [
                        found.embeddings[one.detection_rows]
                        for found, one in zip(detections, seen, strict=True)
                        if found.embeddings is not None
                    ]
                )
        return cls(
            frames.astype(np.int64),
            np.concatenate([np.empty(0, np.int64), *(one.ids for one in seen)]),
            np.concatenate([np.empty((0, 4), np.float32), *boxes]),
            np.concatenate([np.empty(0, np.float32), *(one.scores for one in seen)]),
            np.concatenate([np.empty(0, np.int32), *(one.class_ids for one in seen)]),
            looks,
        )

    def mot_lines(self) -> Iterator[str]:
        """MOT result rows; frames count from 1 there."""
        rows = zip(self.frames.tolist(), self.ids.tolist(), self.boxes.tolist(), self.scores.tolist(), strict=True)
        for frame, track, (x1, y1, x2, y2), score in rows:
            yield f"{frame + 1},{track},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{score:.4f},-1,-1,-1\n"


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
            f"{self.smoothed} boxes smoothed, {len(self.drops)} ghosts dropped"
        )


@dataclass(frozen=True, slots=True)
class Refined:
    """The recording after refinement."""

    observations: Observations
    account: Account
    sources: Int64[ndarray, " n"]
    """Which of the rows that came in each row is, -1 for rows put in."""


def refine(observations: Observations, times: Float64[ndarray, " f"], config: RefineConfig | None = None) -> Refined:
    """The recording with hindsight; `times` are the time stamps of all its frames in seconds.

    Ids are those that came in: a linked track keeps the id of its first fragment, and only what was cut off from a
    track gets a new one, after all others. Deterministic.
    """
    config = config or RefineConfig()
    if len(observations) == 0:
        return Refined(observations, Account((), (), {}, 0), observations.ids)
    times = np.maximum.accumulate(np.asarray(times, np.float64))
    keep, drops = _ghosts(observations.ids, observations.scores, config.fragment_rows, 0.0)
    rows = keep.nonzero()[0]
    if len(rows) == 0:
        return Refined(observations[rows], Account((), tuple(drops), {}, 0), rows)
    ids, links, cuts = _link(observations, rows, times, config)
    keep, weak = _ghosts(ids, observations.scores[rows], config.ghost_rows, config.ghost_score)
    drops += weak
    rows, ids = rows[keep], ids[keep]
    if len(rows) == 0:
        return Refined(observations[rows], Account(tuple(links), tuple(drops), {}, 0), rows)
    refined, sources = _fill_and_smooth(observations, rows, ids, times, config)
    assert refined.filled is not None
    names, counts = np.unique(refined.ids[refined.filled], return_counts=True)
    filled = dict(zip(names.tolist(), counts.tolist(), strict=True))
    smoothed = int((~refined.filled).sum()) if config.smooth else 0
    cuts = {new: track for new, track in cuts.items() if (refined.ids == new).any()}
    return Refined(refined, Account(tuple(links), tuple(drops), filled, smoothed, cuts), sources)


def _link(
    observations: Observations, rows: Int64[ndarray, " n"], times: Float64[ndarray, " f"], config: RefineConfig
) -> tuple[Int64[ndarray, " n"], list[Link], dict[int, int]]:
    """The ids of those rows after cutting and linking, the links, and the cuts that stayed."""
    when = times[observations.frames[rows]]
    origins, places, following = _split(observations.ids[rows], when, config.split_gap_s)
    names = origins.copy()
    cut_off = following[following >= 0]
    names[cut_off] = int(observations.ids.max()) + 1 + np.arange(len(cut_off))
    fragments = Fragments.of(
        when,
        places,
        observations.boxes[rows],
        observations.class_ids[rows],
        None if observations.embeddings is None else observations.embeddings[rows],
        following,
        span_s=config.link.span_s,
    )
    before, after, odds = link_fragments(fragments, config.link)
    root = np.arange(len(names))
    order = fragments.start[after].argsort(kind="stable")
    links = []
    for one, other, likely in zip(before[order].tolist(), after[order].tolist(), odds[order].tolist(), strict=True):
        root[other] = root[one]
        if following[one] != other:
            gap = float(fragments.start[other] - fragments.end[one])
            links.append(Link(int(names[root[one]]), int(names[other]), gap, likely))
    cuts = {int(names[place]): int(origins[place]) for place in cut_off if root[place] == place}
    return names[root[places]], links, cuts


def _split(
    ids: Int64[ndarray, " n"], when: Float64[ndarray, " n"], longest_gap_s: float
) -> tuple[Int64[ndarray, " k"], Int64[ndarray, " n"], Int64[ndarray, " k"]]:
    """Tracks cut at long gaps: the id of each fragment, each row's fragment, and the one cut off each, -1 for none."""
    order = ids.argsort(kind="stable")
    ids, when = ids[order], when[order]
    begins = np.ones(len(ids), bool)
    begins[1:] = ids[1:] != ids[:-1]
    cut = np.zeros(len(ids), bool)
    cut[1:] = ~begins[1:] & (np.diff(when) > longest_gap_s)
    first = begins | cut
    parts = cut[first]
    places = np.empty(len(ids), np.int64)
    places[order] = first.cumsum() - 1
    following = np.full(len(parts), -1)
    following[:-1][parts[1:]] = np.flatnonzero(parts)
    return ids[first], places, following


def _ghosts(
    ids: Int64[ndarray, " n"], scores: Float32[ndarray, " n"], min_rows: int, min_score: float
) -> tuple[Bool[ndarray, " n"], list[Drop]]:
    """Which rows stay, and the tracks that do not."""
    names, places, counts = np.unique(ids, return_inverse=True, return_counts=True)
    mean = np.bincount(places, weights=scores) / counts
    short, weak = counts < min_rows, mean < min_score
    drops = [
        Drop(
            int(names[place]),
            int(counts[place]),
            f"seen in {counts[place]} frames" if short[place] else f"mean score {mean[place]:.2f}",
        )
        for place in np.flatnonzero(short | weak)
    ]
    return ~(short | weak)[places], drops


def _fill_and_smooth(
    observations: Observations,
    rows: Int64[ndarray, " n"],
    ids: Int64[ndarray, " n"],
    times: Float64[ndarray, " f"],
    config: RefineConfig,
) -> tuple[Observations, Int64[ndarray, " m"]]:
    """Every track in every frame of its life, smoothed, and the row that each row is, -1 for those put in.

    Takes the chosen rows of the observations, whose ids are given. Gaps too long to fill are left open. Works on
    some tracks at a time, so that little is held of each row at once.
    """
    frames, (names, places) = observations.frames[rows], np.unique(ids, return_inverse=True)
    steps = np.diff(times, prepend=times[0])
    interval = float(np.median(steps[1:])) if len(times) > 1 else 1.0
    ratios = steps / interval if interval > 0 else np.ones(len(times))
    first = frames.searchsorted(frames[min(FIT_ROWS, len(frames)) - 1], side="right")
    first_rows = np.lexsort((ids[:first], frames[:first]))
    box_filter = fit_noise(
        frames[first_rows], places[first_rows], observations.boxes[rows[first_rows]].astype(np.float64), ratios
    )
    columns: list[list[ndarray]] = [[], [], [], [], []]
    for group in groups(frames, places):
        at = group[places].nonzero()[0]
        kept, tracks, boxes, sources, seen = _smoothed_group(
            box_filter,
            frames[at],
            places[at],
            observations.boxes[rows[at]].astype(np.float64),
            times,
            ratios,
            config,
            longest_gap_s=config.fill_gap_s + interval / 4,
        )
        parts = kept.astype(np.int32), tracks.astype(np.int32), boxes, rows[at[sources]].astype(np.int32), seen
        for collected, part in zip(columns, parts, strict=True):
            collected.append(part)
    del frames, places
    order = np.lexsort((np.concatenate(columns[1]), np.concatenate(columns[0])))

    def column(place: int) -> ndarray:
        return np.concatenate(columns[place])[order]

    found, source = column(4), column(3)
    filled = Observations(
        column(0).astype(np.int64),
        names[column(1)],
        column(2),
        observations.scores[source],
        observations.class_ids[source],
        None if observations.embeddings is None else observations.embeddings[source],
        ~found,
    )
    return filled, np.where(found, source, -1).astype(np.int64)


def _smoothed_group(
    box_filter: BoxFilter,
    frames: Int64[ndarray, " n"],
    tracks: Int64[ndarray, " n"],
    measured: Float64[ndarray, "n 4"],
    times: Float64[ndarray, " f"],
    ratios: Float64[ndarray, " f"],
    config: RefineConfig,
    *,
    longest_gap_s: float,
) -> tuple[
    Int64[ndarray, " m"], Int64[ndarray, " m"], Float32[ndarray, "m 4"], Int64[ndarray, " m"], Bool[ndarray, " m"]
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
    if not config.smooth:
        share = (times[all_frames] - times[frames[source]]) / np.where(gap > 0, gap, 1.0)
        boxes = measured[source] + (measured[following] - measured[source]) * share[:, None]
    chosen = np.flatnonzero(seen | ((gap <= longest_gap_s) & (smoothed.blur[full] <= config.fill_blur)))
    return all_frames[chosen], names[all_tracks[chosen]], boxes[chosen].astype(np.float32), source[chosen], seen[chosen]
