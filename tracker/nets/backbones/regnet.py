"""RegNetX and RegNetY: Radosavovic, Kosaraju, Girshick, He and Dollár, "Designing Network Design Spaces", CVPR 2020.

Widths come from the paper's quantised linear rule (eq. 2 to 4), so any point of the design space can be built, not
only the published ones; Y adds squeeze-and-excitation (Hu et al., CVPR 2018) to the X block.

Where we differ: nothing in the network. The bottleneck ratio is 1, which the paper found best. Parameter names are
torchvision's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import IMAGENET_MEAN, IMAGENET_STD, Backbone
from tracker.nets.backbones.start import initialize

__all__ = ["Design", "RegNet"]


@dataclass(frozen=True, slots=True)
class Design:
    """One point of the design space."""

    depth: int
    """Number of blocks, d."""
    initial_width: int
    """w_0, a multiple of 8."""
    slope: float
    """w_a: how much wider each next block wants to be."""
    multiplier: float
    """w_m: the ratio between the widths of neighbouring stages."""
    group_width: int
    """Channels per group of the 3 x 3 convolutions."""

    def stages(self) -> list[tuple[int, int, int]]:
        """Width, number of blocks and group width of each stage."""
        widths = []
        for place in range(self.depth):
            wanted = self.initial_width + self.slope * place  # eq. 2
            stage = round(math.log(wanted / self.initial_width) / math.log(self.multiplier))  # eq. 3
            widths.append(8 * round(self.initial_width * self.multiplier**stage / 8))  # eq. 4
        stages = []
        for width, blocks in groupby(widths):
            group = min(self.group_width, width)
            stages.append((_nearest_multiple(width, group), len(list(blocks)), group))
        return stages


def _nearest_multiple(width: int, group: int) -> int:
    """The multiple of the group width nearest to `width`, never more than a tenth below it."""
    rounded = max(group, (2 * width + group) // (2 * group) * group)
    return rounded if rounded >= 0.9 * width else rounded + group


def _normalized(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]


class SqueezeExcitation(nn.Module):
    """Channels weighed by what the whole map shows."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        pooled = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(torch.relu_(self.fc1(pooled))))


class Block(nn.Module):
    """1 x 1, grouped 3 x 3, squeeze-and-excitation if asked, 1 x 1, beside a shortcut."""

    def __init__(self, in_channels: int, width: int, *, stride: int, group_width: int, squeeze: bool) -> None:
        super().__init__()
        self.projects = stride != 1 or in_channels != width
        if self.projects:
            self.proj = nn.Sequential(*_normalized(in_channels, width, 1, stride=stride))
        self.f = nn.Sequential()
        self.f.add_module("a", nn.Sequential(*_normalized(in_channels, width, 1), nn.ReLU(inplace=True)))
        middle = _normalized(width, width, 3, stride=stride, groups=width // group_width)
        self.f.add_module("b", nn.Sequential(*middle, nn.ReLU(inplace=True)))
        if squeeze:
            self.f.add_module("se", SqueezeExcitation(width, round(in_channels / 4)))
        self.f.add_module("c", nn.Sequential(*_normalized(width, width, 1)))

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        shortcut = self.proj(x) if self.projects else x
        return torch.relu_(shortcut + self.f(x))


class RegNet(Backbone):
    """The stem's map and one per stage; the published designs have four stages, strides 2 to 32."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __init__(self, design: Design, *, squeeze: bool = False, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_normalized(in_channels, 32, 3, stride=2), nn.ReLU(inplace=True))
        self.trunk_output = nn.Sequential()
        width = 32
        channels = [width]
        for number, (stage_width, depth, group_width) in enumerate(design.stages(), start=1):
            stage = nn.Sequential()
            for place in range(depth):
                block = Block(
                    width, stage_width, stride=2 if place == 0 else 1, group_width=group_width, squeeze=squeeze
                )
                stage.add_module(f"block{number}-{place}", block)
                width = stage_width
            self.trunk_output.add_module(f"block{number}", stage)
            channels.append(width)
        self.channels = tuple(channels)
        self.strides = tuple(2 ** (1 + place) for place in range(len(channels)))
        initialize(self)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        maps = [self.stem(images)]
        for stage in self.trunk_output:
            maps.append(stage(maps[-1]))
        return tuple(maps)


regnet_x_400mf = partial(RegNet, Design(22, 24, 24.48, 2.54, 16))
regnet_x_800mf = partial(RegNet, Design(16, 56, 35.73, 2.28, 16))
regnet_x_1_6gf = partial(RegNet, Design(18, 80, 34.01, 2.25, 24))
regnet_x_3_2gf = partial(RegNet, Design(25, 88, 26.31, 2.25, 48))
regnet_x_8gf = partial(RegNet, Design(23, 80, 49.56, 2.88, 120))
regnet_x_16gf = partial(RegNet, Design(22, 216, 55.59, 2.1, 128))
regnet_x_32gf = partial(RegNet, Design(23, 320, 69.86, 2.0, 168))
regnet_y_400mf = partial(RegNet, Design(16, 48, 27.89, 2.09, 8), squeeze=True)
regnet_y_800mf = partial(RegNet, Design(14, 56, 38.84, 2.4, 16), squeeze=True)
regnet_y_1_6gf = partial(RegNet, Design(27, 48, 20.71, 2.65, 24), squeeze=True)
regnet_y_3_2gf = partial(RegNet, Design(21, 80, 42.63, 2.66, 24), squeeze=True)
regnet_y_8gf = partial(RegNet, Design(17, 192, 76.82, 2.19, 56), squeeze=True)
regnet_y_16gf = partial(RegNet, Design(18, 200, 106.23, 2.48, 112), squeeze=True)
regnet_y_32gf = partial(RegNet, Design(20, 232, 115.89, 2.53, 232), squeeze=True)
regnet_y_128gf = partial(RegNet, Design(27, 456, 160.83, 2.52, 264), squeeze=True)
