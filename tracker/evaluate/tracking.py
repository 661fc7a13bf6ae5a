"""How well tracks follow the truth: HOTA (Luiten et al., IJCV 2021), CLEAR MOT (2008) and IDF1 (Ristani et al., 2016).

Equal to TrackEval, ties included: the same overlaps, the same assignments frame by frame, the same sums over
sequences. Ground truth is prepared as each benchmark does it: MOT15 as it is; MOT16 and later drop boxes on
distractors (people on vehicles, static people, reflections); KITTI drops boxes on vans, and unmatched ones that are
at most 25 pixels high or lie in DontCare regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from tracker.errors import FormatError
from tracker.evaluate.benchmark_rules import KITTI_REGION, Rules, counted_rows
from tracker.evaluate.mot_files import MotRows

__all__ = ["Overlaps", "TrackingScores", "combine", "evaluate_sequence", "prepare"]

ALPHAS = np.arange(0.05, 0.99, 0.05)
EPSILON = float(np.finfo("float").eps)
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2
"""Fractions of a track's frames (Li et al., "Learning to associate", 2009), as MOTChallenge counts them."""
MOT_DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection."""
KITTI_DISTRACTORS = (2,)
KITTI_MIN_HEIGHT = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """One sequence prepared: in each frame the truth's ids, the tracker's ids and their IoU; ids count from 0."""

    truth_ids: list[Int64[ndarray, " g"]]
    track_ids: list[Int64[ndarray, " t"]]
    similarity: list[Float64[ndarray, "g t"]]
    truth_count: int
    """Different objects in the truth."""
    track_count: int


@dataclass(frozen=True, slots=True, eq=False)
class TrackingScores:
    """Sums over one sequence or several, and the scores they give; arrays run over the 19 HOTA thresholds."""

    hota_tp: Float64[ndarray, " 19"]
    hota_fn: Float64[ndarray, " 19"]
    hota_fp: Float64[ndarray, " 19"]
    association_sum: Float64[ndarray, " 19"]
    """Association accuracy summed over true positives."""
    location_sum: Float64[ndarray, " 19"]
    """IoU summed over true positives."""
    clear_tp: int
    clear_fn: int
    clear_fp: int
    id_switches: int
    overlap_sum: float
    mostly_tracked: int
    mostly_lost: int
    fragments: int
    id_tp: int
    id_fn: int
    id_fp: int

    @property
    def det_a_per_alpha(self) -> Float64[ndarray, " 19"]:
        accuracy: ndarray = self.hota_tp / np.maximum(1, self.hota_tp + self.hota_fn + self.hota_fp)
        return accuracy

    @property
    def ass_a_per_alpha(self) -> Float64[ndarray, " 19"]:
        accuracy: ndarray = self.association_sum / np.maximum(1, self.hota_tp)
        return accuracy

    @property
    def hota(self) -> float:
        """Geometric mean of detection and association accuracy, averaged over localisation thresholds; 0 to 1."""
        return float(np.sqrt(self.det_a_per_alpha * self.ass_a_per_alpha).mean())

    @property
    def det_a(self) -> float:
        return float(self.det_a_per_alpha.mean())

    @property
    def ass_a(self) -> float:
        return float(self.ass_a_per_alpha.mean())

    @property
    def loc_a(self) -> float:
        return float((np.maximum(1e-10, self.location_sum) / np.maximum(1e-10, self.hota_tp)).mean())

    @property
    def mota(self) -> float:
        """1 less misses, false positives and id switches per object; negative where errors outnumber objects."""
        return (self.clear_tp - self.clear_fp - self.id_switches) / max(1, self.clear_tp + self.clear_fn)

    @property
    def motp(self) -> float:
        return self.overlap_sum / max(1, self.clear_tp)

    @property
    def idf1(self) -> float:
        """Share of boxes with the right identity under the best one-to-one naming of tracks; 0 to 1."""
        return self.id_tp / max(1.0, self.id_tp + 0.5 * self.id_fp + 0.5 * self.id_fn)


def prepare(ground_truth: MotRows, result: MotRows, length: int | None, *, rules: Rules, where: str) -> Overlaps:
    """The sequence as its benchmark evaluates it; `where` names it in errors. Raises FormatError."""
    last = max(int(rows.frames[-1]) if len(rows) else 0 for rows in (ground_truth, result))
    if length is not None and last > length:
        raise FormatError(f"{where}: the sequence has {length} frames, found a row for frame {last}")
    frames = np.arange(1, (length or last) + 2)
    truth_cuts, result_cuts = ground_truth.frames.searchsorted(frames), result.frames.searchsorted(frames)
    counts = counted_rows(ground_truth, rules)
    truth_ids, track_ids, similarities = [], [], []
    for frame in range(len(frames) - 1):
        true = slice(truth_cuts[frame], truth_cuts[frame + 1])
        seen = slice(result_cuts[frame], result_cuts[frame + 1])
        ids, boxes = result.ids[seen], result.boxes[seen]
        if len(set(ids.tolist())) != len(ids):
            raise FormatError(
                f"{where}: frame {frame + 1}: the same id is given to two boxes; tracks need ids of 1 or more"
            )
        classes, true_boxes = ground_truth.class_ids[true], ground_truth.boxes[true]
        objects = np.ones(len(classes), bool)
        if rules == "kitti":
            objects = classes != KITTI_REGION
        similarity = _iou(true_boxes[objects], boxes)
        kept = np.ones(len(ids), bool)
        if rules != "mot15":
            kept = _kept(similarity, classes, objects, true_boxes, boxes, rules)
        counted = counts[true][objects]
        own_ids = ground_truth.ids[true][objects][counted]
        if len(set(own_ids.tolist())) != len(own_ids):
            raise FormatError(f"{where}: the ground truth has the same id twice in frame {frame + 1}")
        truth_ids.append(own_ids)
        track_ids.append(ids[kept])
        similarities.append(similarity[counted][:, kept])
    truth_ids, truth_count = _renumber(truth_ids)
    track_ids, track_count = _renumber(track_ids)
    return Overlaps(truth_ids, track_ids, similarities, truth_count, track_count)


def _assign_all(scores: Float64[ndarray, "n m"]) -> tuple[Int64[ndarray, " k"], Int64[ndarray, " k"]]:
    """Row and column of the pairs whose scores sum to the most, min(n, m) of them; by SciPy, as ties fall as it says.

    SciPy comes with the extra `train`; tracking itself goes without.
    """
    from scipy.optimize import linear_sum_assignment

    rows, cols = linear_sum_assignment(scores, maximize=True)
    return rows, cols


def _kept(
    similarity: Float64[ndarray, "g t"],
    classes: Int64[ndarray, " all"],
    objects: Bool[ndarray, " all"],
    true_boxes: Float64[ndarray, "all 4"],
    boxes: Float64[ndarray, "t 4"],
    rules: Rules,
) -> Bool[ndarray, " t"]:
    """Which of the tracker's boxes count: none on a distractor, and for KITTI no spare ones too small or in regions."""
    kept = np.ones(len(boxes), bool)
    unmatched = np.ones(len(boxes), bool)
    if similarity.size:
        scores = np.where(similarity < 0.5 - EPSILON, 0.0, similarity)
        rows, cols = _assign_all(scores)
        matched = scores[rows, cols] > EPSILON
        rows, cols = rows[matched], cols[matched]
        distractors = KITTI_DISTRACTORS if rules == "kitti" else MOT_DISTRACTORS
        kept[cols[np.isin(classes[objects][rows], distractors)]] = False
        unmatched[cols] = False
    if rules == "kitti" and len(boxes):
        x1, y1, x2, y2 = boxes.T
        spare = (y2 - y1) <= KITTI_MIN_HEIGHT + EPSILON
        regions = true_boxes[~objects]
        if len(regions):
            inside = _intersection(boxes, regions)
            size = (x2 - x1) * (y2 - y1)
            share = np.divide(inside, size[:, None], out=np.zeros_like(inside), where=size[:, None] > EPSILON)
            spare |= (share > 0.5 + EPSILON).any(axis=1)
        kept &= ~(unmatched & spare)
    return kept


def _intersection(a: Float64[ndarray, "n 4"], b: Float64[ndarray, "m 4"]) -> Float64[ndarray, "n m"]:
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    width, height = np.moveaxis(np.maximum(bottom_right - top_left, 0), -1, 0)
    shared: ndarray = width * height
    return shared


def _iou(a: Float64[ndarray, "n 4"], b: Float64[ndarray, "m 4"]) -> Float64[ndarray, "n m"]:
    """Intersection over union as TrackEval computes it, 0 for boxes without area."""
    intersection = _intersection(a, b)
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.T, b.T
    area_a, area_b = (ax2 - ax1) * (ay2 - ay1), (bx2 - bx1) * (by2 - by1)
    union = area_a[:, None] + area_b[None, :] - intersection
    real = (area_a > EPSILON)[:, None] & (area_b > EPSILON)[None, :] & (union > EPSILON)
    overlap: ndarray = np.divide(intersection, union, out=np.zeros_like(intersection), where=real)
    return overlap


def _renumber(ids: list[Int64[ndarray, " n"]]) -> tuple[list[Int64[ndarray, " n"]], int]:
    if not ids:
        return [], 0
    names, places = np.unique(np.concatenate(ids), return_inverse=True)
    cuts = np.cumsum([len(frame) for frame in ids])[:-1]
    return np.split(places, cuts), len(names)


def evaluate_sequence(overlaps: Overlaps) -> TrackingScores:
    """All scores of one sequence."""
    truth_lengths = np.bincount(np.concatenate([np.empty(0, int), *overlaps.truth_ids]), minlength=overlaps.truth_count)
    track_lengths = np.bincount(np.concatenate([np.empty(0, int), *overlaps.track_ids]), minlength=overlaps.track_count)
    tp, fn, fp, association, location = _hota(overlaps, truth_lengths, track_lengths)
    clear_tp, clear_fn, clear_fp, switches, overlap_sum, tracked, lost, fragments = _clear(overlaps)
    id_tp, id_fn, id_fp = _identity(overlaps, truth_lengths, track_lengths)
    return TrackingScores(
        hota_tp=tp,
        hota_fn=fn,
        hota_fp=fp,
        association_sum=association,
        location_sum=location,
        clear_tp=clear_tp,
        clear_fn=clear_fn,
        clear_fp=clear_fp,
        id_switches=switches,
        overlap_sum=overlap_sum,
        mostly_tracked=tracked,
        mostly_lost=lost,
        fragments=fragments,
        id_tp=id_tp,
        id_fn=id_fn,
        id_fp=id_fp,
    )


def _hota(
    overlaps: Overlaps, truth_lengths: Int64[ndarray, " g"], track_lengths: Int64[ndarray, " t"]
) -> tuple[ndarray, ndarray, ndarray, ndarray, ndarray]:
    shape = (overlaps.truth_count, overlaps.track_count)
    nothing = np.zeros(len(ALPHAS))
    if not shape[0] or not shape[1]:
        return nothing, nothing + truth_lengths.sum(), nothing + track_lengths.sum(), nothing, nothing
    potential = np.zeros(shape)
    for ground_truth, tracks, similarity in zip(
        overlaps.truth_ids, overlaps.track_ids, overlaps.similarity, strict=True
    ):
        if similarity.size:
            total = similarity.sum(0)[None, :] + similarity.sum(1)[:, None] - similarity
            potential[ground_truth[:, None], tracks[None, :]] += np.divide(
                similarity, total, out=np.zeros_like(similarity), where=total > EPSILON
            )
    lengths = truth_lengths[:, None] + track_lengths[None, :]
    alignment = potential / (lengths - potential)
    matched_truth, matched_tracks, matched_overlap = [], [], []
    for ground_truth, tracks, similarity in zip(
        overlaps.truth_ids, overlaps.track_ids, overlaps.similarity, strict=True
    ):
        if similarity.size:
            rows, cols = _assign_all(alignment[ground_truth[:, None], tracks[None, :]] * similarity)
            matched_truth.append(ground_truth[rows])
            matched_tracks.append(tracks[cols])
            matched_overlap.append(similarity[rows, cols])
    if not matched_truth:
        return nothing, nothing + truth_lengths.sum(), nothing + track_lengths.sum(), nothing, nothing
    overlap = np.concatenate(matched_overlap)
    couples = np.concatenate(matched_truth) * shape[1] + np.concatenate(matched_tracks)
    tp, association, location = np.zeros((3, len(ALPHAS)))
    for place, alpha in enumerate(ALPHAS):
        enough = overlap >= alpha - EPSILON
        names, counts = np.unique(couples[enough], return_counts=True)
        tp[place] = enough.sum()
        location[place] = overlap[enough].sum()
        association[place] = (counts * (counts / np.maximum(1, lengths.ravel()[names] - counts))).sum()
    return tp, truth_lengths.sum() - tp, track_lengths.sum() - tp, association, location


def _clear(overlaps: Overlaps) -> tuple[int, int, int, int, float, int, int, int]:
    count = overlaps.truth_count
    tp = fn = fp = switches = 0
    overlap_sum = 0.0
    present, matched, started = np.zeros((3, count), np.int64)
    last_track, previous_track = np.full((2, count), -1, np.int64)
    for ground_truth, tracks, similarity in zip(
        overlaps.truth_ids, overlaps.track_ids, overlaps.similarity, strict=True
    ):
        present[ground_truth] += 1
        if not similarity.size:
            fp += len(tracks)
            fn += len(ground_truth)
            continue
        continuing = tracks[None, :] == previous_track[ground_truth][:, None]
        scores = np.where(similarity < 0.5 - EPSILON, 0.0, 1000 * continuing + similarity)
        rows, cols = _assign_all(scores)
        good = scores[rows, cols] > EPSILON
        rows, cols = rows[good], cols[good]
        found, by = ground_truth[rows], tracks[cols]
        before = last_track[found]
        switches += int(((before >= 0) & (before != by)).sum())
        matched[found] += 1
        started[found] += previous_track[found] < 0
        last_track[found] = by
        previous_track[:] = -1
        previous_track[found] = by
        tp += len(found)
        fn += len(ground_truth) - len(found)
        fp += len(tracks) - len(found)
        overlap_sum += float(similarity[rows, cols].sum())
    share = matched[present > 0] / present[present > 0]
    tracked, lost = int((share > MOSTLY_TRACKED).sum()), int((share < MOSTLY_LOST).sum())
    return tp, fn, fp, switches, overlap_sum, tracked, lost, int((started[started > 0] - 1).sum())


def _identity(
    overlaps: Overlaps, truth_lengths: Int64[ndarray, " g"], track_lengths: Int64[ndarray, " t"]
) -> tuple[int, int, int]:
    shape = (overlaps.truth_count, overlaps.track_count)
    truths, tracks = int(truth_lengths.sum()), int(track_lengths.sum())
    if not shape[0] or not shape[1]:
        return 0, truths, tracks
    together = np.zeros(shape)
    for ground_truth, seen, similarity in zip(overlaps.truth_ids, overlaps.track_ids, overlaps.similarity, strict=True):
        rows, cols = np.nonzero(similarity >= 0.5)
        together[ground_truth[rows], seen[cols]] += 1
    # Leaving an object and a track unpaired costs both lengths, pairing them costs both less twice what they share:
    # so the best naming maximises what is shared.
    rows, cols = _assign_all(together)
    shared = int(together[rows, cols].sum())
    return shared, truths - shared, tracks - shared


def combine(scores: Sequence[TrackingScores]) -> TrackingScores:
    """The scores of several sequences taken together, summed as TrackEval does (COMBINED_SEQ)."""
    if not scores:
        raise ValueError("combine: expected at least one sequence")
    sums = {field.name: sum(getattr(score, field.name) for score in scores) for field in fields(TrackingScores)}
    return TrackingScores(**sums)
