"""Where in the image a detection's evidence lies.

    layercam    LayerCAM (Jiang et al., 2021): each place of a feature map, weighted by its own positive gradient
    hirescam    HiResCAM (Draelos and Carin, 2020): each place weighted by its own gradient of either sign
    gradcam     Grad-CAM (Selvaraju et al., 2017): channels weighted by their gradient's mean over the whole map
    eigencam    EigenCAM (Muhammad and Yeasin, 2020): the maps' first principal component, whatever is asked for
    occlusion   Zeiler and Fergus (2014): how much the score falls when a grey square hides a place

Grad-CAM was made for classifiers, whose score depends on the whole map. A detection depends on a part of it only, so
the mean over the map marks other objects as well: `python -m benchmarks.explanation` measures how much of each method's
heat lies inside the box of the person it explains.
Where we differ: a detection stands for every answer that suppression would have merged into it, so the score that is
followed back is the sum over all answers that fit the box, each weighted by its own score; and the heat is averaged
over a few images moved by some pixels, because a network with strides answers differently at each offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor

from tracker.errors import ConfigError
from tracker.geometry import Letterbox, iou
from tracker.nets.anchors import decode, flatten, lay_grid
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import YoloNet
from tracker.types import Image

__all__ = ["METHODS", "QUANTITIES", "Evidence", "Method", "Quantity", "find_evidence"]

Method: TypeAlias = Literal["layercam", "hirescam", "gradcam", "eigencam", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)
Quantity: TypeAlias = Literal["score", "class", "objectness", "box"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

SAME_OBJECT_IOU = 0.6
"""Answers that overlap the box this much are of the same object."""
SHIFTS = ((0, 0), (3, 3), (-3, 3), (3, -3), (-3, -3))
"""Pixels that the image is moved by; less than half the finest stride."""
PATCHES_ACROSS = 4
"""Occluding squares along the longer side of the box."""
MARGIN = 0.5
"""How far beyond the box occlusion looks, as a fraction of its longer side."""
BATCH = 16
PAD = 114 / 255


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One box and where it was seen."""

    box: Float32[ndarray, " 4"]
    """Pixels of the image."""
    score: float
    class_id: int
    heat: Float32[ndarray, "h w"]
    """0 to 1 over the image, its largest value 1 unless there is no evidence at all."""

    def fraction_inside(self) -> float:
        """The part of the heat that lies inside the box, 0 to 1."""
        x1, y1, x2, y2 = self.box
        height, width = self.heat.shape
        rows = (np.arange(height) + 0.5 > y1) & (np.arange(height) + 0.5 < y2)
        columns = (np.arange(width) + 0.5 > x1) & (np.arange(width) + 0.5 < x2)
        total = float(self.heat.sum())
        return float(self.heat[np.ix_(rows, columns)].sum()) / total if total > 0 else 0.0

    def peak(self) -> tuple[float, float]:
        """Where the heat is largest, x and y in pixels."""
        row, column = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        return float(column) + 0.5, float(row) + 0.5


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers of a canvas that belong to one object."""

    rows: Tensor
    """(k,) of the flattened maps."""
    weights: Tensor
    """(k,) their scores."""
    best: int
    """Row of the best of them."""
    class_id: int


def find_evidence(
    network: YoloNet,
    card: ModelCard,
    image: Image,
    box: Float32[ndarray, " 4"],
    *,
    method: Method = "layercam",
    stride: int = 8,
    quantity: Quantity = "score",
) -> Evidence:
    """The evidence for what the network sees at `box` (pixels of the image), in the backbone's map of that stride.

    `quantity` is what is followed back: the class's score with objectness, either alone, or the box's size. Raises
    ConfigError for a method, quantity or stride that does not exist.
    """
    _check(network, method, stride, quantity)
    height, width = image.shape[:2]
    letterbox = Letterbox.fit(width, height, card.input_size)
    wanted = letterbox.to_canvas(box[None])[0]
    canvas = torch.from_numpy(letterbox.apply(image)).permute(2, 0, 1)[None].float() / 255  # (1, 3, h, w)
    network.eval()
    with torch.no_grad():
        flat, boxes = _answer(network, card, canvas)
        answers = _choose(flat, boxes, wanted, len(card.labels))
    if method == "occlusion":
        heat = _occlude(network, card, canvas, wanted, answers, quantity)
    else:
        total = np.zeros(canvas.shape[2:], np.float32)
        for dx, dy in SHIFTS:
            moved = torch.roll(canvas, (dy, dx), dims=(2, 3))
            heat = _activation_map(network, card, moved, wanted + np.array([dx, dy, dx, dy]), method, stride, quantity)
            total += np.roll(cv2.resize(heat, (canvas.shape[3], canvas.shape[2])), (-dy, -dx), axis=(0, 1))
        heat = total
    best = flat[answers.best]
    score = best[4].sigmoid() * best[5 + answers.class_id].sigmoid()
    return Evidence(
        letterbox.to_image(boxes[answers.best].numpy()[None])[0],
        float(score),
        answers.class_id,
        _over_image(heat, letterbox, width=width, height=height),
    )


def _check(network: YoloNet, method: str, stride: int, quantity: str) -> None:
    choices: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("method", method, METHODS),
        ("quantity", quantity, QUANTITIES),
    )
    for what, value, known in choices:
        if value not in known:
            raise ConfigError(f"explain: no {what} {value!r}; there are {', '.join(known)}")
    if stride not in network.strides:
        there = ", ".join(map(str, network.strides))
        raise ConfigError(f"explain: no map at stride {stride} that answers are made from; there are {there}")


def _answer(network: YoloNet, card: ModelCard, canvases: Tensor) -> tuple[Tensor, Tensor]:
    """Raw answers (a, 5 + c + m) and decoded boxes (a, 4) of one canvas."""
    return _decoded(network(canvases).levels, card)


def _decoded(levels: tuple[Tensor, ...], card: ModelCard) -> tuple[Tensor, Tensor]:
    flat = flatten(levels)[0]
    grid = lay_grid([(level.shape[3], level.shape[4]) for level in levels], card.anchors, card.strides)
    return flat, decode(flat[:, :4], grid)


def _choose(flat: Tensor, boxes: Tensor, wanted: Float32[ndarray, " 4"], classes: int) -> _Answers:
    """The answers that suppression would merge into the one that fits `wanted` best."""
    overlap = torch.from_numpy(iou(boxes.numpy(), np.asarray(wanted, np.float32)[None])[:, 0])
    probabilities = flat[:, 5 : 5 + classes].sigmoid()
    scores = flat[:, 4].sigmoid() * probabilities.amax(dim=1)
    best = int((overlap * scores.sqrt()).argmax())
    rows = (overlap > SAME_OBJECT_IOU).nonzero()[:, 0]
    if best not in rows:
        rows = torch.tensor([best])
    return _Answers(rows, scores[rows], best, int(probabilities[best].argmax()))


def _measure(flat: Tensor, boxes: Tensor, answers: _Answers, quantity: Quantity) -> Tensor:
    """What is followed back, as one number. Logits: the sigmoid of a sure answer has no slope left."""
    rows = flat[answers.rows]
    if quantity == "box":
        x1, y1, x2, y2 = boxes[answers.rows].unbind(dim=1)
        values = (x2 - x1) + (y2 - y1)
    else:
        values = torch.zeros(len(rows))
        if quantity != "class":
            values = values + rows[:, 4]
        if quantity != "objectness":
            values = values + rows[:, 5 + answers.class_id]
    return (values * answers.weights).sum()


def _activation_map(
    network: YoloNet,
    card: ModelCard,
    canvas: Tensor,
    wanted: Float32[ndarray, " 4"],
    method: Method,
    stride: int,
    quantity: Quantity,
) -> Float32[ndarray, "i j"]:
    """The heat over the backbone's map of that stride, at least 0."""
    maps, levels = _run_with_maps(network, canvas, stride)
    if method == "eigencam":
        values = maps.detach()[0].flatten(1)  # (c, i j)
        _, _, directions = torch.linalg.svd(values - values.mean(dim=1, keepdim=True), full_matrices=False)
        heat = directions[0].reshape(maps.shape[2:])
        heat = heat * torch.sign(heat.flatten()[heat.abs().argmax()])  # a component has no sign of its own
        return np.asarray(heat.clamp(min=0).numpy(), np.float32)
    flat, boxes = _decoded(levels, card)
    with torch.no_grad():
        answers = _choose(flat.detach(), boxes.detach(), wanted, len(card.labels))
    (gradient,) = torch.autograd.grad(_measure(flat, boxes, answers, quantity), maps)
    weights = {
        "layercam": lambda: gradient.clamp(min=0),
        "hirescam": lambda: gradient,
        "gradcam": lambda: gradient.mean(dim=(2, 3), keepdim=True),
    }[method]()
    return np.asarray((weights * maps.detach()).sum(dim=1)[0].clamp(min=0).numpy(), np.float32)


def _run_with_maps(network: YoloNet, canvas: Tensor, stride: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """(the backbone's map of that stride, the raw levels that follow from it)."""
    with torch.no_grad():
        maps, embedding = network.backbone.maps_and_embedding(network.normalize(canvas))
    place = network.backbone.strides.index(stride)
    leaf = maps[place].detach().requires_grad_()
    with torch.enable_grad():
        raw = network.answer((*maps[:place], leaf, *maps[place + 1 :]), embedding)
    return leaf, raw.levels


def _occlude(
    network: YoloNet,
    card: ModelCard,
    canvas: Tensor,
    wanted: Float32[ndarray, " 4"],
    answers: _Answers,
    quantity: Quantity,
) -> Float32[ndarray, "h w"]:
    """How much the quantity falls where a square hides the canvas, averaged over all squares that hide a place."""
    height, width = canvas.shape[2:]
    x1, y1, x2, y2 = wanted.tolist()
    longer = max(x2 - x1, y2 - y1)
    patch = max(4, round(longer / PATCHES_ACROSS))
    left, right = max(0, int(x1 - MARGIN * longer)), min(width, int(x2 + MARGIN * longer))
    top, bottom = max(0, int(y1 - MARGIN * longer)), min(height, int(y2 + MARGIN * longer))
    step = max(2, patch * 2 // 3)
    places = [(y, x) for y in range(top, max(bottom - patch, top) + 1, step) for x in range(left, right, step)]
    fall, times = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    with torch.no_grad():
        whole = float(_measure(*_answer(network, card, canvas), answers, quantity))
        for start in range(0, len(places), BATCH):
            chosen = places[start : start + BATCH]
            hidden = canvas.repeat(len(chosen), 1, 1, 1)
            for row, (y, x) in enumerate(chosen):
                hidden[row, :, y : y + patch, x : x + patch] = PAD
            levels = network(hidden).levels
            for row, (y, x) in enumerate(chosen):
                flat, boxes = _decoded(tuple(level[row : row + 1] for level in levels), card)
                value = whole - float(_measure(flat, boxes, answers, quantity))
                fall[y : y + patch, x : x + patch] += value
                times[y : y + patch, x : x + patch] += 1
    return np.asarray(np.maximum(fall / np.maximum(times, 1), 0), np.float32)


def _over_image(
    heat: Float32[ndarray, "i j"], letterbox: Letterbox, *, width: int, height: int
) -> Float32[ndarray, "h w"]:
    """A map of the canvas brought to the image, its largest value 1; zeros stay."""
    canvas = cv2.resize(heat, (letterbox.width, letterbox.height), interpolation=cv2.INTER_LINEAR)
    top, left = letterbox.top, letterbox.left
    inner = canvas[top : top + letterbox.inner_height, left : left + letterbox.inner_width]
    spread = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
    largest = float(spread.max())
    return np.asarray(spread / largest if largest > 0 else spread, np.float32)
