"""A localizer: what one image shows, and where: a softmax head and a box head on one backbone.

Sermanet et al., "OverFeat", 2014 (classification with localisation). Where we differ: any backbone, its deepest map
pooled to 4 x 4 so that the box head still knows places; one box for all classes; the box is relative to the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray
from torch import Tensor, nn

from tracker.nets.backbones import Backbone, make_backbone
from tracker.nets.layers import Normalize, pool_to
from tracker.nets.saved import check_labels, load_network

__all__ = ["LocalizerConfig", "LocalizerNet", "load_localizer", "localize"]

PLACES = 4


@dataclass(frozen=True, slots=True)
class LocalizerConfig:
    """All that is needed to build a localizer again."""

    backbone: str = "cspdarknet_nano"
    """Name in tracker.nets.backbones, or timm:NAME."""
    classes: int = 2
    """Number of labels."""
    hidden: int = 128
    """Values between the pooled map and the two heads."""
    dropout: float = 0.0
    """Share of them dropped while training."""
    norm: bool = True
    """Batch norm in the backbone, where it has any; without it its convolutions carry biases."""
    padding: bool = True
    """Padding in the backbone; without it (valid convolutions) one pass over a larger image is the localizer slid."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, found {self.dropout}")
        if self.hidden < 1:
            raise ValueError(f"hidden must be 1 or more, found {self.hidden}")


class _SharedLayers(nn.Sequential):
    """The dense layer that both heads read, which reads the deepest map averaged to so many places."""

    def forward(self, deepest: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b n"]:
        values: Tensor = pool_to(deepest, PLACES).flatten(1)
        for layer in self:
            values = layer(values)
        return values


class LocalizerNet(nn.Module):
    """RGB in 0..1 in; one logit per class, and a box (x1, y1, x2, y2) in 0..1 of the image, out."""

    def __init__(self, config: LocalizerConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone: Backbone = make_backbone(
            config.backbone, in_channels=3, norm=config.norm, padding=config.padding
        )
        self.normalize = Normalize(self.backbone.mean, self.backbone.std, channels=3)
        self.shared = _SharedLayers(
            nn.Linear(self.backbone.channels[-1] * PLACES**2, config.hidden), nn.ReLU(), nn.Dropout(config.dropout)
        )
        self.class_head = nn.Linear(config.hidden, config.classes)
        self.box_head = nn.Linear(config.hidden, 4)

    def forward(self, images: Float32[Tensor, "b 3 h w"]) -> tuple[Float32[Tensor, "b k"], Float32[Tensor, "b 4"]]:
        deepest = self.backbone(self.normalize(images))[-1]
        shared = self.shared(deepest)
        centre, size = self.box_head(shared).sigmoid().split(2, dim=1)
        return self.class_head(shared), torch.cat((centre - size / 2, centre + size / 2), dim=1)


@torch.inference_mode()
def localize(
    network: nn.Module, images: UInt8[ndarray, "n 3 h w"], *, batch: int = 256
) -> tuple[Float32[ndarray, "n k"], Float32[ndarray, "n 4"]]:
    """(the probability of each class, the box in 0..1) of each image, by a network in evaluation mode."""
    device = next(network.parameters()).device
    probabilities, boxes = [], []
    for start in range(0, len(images), batch):
        logits, found = network(torch.from_numpy(images[start : start + batch]).to(device).float() / 255)
        probabilities.append(logits.float().softmax(dim=1).cpu().numpy())
        boxes.append(found.float().cpu().numpy())
    return np.concatenate(probabilities), np.concatenate(boxes)


def load_localizer(path: Path) -> tuple[LocalizerNet, dict[str, Any]]:
    """The localizer in evaluation mode and its description, with `labels` and `image_size`."""
    return load_network(path, kind="localizer", build=_build)


def _build(description: Mapping[str, Any]) -> LocalizerNet:
    config = LocalizerConfig(**description["network"])
    check_labels(description, config.classes)
    return LocalizerNet(config)
