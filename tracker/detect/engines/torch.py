"""The network run by torch: for training, evaluation and GPUs. `engines/onnx.py` runs the same one without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from numpy import ndarray

from tracker.config import DetectorConfig, device_name
from tracker.detect.decode_torch import find_objects
from tracker.detect.yolo_detector import Finds, RawArrays, RawDetector
from tracker.errors import ConfigError
from tracker.nets.checkpoint import load_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import RawMaps, YoloNet, scale_input

__all__ = ["TorchDetector", "find_device"]


class TorchDetector(RawDetector):
    """Detects with a network of ours, from a safetensors file or as it stands in training.

    Half precision on CUDA devices, single precision elsewhere. `floor` and `embed` as `RawDetector` has them.
    Raises CheckpointError for a file that is no such model, ConfigError for a class or device that does not fit.
    """

    def __init__(
        self,
        model: Path | tuple[YoloNet, ModelCard],
        config: DetectorConfig,
        *,
        floor: float | None = None,
        embed: bool = False,
    ) -> None:
        network, card = load_detector(model) if isinstance(model, Path) else model
        self._device = find_device(config.device)
        self._dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        self._network = network.eval().to(self._device, self._dtype).to(memory_format=torch.channels_last)
        engine = f"torch {torch.__version__}, {self._device}, {str(self._dtype).removeprefix('torch.')}"
        super().__init__(card, self.run_arrays, config, engine=engine, floor=floor, embed=embed)

    @torch.inference_mode()
    def run_network(self, canvases: UInt8[ndarray, "b h w 3"]) -> RawMaps:
        """The raw maps of letterboxed canvases of one size."""
        pixels = torch.from_numpy(canvases).to(self._device).permute(0, 3, 1, 2)
        maps: RawMaps = self._network(scale_input(pixels.to(self._dtype).div_(255), self.input_scale))
        return maps

    def run_arrays(self, canvases: UInt8[ndarray, "b h w 3"]) -> RawArrays:
        """The same in numpy, without the features where nobody asked for embeddings."""
        raw = self.run_network(canvases)
        features = _array(raw.features) if self._embed else None
        return RawArrays(tuple(_array(level) for level in raw.levels), _array(raw.prototypes), features)

    @torch.inference_mode()
    def find(self, canvases: UInt8[ndarray, "b h w 3"]) -> Finds:
        """The objects of letterboxed canvases of one size, found on the device."""
        raw = self.run_network(canvases)
        options: dict[str, Any] = {"conf": self._floor, "iou": self._iou, "max_det": self._max_det}
        options["voting"] = self._voting
        candidates = find_objects(raw, self._layout, classes=self._classes, further=self._further, **options)
        prototypes = _array(raw.prototypes) if self._masks else None
        return Finds(candidates, prototypes, _array(raw.features) if self._embed else None)


def _array(part: torch.Tensor) -> ndarray:
    values: ndarray = part.float().cpu().numpy()
    return values


def find_device(name: str) -> torch.device:
    """The device of that name, 'auto' being the first GPU where there is one."""
    try:
        known = device_name(name)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    if known == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(known)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: torch {torch.__version__} sees no CUDA device here; use --device cpu")
    return device
