"""From a network's raw numbers to Detections of the original image: threshold, decode, suppress, cut out masks.

Plain numpy and OpenCV; the work grows with the candidates above the threshold, not with the size of the maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8
from numpy import ndarray

from tracker.detect.further_classes import LARGEST, ONE_OBJECT_IOU, chances_left, weigh_contradicted
from tracker.detect.mask_parts import without_specks_and_holes
from tracker.detect.pooled_embedding import describe
from tracker.geometry import Letterbox, clip, cxcywh_to_xyxy, nms
from tracker.geometry import iou as overlaps
from tracker.nets.model_card import scaled_side
from tracker.types import Detections

__all__ = [
    "AnchorLayout",
    "Candidates",
    "cut_masks",
    "decode_anchors",
    "decode_yolox",
    "one_class_each",
    "suppress",
    "voted",
]

MAX_CANDIDATES = 3000
"""Boxes of the best scores that suppression compares with each other; its time grows with their square."""
LOGIT_STEPS = 16
"""Mask logits are kept in steps of 1/16 from -8 to 8, where the sigmoid is within 1/255 of its ends."""
COVERAGE_OF_LOGIT = np.round(255 / (1 + np.exp(-(np.arange(256) - 128) / LOGIT_STEPS))).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class AnchorLayout:
    """How the raw maps of our network are to be read; see tracker/nets/yolo.py."""

    strides: tuple[int, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    """Width and height in input pixels of each anchor of each level."""
    classes: int
    coefficients: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Decoded boxes above the threshold, in pixels of the letterboxed canvas as the network scaled it."""

    boxes: Float32[ndarray, "n 4"]
    scores: Float32[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    coefficients: Float32[ndarray, "n c"]

    def __getitem__(self, rows: ndarray) -> Candidates:
        return Candidates(self.boxes[rows], self.scores[rows], self.class_ids[rows], self.coefficients[rows])

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """All rows, part after part."""
        names = ("boxes", "scores", "class_ids", "coefficients")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def decode_anchors(
    maps: Sequence[Float32[ndarray, "k c h w"]],
    layout: AnchorLayout,
    *,
    conf: float,
    classes: Int32[ndarray, " q"] | None = None,
    further: float = 1.0,
) -> Candidates:
    """Boxes of one image whose best wanted class scores at least `conf`, from the raw maps of each level.

    A box comes once more for each other wanted class that counts for at least `further` (further_classes.py), which is
    none from 1/4 on. The score is sigmoid(objectness) * sigmoid(class). Source: Redmon and Farhadi 2018 for the
    sizes, Ge et al. 2021 for the linear centres.
    """
    parts = []
    with np.errstate(over="ignore", invalid="ignore"):
        floor = np.float32(np.log(max(conf, 1e-6) / max(1 - conf, 1e-6)))
        for level, stride, anchors in zip(maps, layout.strides, layout.anchors, strict=True):
            likeliest = level[:, _channels(layout, classes)].max(axis=1)
            anchor, row, column = np.nonzero((level[:, 4] >= floor) & (likeliest >= floor))
            cells = level[anchor, :, row, column]
            chances = _sigmoid(cells[:, 5 : 5 + layout.classes])
            best, class_score = _best_class(chances, classes)
            objectness = _sigmoid(cells[:, 4])
            score = objectness * class_score
            above = score >= conf
            cells, anchor, row, column = cells[above], anchor[above], row[above], column[above]
            chances = objectness[above, None] * chances[above]
            anchor_width, anchor_height = np.asarray(anchors, np.float32)[anchor].T
            found = Candidates(
                _boxes(cells, column, row, stride, anchor_width, anchor_height),
                score[above].astype(np.float32),
                best[above],
                cells[:, 5 + layout.classes :].astype(np.float32),
            )
            parts.append(_with_further_classes(found, chances, classes, further))
    return Candidates.joined(parts)


def decode_yolox(
    output: Float32[ndarray, "n c"],
    *,
    width: int,
    height: int,
    conf: float,
    classes: Int32[ndarray, " q"] | None = None,
    further: float = 1.0,
    strides: tuple[int, ...] = (8, 16, 32),
) -> Candidates:
    """Boxes of one image from YOLOX's output, whose objectness and classes are already probabilities.

    `further` as in `decode_anchors`. Source: Ge et al. 2021; the grid is laid out level after level, row by row.
    """
    columns, rows, steps = [], [], []
    for stride in strides:
        row, column = np.mgrid[: height // stride, : width // stride]
        columns.append(column.ravel())
        rows.append(row.ravel())
        steps.append(np.full(row.size, stride))
    best, class_score = _best_class(output[:, 5:], classes)
    score = output[:, 4] * class_score
    above = np.flatnonzero(score >= conf)
    step = np.concatenate(steps)[above]
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = _boxes(output[above], np.concatenate(columns)[above], np.concatenate(rows)[above], step, step, step)
    found = Candidates(
        boxes,
        score[above].astype(np.float32),
        best[above],
        np.empty((len(above), 0), np.float32),
    )
    return _with_further_classes(found, output[above, 4:5] * output[above, 5:], classes, further)


def suppress(
    candidates: Candidates, *, iou: float, max_det: int, further: float = 1.0, voting: float = 0.0
) -> Candidates:
    """The best box of each object, best score first, at most `max_det`.

    It comes with one class, or from the score `further` on with others too (further_classes.py), and with `voting` as
    the mean of the boxes it suppressed and itself.
    Boxes that are not finite are kept to be counted by the pipeline; they suppress nobody.
    """
    finite = np.isfinite(candidates.boxes).all(axis=1)
    broken = np.flatnonzero(~finite)[:max_det]
    rows = np.flatnonzero(finite)
    if len(rows) > MAX_CANDIDATES:
        rows = rows[np.argsort(-candidates.scores[rows], kind="stable")[:MAX_CANDIDATES]]
    voters = candidates[rows]
    kept = nms(voters.boxes, voters.scores, voters.class_ids, threshold=iou)
    chosen = one_class_each(voters[kept], overlap=max(iou, ONE_OBJECT_IOU), further=further)
    chosen = chosen[np.arange(min(len(chosen.boxes), max_det))]
    if voting:
        chosen = voted(chosen, voters, iou=iou, width=voting)
    return Candidates.joined([chosen, candidates[broken]]) if len(broken) else chosen


def voted(kept: Candidates, voters: Candidates, *, iou: float, width: float) -> Candidates:
    """Each kept box as the weighted mean of the `voters` of its class that overlap it by more than `iou`, and itself.

    A voter weighs score * exp(-(1 - overlap)^2 / width). Source: Kim and Lee, "Probabilistic anchor assignment with IoU
    prediction", ECCV 2020, section 3.4, whose width is 0.025.

    The second box overlaps the first by 0.8 and is half as sure: it weighs 0.4 exp(-0.2^2 / 0.1) = 0.27 beside 0.8.

    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [20, 0, 30, 10]], np.float32)
    >>> voters = Candidates(boxes, np.array([0.8, 0.4, 0.9], np.float32), np.zeros(3, np.int32), np.empty((3, 0)))
    >>> voted(voters[np.array([2, 0])], voters, iou=0.7, width=0.1).boxes.round(2).tolist()
    [[20.0, 0.0, 30.0, 10.0], [0.0, 0.0, 10.0, 9.5]]
    """
    overlap = overlaps(kept.boxes, voters.boxes)  # (n, m)
    weights = voters.scores * np.exp(-((1 - overlap) ** 2) / np.float32(width))
    weights *= (overlap > iou) & (kept.class_ids[:, None] == voters.class_ids)
    total = weights.sum(axis=1, keepdims=True)  # nothing where not even the box itself overlaps by so much
    means = weights @ voters.boxes / np.where(total > 0, total, 1)
    return replace(kept, boxes=np.where(total > 0, means, kept.boxes).astype(np.float32))


def one_class_each(found: Candidates, *, overlap: float, further: float) -> Candidates:
    """Of what is left of each class, best first: one box for each object, with weak further classes if wanted."""
    if len(np.unique(found.class_ids)) < 2:
        return found
    if further >= LARGEST:
        return found[nms(found.boxes, found.scores, threshold=overlap)]
    rows, scores = weigh_contradicted(found.boxes, found.scores, least=further, overlap=overlap)
    return replace(found[rows], scores=scores)


def to_detections(
    found: Candidates,
    letterbox: Letterbox,
    *,
    input_scale: float = 1.0,
    image_width: int,
    image_height: int,
    prototypes: Float32[ndarray, "c ph pw"] | None = None,
    features: Float32[ndarray, "d fh fw"] | None = None,
) -> Detections:
    """The objects in pixels of the original image, clipped to it.

    With masks where there are prototypes, and with what they look like where there are features. Both are read by
    shares of the canvas, so only the boxes have to be taken back from a network with an `input_scale` of its own.
    """
    width, height = letterbox.width, letterbox.height
    across, down = width / scaled_side(width, input_scale), height / scaled_side(height, input_scale)
    boxes = found.boxes * np.array([across, down, across, down], np.float32)
    boxes = clip(letterbox.to_image(boxes), image_width, image_height)
    on_canvas = letterbox.to_canvas(boxes)
    masks = embeddings = None
    if prototypes is not None:
        masks = without_specks_and_holes(
            cut_masks(prototypes, found.coefficients, on_canvas, width=width, height=height)
        )
    if features is not None:
        embeddings = describe(features, on_canvas, width=width, height=height)
    return Detections(boxes, found.scores, found.class_ids, masks, embeddings)


def cut_masks(
    prototypes: Float32[ndarray, "c ph pw"],
    coefficients: Float32[ndarray, "n c"],
    boxes: Float32[ndarray, "n 4"],
    *,
    width: int,
    height: int,
) -> UInt8[ndarray, "n m m"]:
    """Each object's coverage stretched over its box, m at least the largest box's extent in prototype cells.

    `boxes` are in pixels of a canvas of `width` x `height`, which the prototypes cover. Only the cells under a box are
    combined.
    Source: Bolya et al., YOLACT, ICCV 2019, eq. 1.
    """
    rows, columns = prototypes.shape[1:]
    across, down = columns / width, rows / height
    usable = np.isfinite(boxes).all(axis=1)
    cells = np.where(usable[:, None], boxes, 0) * np.array([across, down, across, down], np.float32)
    x1, y1, x2, y2 = cells.T
    extent = float(np.maximum(x2 - x1, y2 - y1).max(initial=0))
    size = int(np.clip(-(-extent // 16) * 16, 32, max(rows, columns)))
    masks = np.zeros((len(boxes), size, size), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for mask, weights, (left, top, right, bottom) in zip(masks, coefficients, cells.tolist(), strict=True):
        if right <= left or bottom <= top:
            continue
        # One cell more on each side, so that the edges are read between two cells.
        first_row, last_row = max(0, int(top) - 1), min(rows, int(bottom) + 2)
        first_column, last_column = max(0, int(left) - 1), min(columns, int(right) + 2)
        window = prototypes[:, first_row:last_row, first_column:last_column]
        if not window.size:
            continue
        logits = (weights @ window.reshape(len(weights), -1)).reshape(window.shape[1:])
        steps = np.clip(logits * LOGIT_STEPS + 128.5, 0, 255).astype(np.uint8)
        step_x, step_y = (right - left) / size, (bottom - top) / size
        from_mask = np.array(
            [
                [step_x, 0, left - first_column + step_x / 2 - 0.5],
                [0, step_y, top - first_row + step_y / 2 - 0.5],
            ]
        )
        cv2.warpAffine(steps, from_mask, (size, size), dst=mask, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    covered: ndarray = COVERAGE_OF_LOGIT[masks] if len(masks) else masks
    return covered


def _channels(layout: AnchorLayout, classes: Int32[ndarray, " q"] | None) -> slice | ndarray:
    """Where a map has the wanted classes; those of one run come without a copy."""
    if classes is None:
        return slice(5, 5 + layout.classes)
    first, last = int(classes[0]), int(classes[-1])
    return slice(5 + first, 6 + last) if last - first + 1 == len(classes) else 5 + classes


def _boxes(
    answers: Float32[ndarray, "n c"],
    column: Int64[ndarray, " n"],
    row: Int64[ndarray, " n"],
    stride: int | Int64[ndarray, " n"],
    width: ndarray,
    height: ndarray,
) -> Float32[ndarray, "n 4"]:
    """Corners from the first four answers of cells: the centre in cells from the cell's own corner, and how many times
    as large the box is as `width` and `height`, as a logarithm.
    """
    tx, ty, tw, th = answers[:, :4].T
    cxcywh = np.stack([(column + tx) * stride, (row + ty) * stride, width * np.exp(tw), height * np.exp(th)], axis=1)
    return cxcywh_to_xyxy(cxcywh).astype(np.float32)


def _best_class(
    chances: Float32[ndarray, "n q"], classes: Int32[ndarray, " k"] | None
) -> tuple[Int32[ndarray, " n"], Float32[ndarray, " n"]]:
    best = chances.argmax(axis=1) if classes is None else classes[chances[:, classes].argmax(axis=1)]
    return best.astype(np.int32), chances[np.arange(len(chances)), best]


def _with_further_classes(
    found: Candidates, chances: Float32[ndarray, "n q"], classes: Int32[ndarray, " k"] | None, further: float
) -> Candidates:
    """The boxes, then the finite ones again for each other wanted class that counts for at least `further`."""
    if further >= LARGEST or not len(found.boxes):
        return found
    chances = chances_left(chances, found.scores)
    others = chances >= further
    others[np.arange(len(others)), found.class_ids] = False
    others &= np.isfinite(found.boxes).all(axis=1)[:, None]
    if classes is not None:
        others[:, np.setdiff1d(np.arange(chances.shape[1]), classes)] = False
    rows, class_ids = np.nonzero(others)
    again = replace(found[rows], scores=chances[rows, class_ids], class_ids=class_ids.astype(np.int32))
    return Candidates.joined([found, again])


def _sigmoid(logits: Float32[ndarray, ...]) -> Float32[ndarray, ...]:
    chances: ndarray = np.float32(1) / (np.float32(1) + np.exp(-logits))
    return chances
