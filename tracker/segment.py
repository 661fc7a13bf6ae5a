"""A label per pixel: U-Net or FCN over the whole frame. torch is imported when a network is loaded, not before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.types import Image

if TYPE_CHECKING:
    from tracker.nets.segmenter import SegmentationNet

__all__ = ["PixelLabeller", "label_map", "most_likely"]


class PixelLabeller:
    """Says what each pixel of an image shows: a callable of the kind `protocols.LabelPixels`."""

    def __init__(self, path: Path, *, device: str = "cpu") -> None:
        from tracker.nets.segmenter import load_segmentation

        network, description = load_segmentation(path)
        self.labels: tuple[str, ...] = tuple(description["labels"])
        self.network: SegmentationNet = network.to(device)
        height, width = description["image_size"]
        self.size: tuple[int, int] = (int(height), int(width))
        """Height and width that the network was trained with; images are scaled to them."""
        self.device = device

    def __call__(self, image: Image) -> UInt8[ndarray, "h w"]:
        """The label number of each pixel, at the image's own size."""
        return label_map(self.network, image, size=self.size, device=self.device)


def label_map(
    network: SegmentationNet, image: Image, *, size: tuple[int, int], device: str = "cpu"
) -> UInt8[ndarray, "h w"]:
    """The most likely label of each pixel, by a network that looks at the image scaled to `size` (height, width)."""
    import torch

    height, width = size
    shrinks = height * width < image.shape[0] * image.shape[1]
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    with torch.inference_mode():
        tensor = torch.from_numpy(np.array(scaled)).to(device).permute(2, 0, 1)[None].float() / 255
        logits: Float32[ndarray, "k h w"] = network(tensor)[0].float().cpu().numpy()
    return most_likely(logits, height=image.shape[0], width=image.shape[1])


def most_likely(logits: Float32[ndarray, "k i j"], *, height: int, width: int) -> UInt8[ndarray, "h w"]:
    """The number of the largest logit at each pixel, the logits enlarged bilinearly one class at a time.

    So the memory needed is that of two maps, not of one per class.
    """
    best = cv2.resize(logits[0], (width, height), interpolation=cv2.INTER_LINEAR)
    labels = np.zeros((height, width), np.uint8)
    for number, each in enumerate(logits[1:], start=1):
        enlarged = cv2.resize(each, (width, height), interpolation=cv2.INTER_LINEAR)
        labels[enlarged > best] = number
        np.maximum(best, enlarged, out=best)
    return labels
