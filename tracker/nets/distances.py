"""The neck and the heads of YOLO11 and YOLO26: distances to the four sides, classes without objectness, masks.

Architecture: Ultralytics YOLO11 (2024) and YOLO26 (2025), which have no paper; PANet (Liu et al., 2018) for the neck,
FCOS (Tian et al., 2019) for distances, generalized focal loss (Li et al., 2020) for distances as distributions, YOLACT
(Bolya et al., 2019) for masks.
Where we differ: the answer is written in the channels of an anchor-based head. A cell that sees the sides l, t, r, b
strides away says that the centre lies at t_x = (r - l) / 2 + 1/2 and that the box is (l + r) strides wide, so
t_w = log((l + r) stride / p_w); rows alike. Objectness is a constant near 1: the classes say everything. k anchors are
k answers that start as copies. Mask coefficients come from separable convolutions, unless the weights are YOLO11's.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from tracker.nets.layers import RARE, ConvNormAct, spatial_conv
from tracker.nets.network_config import NetworkConfig
from tracker.nets.split_stage import SplitStage, attention_bottleneck, csp_block, plain_bottleneck

__all__ = ["BINS", "SURE", "DistanceHead", "FullPrototypes", "FusedPrototypes", "SplitNeck"]

BINS = 16
"""Steps of a distance given as a distribution, one stride each."""
SURE = 12.0
"""Objectness of every cell: its sigmoid differs from 1 by 6e-6."""
BEGIN = 2.0
"""Strides to each side that a fresh head sees: boxes of nothing overlap no object, so that no cell would answer."""
NARROW = 0.01
"""Strides that a box measures at least, for its logarithm to exist."""


Levels: TypeAlias = tuple[Float32[Tensor, "b c h w"], ...]
"""The neck's maps at strides 8, 16 and 32."""


class SplitNeck(nn.Module):
    """Top-down, then bottom-up, with the stages of the body."""

    def __init__(self, inputs: tuple[int, int, int], config: NetworkConfig) -> None:
        super().__init__()
        shallow, middle, deep = inputs
        w3, w4, w5 = config.widths
        norm, newer = config.norm, config.neck == "yolo26"
        block = csp_block if newer else plain_bottleneck
        last = attention_bottleneck if newer else csp_block
        self.down4 = SplitStage(deep + middle, w4, w4 // 2, block, norm=norm, coarse=deep)
        self.down3 = SplitStage(w4 + shallow, w3, w3 // 2, block, norm=norm, coarse=w4)
        self.step3 = ConvNormAct(w3, w3, 3, stride=2, norm=norm)
        self.up4 = SplitStage(w3 + w4, w4, w4 // 2, block, norm=norm)
        self.step4 = ConvNormAct(w4, w4, 3, stride=2, norm=norm)
        self.up5 = SplitStage(w4 + deep, w5, w5 // 2, last, norm=norm)

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        waist = self.down4(deep, middle)
        p3 = self.down3(waist, shallow)
        p4 = self.up4(torch.cat((self.step3(p3), waist), dim=1))
        p5 = self.up5(torch.cat((self.step4(p4), deep), dim=1))
        return p3, p4, p5


class DistanceHead(nn.Module):
    """Boxes, classes and mask coefficients of one stride, k answers per cell."""

    shifts: Tensor

    def __init__(self, inputs: int, config: NetworkConfig) -> None:
        super().__init__()
        finest, norm, k = config.widths[0], config.norm, config.anchors
        self.anchors, self.bins = k, BINS if config.head == "distribution" else 1
        box_width = max(16, finest // 4, 4 * self.bins)
        self.cv2 = nn.Sequential(
            ConvNormAct(inputs, box_width, 3, norm=norm),
            ConvNormAct(box_width, box_width, 3, norm=norm),
            nn.Conv2d(box_width, k * 4 * self.bins, 1),
        )
        width = config.head_width
        self.cv3 = nn.Sequential(
            nn.Sequential(
                ConvNormAct(inputs, inputs, 3, groups=inputs, norm=norm), ConvNormAct(inputs, width, norm=norm)
            ),
            nn.Sequential(ConvNormAct(width, width, 3, groups=width, norm=norm), ConvNormAct(width, width, norm=norm)),
            nn.Conv2d(width, k * config.classes, 1),
        )
        mask_width, separable = config.mask_width, config.depthwise
        self.cv4 = nn.Sequential(
            spatial_conv(inputs, mask_width, depthwise=separable, norm=norm),
            spatial_conv(mask_width, mask_width, depthwise=separable, norm=norm),
            nn.Conv2d(mask_width, k * config.coefficients, 1),
        )
        self.register_buffer("shifts", torch.zeros(k, 2))
        for branch, value in ((self.cv3, RARE), (self.cv2, BEGIN if self.bins == 1 else 0.0)):
            last = branch[-1]
            assert isinstance(last, nn.Conv2d)
            assert last.bias is not None
            nn.init.constant_(last.bias, value)

    def set_anchors(self, stride: int, anchors: tuple[tuple[float, float], ...]) -> None:
        """Let the sizes be given relative to these anchors, in pixels."""
        self.shifts.copy_(torch.tensor([[math.log(stride / w), math.log(stride / h)] for w, h in anchors]))

    def forward(self, x: Float32[Tensor, "b d h w"]) -> Float32[Tensor, "b k c h w"]:
        distances = self.cv2(x).unflatten(1, (self.anchors, 4, self.bins))
        if self.bins > 1:
            steps = torch.arange(self.bins, device=x.device, dtype=x.dtype).view(-1, 1, 1)
            distances = (distances.softmax(dim=3) * steps).sum(dim=3)
        else:
            distances = distances[:, :, :, 0]
        near, far = distances[:, :, :2], distances[:, :, 2:]  # left and top, right and bottom
        centre = (far - near) / 2 + 0.5
        sizes = (far + near).clamp(min=NARROW).log() + self.shifts[None, :, :, None, None]
        sure = sizes[:, :, :1].clamp(SURE, SURE)  # a plane of constants whose size the tracing exporter leaves free
        classes = self.cv3(x).unflatten(1, (self.anchors, -1))
        coefficients = self.cv4(x).unflatten(1, (self.anchors, -1))
        return torch.cat((centre, sizes, sure, classes, coefficients), dim=2)


class FullPrototypes(nn.Module):
    """YOLO11's own: whole 3 x 3 convolutions around a transposed one, from the neck's finest map alone."""

    def __init__(self, inputs: int, config: NetworkConfig) -> None:
        super().__init__()
        width, norm = config.prototype_width, config.norm
        self.cv1 = ConvNormAct(inputs, width, 3, norm=norm)
        self.upsample = nn.ConvTranspose2d(width, width, 2, 2)
        self.cv2 = ConvNormAct(width, width, 3, norm=norm)
        self.cv3 = ConvNormAct(width, config.coefficients, norm=norm)

    def forward(self, levels: Levels, fine: Tensor | None) -> Float32[Tensor, "b m i j"]:  # noqa: ARG002
        return self.cv3(self.cv2(self.upsample(self.cv1(levels[0]))))  # type: ignore[no-any-return]


class FusedPrototypes(nn.Module):
    """All three maps of the neck, summed at stride 8, and the body's at stride 4 for the edges.

    Summed as in panoptic feature pyramids (Kirillov et al., 2019). Where we differ: the whole convolutions, which tell
    object from ground, run at stride 8, where they cost a quarter; at stride 4 half the channels and one separable one
    are enough to put the edge where the body's map has it.
    """

    def __init__(self, inputs: tuple[int, int, int], fine: int, config: NetworkConfig) -> None:
        super().__init__()
        width, narrow, norm = config.prototype_width, config.prototype_width // 2, config.norm
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in inputs)
        self.shape = nn.Sequential(
            nn.SiLU(), ConvNormAct(width, width, 3, norm=norm), ConvNormAct(width, narrow, 3, norm=norm)
        )
        self.fine = nn.Conv2d(fine, narrow, 1)
        self.edge = nn.Sequential(nn.SiLU(), spatial_conv(narrow, narrow, depthwise=True, norm=norm))
        self.out = nn.Conv2d(narrow, config.coefficients, 1)

    def forward(self, levels: Levels, fine: Tensor | None) -> Float32[Tensor, "b m i j"]:
        assert fine is not None
        p3, p4, p5 = (lateral(level) for lateral, level in zip(self.lateral, levels, strict=True))
        x = p3 + functional.interpolate(p4 + functional.interpolate(p5, scale_factor=2.0), scale_factor=2.0)
        x = functional.interpolate(self.shape(x), scale_factor=2.0) + self.fine(fine)
        return self.out(self.edge(x))  # type: ignore[no-any-return]
