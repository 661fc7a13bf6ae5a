"""COCO average precision of any Detector, boxes and masks, per class, where each image counts only what it labels.

The numbers are pycocotools' own: for every class, COCOeval runs over the images whose folder labels that class.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from tracker.evaluate.ground_truth import DataSet, ObjectMask, Sample
from tracker.geometry import paste_mask
from tracker.protocols import Detector
from tracker.types import Detections

__all__ = ["ClassPrecision", "average_precision", "detect_all", "evaluate_detector", "one_person_masks"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassPrecision:
    """Average precision of one class; NaN where the data have no such object."""

    ap: float
    """Mean over IoU 0.50 to 0.95."""
    ap50: float
    ap75: float
    objects: int
    """Labelled objects it was judged by."""


def detect_all(detector: Detector, samples: Sequence[Sample], *, batch: int = 8) -> list[Detections]:
    """The detector's finds on every image."""
    found: list[Detections] = []
    for start in range(0, len(samples), batch):
        found += detector.detect([sample.read() for sample in samples[start : start + batch]])
    return found


def average_precision(
    samples: Sequence[Sample],
    found: Sequence[Detections],
    labels: Mapping[int, str],
    *,
    masks: bool = False,
    max_detections: int = 100,
) -> dict[str, ClassPrecision]:
    """Per label: AP of the finds, whose class ids and the samples' are keys of `labels`.

    With `masks`, objects without an outline are taken out, together with the images that hold any.
    """
    result = {}
    for class_id, label in labels.items():
        rows = [
            row
            for row, sample in enumerate(samples)
            if class_id in sample.labelled
            and (
                not masks
                or all(p is not None for p, c in zip(sample.polygons, sample.class_ids, strict=True) if c == class_id)
            )
        ]
        result[label] = class_precision(
            [samples[row] for row in rows], [found[row] for row in rows], class_id, masks, max_detections
        )
    return result


def class_precision(
    samples: Sequence[Sample], found: Sequence[Detections], class_id: int, masks: bool, max_detections: int
) -> ClassPrecision:
    """AP of one class over images that all label it."""
    from pycocotools import mask as coco_mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ground_truth: list[dict[str, Any]] = []
    finds: list[dict[str, Any]] = []
    for image, (sample, own) in enumerate(zip(samples, found, strict=True), 1):
        for row in np.flatnonzero(sample.class_ids == class_id).tolist():
            entry = labelled_box(sample.boxes[row], len(ground_truth) + 1, image, crowd=False)
            if masks:
                outline = sample.polygons[row]
                assert outline is not None
                entry["segmentation"] = encode_outline(outline, sample)
                entry["area"] = float(coco_mask.area(entry["segmentation"]))
            ground_truth.append(entry)
        ground_truth += [
            ignored_region(region, len(ground_truth) + n, image, sample, masks)
            for n, region in enumerate(sample.ignored_for(class_id), 1)
        ]
        chosen = own[own.class_ids == class_id]
        for row in range(len(chosen)):
            x1, y1, x2, y2 = (float(edge) for edge in chosen.boxes[row])
            find: dict[str, Any] = {
                "image_id": image,
                "category_id": 1,
                "score": float(chosen.scores[row]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
            }
            if masks:
                if chosen.masks is None:
                    continue
                full = np.zeros((sample.height, sample.width), bool)
                window, covered = paste_mask(chosen.masks[row], chosen.boxes[row], sample.width, sample.height)
                full[window] = covered
                find = {**find, "segmentation": encode(full)}
                del find["bbox"]
            finds.append(find)
    objects = sum(not entry["iscrowd"] for entry in ground_truth)
    if not objects:
        return ClassPrecision(float("nan"), float("nan"), float("nan"), 0)
    if not finds:
        return ClassPrecision(0.0, 0.0, 0.0, objects)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": n, "width": s.width, "height": s.height} for n, s in enumerate(samples, 1)],
            "annotations": ground_truth,
            "categories": [{"id": 1}],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(finds), "segm" if masks else "bbox")
        judge.params.maxDets = [1, 10, max_detections]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, 0, 0, -1]  # (IoU threshold, recall), all areas, most detections
    thresholds = judge.params.iouThrs

    def mean(rows: ndarray) -> float:
        values = precision[rows]
        values = values[values > -1]
        return float(values.mean()) if values.size else 0.0

    return ClassPrecision(
        mean(np.ones(len(thresholds), bool)),
        mean(np.isclose(thresholds, 0.5)),
        mean(np.isclose(thresholds, 0.75)),
        objects,
    )


def labelled_box(box: ndarray, number: int, image: int, *, crowd: bool) -> dict[str, Any]:
    """A COCO annotation of the one class that is evaluated."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    width, height = x2 - x1, y2 - y1
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": int(crowd),
        "bbox": [x1, y1, width, height],
        "area": width * height,
    }


def ignored_region(region: ndarray, number: int, image: int, sample: Sample, masks: bool) -> dict[str, Any]:
    """A region as a COCO crowd: detections inside count neither way."""
    entry = labelled_box(region, number, image, crowd=True)
    if masks:
        x1, y1, x2, y2 = (float(edge) for edge in region)
        corners = np.array(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), np.float32)
        entry["segmentation"] = encode_outline((corners,), sample)
    return entry


def encode_outline(outline: ObjectMask, sample: Sample) -> dict[str, Any]:
    """Run-length code of an object: its own, or of the pixels inside its polygons as pycocotools draws them."""
    from pycocotools import mask as coco_mask

    if isinstance(outline, dict):
        return dict(outline)
    points = [part.astype(float).ravel().tolist() for part in outline]
    code: dict[str, Any] = coco_mask.merge(coco_mask.frPyObjects(points, sample.height, sample.width))
    return code


def encode(pixels: ndarray) -> dict[str, Any]:
    """Run-length code of a mask."""
    from pycocotools import mask as coco_mask

    code: dict[str, Any] = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
    return code


def one_person_masks(samples: Sequence[Sample], found: Sequence[Detections], person: int = 0) -> ClassPrecision:
    """Mask AP on the images that hold exactly one labelled person, outlined."""
    rows = [
        row
        for row, sample in enumerate(samples)
        if person in sample.labelled
        and (sample.class_ids == person).sum() == 1
        and sample.polygons[int(np.flatnonzero(sample.class_ids == person)[0])] is not None
    ]
    return class_precision([samples[row] for row in rows], [found[row] for row in rows], person, True, 100)


def evaluate_detector(
    detector: Detector, data: DataSet, *, masks: bool = True
) -> tuple[dict[str, ClassPrecision], dict[str, ClassPrecision]]:
    """(box AP, mask AP) per label of the data; detector classes are matched by name."""
    found = rename(detect_all(detector, data.samples), detector.labels, data.labels)
    names = dict(enumerate(data.labels))
    boxes = average_precision(data.samples, found, names)
    outlines = average_precision(data.samples, found, names, masks=True) if masks else {}
    return boxes, outlines


def rename(found: Sequence[Detections], labels: Sequence[str], wanted: Sequence[str]) -> list[Detections]:
    """Finds with the class ids of `wanted`; other classes are dropped."""
    table = np.array([wanted.index(label) if label in wanted else -1 for label in labels], np.int32)
    renamed = []
    for own in found:
        ids = table[own.class_ids] if len(own) else own.class_ids
        masks = own.masks
        renamed.append(Detections(own.boxes, own.scores, ids.astype(np.int32), masks)[ids >= 0])
    return renamed
