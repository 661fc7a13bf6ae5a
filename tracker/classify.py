"""What one image, or one object in it, shows: a classifier of ours on torch or ONNX Runtime.

torch is imported when a .safetensors file is opened, not before; an exported .onnx file runs without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.errors import CheckpointError
from tracker.nets.kinds import KINDS, kind_of, read_metadata, wrong_kind
from tracker.nets.model_card import parse_description
from tracker.types import Image

__all__ = ["ImageClassifier", "around", "described", "to_square"]

Run = Callable[[UInt8[ndarray, "n h w c"]], Float32[ndarray, "n k"]]


class ImageClassifier:
    """Images in, the probability of each label out. `labels` are its answers, `size` the side it looks at."""

    def __init__(self, path: Path, *, device: str = "cpu", threads: int = 1, batch: int = 64) -> None:
        self._batch = batch
        self._run: Run
        if path.suffix == ".onnx":
            description = described(path, "classifier")
            self._run, self.engine = _open_onnx(path, threads, device)
        elif path.suffix == ".safetensors":
            description, self._run, self.engine = _open_torch(path, device)
        else:
            raise CheckpointError(f"{path}: expected a classifier in a .safetensors or .onnx file")
        self.labels: tuple[str, ...] = tuple(description["labels"])
        self.size = int(description["image_size"])
        """Side in pixels of the square it takes."""
        self.channels = int(description["network"].get("in_channels", 3))

    def __call__(self, images: Sequence[Image]) -> Float32[ndarray, "n k"]:
        """The probability of each label for each RGB image; its middle square is what counts."""
        if not images:
            return np.zeros((0, len(self.labels)), np.float32)
        squares = np.stack([self._prepare(image) for image in images])
        parts = [self._run(squares[start : start + self._batch]) for start in range(0, len(squares), self._batch)]
        return np.concatenate(parts)

    def _prepare(self, image: Image) -> UInt8[ndarray, "h w c"]:
        pixels: ndarray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if self.channels == 1 else image
        return to_square(pixels, self.size).reshape(self.size, self.size, self.channels)


def to_square(image: UInt8[ndarray, ...], size: int) -> UInt8[ndarray, ...]:
    """Shorter side to `size`, centre cut out."""
    height, width = image.shape[:2]
    factor = size / min(height, width)
    wanted = max(size, round(width * factor)), max(size, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, wanted, interpolation=method)
    top, left = (resized.shape[0] - size) // 2, (resized.shape[1] - size) // 2
    return np.asarray(resized[top : top + size, left : left + size], np.uint8)


def around(image: Image, box: Float32[ndarray, " 4"]) -> Image:
    """The square about a box, which its longer side decides; beyond the image its edge is repeated."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    side = max(1, round(max(x2 - x1, y2 - y1)))
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    rows = np.clip(np.arange(top, top + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    return np.ascontiguousarray(image[rows[:, None], columns[None]])


def described(path: Path, kind: str) -> dict[str, Any]:
    """The description that an exported file of that kind carries. Raises CheckpointError for any other file."""
    metadata = read_metadata(path)
    if kind_of(metadata) != kind:
        ours = metadata.get("format", "")
        found = ours if ours in KINDS else {"detector": "sightline-yolo/1"}.get(kind_of(metadata), ours)
        raise wrong_kind(path, kind, found)
    description: dict[str, Any] = parse_description(metadata.get("description", ""), "description", path)
    if not isinstance(description, dict) or not {"labels", "image_size", "network"} <= description.keys():
        raise CheckpointError(f"{path}: its description is damaged: labels or size are missing. Export it again.")
    return description


def _open_onnx(path: Path, threads: int, device: str) -> tuple[Run, str]:
    import onnxruntime

    from tracker.nets.onnx_session import open_session

    session = open_session(path, device, threads)
    name = session.get_inputs()[0].name

    def run(images: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n k"]:
        return np.asarray(session.run(None, {name: images})[0], np.float32)

    return run, f"ONNX Runtime {onnxruntime.__version__}"


def _open_torch(path: Path, device: str) -> tuple[dict[str, Any], Run, str]:
    import torch

    from tracker.nets.classifier import classify, load_classifier

    network, description = load_classifier(path)
    network.to(device)

    def run(images: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n k"]:
        return classify(network, np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    return description, run, f"torch {torch.__version__}"
