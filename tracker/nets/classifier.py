"""A classifier on any backbone: the paper's own head, or global pooling, dropout and one dense layer.

Global average pooling: Lin, Chen and Yan, "Network in Network", 2014. Dropout: Srivastava et al., 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray
from torch import Tensor, nn

from tracker.errors import CheckpointError
from tracker.nets.backbones import Backbone, make_backbone
from tracker.nets.layers import Normalize
from tracker.nets.saved import check_labels, load_network

__all__ = ["Classifier", "ClassifierConfig", "PooledHead", "classify", "load_classifier"]


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """All that is needed to build a classifier again."""

    backbone: str = "resnet18"
    """Name in tracker.nets.backbones, or timm:NAME."""
    classes: int = 10
    """Number of labels."""
    head: Literal["paper", "pooled"] = "paper"
    """The paper's own dense layers where it has any, or global pooling and one dense layer."""
    dropout: float = 0.0
    """Share of the head's inputs dropped while training."""
    in_channels: int = 3
    """1 for grey images, 3 for RGB."""
    residual: bool = True
    """Residual links, where the backbone has any; without them it is the plain network of the ResNet paper."""
    norm: bool = True
    """Batch norm in the backbone, where it has any; without it its convolutions carry biases."""
    padding: bool = True
    """Padding in the backbone; without it (valid convolutions) one pass over a larger image is the classifier slid."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, found {self.dropout}")


class PooledHead(nn.Module):
    """Global average pooling, dropout, one dense layer."""

    def __init__(self, channels: int, classes: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, classes)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b k"]:
        logits: Tensor = self.fc(self.dropout(features.mean(dim=(2, 3))))
        return logits


class Classifier(nn.Module):
    """Images in 0..1 in, one logit per class out."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone: Backbone = make_backbone(
            config.backbone,
            in_channels=config.in_channels,
            norm=config.norm,
            residual=config.residual,
            padding=config.padding,
        )
        self.normalize = Normalize(self.backbone.mean, self.backbone.std, channels=config.in_channels)
        paper = self.backbone.paper_head(config.classes, dropout=config.dropout) if config.head == "paper" else None
        if paper is None:
            paper = PooledHead(self.backbone.channels[-1], config.classes, dropout=config.dropout)
        self.head = paper

    def forward(self, images: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b k"]:
        logits: Tensor = self.head(self.backbone(self.normalize(images))[-1])
        return logits

    def load_published(self, state: Mapping[str, Tensor], *, where: str) -> None:
        """Fill from a whole published classifier, such as torchvision's.

        Its last dense layer is left aside when it tells other classes apart than ours; the dense layers before it
        are taken where our head has them too. Raises CheckpointError when the features do not fit.
        """
        self.backbone.load_published(state, where=where)
        expected = self.head.state_dict()
        fitting = {name: value for name, value in state.items() if name in expected}
        reshaped = [name for name, value in fitting.items() if value.shape != expected[name].shape]
        last = list(expected)[-2:]  # weight and bias of the output layer
        if any(name not in last for name in reshaped):
            raise CheckpointError(f"{where}: {reshaped[0]} has another shape than this head. Try --head pooled.")
        self.head.load_state_dict(
            {name: value for name, value in fitting.items() if name not in reshaped}, strict=False
        )


@torch.inference_mode()
def classify(network: nn.Module, images: UInt8[ndarray, "n c h w"], *, batch: int = 256) -> Float32[ndarray, "n k"]:
    """The probability of each class for each image, by a network in evaluation mode."""
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(images), batch):
        some = torch.from_numpy(images[start : start + batch]).to(device).float() / 255
        parts.append(network(some).float().softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)


def load_classifier(path: Path) -> tuple[Classifier, dict[str, Any]]:
    """The classifier in evaluation mode and its description, with `labels` and `image_size`."""
    return load_network(path, kind="classifier", build=_build)


def _build(description: Mapping[str, Any]) -> Classifier:
    config = ClassifierConfig(**description["network"])
    check_labels(description, config.classes)
    return Classifier(config)
