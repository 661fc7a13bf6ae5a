"""ResNet: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.

Depths 18, 34 (basic blocks), 50, 101 and 152 (bottlenecks), shortcut option B: projections where the shape changes.

Where we differ: a bottleneck halves the resolution in its 3 x 3 convolution, not in the first 1 x 1 (Gross and Wilber,
2016: the "v1.5" that torchvision publishes); the last batch norm of each block starts at zero, so that a block starts
as the identity (Goyal et al., 2017). Parameter names are torchvision's.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import IMAGENET_MEAN, IMAGENET_STD, Backbone
from tracker.nets.backbones.start import initialize

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(in_channels, width, stride)
        self.shortcut = True

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        residual = torch.relu_(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        if not self.shortcut:
            return torch.relu_(residual)
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu_(residual + shortcut)


class Bottleneck(nn.Module):
    """1 x 1 to a quarter of the width, 3 x 3, 1 x 1 back, beside a shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _projection(in_channels, 4 * width, stride)
        self.shortcut = True

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        residual = torch.relu_(self.bn1(self.conv1(x)))
        residual = torch.relu_(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        if not self.shortcut:
            return torch.relu_(residual)
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu_(residual + shortcut)


class ResNet(Backbone):
    """The stem's map and those of the four stages, strides 2 to 32."""

    strides = (2, 4, 8, 16, 32)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self, block: type[BasicBlock | Bottleneck], depths: tuple[int, int, int, int], *, in_channels: int = 3
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        width = 64
        for stage, depth in enumerate(depths):
            narrow = 64 * 2**stage
            blocks: list[nn.Module] = []
            for place in range(depth):
                blocks.append(block(width, narrow, stride=2 if stage > 0 and place == 0 else 1))
                width = narrow * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.channels = (64, *(64 * 2**stage * block.expansion for stage in range(4)))
        initialize(self)
        for module in self.modules():
            if isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)
            elif isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        stem = torch.relu_(self.bn1(self.conv1(images)))
        maps = [stem]
        x = self.maxpool(stem)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return tuple(maps)


resnet18 = partial(ResNet, BasicBlock, (2, 2, 2, 2))
resnet34 = partial(ResNet, BasicBlock, (3, 4, 6, 3))
resnet50 = partial(ResNet, Bottleneck, (3, 4, 6, 3))
resnet101 = partial(ResNet, Bottleneck, (3, 4, 23, 3))
resnet152 = partial(ResNet, Bottleneck, (3, 8, 36, 3))
