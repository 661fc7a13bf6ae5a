"""VGG: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

Configurations A, B, C, D and E of table 1 (vgg11, vgg13, vgg16c with 1 x 1 convolutions, vgg16, vgg19).

Where we differ: batch norm after every convolution in the `_bn` variants (Ioffe and Szegedy, 2015, after the paper),
and He's start instead of growing deep configurations from a trained shallow one. Parameter names are torchvision's,
which has no configuration C.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import IMAGENET_MEAN, IMAGENET_STD, Backbone
from tracker.nets.backbones.start import initialize
from tracker.nets.layers import pool_to

__all__ = [
    "VGG",
    "VGGHead",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg16c",
    "vgg16c_bn",
    "vgg19",
    "vgg19_bn",
]

WIDTHS = (64, 128, 256, 512, 512)
KERNELS: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
"""Table 1: the kernel sizes of each of the five blocks; each block ends in a max pooling."""


class VGG(Backbone):
    """The five pooled maps, strides 2 to 32."""

    channels = WIDTHS
    strides = (2, 4, 8, 16, 32)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __init__(
        self, configuration: Literal["A", "B", "C", "D", "E"], *, batch_norm: bool = False, in_channels: int = 3
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self._ends: list[int] = []
        for width, kernels in zip(WIDTHS, KERNELS[configuration], strict=True):
            for kernel in kernels:
                layers.append(nn.Conv2d(in_channels, width, kernel, padding=kernel // 2))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.ReLU(inplace=True))
                in_channels = width
            layers.append(nn.MaxPool2d(2))
            self._ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        initialize(self)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        x, start = images, 0
        for end in self._ends:
            x = self.features[start:end](x)
            maps.append(x)
            start = end
        return tuple(maps)

    def paper_head(self, classes: int, *, dropout: float) -> nn.Module:
        return VGGHead(classes, dropout=dropout)


class VGGHead(nn.Module):
    """Three dense layers; image sizes other than 224 are pooled to the 7 x 7 that these expect."""

    def __init__(self, classes: int, *, dropout: float) -> None:
        super().__init__()
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, classes),
        )

    def forward(self, features: Float32[Tensor, "b 512 h w"]) -> Float32[Tensor, "b k"]:
        logits: Tensor = self.classifier(pool_to(features, 7).flatten(1))
        return logits


vgg11 = partial(VGG, "A")
vgg13 = partial(VGG, "B")
vgg16c = partial(VGG, "C")
vgg16 = partial(VGG, "D")
vgg19 = partial(VGG, "E")
vgg11_bn = partial(VGG, "A", batch_norm=True)
vgg13_bn = partial(VGG, "B", batch_norm=True)
vgg16c_bn = partial(VGG, "C", batch_norm=True)
vgg16_bn = partial(VGG, "D", batch_norm=True)
vgg19_bn = partial(VGG, "E", batch_norm=True)
