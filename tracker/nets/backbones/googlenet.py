"""GoogLeNet: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015.

The nine Inception modules of table 1 with their 1 x 1 reductions, and global average pooling.

Where we differ: batch norm (Ioffe and Szegedy, 2015) instead of local response normalisation, hence no biases and
no auxiliary classifiers (their entries in published files are left aside); the third branch convolves 3 x 3 where
the paper has 5 x 5, as in the weights torchvision publishes (they carry TensorFlow's slip), unless `wide_branch`
asks for the paper's size. Parameter names are torchvision's; inputs are scaled to -1..1.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import Backbone
from tracker.nets.backbones.start import initialize

__all__ = ["GoogLeNet", "googlenet"]


class RectifiedConvolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        return torch.relu_(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches side by side: 1 x 1, reduced 3 x 3, reduced 5 x 5, pooled and projected."""

    def __init__(
        self,
        in_channels: int,
        *,
        single: int,
        middle: tuple[int, int],
        large: tuple[int, int],
        pooled: int,
        large_kernel: int,
    ) -> None:
        super().__init__()
        self.branch1 = RectifiedConvolution(in_channels, single, 1)
        self.branch2 = nn.Sequential(RectifiedConvolution(in_channels, middle[0], 1), RectifiedConvolution(*middle, 3))
        self.branch3 = nn.Sequential(
            RectifiedConvolution(in_channels, large[0], 1), RectifiedConvolution(*large, large_kernel)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), RectifiedConvolution(in_channels, pooled, 1))
        self.out_channels = single + middle[1] + large[1] + pooled

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        return torch.cat((self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)), dim=1)


TABLE_1: dict[str, tuple[int, tuple[int, int], tuple[int, int], int]] = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
"""Maps per branch: 1 x 1; 3 x 3 reduction and result; 5 x 5 reduction and result; pool projection."""


class GoogLeNet(Backbone):
    """The maps before each of the poolings and the last one, strides 2 to 32."""

    channels = (64, 192, 480, 832, 1024)
    strides = (2, 4, 8, 16, 32)
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __init__(self, *, in_channels: int = 3, wide_branch: bool = False) -> None:
        super().__init__()
        self.conv1 = RectifiedConvolution(in_channels, 64, 7, stride=2)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = RectifiedConvolution(64, 64, 1)
        self.conv3 = RectifiedConvolution(64, 192, 3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        width = 192
        for place, (single, middle, large, pooled) in TABLE_1.items():
            module = Inception(
                width, single=single, middle=middle, large=large, pooled=pooled, large_kernel=5 if wide_branch else 3
            )
            self.add_module(f"inception{place}", module)
            width = module.out_channels
        initialize(self)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        first = self.conv1(images)
        second = self.conv3(self.conv2(self.maxpool1(first)))
        third = self._inception(self.maxpool2(second), "3a", "3b")
        fourth = self._inception(self.maxpool3(third), "4a", "4b", "4c", "4d", "4e")
        fifth = self._inception(self.maxpool4(fourth), "5a", "5b")
        return first, second, third, fourth, fifth

    def _inception(self, x: Tensor, *places: str) -> Tensor:
        for place in places:
            x = self.get_submodule(f"inception{place}")(x)
        return x


googlenet = GoogLeNet
