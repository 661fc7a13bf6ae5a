"""Where in the picture a detection's evidence lies: Grad-CAM (Selvaraju et al., 2017).

The score of one box is followed back to a feature map; channels are weighed by their mean gradient, added up, and what
speaks against the box is cut off. Where we differ: the gradient is averaged over the whole map although the score
depends on a part of it only, so maps are comparable within a picture, not between pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor

from tracker.geometry import Letterbox
from tracker.nets.anchors import decode, flatten, lay_grid
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import YoloNet
from tracker.types import Image

__all__ = ["Evidence", "find_evidence"]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One box and where it was seen."""

    box: Float32[ndarray, " 4"]
    """Pixels of the picture."""
    score: float
    class_id: int
    heat: Float32[ndarray, "h w"]
    """0 to 1 over the picture."""


def find_evidence(
    network: YoloNet, card: ModelCard, image: Image, box: Float32[ndarray, " 4"], *, stride: int = 16
) -> Evidence:
    """The evidence for the answer that fits `box` (pixels of the picture) best, in the backbone's map of that stride.

    Raises ValueError for a stride that the backbone has no map of.
    """
    if stride not in network.backbone.strides:
        raise ValueError(f"stride {stride}: the backbone has maps at strides {network.backbone.strides}")
    letterbox = Letterbox.fit(image.shape[1], image.shape[0], card.input_size)
    pixels = torch.from_numpy(letterbox.apply(image)).permute(2, 0, 1)[None].float() / 255
    maps, raw = run_with_maps(network, pixels, stride)
    flat = flatten(raw)[0]
    grid = lay_grid([(level.shape[3], level.shape[4]) for level in raw], card.anchors, card.strides)
    boxes = decode(flat[:, :4], grid)
    classes = flat[:, 5 : 5 + len(card.labels)].sigmoid()
    scores = flat[:, 4].sigmoid() * classes.max(dim=1).values
    wanted = torch.from_numpy(letterbox.to_canvas(box[None]))
    row = int((pair_iou(boxes.detach(), wanted)[:, 0] * scores.detach().sqrt()).argmax())
    class_id = int(classes[row].argmax())
    answer = flat[row, 4] + flat[row, 5 + class_id]  # logits: a sure answer's sigmoid has no slope left
    (gradient,) = torch.autograd.grad(answer, maps)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = (weights * maps).sum(dim=1)[0].clamp(min=0).detach().numpy()
    return Evidence(
        letterbox.to_image(boxes[row].detach().numpy()[None])[0],
        float(scores[row].detach()),
        class_id,
        over_picture(heat, letterbox, width=image.shape[1], height=image.shape[0]),
    )


def run_with_maps(network: YoloNet, pixels: Tensor, stride: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """(the backbone's map of that stride, the raw levels that follow from it)."""
    kept: list[Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: object, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        place = network.backbone.strides.index(stride)
        leaf = outputs[place].detach().requires_grad_()
        kept.append(leaf)
        return (*outputs[:place], leaf, *outputs[place + 1 :])

    handle = network.backbone.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            raw = network.eval()(pixels)
    finally:
        handle.remove()
    return kept[0], raw.levels


def pair_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Overlaps, n x m."""
    low = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(dim=-1) for each in (boxes, others)]
    return shared / (areas[0][:, None] + areas[1][None] - shared).clamp(min=1e-6)


def over_picture(
    heat: Float32[ndarray, "i j"], letterbox: Letterbox, *, width: int, height: int
) -> Float32[ndarray, "h w"]:
    """A map of the canvas brought to the picture, its largest value 1; zeros stay."""
    canvas = cv2.resize(heat, (letterbox.width, letterbox.height), interpolation=cv2.INTER_LINEAR)
    top, left = letterbox.top, letterbox.left
    inner = canvas[top : top + letterbox.inner_height, left : left + letterbox.inner_width]
    spread = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
    largest = float(spread.max())
    return np.asarray(spread / largest if largest > 0 else spread, np.float32)
