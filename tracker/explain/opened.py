"""A network of any kind, opened to see inside: its layers, and what it sees of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.errors import CheckpointError
from tracker.explain.objectives import ClassObjective
from tracker.geometry import Letterbox
from tracker.nets.checkpoint import load_detector
from tracker.nets.classifier import load_classifier
from tracker.nets.kinds import network_kind
from tracker.nets.localizer import load_localizer
from tracker.nets.model_card import ModelCard
from tracker.nets.segmenter import load_segmentation
from tracker.types import Image

__all__ = ["OpenedNetwork", "open_network"]

SEEN = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True, slots=True)
class OpenedNetwork:
    """A network in evaluation mode."""

    kind: str
    """detector, classifier, segmenter or localizer."""
    network: nn.Module
    canvas: Callable[[Image], Float32[Tensor, "1 c h w"]]
    """What the network sees of an image, in 0..1."""
    layers: tuple[str, ...]
    """The layers that give maps, in the order they run."""
    card: ModelCard | None = None
    """Of a detector."""


def open_network(path: Path) -> OpenedNetwork:
    """The network of a .safetensors file of ours. Raises CheckpointError for a kind that gives no maps of an image."""
    kind = network_kind(path)
    if kind == "detector":
        network, card = load_detector(path)
        return _opened(kind, network, lambda image: _letterboxed(image, card.scaled_size), card.scaled_size, card)
    if kind == "classifier":
        classifier, description = load_classifier(path)
        size, channels = int(description["image_size"]), classifier.config.in_channels
        return _opened(
            kind, classifier,
            lambda image: ClassObjective.of(classifier, image, 0, size=size, channels=channels).canvas, size,
        )  # fmt: skip
    if kind == "segmenter":
        segmenter, description = load_segmentation(path)
        height, width = (int(side) for side in description["image_size"])
        return _opened(kind, segmenter, lambda image: _scaled(image, width, height), max(height, width))
    if kind == "localizer":
        localizer, description = load_localizer(path)
        side = int(description["image_size"])
        return _opened(kind, localizer, lambda image: _scaled(image, side, side), side)
    raise CheckpointError(
        f"{path}: expected a detector, classifier, segmenter or localizer of ours, found {kind or 'something else'}"
    )


def _opened(
    kind: str,
    network: nn.Module,
    canvas: Callable[[Image], Tensor],
    side: int,
    card: ModelCard | None = None,
) -> OpenedNetwork:
    """Run once, to note the layers in their order."""
    order: list[str] = []
    handles = [
        module.register_forward_hook(lambda _module, _inputs, _output, name=name: order.append(name))
        for name, module in network.named_modules()
        if isinstance(module, SEEN)
    ]
    try:
        with torch.inference_mode():
            network.eval()(canvas(np.zeros((side, side, 3), np.uint8)))
    finally:
        for handle in handles:
            handle.remove()
    return OpenedNetwork(kind, network, canvas, tuple(dict.fromkeys(order)), card)


def _letterboxed(image: Image, size: int) -> Tensor:
    canvas = Letterbox.fit(image.shape[1], image.shape[0], size).apply(image)
    return torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255


def _scaled(image: Image, width: int, height: int) -> Tensor:
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.array(scaled)).permute(2, 0, 1)[None].float() / 255
