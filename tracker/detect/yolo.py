"""The network run by torch: for training, evaluation and GPUs. `detect/onnx.py` runs the same one without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.detect.classes import choose_classes
from tracker.detect.postprocess import AnchorLayout, decode_anchors, suppress, to_detections
from tracker.errors import ConfigError
from tracker.geometry import Letterbox
from tracker.nets.checkpoint import ModelCard, load_detector
from tracker.nets.yolo import RawMaps, YoloNet
from tracker.types import Detections, Image

__all__ = ["TorchDetector"]


class TorchDetector:
    """Detects with a network of ours, from a safetensors file or as it stands in training.

    Half precision on CUDA devices, single precision elsewhere. Detections below the threshold are given too, down
    to `floor`. Raises CheckpointError for a file that is no such model, ConfigError for a class or device that does
    not fit.
    """

    def __init__(self, model: Path | tuple[YoloNet, ModelCard], config: DetectorConfig, *, floor: float = 1.0) -> None:
        network, card = load_detector(model) if isinstance(model, Path) else model
        self.labels = card.labels
        self.conf = card.confidence if config.conf is None else config.conf
        self._floor = min(self.conf, floor)
        self._iou = card.iou if config.iou is None else config.iou
        self._max_det = config.max_det
        self._size = config.imgsz or card.input_size
        self._classes = choose_classes(config.classes, card.labels)
        self._masks = config.masks and card.coefficients > 0
        self._layout = AnchorLayout(card.strides, card.anchors, len(card.labels), card.coefficients)
        self._device = find_device(config.device)
        self._dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        self._network = network.eval().to(self._device, self._dtype).to(memory_format=torch.channels_last)
        self.engine = f"torch {torch.__version__}, {self._device}, {str(self._dtype).removeprefix('torch.')}"

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Boxes and masks of each image in its own pixels, best score first.

        Images that letterbox to one size go through the network together.
        """
        letterboxes = [Letterbox.fit(image.shape[1], image.shape[0], self._size) for image in images]
        found = [Detections.empty()] * len(images)
        for shape in dict.fromkeys((letterbox.height, letterbox.width) for letterbox in letterboxes):
            rows = [row for row, box in enumerate(letterboxes) if (box.height, box.width) == shape]
            raw = self.run_network(np.stack([letterboxes[row].apply(images[row]) for row in rows]))
            levels = [level.float().cpu().numpy() for level in raw.levels]
            prototypes = raw.prototypes.float().cpu().numpy()
            for place, row in enumerate(rows):
                maps = [level[place] for level in levels]
                candidates = decode_anchors(maps, self._layout, conf=self._floor, classes=self._classes)
                height, width = images[row].shape[:2]
                found[row] = to_detections(
                    suppress(candidates, iou=self._iou, max_det=self._max_det),
                    letterboxes[row],
                    image_width=width,
                    image_height=height,
                    prototypes=prototypes[place] if self._masks else None,
                )
        return found

    @torch.inference_mode()
    def run_network(self, canvases: UInt8[ndarray, "b h w 3"]) -> RawMaps:
        """The raw maps of letterboxed canvases of one size."""
        pixels = torch.from_numpy(canvases).to(self._device).permute(0, 3, 1, 2)
        maps: RawMaps = self._network(pixels.to(self._dtype).div_(255))
        return maps


def find_device(name: str) -> torch.device:
    """The device of that name, 'auto' being the first GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: torch {torch.__version__} sees no CUDA device here; use --device cpu")
    return device
