"""What a teacher sees of the classes that a folder does not label."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from tracker.evaluate.detection import rename
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.geometry import iou
from tracker.nets.checkpoint import write_atomically
from tracker.protocols import Detector
from tracker.train.data.augment import Truth
from tracker.train.data.detection import draw_box_masks
from tracker.types import Detections

__all__ = ["DistillConfig", "ask_teacher", "known_truth", "unlabelled"]

log = logging.getLogger(__name__)


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


def unlabelled(data: DataSet) -> list[str]:
    """The classes that some folder does not label."""
    kinds = {sample.labelled for sample in data.samples}
    return [label for row, label in enumerate(data.labels) if any(row not in labelled for labelled in kinds)]


def ask_teacher(
    data: DataSet, teacher: Detector, cache: Path | None, *, key: str = "", batch: int = 8
) -> dict[Path, Detections]:
    """The teacher's finds on every image whose folder leaves classes unlabelled, as classes of `data`.

    They are kept in `cache` for the next run; `key` tells one teacher and its settings from another.
    """
    missing = unlabelled(data)
    log.info("the teacher tells of %s", ", ".join(label for label in missing if label in teacher.labels))
    unknown = [label for label in missing if label not in teacher.labels]
    if unknown:
        log.warning("the teacher knows no %s: untold where a folder does not label it", ", ".join(unknown))
    single = {sample.path: sample for sample in data.samples}
    asked = [sample for sample in single.values() if len(sample.labelled) < len(data.labels)]
    told = [key, *teacher.labels, *data.labels, *(str(sample.path) for sample in asked)]
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    file = cache / f"teacher-{digest}.npz" if cache is not None else None
    if file is not None and file.is_file():
        with np.load(file) as stored:
            rows = {name: stored[name] for name in ("image", "boxes", "scores", "class_ids")}
        return split_rows(asked, rows)
    found: list[Detections] = []
    for start in range(0, len(asked), batch):
        finds = teacher.detect([sample.read() for sample in asked[start : start + batch]])
        found += rename(finds, teacher.labels, data.labels)
        if start % (batch * 32) == 0:
            log.info("teacher: %d of %d images", start, len(asked))
    rows = {
        "image": np.repeat(np.arange(len(found)), [len(finds) for finds in found]),
        "boxes": np.concatenate([finds.boxes for finds in found] or [np.empty((0, 4), np.float32)]),
        "scores": np.concatenate([finds.scores for finds in found] or [np.empty(0, np.float32)]),
        "class_ids": np.concatenate([finds.class_ids for finds in found] or [np.empty(0, np.int32)]),
    }
    if file is not None:
        write_atomically(file, lambda temporary: save_rows(temporary, rows))
    return split_rows(asked, rows)


def save_rows(path: Path, rows: dict[str, ndarray]) -> None:
    """Write the arrays to exactly this path."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **rows)


def split_rows(asked: Sequence[Sample], rows: dict[str, ndarray]) -> dict[Path, Detections]:
    """One Detections per image again."""
    whole = Detections(rows["boxes"], rows["scores"], rows["class_ids"])
    edges = np.searchsorted(rows["image"], np.arange(len(asked) + 1))
    return {sample.path: whole[slice(*edges[row : row + 2])] for row, sample in enumerate(asked)}


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

    `taught` are the classes that the teacher knows.
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
    finds = finds[~np.isin(finds.class_ids, sample.labelled)]
    if count:
        finds = finds[iou(finds.boxes, sample.boxes).max(axis=1) <= teaching.overlap]
    believed = finds[finds.scores >= teaching.believe]
    doubted = finds[(finds.scores < teaching.believe) & (finds.scores >= teaching.doubt)]
    empty = np.zeros((len(believed), *masks.shape[1:]), np.uint8)
    one_hot = np.eye(len(data.labels), dtype=np.float32)[believed.class_ids]
    return ground_truth.join(
        Truth(
            believed.boxes,
            believed.boxes,
            one_hot,
            np.ones_like(one_hot),
            believed.scores,
            empty,
            np.zeros(len(believed), bool),
            doubted.boxes,
            unlabelled,
        )
    )
