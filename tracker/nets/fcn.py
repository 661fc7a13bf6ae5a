"""FCN: Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.

FCN-32s, 16s and 8s: class scores at stride 32, refined by scores from strides 16 and 8 through learned 2 x
up-sampling that starts bilinear; the rest is fixed bilinear. Score layers start at zero, as in the paper.

Where we differ: any backbone with maps at strides 8, 16 and 32 carries it, VGG with the paper's two wide layers
(fc6, fc7) as convolutions, others without (`hidden=0`); fc6 is padded by 3 where the paper pads the image by 100;
the three variants are trained in one go.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from tracker.errors import ConfigError
from tracker.nets.backbones import Backbone

__all__ = ["FCN"]


class FCN(nn.Module):
    """Images in, one logit per class and pixel out."""

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        finest: Literal[8, 16, 32] = 8,
        hidden: int = 0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        channels = dict(zip(backbone.strides, backbone.channels, strict=True))
        self.strides = tuple(stride for stride in (32, 16, 8) if stride >= finest)
        missing = [stride for stride in self.strides if stride not in channels]
        if missing or not backbone.exact_strides:
            raise ConfigError(
                f"FCN-{finest}s needs a backbone with maps at strides {self.strides}, this {type(backbone).__name__} "
                f"has {backbone.strides}. Take vgg16 or resnet18."
            )
        self.backbone = backbone
        deepest = channels[32]
        self.wide = nn.Sequential()
        if hidden:
            self.wide = nn.Sequential(
                nn.Conv2d(deepest, hidden, 7, padding=3),
                nn.ReLU(inplace=True),
                nn.Dropout2d(dropout),
                nn.Conv2d(hidden, hidden, 1),
                nn.ReLU(inplace=True),
                nn.Dropout2d(dropout),
            )
            deepest = hidden
        widths = [deepest, *(channels[stride] for stride in self.strides[1:])]
        self.score = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths)
        self.upward = nn.ModuleList(_bilinear_upsampling(classes) for _ in self.strides[1:])
        for layer in self.score:
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b k h w"]:
        height, width = images.shape[2:]
        padded = functional.pad(images, (0, -width % 32, 0, -height % 32), mode="replicate")
        maps = dict(zip(self.backbone.strides, self.backbone(padded), strict=True))
        scores: Tensor = self.score[0](self.wide(maps[32]))
        for stride, score, up in zip(self.strides[1:], self.score[1:], self.upward, strict=True):
            scores = up(scores) + score(maps[stride])
        whole = functional.interpolate(scores, size=padded.shape[2:], mode="bilinear", align_corners=False)
        return whole[:, :, :height, :width]


def _bilinear_upsampling(classes: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles each map by bilinear interpolation until training moves it."""
    layer = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
    slope = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(classes), range(classes)] = torch.outer(slope, slope)
    return layer
