"""What objects look like, by a re-identification network that is shown each cut out of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray
from torch.nn import functional

from tracker.detect.engines.torch import find_device
from tracker.geometry import clip
from tracker.nets.reid import ReidNet, load_reid
from tracker.types import Image

__all__ = ["CropEmbedder", "cut_out"]

BATCH = 32


class CropEmbedder:
    """Unit vectors for boxes of a picture, by a network that `train reid` made or a torchreid OSNet.

    Raises CheckpointError for any other file, ConfigError for a device that is not there.
    """

    def __init__(self, model: Path | ReidNet, *, device: str = "cpu") -> None:
        network = load_reid(model) if isinstance(model, Path) else model
        self._device = find_device(device)
        self._network = network.eval().to(self._device)
        self._size = (network.config.width, network.config.height)
        self._dimensions = network.config.dimensions

    @torch.inference_mode()
    def __call__(self, image: Image, boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n d"]:
        """A vector for each box, 0 where less than a pixel of it lies in the picture."""
        vectors = np.zeros((len(boxes), self._dimensions), np.float32)
        tried = ((row, cut_out(image, box, self._size)) for row, box in enumerate(boxes))
        crops = {row: crop for row, crop in tried if crop is not None}
        seen = list(crops)
        with _one_thread():
            for start in range(0, len(seen), BATCH):
                rows = seen[start : start + BATCH]
                pixels = torch.from_numpy(np.stack([crops[row] for row in rows])).to(self._device)
                told = self._network(pixels.permute(0, 3, 1, 2).float() / 255)
                vectors[rows] = functional.normalize(told.float(), dim=1).cpu().numpy()
        return vectors


@contextmanager
def _one_thread() -> Iterator[None]:
    """Few small crops gain nothing from more, and threads that wait for each other stall beside a busy detector."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cut_out(image: Image, box: Float32[ndarray, " 4"], size: tuple[int, int]) -> UInt8[ndarray, "h w 3"] | None:
    """The part of the picture under a box, scaled to `size` (width, height); None where there is none."""
    if not np.isfinite(box).all():
        return None
    height, width = image.shape[:2]
    x1, y1, x2, y2 = clip(box[None], width, height)[0].round().astype(int)
    if x2 <= x1 or y2 <= y1:
        return None
    return cv2.resize(image[y1:y2, x1:x2], size, interpolation=cv2.INTER_LINEAR)
