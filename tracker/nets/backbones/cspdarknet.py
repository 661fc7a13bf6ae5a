"""CSPDarknet: Darknet's stages with cross-stage partial connections.

Papers: CSPNet, Wang et al., 2020; the layout is YOLOX's, Ge et al., 2021 (nano: width 0.25, depth 0.33, depthwise).
Where we differ: YOLOX's focus stem (four shifted half-size copies of the image, then 3 x 3) is written as the equal
6 x 6 convolution of stride 2; the image is RGB 0..1, not BGR 0..255; the map at stride 4 is given out too, for masks.
"""

from __future__ import annotations

from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import Backbone
from tracker.nets.layers import ConvNormAct, CrossStage, SpatialPyramid, spatial_conv

__all__ = ["CSPDarknet", "cspdarknet_nano", "cspdarknet_small"]


class Stem(ConvNormAct):
    """The focus stem as one convolution: 6 x 6, stride 2."""

    def __init__(self, outputs: int, *, norm: bool = True, in_channels: int = 3) -> None:
        super().__init__(in_channels, outputs, 6, stride=2, norm=norm)
        self.conv.padding = (2, 2)


class CSPDarknet(Backbone):
    """A stem and four stages, at strides 4, 8, 16 and 32."""

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __init__(self, width: int, depth: int, *, depthwise: bool, norm: bool = True, in_channels: int = 3) -> None:
        super().__init__()
        self.strides = (4, 8, 16, 32)
        self.channels = (2 * width, 4 * width, 8 * width, 16 * width)
        self.stem = Stem(width, norm=norm, in_channels=in_channels)
        stages: list[nn.Module] = []
        inputs = width
        for number, outputs in enumerate(self.channels):
            deepest = number == len(self.channels) - 1
            blocks = depth if number in (0, 3) else 3 * depth
            stages.append(
                nn.Sequential(
                    spatial_conv(inputs, outputs, stride=2, depthwise=depthwise, norm=norm),
                    *([SpatialPyramid(outputs, outputs, norm=norm)] if deepest else []),
                    CrossStage(outputs, outputs, blocks, shortcut=not deepest, depthwise=depthwise, norm=norm),
                )
            )
            inputs = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Float32[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


def cspdarknet_nano(*, norm: bool = True, in_channels: int = 3) -> CSPDarknet:
    """Width 16, depth 1, depthwise: 0.6 million parameters."""
    return CSPDarknet(16, 1, depthwise=True, norm=norm, in_channels=in_channels)


def cspdarknet_small(*, norm: bool = True, in_channels: int = 3) -> CSPDarknet:
    """Width 32, depth 1, whole convolutions: 4.2 million parameters."""
    return CSPDarknet(32, 1, depthwise=False, norm=norm, in_channels=in_channels)
