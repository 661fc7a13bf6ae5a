"""Building blocks that several networks share.

`norm=False` builds a block whose convolution carries a bias in place of batch norm: the shape of a network whose
batch norm has been folded away, either because it is exported or because its weights came from such a file.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Bottleneck",
    "ConvNormAct",
    "CrossStage",
    "DepthwiseSeparable",
    "HalfStored",
    "Normalize",
    "SpatialPyramid",
    "average_over",
    "drop_padding",
    "drop_shortcuts",
    "fold_batch_norm",
    "pool_to",
    "reads_beyond",
    "small_convolutions",
    "store_half",
]

NORM_EPSILON, NORM_MOMENTUM = 1e-3, 0.03
"""Of batch norms, those of YOLOX and of Ultralytics' networks, whose published weights were trained with them."""
RARE = -math.log(99.0)
"""Bias of a fresh network's classes and objectness: it answers 1 % everywhere, or the many places that show nothing
would drown the few that show something (Lin et al., "Focal Loss", 2017, section 4.1)."""


class Normalize(nn.Module):
    """RGB in 0..1 to what the weights were trained with, and back to grey where the network takes one channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, channels: int) -> None:
        super().__init__()
        if len(mean) != channels:
            mean, std = [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        return (images - self.mean) / self.std


class ConvNormAct(nn.Module):
    """Convolution, batch norm, SiLU; without the last where `act` is off."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
        act: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=not norm)
        self.norm: nn.Module = (
            nn.BatchNorm2d(outputs, eps=NORM_EPSILON, momentum=NORM_MOMENTUM) if norm else nn.Identity()
        )
        self.act: nn.Module = nn.SiLU(inplace=True) if act else nn.Identity()

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b d i j"]:
        return self.act(self.norm(self.conv(x)))  # type: ignore[no-any-return]


class DepthwiseSeparable(nn.Sequential):
    """A convolution per channel, then a 1 x 1 convolution across channels, each with its activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, norm: bool = True) -> None:
        super().__init__(
            ConvNormAct(inputs, inputs, kernel, stride=stride, groups=inputs, norm=norm),
            ConvNormAct(inputs, outputs, norm=norm),
        )


def spatial_conv(
    inputs: int, outputs: int, *, stride: int = 1, depthwise: bool = False, norm: bool = True
) -> nn.Module:
    """A 3 x 3 convolution, whole or separable."""
    if depthwise:
        return DepthwiseSeparable(inputs, outputs, stride=stride, norm=norm)
    return ConvNormAct(inputs, outputs, 3, stride=stride, norm=norm)


class Bottleneck(nn.Module):
    """1 x 1, then 3 x 3, with the input added where `shortcut` says so."""

    def __init__(self, channels: int, *, shortcut: bool, depthwise: bool, norm: bool = True) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(channels, channels, norm=norm)
        self.conv2 = spatial_conv(channels, channels, depthwise=depthwise, norm=norm)
        self.shortcut = shortcut

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        y = self.conv2(self.conv1(x))
        return y + x if self.shortcut else y  # type: ignore[no-any-return]


class CrossStage(nn.Module):
    """Half of the channels through bottlenecks, half around them, joined by a 1 x 1 (CSPNet, Wang et al., 2020)."""

    def __init__(
        self, inputs: int, outputs: int, depth: int, *, shortcut: bool, depthwise: bool, norm: bool = True
    ) -> None:
        super().__init__()
        hidden = outputs // 2
        self.conv1 = ConvNormAct(inputs, hidden, norm=norm)
        self.conv2 = ConvNormAct(inputs, hidden, norm=norm)
        self.blocks = nn.Sequential(
            *(Bottleneck(hidden, shortcut=shortcut, depthwise=depthwise, norm=norm) for _ in range(depth))
        )
        self.conv3 = ConvNormAct(2 * hidden, outputs, norm=norm)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b d h w"]:
        return self.conv3(torch.cat((self.blocks(self.conv1(x)), self.conv2(x)), dim=1))  # type: ignore[no-any-return]


class SpatialPyramid(nn.Module):
    """Max pooling over 5, 9 and 13 pixels beside the input, joined by a 1 x 1 (SPP, He et al., 2014).

    The wider windows are the 5-pixel pooling applied again, which gives the same values for less work.
    """

    def __init__(self, inputs: int, outputs: int, *, norm: bool = True) -> None:
        super().__init__()
        hidden = inputs // 2
        self.conv1 = ConvNormAct(inputs, hidden, norm=norm)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.conv2 = ConvNormAct(4 * hidden, outputs, norm=norm)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b d h w"]:
        x = self.conv1(x)
        five = self.pool(x)
        nine = self.pool(five)
        return self.conv2(torch.cat((x, five, nine, self.pool(nine)), dim=1))  # type: ignore[no-any-return]


def pool_to(x: Float32[Tensor, "b c h w"], side: int) -> Float32[Tensor, "b c s s"]:
    """Adaptive average pooling to side x side; as two matrix products for ONNX, which has no such layer."""
    if not torch.onnx.is_in_onnx_export():
        return functional.adaptive_avg_pool2d(x, side)
    down, across = (average_over(int(length), side).to(x) for length in x.shape[2:])
    return down @ x @ across.T


def average_over(length: int, parts: int) -> Float32[Tensor, "p l"]:
    """Part i is the mean of the values from floor(i length / parts) to ceil((i + 1) length / parts)."""
    weights = torch.zeros(parts, length)
    for part in range(parts):
        start, end = part * length // parts, -(-(part + 1) * length // parts)
        weights[part, start:end] = 1 / (end - start)
    return weights


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """The same network with each batch norm folded into the convolution before it; changes `network` in place.

    Equal in evaluation mode. Convolution and norm must stand next to each other in one module, as they do in
    `ConvNormAct` (conv, norm) and in torchvision's networks (conv1, bn1, ...).
    """
    for module in network.modules():
        names = list(module._modules)
        for first, second in pairwise(names):
            conv, norm = module._modules[first], module._modules[second]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                folded = nn.utils.fuse_conv_bn_eval(conv.eval(), norm.eval())
                module._modules[first], module._modules[second] = folded, nn.Identity()
    return network


def drop_shortcuts(network: nn.Module) -> int:
    """Have every block give what it computes without its input added; how many that were. Changes `network`.

    Norms that start at zero, so that a block starts as the identity, start at one then.
    """
    dropped = 0
    for module in network.modules():
        if getattr(module, "shortcut", None) is True:
            setattr(module, "shortcut", False)  # noqa: B010 - which kinds of blocks have one is theirs to know
            setattr(module, "downsample", None)  # noqa: B010
            dropped += 1
            for norm in module.modules():
                if isinstance(norm, nn.BatchNorm2d) and not norm.weight.any():
                    nn.init.ones_(norm.weight)
    return dropped


def reads_beyond(module: nn.Module) -> bool:
    """Whether it is a convolution or pooling that reads beyond the edges of its map: padded, or rounding up."""
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return False
    return module.padding not in (0, (0, 0)) or bool(getattr(module, "ceil_mode", False))


def drop_padding(network: nn.Module) -> int:
    """Have every convolution and pooling read its map and nothing else (*valid*); how many did not. Changes `network`.

    Branches that are added or joined may no longer fit together then.
    """
    beyond = [module for module in network.modules() if reads_beyond(module)]
    for module in beyond:
        setattr(module, "padding", (0, 0))  # noqa: B010 - each of the three kinds has it
        if not isinstance(module, nn.Conv2d):
            setattr(module, "ceil_mode", False)  # noqa: B010
    return len(beyond)


class HalfStored(nn.Module):
    """A convolution whose weights are kept in half precision and widened when it runs; its bias stays as it is."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        conv.weight = nn.Parameter(conv.weight.detach().half(), requires_grad=False)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b d i j"]:
        conv = self.conv
        return functional.conv2d(
            x, conv.weight.float(), conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )


def small_convolutions(body: nn.Module, *, most: float) -> list[nn.Conv2d]:
    """The convolutions of `body` with the fewest weights, `most` weights together; they lie where images come in."""
    found = sorted((each for each in body.modules() if isinstance(each, nn.Conv2d)), key=lambda c: c.weight.numel())
    counts = accumulate(each.weight.numel() for each in found)
    return [each for each, together in zip(found, counts, strict=True) if together <= most]


def store_half(network: nn.Module, *, keep: Collection[nn.Module]) -> None:
    """Keep the weights of plain convolutions, but for those in `keep`, in half precision; changes `network`."""
    for module in list(network.modules()):
        for name, child in module._modules.items():
            if type(child) is nn.Conv2d and child not in keep:
                module._modules[name] = HalfStored(child)
