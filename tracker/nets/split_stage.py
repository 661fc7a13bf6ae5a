"""The stages of YOLOv8, YOLO11 and YOLO26: C2f, C3k2, fast pyramid pooling and attention over positions.

Papers: CSPNet (Wang et al., 2020) for the split; ELAN (Wang et al., 2022) for keeping what every block gives; SPP (He
et al., 2014); the attention of vision transformers (Dosovitskiy et al., 2021) with a depthwise convolution as position
encoding. The arrangement is Ultralytics' (Jocher et al., YOLOv8 2023, YOLO11 2024, YOLO26 2025), which has no paper.
Where we differ: nothing in the arithmetic, so that published weights give the published answers. Parameters are named
as there (cv1, cv2, m.0...), and widths inside a stage can be given, so that a stage may be pruned.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from tracker.nets.layers import ConvNormAct

__all__ = [
    "AttentionStage",
    "FastPyramid",
    "SplitStage",
    "attention_bottleneck",
    "csp_block",
    "plain_bottleneck",
    "separate_halves",
]

HEAD_WIDTH = 64
"""Channels of one attention head, where they divide evenly."""


class Halves(nn.Module):
    """A 1 x 1 convolution as two, one for each half of the channels that it gives; the same answers."""

    def __init__(self, whole: ConvNormAct) -> None:
        super().__init__()
        middle = whole.conv.out_channels // 2
        self.past, self.through = _part(whole.conv, slice(middle)), _part(whole.conv, slice(middle, None))
        self.act = whole.act

    def forward(self, x: Float32[Tensor, "b c h w"]) -> tuple[Tensor, Tensor]:
        return self.act(self.past(x)), self.act(self.through(x))


class JoinedHalves(nn.Module):
    """The same over a coarse map, doubled in size, beside a fine one.

    A 1 x 1 convolution gives the same before the doubling as after it, from a quarter of the cells.
    """

    def __init__(self, whole: ConvNormAct, coarse: int) -> None:
        super().__init__()
        middle = whole.conv.out_channels // 2
        halves = (slice(middle), slice(middle, None))
        self.coarse = nn.ModuleList(_part(whole.conv, rows, slice(coarse)) for rows in halves)
        self.fine = nn.ModuleList(_part(whole.conv, rows, slice(coarse, None), bias=False) for rows in halves)
        self.act = whole.act

    def forward(self, coarse: Float32[Tensor, "b c h w"], fine: Float32[Tensor, "b d i j"]) -> tuple[Tensor, Tensor]:
        past, through = (
            self.act(double(of_coarse(coarse)) + of_fine(fine))
            for of_coarse, of_fine in zip(self.coarse, self.fine, strict=True)
        )
        return past, through


def _part(conv: nn.Conv2d, rows: slice, columns: slice = slice(None), *, bias: bool = True) -> nn.Conv2d:
    """The convolution that gives some of the channels, of some of the channels."""
    weight = conv.weight[rows, columns].detach().clone()
    part = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias)
    part.weight = nn.Parameter(weight)
    if bias:
        assert conv.bias is not None
        part.bias = nn.Parameter(conv.bias[rows].detach().clone())
    return part


def double(x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c i j"]:
    """Each cell four times."""
    return functional.interpolate(x, scale_factor=2.0)


def separate_halves(network: nn.Module) -> dict[nn.Conv2d, list[nn.Conv2d]]:
    """Have two convolutions where a stage cuts what one made; what has become of each. Changes `network` in place.

    For networks whose batch norm is folded, before they are exported. ONNX Runtime keeps maps in blocks of channels
    and takes them out of these for every cut and back after it: without, and with what `JoinedHalves` saves,
    sightline-nano takes 0.93 of the time on one thread of a CPU. Training and GPUs are better served by one large
    convolution.
    """
    made = {}
    for stage in list(network.modules()):
        if isinstance(stage, AttentionStage | SplitStage):
            whole, coarse = stage.cv1, stage.coarse if isinstance(stage, SplitStage) else 0
            assert isinstance(whole, ConvNormAct)
            halves = JoinedHalves(whole, coarse) if coarse else Halves(whole)
            made[whole.conv] = [part for part in halves.modules() if isinstance(part, nn.Conv2d)]
            stage.register_module("cv1", halves)
    return made


class PlainBottleneck(nn.Module):
    """Two 3 x 3 convolutions around the input."""

    def __init__(self, channels: int, hidden: int, *, norm: bool) -> None:
        super().__init__()
        self.cv1 = ConvNormAct(channels, hidden, 3, norm=norm)
        self.cv2 = ConvNormAct(hidden, channels, 3, norm=norm)
        self.shortcut = True

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y  # type: ignore[no-any-return]


class CspBlock(nn.Module):
    """Half of the channels through two bottlenecks, half around them (C3k)."""

    def __init__(self, channels: int, *, norm: bool) -> None:
        super().__init__()
        hidden = channels // 2
        self.cv1 = ConvNormAct(channels, hidden, norm=norm)
        self.cv2 = ConvNormAct(channels, hidden, norm=norm)
        self.cv3 = ConvNormAct(2 * hidden, channels, norm=norm)
        self.m = nn.Sequential(*(PlainBottleneck(hidden, hidden, norm=norm) for _ in range(2)))

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), dim=1))  # type: ignore[no-any-return]


class PositionAttention(nn.Module):
    """Every cell looks at every other, several heads; keys are half as wide as values."""

    def __init__(self, channels: int, *, norm: bool) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD_WIDTH)
        self.value_width = channels // self.heads
        self.key_width = self.value_width // 2
        outputs = channels + 2 * self.key_width * self.heads
        self.qkv = ConvNormAct(channels, outputs, norm=norm, act=False)
        self.proj = ConvNormAct(channels, channels, norm=norm, act=False)
        self.pe = ConvNormAct(channels, channels, 3, groups=channels, norm=norm, act=False)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        batch, channels, height, width = x.shape
        key = self.key_width
        mixed = self.qkv(x).view(batch, self.heads, 2 * key + self.value_width, height * width)
        query, keys, values = mixed.split((key, key, self.value_width), dim=2)
        weights = ((query * key**-0.5).transpose(-2, -1) @ keys).softmax(dim=-1)
        seen = (values @ weights.transpose(-2, -1)).reshape(batch, channels, height, width)
        return self.proj(seen + self.pe(values.reshape(batch, channels, height, width)))  # type: ignore[no-any-return]


class AttentionBlock(nn.Module):
    """Attention, then two 1 x 1 convolutions, each added to its input."""

    def __init__(self, channels: int, *, norm: bool) -> None:
        super().__init__()
        self.attn = PositionAttention(channels, norm=norm)
        self.ffn = nn.Sequential(
            ConvNormAct(channels, 2 * channels, norm=norm),
            ConvNormAct(2 * channels, channels, norm=norm, act=False),
        )

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        x = x + self.attn(x)
        return x + self.ffn(x)  # type: ignore[no-any-return]


class AttentionStage(nn.Module):
    """Half of the channels through attention (C2PSA)."""

    def __init__(self, channels: int, hidden: int, *, norm: bool) -> None:
        super().__init__()
        self.cv1: nn.Module = ConvNormAct(channels, 2 * hidden, norm=norm)
        self.cv2 = ConvNormAct(2 * hidden, channels, norm=norm)
        self.m = nn.Sequential(AttentionBlock(hidden, norm=norm))

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        halves: tuple[Tensor, Tensor] = self.cv1(x) if isinstance(self.cv1, Halves) else self.cv1(x).chunk(2, dim=1)
        past, through = halves
        return self.cv2(torch.cat((past, self.m(through)), dim=1))  # type: ignore[no-any-return]


class FastPyramid(nn.Module):
    """Max pooling over 5, 9 and 13 cells beside the input, joined by a 1 x 1 (SPPF)."""

    def __init__(self, channels: int, hidden: int, *, act: bool, shortcut: bool, norm: bool) -> None:
        super().__init__()
        self.cv1 = ConvNormAct(channels, hidden, norm=norm, act=act)
        self.cv2 = ConvNormAct(4 * hidden, channels, norm=norm)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.shortcut = shortcut

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        one = self.cv1(x)
        five = self.pool(one)
        nine = self.pool(five)
        y = self.cv2(torch.cat((one, five, nine, self.pool(nine)), dim=1))
        return x + y if self.shortcut else y  # type: ignore[no-any-return]


MakeBlock = Callable[[int, bool], nn.Module]
"""From channels and `norm` to what a stage holds."""


def plain_bottleneck(channels: int, norm: bool) -> nn.Module:
    """YOLO11's shallow stages: half as wide inside."""
    return PlainBottleneck(channels, channels // 2, norm=norm)


def csp_block(channels: int, norm: bool) -> nn.Module:
    """The deeper stages (C3k)."""
    return CspBlock(channels, norm=norm)


def attention_bottleneck(channels: int, norm: bool) -> nn.Module:
    """YOLO26's last stage: a bottleneck, then attention."""
    return nn.Sequential(PlainBottleneck(channels, channels // 2, norm=norm), AttentionBlock(channels, norm=norm))


class SplitStage(nn.Module):
    """A 1 x 1 splits into two halves, a block goes on from the second, a 1 x 1 joins all three (C2f, C3k2).

    A stage that is given two maps says how many channels the coarser one has.
    """

    def __init__(
        self, inputs: int, outputs: int, hidden: int, block: MakeBlock, *, norm: bool, coarse: int = 0
    ) -> None:
        super().__init__()
        self.coarse = coarse
        self.cv1: nn.Module = ConvNormAct(inputs, 2 * hidden, norm=norm)
        self.cv2 = ConvNormAct(3 * hidden, outputs, norm=norm)
        self.m = nn.ModuleList([block(hidden, norm)])

    def forward(self, x: Float32[Tensor, "b c h w"], fine: Tensor | None = None) -> Float32[Tensor, "b d i j"]:
        """What the stage makes of a map, or where `fine` is given of one doubled in size beside that."""
        if fine is not None and not isinstance(self.cv1, JoinedHalves):
            x = torch.cat((double(x), fine), dim=1)
        if isinstance(self.cv1, JoinedHalves):
            past, through = self.cv1(x, fine)
        else:
            past, through = self.cv1(x) if isinstance(self.cv1, Halves) else self.cv1(x).chunk(2, dim=1)
        return self.cv2(torch.cat((past, through, self.m[0](through)), dim=1))  # type: ignore[no-any-return]
