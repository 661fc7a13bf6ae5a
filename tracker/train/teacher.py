"""Several detectors as one teacher: each looks at an image and at its mirror, and what they see is fused and stored.

Weighted boxes fusion (Solovyev et al., "Weighted boxes fusion: Ensembling boxes from different object detection
models", 2021): overlapping boxes of one class become their mean, weighted by score, and a box that few views see loses
score in proportion. Where we differ: masks come along; that of a fused box is its best view's, resampled to the box.

What each model sees is kept in a folder of its own, by the content of the image, so that it is asked once: another
run, another split of the images or one more model costs only what is new, and an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.config.bounds import check_shares
from tracker.evaluate.ground_truth import Sample
from tracker.geometry import iou
from tracker.nets.weight_files import write_atomically
from tracker.protocols import Detector
from tracker.types import Detections

__all__ = ["FusionConfig", "Teacher", "fuse_views", "mirror_detections", "observe", "stretch_mask"]

log = logging.getLogger(__name__)

SHARD = 128
"""Images whose detections are written together."""
MASK_SIZE = 64


@dataclass(frozen=True)
class FusionConfig:
    """How the views of a teacher become one."""

    mirror: bool = False
    """Look at the mirrored image too."""
    overlap: float = 0.7
    """IoU from which boxes of one class are the same object: above what suppression leaves of one view, so that people
    who stand close stay apart. The paper's 0.55 costs 0.7 to 0.9 points of AP on people (weights/README.md)."""
    mask_score: float = 0.4
    """Masks of boxes below this score are not kept."""

    def __post_init__(self) -> None:
        check_shares(self, "overlap", "mask_score")


class Teacher(NamedTuple):
    """One model that is asked."""

    name: str
    """What tells its stored detections from another's: the file's digest and how it looks."""
    detector: Detector

    @classmethod
    def of_file(cls, path: Path, detector: Detector, *, size: int) -> Teacher:
        """Named after the file, its content and the image size."""
        digest = hashlib.sha256(path.read_bytes() if path.is_file() else str(path).encode()).hexdigest()[:12]
        return cls(f"{path.stem}-{digest}-{size}", detector)


def observe(
    teachers: Sequence[Teacher],
    samples: Sequence[Sample],
    labels: Sequence[str],
    folder: Path,
    config: FusionConfig,
    *,
    least: float = 0.0,
) -> dict[Path, Detections]:
    """What the teachers together see on each image from the score `least` on, as classes of `labels`.

    Classes that they alone know are left out.
    """
    single = list({sample.path: sample for sample in samples}.values())
    keys = {sample.path: hashlib.sha256(sample.path.read_bytes()).hexdigest()[:24] for sample in single}
    views: list[tuple[ndarray, dict[str, Stored]]] = []
    for teacher in teachers:
        table = np.array([labels.index(name) if name in labels else -1 for name in teacher.detector.labels], np.int32)
        sides = (False, True) if config.mirror else (False,)
        views += [(table, _ask(teacher, single, keys, folder, config, mirrored=side)) for side in sides]
    seen = {}
    for path, key in keys.items():
        found = [_renamed(stored[key].expand(), table) for table, stored in views]
        fused = fuse_views(found, overlap=config.overlap)
        seen[path] = fused[fused.scores >= least]
    return seen


class Stored(NamedTuple):
    """One view of an image, masks of strong detections packed."""

    boxes: Float32[ndarray, "n 4"]
    scores: Float32[ndarray, " n"]
    class_ids: ndarray
    strong: ndarray
    masks: UInt8[ndarray, "s m p"]

    @classmethod
    def of(cls, found: Detections, mask_score: float) -> Stored:
        """Without the masks of weak detections."""
        strong = found.scores >= mask_score
        return cls(
            found.boxes, found.scores, found.class_ids, strong, np.packbits(_masks_of(found)[strong] >= 128, axis=-1)
        )

    def expand(self) -> Detections:
        """With zeros for masks that were not kept."""
        masks = np.zeros((len(self.scores), MASK_SIZE, MASK_SIZE), np.uint8)
        masks[self.strong] = np.unpackbits(self.masks, axis=-1) * 255
        return Detections(self.boxes, self.scores, self.class_ids, masks)


def _renamed(found: Detections, table: ndarray) -> Detections:
    ids = table[found.class_ids]
    return replace(found, class_ids=ids)[ids >= 0]


def _ask(
    teacher: Teacher,
    samples: Sequence[Sample],
    keys: Mapping[Path, str],
    folder: Path,
    config: FusionConfig,
    *,
    mirrored: bool,
) -> dict[str, Stored]:
    """Detections of one view by the key of the image; what the folder holds is not asked again."""
    place = folder / (teacher.name + ("-mirrored" if mirrored else ""))
    known = _load_shards(place)
    missing = [sample for sample in samples if keys[sample.path] not in known]
    for start in range(0, len(missing), SHARD):
        log.info("teacher %s: %d of %d images", place.name, start, len(missing))
        shard = {}
        for sample in missing[start : start + SHARD]:
            image = sample.read()
            [found] = teacher.detector.detect([np.ascontiguousarray(image[:, ::-1]) if mirrored else image])
            found = mirror_detections(found, sample.width) if mirrored else found
            shard[keys[sample.path]] = Stored.of(found, config.mask_score)
        _save_shard(place, shard)
        known |= shard
    return known


def mirror_detections(found: Detections, width: int) -> Detections:
    """Detections of a mirrored image in the image itself."""
    x1, y1, x2, y2 = found.boxes.T
    masks = None if found.masks is None else np.ascontiguousarray(found.masks[:, :, ::-1])
    return replace(found, boxes=np.stack((width - x2, y1, width - x1, y2), axis=1), masks=masks)


def fuse_views(views: Sequence[Detections], *, overlap: float) -> Detections:
    """One box per object: the weighted mean of what the views see of it, best score first.

    A mask of zeros stands where no view gives one.

    Two views see one object, at scores 0.9 and 0.3; a second one is seen by the first view alone and loses half:

    >>> def view(boxes, scores):
    ...     return Detections(np.float32(boxes), np.float32(scores), np.zeros(len(scores), np.int32))
    >>> views = [view([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.4]), view([[0, 0, 12, 10]], [0.3])]
    >>> fused = fuse_views(views, overlap=0.55)
    >>> fused.boxes.tolist(), fused.scores.round(2).astype(float).round(2).tolist()
    ([[0.0, 0.0, 10.5, 10.0], [50.0, 50.0, 60.0, 60.0]], [0.6, 0.2])
    """
    boxes = np.concatenate([view.boxes for view in views])
    scores = np.concatenate([view.scores for view in views])
    class_ids = np.concatenate([view.class_ids for view in views])
    masks: UInt8[ndarray, "n m m"] = np.concatenate([_masks_of(view) for view in views])
    order = np.argsort(-scores, kind="stable")
    means: list[Float32[ndarray, " 4"]] = []
    members: list[list[int]] = []
    for row in order.tolist():
        same = [place for place, own in enumerate(members) if class_ids[own[0]] == class_ids[row]]
        best = -1
        if same:
            covered = iou(boxes[row : row + 1], np.array([means[place] for place in same], np.float32))[0]
            best = same[int(covered.argmax())] if covered.max() >= overlap else -1
        if best < 0:
            members.append([row])
            means.append(boxes[row])
        else:
            members[best].append(row)
            weights = scores[members[best]]
            means[best] = (boxes[members[best]] * weights[:, None]).sum(axis=0) / weights.sum()
    fused = [float(scores[own].mean()) * min(len(own), len(views)) / len(views) for own in members]
    best_first = np.argsort(-np.array(fused, np.float32), kind="stable")
    chosen = [members[place] for place in best_first]
    mean_boxes = np.array([means[place] for place in best_first], np.float32).reshape(-1, 4)
    return Detections(
        mean_boxes,
        np.array([fused[place] for place in best_first], np.float32),
        np.array([class_ids[own[0]] for own in chosen], np.int32),
        np.stack([_best_mask(own, boxes, masks, box) for own, box in zip(chosen, mean_boxes, strict=True)])
        if chosen
        else np.empty((0, MASK_SIZE, MASK_SIZE), np.uint8),
    )


def _best_mask(
    rows: Sequence[int], boxes: Float32[ndarray, "n 4"], masks: UInt8[ndarray, "n m m"], box: Float32[ndarray, " 4"]
) -> UInt8[ndarray, "m m"]:
    """The first mask that is not empty, for another box."""
    row = next((row for row in rows if masks[row].any()), None)
    return np.zeros((MASK_SIZE, MASK_SIZE), np.uint8) if row is None else stretch_mask(masks[row], boxes[row], box)


def stretch_mask(mask: UInt8[ndarray, "m m"], source: ndarray, target: ndarray) -> UInt8[ndarray, "m m"]:
    """A mask that is stretched over the box `source`, as one that is stretched over the box `target`."""
    (x1, y1, x2, y2), (left, top, right, bottom) = source.tolist(), target.tolist()
    scale_x, scale_y = (right - left) / max(x2 - x1, 1e-3), (bottom - top) / max(y2 - y1, 1e-3)
    shift_x = (left - x1) / max(x2 - x1, 1e-3) * MASK_SIZE + 0.5 * scale_x - 0.5
    shift_y = (top - y1) / max(y2 - y1, 1e-3) * MASK_SIZE + 0.5 * scale_y - 0.5
    warp = np.array(((scale_x, 0, shift_x), (0, scale_y, shift_y)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask, warp, (MASK_SIZE, MASK_SIZE), flags=flags).astype(np.uint8)


def _masks_of(found: Detections) -> UInt8[ndarray, "n m m"]:
    """Its masks at the stored size; zeros without."""
    if found.masks is None:
        return np.zeros((len(found), MASK_SIZE, MASK_SIZE), np.uint8)
    if found.masks.shape[1:] == (MASK_SIZE, MASK_SIZE):
        return found.masks
    resized = [cv2.resize(mask, (MASK_SIZE, MASK_SIZE)) for mask in found.masks]
    return np.array(resized, np.uint8).reshape(-1, MASK_SIZE, MASK_SIZE)


def _save_shard(place: Path, shard: dict[str, Stored]) -> None:
    """One more file in the folder of a view."""
    found = list(shard.values())
    rows = {
        "keys": np.array(list(shard)),
        "counts": np.array([len(own.scores) for own in found]),
        "strong_counts": np.array([len(own.masks) for own in found]),
        **{name: np.concatenate([getattr(own, name) for own in found]) for name in Stored._fields},
    }
    name = hashlib.sha256("".join(shard).encode()).hexdigest()[:12]

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **rows)

    write_atomically(place / f"{name}.npz", write)


def _load_shards(place: Path) -> dict[str, Stored]:
    """What the folder of a view holds, by the key of the image."""
    known: dict[str, Stored] = {}
    for file in sorted(place.glob("*.npz")):
        with np.load(file) as stored:
            rows = {name: stored[name] for name in stored.files}
        edges = np.concatenate(([0], np.cumsum(rows["counts"]))).tolist()
        mask_edges = np.concatenate(([0], np.cumsum(rows["strong_counts"]))).tolist()
        for number, key in enumerate(rows["keys"].tolist()):
            own, masks = slice(*edges[number : number + 2]), slice(*mask_edges[number : number + 2])
            boxes, scores, class_ids, strong = (rows[name][own] for name in Stored._fields[:-1])
            known[key] = Stored(boxes, scores, class_ids, strong, rows["masks"][masks])
    return known
