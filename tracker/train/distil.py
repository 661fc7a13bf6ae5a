"""What a teacher sees of the classes that a folder does not label."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy import ndarray

from tracker.config import check_image_size
from tracker.config.bounds import check_shares
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.geometry import iou
from tracker.train.data.augment import Truth
from tracker.train.data.detection import draw_box_masks
from tracker.train.teacher import FusionConfig, Teacher, observe, stretch_mask
from tracker.types import Detections

__all__ = ["DistillConfig", "ask_teachers", "known_truth", "unlabelled"]

log = logging.getLogger(__name__)

SAME = 0.7
"""IoU from which a teacher's find is the labelled object, so that its mask fits."""
AGREE = 0.5
"""IoU from which a teacher's find of the same class speaks of the labelled object at all."""


@dataclass(frozen=True)
class DistillConfig:
    """How a teacher's finds are used."""

    believe: float = 0.4
    """Finds of at least this score count as objects, weighed by their score."""
    doubt: float = 0.08
    """Weaker finds down to this score become regions where nothing is taught."""
    size: int = 512
    """Longest side at which the teacher looks."""
    overlap: float = 0.5
    """Finds that cover a labelled object more than this are dropped."""
    masks: bool = True
    """Take masks from a teacher that gives them: for what it found, and for labelled objects without an outline."""
    cache: str = ""
    """Folder in which what each teacher sees is kept for other runs; the run's own without it."""
    fusion: FusionConfig = field(default_factory=FusionConfig)
    """How several teachers, or an image and its mirror, become one."""

    def __post_init__(self) -> None:
        check_image_size("teaching.size", self.size)
        check_shares(self, "believe", "doubt", "overlap")


def unlabelled(data: DataSet) -> list[str]:
    """The classes that some folder does not label."""
    kinds = {sample.labelled for sample in data.samples}
    return [label for row, label in enumerate(data.labels) if any(row not in labelled for labelled in kinds)]


def ask_teachers(
    data: DataSet, teachers: Sequence[Teacher], folder: Path, teaching: DistillConfig
) -> dict[Path, Detections]:
    """What the teachers together see on every image, as classes of `data`; kept in `folder` for other runs."""
    known = {label for teacher in teachers for label in teacher.detector.labels}
    unknown = [label for label in unlabelled(data) if label not in known]
    if unknown:
        log.warning(
            "the teacher knows no %s: nothing is taught of it where a folder does not label it", ", ".join(unknown)
        )
    least = min(teaching.doubt, teaching.believe)
    return observe(teachers, data.samples, data.labels, folder, teaching.fusion, least=least)


def known_truth(
    sample: Sample,
    data: DataSet,
    finds: Detections | None,
    teaching: DistillConfig,
    tables: tuple[ndarray, ndarray],
    *,
    taught: Sequence[int] = (),
) -> Truth:
    """Labelled objects, believed finds and ignored regions of one image; `tables` is `data.targets()`.

    `taught` are the classes that the teacher knows. Where the folder has a `blend` of b, a labelled object of which the
    teacher is sure by s counts 1 - b + b s, and what it finds there without a label counts b s: the target of a mean of
    two losses, one against the labels and one against the teacher (Hinton et al., "Distilling the knowledge in a neural
    network", 2015).
    """
    targets, class_weights = tables
    masks, has_mask = draw_box_masks(sample)
    ignored = sample.ignored
    if not sample.labelled:
        ignored = np.array([[0, 0, sample.width, sample.height]], np.float32)
    count = len(sample.boxes)
    unlabelled = np.ones(len(data.labels), np.float32)
    unlabelled[[*sample.labelled, *taught]] = 0.0
    ground_truth = Truth(
        sample.boxes,
        sample.boxes,
        targets[sample.class_ids],
        class_weights[sample.class_ids],
        np.ones(count, np.float32),
        masks,
        has_mask,
        ignored,
        unlabelled,
    )
    if finds is None or not len(finds):
        return ground_truth
    if teaching.masks:
        ground_truth = lend_masks(ground_truth, sample, finds)
    known = np.isin(finds.class_ids, sample.labelled)
    finds, opinions = finds[~known], finds[known]
    if count:
        finds = finds[iou(finds.boxes, sample.boxes).max(axis=1) <= teaching.overlap]
    if sample.blend > 0:
        ground_truth, unmarked = blend_opinions(ground_truth, opinions, sample.blend)
        finds = join_finds(finds, unmarked)
    believed = finds[finds.scores >= teaching.believe]
    doubted = finds[(finds.scores < teaching.believe) & (finds.scores >= teaching.doubt)]
    seen = believed.masks
    if seen is None or not len(seen) or not teaching.masks:
        seen = np.zeros((len(believed), *masks.shape[1:]), np.uint8)
    one_hot = np.eye(len(data.labels), dtype=np.float32)[believed.class_ids]
    return ground_truth.join(
        Truth(
            believed.boxes,
            believed.boxes,
            one_hot,
            np.ones_like(one_hot),
            believed.scores,
            seen,
            np.asarray(seen.any(axis=(1, 2))),
            doubted.boxes,
            unlabelled,
        )
    )


def blend_opinions(ground_truth: Truth, opinions: Detections, share: float) -> tuple[Truth, Detections]:
    """(labelled objects weighed by what the teacher thinks of them, its other finds with `share` of their score)."""
    overlap = iou(ground_truth.boxes, opinions.boxes)  # (n, m)
    overlap *= (ground_truth.classes[:, opinions.class_ids] > 0) | (
        ground_truth.class_weights[:, opinions.class_ids] == 0
    )
    sure = np.zeros(len(ground_truth.boxes), np.float32)
    if len(opinions):
        sure = np.where(overlap >= AGREE, opinions.scores, 0.0).max(axis=1).astype(np.float32)
    apart = overlap.max(axis=0, initial=0.0) < AGREE
    unmarked = replace(opinions, scores=(share * opinions.scores).astype(np.float32))[apart]
    return replace(ground_truth, weights=ground_truth.weights * (1 - share + share * sure)), unmarked


def join_finds(first: Detections, second: Detections) -> Detections:
    """Both in one; masks where both have them."""
    masks = None
    if first.masks is not None and second.masks is not None:
        masks = np.concatenate((first.masks, second.masks))
    return Detections(
        np.concatenate((first.boxes, second.boxes)),
        np.concatenate((first.scores, second.scores)),
        np.concatenate((first.class_ids, second.class_ids)),
        masks,
    )


def lend_masks(ground_truth: Truth, sample: Sample, finds: Detections) -> Truth:
    """Masks of the teacher for labelled objects without an outline, where it found the same object."""
    if finds.masks is None or not len(ground_truth.boxes):
        return ground_truth
    masks, has_mask = ground_truth.masks.copy(), ground_truth.has_mask.copy()
    overlap = iou(sample.boxes, finds.boxes) * finds.masks.any(axis=(1, 2))
    overlap *= (ground_truth.classes[:, finds.class_ids] > 0) | (ground_truth.class_weights[:, finds.class_ids] == 0)
    for row in np.flatnonzero(~has_mask & (overlap.max(axis=1) >= SAME)).tolist():
        found = int(overlap[row].argmax())
        masks[row] = stretch_mask(finds.masks[found], finds.boxes[found], sample.boxes[row])
        has_mask[row] = True
    return replace(ground_truth, masks=masks, has_mask=has_mask)
