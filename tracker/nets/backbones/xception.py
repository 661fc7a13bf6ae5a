"""Xception: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017.

Entry, middle and exit flow of figure 5: 36 convolutional layers in 14 modules, no non-linearity between a depthwise
convolution and its pointwise one.

Where we differ: nothing in the network. Parameter names are timm's; inputs are scaled to -1..1.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import Backbone
from tracker.nets.backbones.start import initialize

__all__ = ["Xception", "xception"]


class SeparableConvolution(nn.Module):
    """A 3 x 3 convolution per channel, then a 1 x 1 convolution across channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        y: Tensor = self.pointwise(self.conv1(x))
        return y


class Block(nn.Module):
    """Separable convolutions from each width to the next, beside a linear shortcut; halves the resolution if asked."""

    def __init__(self, *widths: int, halves: bool, rectify_first: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place, (in_channels, out_channels) in enumerate(pairwise(widths)):
            if place > 0 or rectify_first:
                layers.append(nn.ReLU(inplace=place > 0))
            layers += [SeparableConvolution(in_channels, out_channels), nn.BatchNorm2d(out_channels)]
        if halves:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.rep = nn.Sequential(*layers)
        self.projects = halves or widths[0] != widths[-1]
        if self.projects:
            self.skip = nn.Conv2d(widths[0], widths[-1], 1, stride=2 if halves else 1, bias=False)
            self.skipbn = nn.BatchNorm2d(widths[-1])

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        shortcut: Tensor = self.skipbn(self.skip(x)) if self.projects else x
        residual: Tensor = self.rep(x)
        return residual + shortcut


class Xception(Backbone):
    """The rectified maps where the resolution halves next, and the last one: strides 2 to 32."""

    channels = (64, 128, 256, 728, 2048)
    strides = (2, 4, 8, 16, 32)
    padded: bool = False
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __init__(self, *, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.block1 = Block(64, 128, 128, halves=True, rectify_first=False)
        self.block2 = Block(128, 256, 256, halves=True)
        self.block3 = Block(256, 728, 728, halves=True)
        for place in range(4, 12):
            self.add_module(f"block{place}", Block(728, 728, 728, 728, halves=False))
        self.block12 = Block(728, 728, 1024, halves=True)
        self.conv3 = SeparableConvolution(1024, 1536)
        self.bn3 = nn.BatchNorm2d(1536)
        self.conv4 = SeparableConvolution(1536, 2048)
        self.bn4 = nn.BatchNorm2d(2048)
        initialize(self)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        x = torch.relu_(self.bn1(self.conv1(images)))
        stem = torch.relu_(self.bn2(self.conv2(x)))
        quarter = self.block1(stem)
        eighth = self.block2(quarter)
        x = self.block3(eighth)
        for place in range(4, 12):
            x = self.get_submodule(f"block{place}")(x)
        sixteenth = x
        x = self.block12(x)
        x = torch.relu_(self.bn3(self.conv3(x)))
        last = torch.relu_(self.bn4(self.conv4(x)))
        return stem, torch.relu(quarter), torch.relu(eighth), torch.relu(sixteenth), last


xception = Xception
