"""The association stages, in their one order: appearance cascade, high overlap, low overlap, tentative, recovery.

Each stage sees the tracks and detections that the ones before left free, restricts the candidate pairs, turns their
similarity into gains and hands them to the assignment. What was tried is kept for `explain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray

from tracker.config.tracking import TrackerConfig
from tracker.track.assignment import Pairs, assign, assign_then_reject, compare, overlapping, similarity
from tracker.track.gallery import Galleries
from tracker.track.jit import compiled
from tracker.track.kalman import BoxFilter
from tracker.track.track_table import TrackTable

__all__ = ["Attempt", "Matching", "UsableDetections", "associate", "usable"]

DEEPSORT_MARGIN = 1e-5
"""DeepSORT's assignment counts a forbidden pair as this much worse than its gate, so a cost on the gate may match."""

WIDEST = 0.5
"""Boxes grow by at most this share of their size on every side, however long no frame came."""
NARROWEST = 0.01
"""Less growth than this changes nothing and is left out."""
LARGEST = 1e7
"""Boxes reaching further out than this many pixels are garbage."""
SMALLEST = 0.01
"""So are boxes narrower or lower than this."""


@dataclass(slots=True, eq=False)
class UsableDetections:
    """The usable detections of one frame, coordinates first."""

    boxes: Float64[ndarray, "4 m"]
    scores: Float64[ndarray, " m"]
    class_places: Int64[ndarray, " m"]
    embeddings: Float32[ndarray, "m d"] | None
    rows: Int64[ndarray, " m"]
    """Row of each in the frame's Detections."""


@dataclass(slots=True, eq=False)
class Attempt:
    """What one stage compared and chose; indices are those of the track table and of Found."""

    stage: str
    rows: Int64[ndarray, " k"]
    cols: Int64[ndarray, " k"]
    values: Float64[ndarray, " k"]
    gate: float
    chosen: Pairs


@dataclass(slots=True, eq=False)
class Matching:
    """Which track found which detection, and what is left for new tracks."""

    pairs: Pairs
    free_detections: Bool[ndarray, " m"]
    attempts: tuple[Attempt, ...]
    near: tuple[Int64[ndarray, " k"], Int64[ndarray, " k"], Float64[ndarray, " k"]]
    """Tracks and detections that overlap, also those that no stage might compare, and their similarity."""


class _Frame:
    """What is still free while the stages run."""

    def __init__(self, tracks: int, detections: int) -> None:
        self.shape = (tracks, detections)
        free = np.ones(tracks + detections, bool)
        self.track_free, self.detection_free = free[:tracks], free[tracks:]
        self.attempts: list[Attempt] = []

    def take(self, stage: str, rows: ndarray, cols: ndarray, values: ndarray, gate: float, chosen: Pairs) -> None:
        self.attempts.append(Attempt(stage, rows, cols, values, gate, chosen))
        self.track_free[chosen[0]] = False
        self.detection_free[chosen[1]] = False

    def note(self, stage: str, rows: ndarray, cols: ndarray, values: ndarray, gate: float) -> None:
        """Keep what was compared and not chosen from."""
        nothing = np.empty(0, np.int64)
        self.attempts.append(Attempt(stage, rows, cols, values, gate, (nothing, nothing)))

    def pairs(self) -> Pairs:
        """All that the stages chose together."""
        chosen = [attempt.chosen for attempt in self.attempts]
        if len(chosen) == 1:
            return chosen[0]
        if not chosen:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate([rows for rows, _ in chosen]), np.concatenate([cols for _, cols in chosen])


@compiled
def usable(
    boxes: Float32[ndarray, "n 4"], scores: Float32[ndarray, " n"], low_score: float
) -> tuple[Float64[ndarray, "4 m"], Float64[ndarray, " m"], Int64[ndarray, " m"]]:
    """The boxes, coordinates first, and scores of the detections that are no garbage, and their rows.

    The second is too weak, the third has no width, the fourth is no number.

    >>> boxes = np.array([[0, 0, 4, 8], [0, 0, 4, 8], [3, 0, 3, 8], [np.nan, 0, 4, 8]], np.float32)
    >>> corners, scores, rows = usable(boxes, np.array([0.5, 0.05, 0.9, 0.9], np.float32), 0.1)
    >>> corners[:, 0].tolist(), scores.tolist(), rows.tolist()
    ([0.0, 0.0, 4.0, 8.0], [0.5], [0])
    """
    corners = np.ascontiguousarray(boxes.T).astype(np.float64)
    chances = scores.astype(np.float64)
    usable = chances >= low_score
    for axis in range(2):
        low, high = corners[axis], corners[axis + 2]
        usable &= (high >= low + SMALLEST) & (low >= -LARGEST) & (high <= LARGEST)  # False for NaN
    rows = usable.nonzero()[0]
    return corners[:, rows], np.minimum(chances[rows], 1.0), rows


def associate(
    found: UsableDetections,
    table: TrackTable,
    box_filter: BoxFilter,
    config: TrackerConfig,
    galleries: Galleries | None,
    *,
    seen_since: float,
    elapsed: float,
) -> Matching:
    """Match predicted tracks with a frame's detections, stage by stage.

    The cascade ends before tracks last seen earlier than `seen_since`; `elapsed` are the seconds since the last frame.

    The tracker calls this once a frame. Here the second frame gives the two people in the other order, and is sure of
    the second alone: the stage of high scores takes that one, the stage of low scores finds the first again.

    >>> from tracker.track.presets import make_tracker
    >>> from tracker.types import Detections
    >>> tracker = make_tracker("bytetrack", {})
    >>> first, second, person = [0, 0, 10, 20], [50, 0, 60, 20], np.zeros(2, np.int32)
    >>> for time, boxes, scores in ((0.0, [first, second], [0.9, 0.9]), (0.04, [second, first], [0.9, 0.3])):
    ...     found = Detections(np.array(boxes, np.float32), np.array(scores, np.float32), person)
    ...     tracks = tracker.update(found, time)
    ...     print(tracks.ids.tolist(), tracks.detection_rows.tolist())
    [1, 2] [0, 1]
    [1, 2] [1, 0]
    """
    frame = _Frame(len(table), len(found.scores))
    if not frame.shape[0] or not frame.shape[1]:
        nothing = np.empty(0, np.int64)
        free = frame.detection_free & (found.scores >= config.high_score)
        return Matching(frame.pairs(), free, (), (nothing, nothing, np.empty(0)))
    if config.cascade and galleries is not None and found.embeddings is not None:
        _cascade(frame, found, table, box_filter, config, galleries, table.last_seen >= seen_since)
    predicted = box_filter.boxes(table.filter[0])
    rows, cols, overlap = _candidates(
        predicted, found, table, config, min(config.buffer + config.buffer_per_s2 * elapsed * elapsed, WIDEST)
    )
    _overlap_stages(frame, found, table, config, (rows, cols, overlap), galleries)
    if config.recover:
        _recover(frame, found, table, config)
    free = frame.detection_free
    if config.new_max_overlap < 1:
        doubles = ~frame.track_free[rows] & (overlap > config.new_max_overlap)
        free = free.copy()
        free[cols[doubles]] = False
    return Matching(frame.pairs(), free, tuple(frame.attempts), (rows, cols, overlap))


def _candidates(
    predicted: Float64[ndarray, "4 n"], found: UsableDetections, table: TrackTable, config: TrackerConfig, buffer: float
) -> tuple[ndarray, ndarray, ndarray]:
    """Overlapping pairs and their similarity, lessened where classes differ."""
    margin = buffer if buffer >= NARROWEST else 0.0
    rows, cols, overlap = compare(config.similarity, predicted, found.boxes, margin)
    if config.class_penalty and len(table.votes) > 1:
        differs = table.class_places[rows] != found.class_places[cols]
        overlap = np.where(differs, overlap * (1 - config.class_penalty), overlap)
    return rows, cols, overlap


def _overlap_stages(
    frame: _Frame,
    found: UsableDetections,
    table: TrackTable,
    config: TrackerConfig,
    candidates: tuple[ndarray, ndarray, ndarray],
    galleries: Galleries | None,
) -> None:
    rows, cols, overlap = candidates
    high = found.scores >= config.high_score
    frame.detection_free &= high
    confirmed = table.confirmed == 1
    first = frame.track_free
    if not config.overlap_lost:
        first = first & ((table.missed <= 1) | ~confirmed)
    if config.tentative_separately:
        first = first & confirmed
    values = overlap * found.scores.take(cols) if config.fuse_score else overlap
    if config.direction_weight:
        reference, headings = table.reference_centres(), table.centre_history[-1]
        weight = config.direction_weight
        values = _with_direction(values, rows, cols, found.boxes, found.scores, reference, headings, weight)
    if config.appearance_weight and not config.cascade and galleries is not None and found.embeddings is not None:
        values = _with_appearance(values, rows, cols, found.embeddings, galleries, config)
    pairs = _open_pairs(rows, cols, values, overlap, first, frame.detection_free)
    _match(frame, "high", pairs, config, config.high_min_similarity)
    if config.low_match and np.count_nonzero(high) < len(high):
        last = frame.track_free & (table.missed <= 1) & confirmed
        pairs = _open_pairs(rows, cols, overlap, overlap, last, ~high)
        _match(frame, "low", pairs, config, config.low_min_similarity)
    if config.tentative_separately and np.count_nonzero(confirmed) < len(confirmed):
        pairs = _open_pairs(rows, cols, values, overlap, ~confirmed, frame.detection_free)
        _match(frame, "tentative", pairs, config, config.tentative_min_similarity)


OpenPairs: TypeAlias = tuple[ndarray, ndarray, ndarray, ndarray]
"""Rows, columns, values and overlaps."""


@compiled
def _open_pairs(
    rows: ndarray, cols: ndarray, values: ndarray, overlap: ndarray, row_open: ndarray, col_open: ndarray
) -> OpenPairs:
    """The pairs whose track and detection may both still match."""
    chosen = (row_open[rows] & col_open[cols]).nonzero()[0]
    return rows[chosen], cols[chosen], values[chosen], overlap[chosen]


def _match(frame: _Frame, stage: str, pairs: OpenPairs, config: TrackerConfig, gate: float) -> None:
    rows, cols, values, overlap = pairs
    if len(rows) == 0:
        return
    if config.optimum == "rejecting":
        chosen = assign_then_reject(rows, cols, values, frame.shape, overlaps=overlap, threshold=gate)
    else:
        margin = DEEPSORT_MARGIN if config.cascade else 0.0
        chosen = assign(rows, cols, values - (gate - margin))
    frame.take(stage, rows, cols, values, gate, chosen)


def _cascade(
    frame: _Frame,
    found: UsableDetections,
    table: TrackTable,
    box_filter: BoxFilter,
    config: TrackerConfig,
    galleries: Galleries,
    recent: Bool[ndarray, " n"],
) -> None:
    """DeepSORT's matching cascade: tracks seen last choose first, by appearance, within their Mahalanobis gates."""
    assert found.embeddings is not None
    members = np.flatnonzero((table.confirmed == 1) & recent)
    if len(members) == 0:
        return
    state = table.filter[:, :, members]
    variance = box_filter.measurement_variance(state)
    z = box_filter.measure(found.boxes)
    reach = np.sqrt(config.mahalanobis_gate * variance[:2])
    region = np.concatenate([state[0, :2] - reach, state[0, :2] + reach])
    rows, cols = overlapping(region, np.concatenate([z[:2], z[:2]]))
    distance = box_filter.gating_distance(state[:, :, rows], z[:, cols], variance[:, rows])
    gated = distance > config.mahalanobis_gate
    far, near = gated.nonzero()[0], (~gated).nonzero()[0]
    frame.note("motion", members[rows[far]], cols[far], -distance[far], -config.mahalanobis_gate)
    rows, cols = members[rows[near]], cols[near]
    if len(rows) == 0:
        return
    costs = _embedding_distances(rows, cols, found.embeddings, galleries, frame.shape, config.max_cosine_distance)
    missed = table.missed[rows]
    limit = config.max_cosine_distance
    unlike = (costs > limit).nonzero()[0]
    frame.note("appearance", rows[unlike], cols[unlike], -costs[unlike], -limit)
    for level in np.unique(missed):
        eligible = np.flatnonzero((missed == level) & frame.detection_free[cols] & (costs <= limit))
        if len(eligible):
            level_rows, level_cols, level_costs = rows[eligible], cols[eligible], costs[eligible]
            chosen = assign(level_rows, level_cols, limit + DEEPSORT_MARGIN - level_costs)
            frame.take("appearance", level_rows, level_cols, -level_costs, -limit, chosen)


def _embedding_distances(
    rows: ndarray, cols: ndarray, embeddings: ndarray, galleries: Galleries, shape: tuple[int, int], limit: float
) -> Float64[ndarray, " k"]:
    """Gallery distances, exact wherever they can change the outcome.

    A pair without competitors whose latest embedding already passes needs no search through the whole gallery.
    """
    costs = galleries.latest_distances(rows, embeddings, cols)
    uncontested = np.bincount(rows, minlength=shape[0])[rows] == 1
    uncontested &= np.bincount(cols, minlength=shape[1])[cols] == 1
    open_pairs = np.flatnonzero(~(uncontested & (costs <= limit)))
    if len(open_pairs):
        costs[open_pairs] = galleries.distances(rows[open_pairs], embeddings, cols[open_pairs])
    return costs


def _with_appearance(
    values: ndarray, rows: ndarray, cols: ndarray, embeddings: ndarray, galleries: Galleries, config: TrackerConfig
) -> Float64[ndarray, " k"]:
    """Overlap and appearance weighted, overlap alone without embeddings; beyond the gate appearance counts nothing."""
    likeness = 1.0 - galleries.distances(rows, embeddings, cols) / config.max_cosine_distance
    weight = config.appearance_weight
    blended: ndarray = (1 - weight) * values + weight * np.maximum(likeness, 0.0)
    return np.where(galleries.comparable(rows, embeddings, cols), blended, values)


@compiled
def _with_direction(
    values: Float64[ndarray, " k"],
    rows: ndarray,
    cols: ndarray,
    boxes: Float64[ndarray, "4 m"],
    scores: Float64[ndarray, " m"],
    reference: Float64[ndarray, "2 n"],
    headings: Float64[ndarray, "2 n"],
    weight: float,
) -> Float64[ndarray, " k"]:
    """Values plus weight and score times -0.5, straight back, to 0.5, straight on; 0 for tracks that never moved."""
    centres = (boxes[:2] + boxes[2:]) / 2
    step = centres[:, cols] - reference[:, rows]
    heading = headings[:, rows]
    along = step[0] * heading[0] + step[1] * heading[1]
    cosine = along / (np.sqrt(step[0] * step[0] + step[1] * step[1]) + 1e-6)
    cosine = np.minimum(np.maximum(cosine, -1.0), 1.0)
    cosine[cosine != cosine] = 0.0  # NaN without a heading
    directed: ndarray = values + weight * (0.5 - np.arccos(cosine) / np.pi) * scores[cols]
    return directed


def _recover(frame: _Frame, found: UsableDetections, table: TrackTable, config: TrackerConfig) -> None:
    """OC-SORT's second chance: what is left over against where the tracks were last seen."""
    tracks, detections = np.flatnonzero(frame.track_free), np.flatnonzero(frame.detection_free)
    if not len(tracks) or not len(detections):
        return
    observed, boxes = table.observed[:, tracks], found.boxes[:, detections]
    rows, cols = overlapping(observed, boxes)
    values = similarity("iou", observed, boxes, rows, cols)
    _match(frame, "recovery", (tracks[rows], detections[cols], values, values), config, config.recover_min_similarity)
