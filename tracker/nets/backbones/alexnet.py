"""AlexNet: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012.

Where we differ: the single-column widths of Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", 2014 (64-192-384-256-256, no groups, no local response normalisation), which is the network torchvision
publishes; parameter names are torchvision's. Without padding that fits, its maps are not exactly side / stride.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import IMAGENET_MEAN, IMAGENET_STD, Backbone
from tracker.nets.backbones.start import initialize
from tracker.nets.layers import pool_to

__all__ = ["AlexNet", "AlexNetHead", "alexnet"]


class AlexNet(Backbone):
    """The rectified maps of convolutions 1, 2 and 5."""

    channels = (64, 192, 256)
    strides = (4, 8, 16)
    exact_strides: bool = False
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __init__(self, *, in_channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        initialize(self)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        first = self.features[:2](images)
        second = self.features[2:5](first)
        fifth = self.features[5:](second)
        return first, second, fifth

    def paper_head(self, classes: int, *, dropout: float) -> nn.Module:
        return AlexNetHead(classes, dropout=dropout)


class AlexNetHead(nn.Module):
    """The last pooling and three dense layers; other image sizes are pooled to the 6 x 6 that these expect."""

    def __init__(self, classes: int, *, dropout: float) -> None:
        super().__init__()
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, classes),
        )

    def forward(self, features: Float32[Tensor, "b 256 h w"]) -> Float32[Tensor, "b k"]:
        pooled = pool_to(F.max_pool2d(features, 3, stride=2), 6)
        logits: Tensor = self.classifier(pooled.flatten(1))
        return logits


alexnet = AlexNet
