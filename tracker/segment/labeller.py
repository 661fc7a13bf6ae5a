"""A label per pixel of a frame: one network, on ONNX Runtime without torch, or on torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.errors import CheckpointError
from tracker.nets.kinds import wrong_kind
from tracker.nets.model_card import parse_description
from tracker.nets.onnx_session import open_session
from tracker.segment.score_layout import ScoreLayout, fitting_size, most_likely
from tracker.types import Image

__all__ = ["SEGMENTATION_FORMAT", "PixelLabeller"]

SEGMENTATION_FORMAT = "sightline-segmentation/1"
MOST_CLASSES = 255
"""Labels are bytes, and the last byte says that a pixel has none."""
"""What the metadata of a file of ours says."""

Score: TypeAlias = Callable[[UInt8[ndarray, "h w 3"]], Float32[ndarray, "k i j"]]


class _Engine(NamedTuple):
    score: Score
    labels: tuple[str, ...]
    trained: tuple[int, int]
    """Height and width of the training images."""
    layout: ScoreLayout
    name: str


class PixelLabeller:
    """Says what each pixel of an image shows, by a file of `train segmentation` (.safetensors) or its export (.onnx).

    `threads` are those of one call; several calls may run at once. Raises CheckpointError for any other file.
    """

    def __init__(self, path: Path, *, device: str = "cpu", threads: int = 1) -> None:
        if path.suffix.lower() == ".onnx":
            engine = _open_onnx(path, device, threads)
        elif path.suffix.lower() == ".safetensors":
            engine = _open_torch(path, device)
        else:
            raise CheckpointError(
                f"{path}: expected a segmentation network ending in .onnx or .safetensors, found "
                f"{path.suffix or 'no suffix'!r}. `train segmentation` makes one"
            )
        self._score, self.labels, self.size, self._layout, self.engine = engine

    def __call__(self, image: Image) -> UInt8[ndarray, "i j"]:
        """The label number of each pixel, of the image at the size that the network sees it at, at most its own."""
        logits, (height, width) = self._logits(image)
        if height * width >= image.shape[0] * image.shape[1]:
            height, width = image.shape[:2]
        return most_likely(logits, height=height, width=width)

    def at_full_size(self, image: Image) -> UInt8[ndarray, "h w"]:
        """The label number of each pixel of the image as it is."""
        logits, _ = self._logits(image)
        return most_likely(logits, height=image.shape[0], width=image.shape[1])

    def _logits(self, image: Image) -> tuple[Float32[ndarray, "k i j"], tuple[int, int]]:
        height, width = fitting_size(*image.shape[:2], trained=self.size, finest=self._layout.finest)
        shrinks = height * width < image.shape[0] * image.shape[1]
        scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        canvas = self._layout.place(np.asarray(scaled, np.uint8))
        return self._score(canvas.pixels)[:, : canvas.rows, : canvas.columns], (height, width)


def _open_onnx(path: Path, device: str, threads: int) -> _Engine:
    session = open_session(path, device, threads)
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    if metadata.get("format") != SEGMENTATION_FORMAT:
        raise wrong_kind(path, "segmenter", metadata.get("format", ""))
    description = parse_description(metadata.get("description", ""), "description", path)
    name = session.get_inputs()[0].name

    def score(pixels: UInt8[ndarray, "h w 3"]) -> Float32[ndarray, "k i j"]:
        found: Float32[ndarray, "k i j"] = session.run(None, {name: pixels[None]})[0][0]
        return found

    import onnxruntime

    engine = f"ONNX Runtime {onnxruntime.__version__}, {session.get_providers()[0]}"
    return _described(description, score, engine, path)


def _open_torch(path: Path, device: str) -> _Engine:
    import torch

    from tracker.nets.segmenter import deployed, load_segmentation

    network, description = load_segmentation(path)
    network = network.to(device)
    run = deployed(network)

    @torch.inference_mode()
    def score(pixels: UInt8[ndarray, "h w 3"]) -> Float32[ndarray, "k i j"]:
        scores: ndarray = run(torch.from_numpy(np.array(pixels))[None].to(device))[0].float().cpu().numpy()
        return scores

    return _described({**description, **network.layout}, score, f"torch {torch.__version__}, {device}", path)


def _described(description: Any, score: Score, engine: str, path: Path) -> _Engine:
    try:
        height, width = (int(side) for side in description["image_size"])
        labels = tuple(str(label) for label in description["labels"])
        layout = ScoreLayout.of(description)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its description is missing or damaged ({error}). Export it again.") from error
    if len(labels) > MOST_CLASSES:
        raise CheckpointError(f"{path}: {len(labels)} classes; a label image, of bytes, holds {MOST_CLASSES}")
    return _Engine(score, labels, (height, width), layout, engine)
