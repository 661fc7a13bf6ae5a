"""What the page shows, computed off its thread: a question per tab, without Qt; torch is imported when needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tracker.extras import explain_missing
from tracker.types import Image

if TYPE_CHECKING:
    from tracker.explain.opened import OpenedNetwork

__all__ = ["KERNELS", "KernelQuestion", "MapsQuestion", "Opener", "ProposalsQuestion", "Shown"]

KERNELS: dict[str, tuple[float, ...]] = {
    "identity": (0, 0, 0, 0, 1, 0, 0, 0, 0),
    "blur": (1 / 9,) * 9,
    "sharpen": (0, -1, 0, -1, 5, -1, 0, -1, 0),
    "edges": (-1, -1, -1, -1, 8, -1, -1, -1, -1),
    "upright edges": (-1, 0, 1, -2, 0, 2, -1, 0, 1),
    "level edges": (-1, -2, -1, 0, 0, 0, 1, 2, 1),
    "emboss": (-2, -1, 0, -1, 1, 1, 0, 1, 2),
}
"""3 x 3, row by row, laid over the image without flipping (cross-correlation, as networks do it)."""
MOST_MAPS = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """An image and what is to be read below it."""

    image: Image
    words: str
    layers: tuple[str, ...] | None = None
    """The layers of the network, where one was asked."""


@dataclass(frozen=True, slots=True)
class KernelQuestion:
    """The image through one 3 x 3 kernel, as often as `times`."""

    kernel: tuple[float, ...]
    times: int = 1

    def answer(self, image: Image, opener: Opener) -> Shown:  # noqa: ARG002
        """The filtered image beside the original."""
        weights = np.array(self.kernel, np.float32).reshape(3, 3)
        values = image.astype(np.float32)
        for _ in range(self.times):
            filtered = cv2.filter2D(values, cv2.CV_32F, weights, borderType=cv2.BORDER_REFLECT_101)
            values = np.asarray(filtered, np.float32)
        low, high = float(values.min()), float(values.max())
        visible = np.clip(values, 0, 255).astype(np.uint8)
        count = 9 * image.shape[0] * image.shape[1] * self.times
        words = (
            f"sum of the kernel {weights.sum():.3g}; values {low:.0f} to {high:.0f}, cut to 0 to 255; "
            f"{count:,} multiplications a channel"
        )
        return Shown(np.concatenate((image, visible), axis=1), words)


@dataclass(frozen=True, slots=True)
class MapsQuestion:
    """The maps of one layer of a network; of the first layer where `layer` is none of its layers."""

    path: Path
    layer: str

    def answer(self, image: Image, opener: Opener) -> Shown:
        """The channels that differ most over the image, each with number and scale."""
        opened = opener.open(self.path)
        from tracker.explain.features import layer_maps
        from tracker.explain.sheets import draw_maps

        layer = self.layer if self.layer in opened.layers else opened.layers[0]
        (maps, *_) = layer_maps(opened.network, opened.canvas(image), layer)
        channels, height, width = maps.shape
        words = f"{layer}: {channels} channels of {width} x {height}; those that differ most over the image are shown"
        return Shown(draw_maps(maps, count=MOST_MAPS, side=150), words, opened.layers)


@dataclass(frozen=True, slots=True)
class ProposalsQuestion:
    """What a detector proposes, at these thresholds."""

    path: Path
    conf: float
    iou: float
    stride: int
    """Whose cells are drawn; 0 for none."""
    anchors: bool
    suppress: bool

    def answer(self, image: Image, opener: Opener) -> Shown:
        """The image with the proposals."""
        opened = opener.open(self.path)
        from tracker.explain.candidates import draw_grid, draw_proposals, find_proposals

        if opened.card is None:
            return Shown(image, f"{self.path.name} is a {opened.kind}: it proposes no boxes. Choose a detector.")
        network: Any = opened.network
        all_of_them = find_proposals(network, opened.card, image).above(self.conf)
        kept = all_of_them.suppressed(self.iou) if self.suppress else all_of_them
        canvas = draw_grid(image, self.stride, opened.card.scaled_size) if self.stride else image
        by_stride = ", ".join(f"{int((kept.strides == stride).sum())} at {stride}" for stride in opened.card.strides)
        words = f"{len(all_of_them)} boxes above {self.conf:.2f}, {len(kept)} shown; by stride: {by_stride}"
        return Shown(draw_proposals(canvas, kept, anchors=self.anchors), words)


class Opener:
    """Keeps the network opened last, so that each frame does not read it again."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._opened: OpenedNetwork | None = None

    def open(self, path: Path) -> OpenedNetwork:
        """The network of a file. Raises TrackerError for a file that is none, or without torch."""
        if self._opened is None or path != self._path:
            with explain_missing("Look inside"):
                from tracker.explain.opened import open_network

                self._opened, self._path = open_network(path), path
        return self._opened
