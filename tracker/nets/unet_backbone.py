"""A U-Net whose contracting path is any backbone, so that published weights, or a detector's, are its start.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015, for the shape:
an expanding path that doubles the map at each level and joins it with the map of the same level across.

Where we differ: the contracting path is the backbone's; maps carried across are narrowed by a 1 x 1 convolution; a
level has one whole and one separable 3 x 3 convolution in place of two whole ones; the path ends at stride 4, from
where a learned 2 x 2 up-convolution gives scores at stride 2, and fixed bilinear interpolation the rest.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from tracker.errors import ConfigError
from tracker.nets.backbones import Backbone
from tracker.nets.layers import ConvNormAct, DepthwiseSeparable

__all__ = ["BackboneUNet"]

FINEST = 4
"""Stride at which the expanding path ends."""


class ExpandingLevel(nn.Module):
    """A map doubled in size and joined with the one carried across."""

    def __init__(self, deep: int, across: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(deep, outputs, 2, stride=2)
        self.narrow = ConvNormAct(across, outputs // 2)
        self.mix = nn.Sequential(
            ConvNormAct(outputs + outputs // 2, outputs, 3),
            DepthwiseSeparable(outputs, outputs),
        )

    def forward(self, deep: Tensor, across: Tensor) -> Tensor:
        return self.mix(torch.cat((self.up(deep), self.narrow(across)), dim=1))  # type: ignore[no-any-return]


class BackboneUNet(nn.Module):
    """Images in, one logit per class and pixel out."""

    finest = 2
    """Stride of the scores that are learned."""

    def __init__(self, backbone: Backbone, classes: int, *, width: int = 48) -> None:
        super().__init__()
        levels = [(s, c) for s, c in zip(backbone.strides, backbone.channels, strict=True) if s >= FINEST]
        doubling = all(coarse == 2 * fine for (fine, _), (coarse, _) in pairwise(levels))
        if not levels or levels[0][0] != FINEST or not doubling or not (backbone.exact_strides and backbone.padded):
            raise ConfigError(
                f"a U-Net needs a backbone with maps at strides 4, 8, ... of exactly side / stride, this "
                f"{type(backbone).__name__} has {backbone.strides}. Take resnet18, vgg16 or yolo26_nano."
            )
        self.backbone = backbone
        self.stride = levels[-1][0]
        deep = levels[-1][1]
        expanding: list[nn.Module] = []
        for level in reversed(range(len(levels) - 1)):
            outputs = width * (level + 2) // 2  # 48, 72, 96, shallow to deep
            expanding.append(ExpandingLevel(deep, levels[level][1], outputs))
            deep = outputs
        self.expanding = nn.ModuleList(expanding)
        self.classify = nn.ConvTranspose2d(deep, classes, 2, stride=2)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b k h w"]:
        height, width = images.shape[2:]
        scores = self.coarse_scores(self._pad(images))
        return functional.interpolate(scores, scale_factor=2.0, mode="bilinear")[:, :, :height, :width]

    def own_scores(self, images: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b k i j"]:
        """The logits at stride 2, without what the padding of the sides adds."""
        height, width = images.shape[2:]
        return self.coarse_scores(self._pad(images))[:, :, : height // 2, : width // 2]

    def _pad(self, images: Tensor) -> Tensor:
        bottom, right = -images.shape[2] % self.stride, -images.shape[3] % self.stride
        return functional.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images

    def coarse_scores(self, padded: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b k i j"]:
        """The logits at stride 2, of images whose sides are multiples of the deepest stride."""
        maps = dict(zip(self.backbone.strides, self.backbone(padded), strict=True))
        x = maps.pop(self.stride)
        across = [maps[stride] for stride in sorted(maps, reverse=True) if stride >= FINEST]
        for level, skipped in zip(self.expanding, across, strict=True):
            x = level(x, skipped)
        logits: Tensor = self.classify(x)
        return logits
