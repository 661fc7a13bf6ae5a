"""What objects look like, by a re-identification network that is shown each cut out of the image.

An ONNX file is run without torch. It is one of ours, or of the layout of Open Model Zoo's person-reidentification
networks: float BGR 0 to 255 in, one vector out, colours normalised inside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.errors import CheckpointError
from tracker.geometry import clip
from tracker.nets.onnx_session import open_session
from tracker.types import Image

if TYPE_CHECKING:
    from tracker.nets.reid import ReidNet

__all__ = ["REID_FORMAT", "CropEmbedder", "cut_out"]

BATCH = 32
REID_FORMAT = "sightline-reid/1"
"""What the metadata of a file of ours says."""

Encode: TypeAlias = Callable[[UInt8[ndarray, "b h w 3"]], Float32[ndarray, "b d"]]
"""RGB crops in, vectors of any length out."""


class _Encoder(NamedTuple):
    encode: Encode
    size: tuple[int, int]
    """Width and height of a crop."""
    dimensions: int


class CropEmbedder:
    """Unit vectors for boxes of an image, by a network that `train reid` made, a torchreid OSNet, or an ONNX file.

    Raises CheckpointError for any other file, ConfigError for a device that is not there.
    """

    def __init__(self, model: Path | ReidNet, *, device: str = "cpu") -> None:
        if isinstance(model, Path) and model.suffix.lower() == ".onnx":
            encoder = _open_onnx(model, "cpu" if device == "auto" else device)
        else:
            encoder = _open_torch(model, device)
        self._encode, self._size, self.dimensions = encoder

    def __call__(self, image: Image, boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n d"]:
        """A vector for each box, 0 where less than a pixel of it lies in the image."""
        vectors = np.zeros((len(boxes), self.dimensions), np.float32)
        tried = ((row, cut_out(image, box, self._size)) for row, box in enumerate(boxes))
        crops = {row: crop for row, crop in tried if crop is not None}
        seen = list(crops)
        for start in range(0, len(seen), BATCH):
            rows = seen[start : start + BATCH]
            found = self._encode(np.stack([crops[row] for row in rows]))
            vectors[rows] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return vectors


def _open_torch(model: Path | ReidNet, device: str) -> _Encoder:
    import torch

    from tracker.detect.engines.torch import find_device
    from tracker.nets.reid import load_reid

    network = load_reid(model) if isinstance(model, Path) else model
    place = find_device(device)
    network = network.eval().to(place)

    @torch.inference_mode()
    def encode(crops: UInt8[ndarray, "b h w 3"]) -> Float32[ndarray, "b d"]:
        with _one_thread():
            pixels = torch.from_numpy(crops).to(place)
            vectors: ndarray = network(pixels.permute(0, 3, 1, 2).float() / 255).float().cpu().numpy()
        return vectors

    return _Encoder(encode, (network.config.width, network.config.height), network.config.dimensions)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Few small crops gain nothing from more, and threads that wait for each other stall beside a busy detector."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _open_onnx(path: Path, device: str) -> _Encoder:
    session = open_session(path, device, 1, instead="leave out --reid-model for the network of the program")
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    taken, given = session.get_inputs(), session.get_outputs()
    name, shape = taken[0].name, taken[0].shape
    if metadata.get("format") == REID_FORMAT:
        network = json.loads(metadata["network"])
        return _Encoder(
            lambda crops: session.run(None, {name: crops})[0],
            (int(network["width"]), int(network["height"])),
            int(network["dimensions"]),
        )
    _, height, width = shape[1:] if len(shape) == 4 else (0, 0, 0)
    fits = len(taken) == len(given) == 1 and len(shape) == 4 and shape[1] == 3 and "float" in taken[0].type
    sized = isinstance(height, int) and isinstance(width, int) and len(given[0].shape) >= 2
    if not (fits and sized and isinstance(given[0].shape[1], int)) or not _normalises_itself(path):
        raise CheckpointError(
            f"{path}: not a re-identification network that can be read: expected one of ours, or BGR 0 to 255 "
            f"(n, 3, h, w) in, normalised inside, and a vector out; found {shape} in and {given[0].shape} out. Give "
            "the .safetensors file of `train reid`, or torchreid's .pt"
        )
    one_by_one = shape[0] == 1

    def encode(crops: UInt8[ndarray, "b h w 3"]) -> Float32[ndarray, "b d"]:
        pixels = crops[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
        parts = np.split(pixels, len(pixels)) if one_by_one else [pixels]
        return np.concatenate([session.run(None, {name: part})[0].reshape(len(part), -1) for part in parts])

    return _Encoder(encode, (width, height), given[0].shape[1])


def _normalises_itself(path: Path) -> bool:
    """False where pixels go straight into a convolution: then others normalised them, and nobody says how."""
    import onnx

    graph: Any = onnx.load(path).graph
    inputs = {each.name for each in graph.input} - {each.name for each in graph.initializer}
    return all(node.op_type != "Conv" for node in graph.node if inputs & set(node.input))


def cut_out(image: Image, box: Float32[ndarray, " 4"], size: tuple[int, int]) -> UInt8[ndarray, "h w 3"] | None:
    """The part of the image under a box, scaled to `size` (width, height); None where there is none."""
    if not np.isfinite(box).all():
        return None
    height, width = image.shape[:2]
    x1, y1, x2, y2 = clip(box[None], width, height)[0].round().astype(int)
    if x2 <= x1 or y2 <= y1:
        return None
    shrinks = x2 - x1 > size[0] and y2 - y1 > size[1]
    return cv2.resize(image[y1:y2, x1:x2], size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
