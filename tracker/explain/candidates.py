"""Every box a detector proposes for an image, before suppression: which anchor, cell and stride each comes from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray

from tracker.geometry import Letterbox, nms
from tracker.nets.anchors import decode, flatten, lay_grid
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import YoloNet
from tracker.overlay.palette import WHITE, colour_of
from tracker.overlay.shapes import draw_box, to_pixels
from tracker.types import Image

__all__ = ["Proposals", "draw_grid", "draw_proposals", "find_proposals"]

FLOOR = 0.02
"""Proposals below this score are left out."""
MOST = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Boxes of all anchors, best first, in pixels of the image."""

    boxes: Float32[ndarray, "n 4"]
    scores: Float32[ndarray, " n"]
    class_ids: Int64[ndarray, " n"]
    strides: Int64[ndarray, " n"]
    """Of the map that each comes from."""
    cells: Float32[ndarray, "n 2"]
    """Centre of the cell, x and y in pixels of the image."""
    anchors: Float32[ndarray, "n 2"]
    """Width and height of the anchor in pixels of the image."""

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: ndarray) -> Proposals:
        return Proposals(
            self.boxes[rows], self.scores[rows], self.class_ids[rows], self.strides[rows], self.cells[rows],
            self.anchors[rows],
        )  # fmt: skip

    def above(self, conf: float) -> Proposals:
        """Those that score at least `conf`."""
        return self[np.flatnonzero(self.scores >= conf)]

    def suppressed(self, iou: float) -> Proposals:
        """Of boxes of one class that overlap more than `iou` the best one."""
        return self[nms(self.boxes, self.scores, self.class_ids, threshold=iou)]


@torch.inference_mode()
def find_proposals(network: YoloNet, card: ModelCard, image: Image) -> Proposals:
    """What the network proposes for an image with a score of 0.02 or more, at most 2000."""
    letterbox = Letterbox.fit(image.shape[1], image.shape[0], card.scaled_size)
    canvas = torch.from_numpy(letterbox.apply(image)).permute(2, 0, 1)[None].float() / 255
    levels = network.eval()(canvas).levels
    grid = lay_grid([(level.shape[3], level.shape[4]) for level in levels], card.anchors, card.strides)
    flat = flatten(levels)[0]
    probabilities, class_ids = flat[:, 5 : 5 + len(card.labels)].sigmoid().max(dim=1)
    scores = flat[:, 4].sigmoid() * probabilities
    rows = torch.nonzero(scores >= FLOOR)[:, 0]
    rows = rows[scores[rows].argsort(descending=True, stable=True)[:MOST]]
    boxes = letterbox.to_image(decode(flat[:, :4], grid)[rows].numpy().reshape(-1, 4))
    centres = torch.stack(((grid.columns + 0.5) * grid.strides, (grid.rows + 0.5) * grid.strides), dim=1)[rows].numpy()
    sizes = torch.stack((grid.widths, grid.heights), dim=1)[rows].numpy()
    shift = np.array([letterbox.left, letterbox.top], np.float32)
    scale = np.float32(letterbox.scale)
    return Proposals(
        boxes,
        scores[rows].numpy(),
        class_ids[rows].numpy(),
        grid.strides[rows].long().numpy(),
        (centres - shift) / scale,
        sizes / scale,
    )


def draw_proposals(image: Image, shown: Proposals, *, anchors: bool = False) -> Image:
    """The boxes in the colour of their class, the weakest first; with `anchors` each one's anchor around its cell."""
    canvas = image.copy()
    size = (image.shape[1], image.shape[0])
    for row in range(len(shown) - 1, -1, -1):
        colour = colour_of(int(shown.class_ids[row]) + 1)
        if anchors:
            (x, y), (width, height) = shown.cells[row].tolist(), shown.anchors[row].tolist()
            corners = to_pixels((x - width / 2, y - height / 2, x + width / 2, y + height / 2), size)
            if corners is not None:
                cv2.rectangle(canvas, corners[:2], corners[2:], WHITE, 1)
            cv2.circle(canvas, (round(x), round(y)), 2, WHITE, -1)
        corners = to_pixels(shown.boxes[row].tolist(), size)
        if corners is not None:
            draw_box(canvas, corners, colour, line=2)
    return canvas


def draw_grid(image: Image, stride: int, input_size: int) -> Image:
    """The image with the cells of one stride, as the network of that input size lays them."""
    canvas = image.copy()
    letterbox = Letterbox.fit(image.shape[1], image.shape[0], input_size)
    for axis, (length, shift) in enumerate(((image.shape[1], letterbox.left), (image.shape[0], letterbox.top))):
        edges = (np.arange(0, input_size + stride, stride) - shift) / letterbox.scale
        for edge in np.round(edges[(edges > 0) & (edges < length)]).astype(int).tolist():
            if axis == 0:
                canvas[:, edge] = canvas[:, edge] // 2 + 100
            else:
                canvas[edge] = canvas[edge] // 2 + 100
    return canvas
