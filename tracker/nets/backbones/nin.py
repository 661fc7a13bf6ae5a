"""Network in Network: Lin, Chen and Yan, ICLR 2014.

Three blocks of one spatial convolution followed by two 1 x 1 convolutions (the "mlpconv" layer), in the widths of
the authors' CIFAR-10 network: 966,986 parameters with ten classes. Global average pooling over one map per class
replaces dense layers; that last 1 x 1 convolution belongs to the head.

Where we differ: He's start instead of Gaussians of fixed width; inputs are normalised per channel instead of
globally contrast normalised and whitened.
"""

from __future__ import annotations

from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import Backbone
from tracker.nets.backbones.start import initialize

__all__ = ["NIN", "NINHead", "nin"]


def mlpconv(in_channels: int, widths: tuple[int, ...], *, kernel: int) -> nn.Sequential:
    """A small network slid over the image: a spatial convolution, then 1 x 1 ones, each rectified."""
    layers: list[nn.Module] = []
    for size, width in zip((kernel, *(1 for _ in widths[1:])), widths, strict=True):
        layers += [nn.Conv2d(in_channels, width, size, padding=size // 2), nn.ReLU(inplace=True)]
        in_channels = width
    return nn.Sequential(*layers)


class NIN(Backbone):
    """The maps of the three blocks, before each pooling."""

    channels = (96, 192, 192)
    strides = (1, 2, 4)

    def __init__(self, *, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.block1 = mlpconv(in_channels, (192, 160, 96), kernel=5)
        self.pool1 = nn.Sequential(nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.Dropout(dropout))
        self.block2 = mlpconv(96, (192, 192, 192), kernel=5)
        self.pool2 = nn.Sequential(nn.AvgPool2d(3, stride=2, ceil_mode=True), nn.Dropout(dropout))
        self.block3 = mlpconv(192, (192, 192), kernel=3)
        initialize(self)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        first = self.block1(images)
        second = self.block2(self.pool1(first))
        third = self.block3(self.pool2(second))
        return first, second, third

    def paper_head(self, classes: int, *, dropout: float) -> nn.Module:
        return NINHead(classes, dropout=dropout)


class NINHead(nn.Module):
    """One rectified map per class, averaged over the image."""

    def __init__(self, classes: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.maps = nn.Sequential(nn.Conv2d(192, classes, 1), nn.ReLU(inplace=True))
        initialize(self)

    def forward(self, features: Float32[Tensor, "b 192 h w"]) -> Float32[Tensor, "b k"]:
        logits: Tensor = self.maps(self.dropout(features)).mean(dim=(2, 3))
        return logits


nin = NIN
