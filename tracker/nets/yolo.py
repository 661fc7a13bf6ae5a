"""An anchor-based YOLO with masks: any backbone, a path aggregation neck, decoupled heads, prototype masks.

Papers: YOLOv2 and v3 (Redmon and Farhadi, 2016 and 2018) for anchors; PANet (Liu et al., 2018) for the neck; YOLOX
(Ge et al., 2021) for the decoupled head and the sizes; YOLACT (Bolya et al., 2019) for the masks.
Where we differ: centres are linear in the cell (as YOLOX's) and may leave it; k anchors share one head whose last
convolution gives k answers, so that an anchor-free head becomes ours by copying it k times and moving its size bias
by log(stride / anchor); prototypes see the backbone's map at stride 4 besides the neck.

Layout of the raw maps, which is also the layout of the exported ONNX file:

    p3, p4, p5    float32 (b, k, 5 + c + m, h, w)    one per stride 8, 16, 32; h, w = image size / stride
    prototypes    float32 (b, m, H / 4, W / 4)
    features      float32 (b, d, H / 4, W / 4)      the backbone's map at stride 4 (8 where it has none), for embeddings

Channels of a map: tx, ty, tw, th, objectness, c classes, m mask coefficients, all raw. With the anchor (p_w, p_h)
in pixels of the network's input (metadata `anchors`, one list of k pairs per level), for the cell in column i, row j:

    centre x = (i + tx) * stride        width  = p_w * exp(tw)
    centre y = (j + ty) * stride        height = p_h * exp(th)
    score of class q = sigmoid(objectness) * sigmoid(class q)
    mask logit at a point = sum over m of coefficient * prototype, the prototypes read bilinearly there
                            (pixel centres: prototype cell (u, v) covers image pixels 4u..4u+4, 4v..4v+4)

The exported file's input `images` is uint8 (b, h, w, 3), RGB, h and w any multiple of 32. Pad with 114. Where the
metadata have an `input_scale` below 1, the file scales its input to the nearest multiples of 32 first: H, W and the
pixels above are those of the scaled canvas. `YoloNet` itself never scales: training and the torch engine do it before
(`scale_input`), explanation letterboxes onto the smaller canvas at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from tracker.errors import ConfigError
from tracker.nets.backbones import make_backbone
from tracker.nets.distances import DistanceHead, FullPrototypes, FusedPrototypes, Levels, SplitNeck
from tracker.nets.layers import RARE, ConvNormAct, CrossStage, Normalize, small_convolutions, spatial_conv
from tracker.nets.model_card import scaled_side
from tracker.nets.network_config import NetworkConfig

__all__ = ["RawMaps", "YoloNet", "is_mask_part", "scale_input", "unrounded"]

STRIDES = (8, 16, 32)
KEPT_SHARE = 0.02
"""Of the weights, which are not rounded where the others are kept in half precision."""


class RawMaps(NamedTuple):
    """What the network gives: nothing is decoded, no sigmoid taken."""

    levels: tuple[Tensor, ...]
    """(b, k, 5 + c + m, h, w) per stride."""
    prototypes: Tensor
    """(b, m, H / 4, W / 4)."""
    features: Tensor
    """(b, d, H / 4, W / 4): the backbone's finest map, by which objects can be told apart."""


def scale_input(pixels: Float[Tensor, "b 3 h w"], input_scale: float) -> Float[Tensor, "b 3 i j"]:
    """The canvases as a network with that `input_scale` sees them, read bilinearly (pixel centres)."""
    height, width = pixels.shape[-2:]
    size = (scaled_side(height, input_scale), scaled_side(width, input_scale))
    return pixels if input_scale == 1 else functional.interpolate(pixels, size=size, mode="bilinear")


def is_mask_part(name: str) -> bool:
    """Whether a parameter of that name serves masks alone."""
    return name.startswith("prototypes.") or ".coefficients." in name or ".cv4." in name


class Neck(nn.Module):
    """Top-down, then bottom-up: each stride sees the others."""

    def __init__(self, inputs: tuple[int, int, int], config: NetworkConfig) -> None:
        super().__init__()
        shallow, middle, deep = inputs
        w3, w4, w5 = config.widths
        depthwise, norm = config.depthwise, config.norm

        def stage(channels: int, outputs: int) -> CrossStage:
            return CrossStage(channels, outputs, config.depth, shortcut=False, depthwise=depthwise, norm=norm)

        self.lateral5 = ConvNormAct(deep, w4, norm=norm)
        self.down4 = stage(w4 + middle, w4)
        self.lateral4 = ConvNormAct(w4, w3, norm=norm)
        self.down3 = stage(w3 + shallow, w3)
        self.step3 = spatial_conv(w3, w3, stride=2, depthwise=depthwise, norm=norm)
        self.up4 = stage(2 * w3, w4)
        self.step4 = spatial_conv(w4, w4, stride=2, depthwise=depthwise, norm=norm)
        self.up5 = stage(2 * w4, w5)

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        top = self.lateral5(deep)
        x = self.down4(torch.cat((functional.interpolate(top, scale_factor=2.0), middle), dim=1))
        waist = self.lateral4(x)
        p3 = self.down3(torch.cat((functional.interpolate(waist, scale_factor=2.0), shallow), dim=1))
        p4 = self.up4(torch.cat((self.step3(p3), waist), dim=1))
        p5 = self.up5(torch.cat((self.step4(p4), top), dim=1))
        return p3, p4, p5


class Head(nn.Module):
    """Boxes, objectness, classes and mask coefficients of one stride, k answers per cell."""

    def __init__(self, inputs: int, config: NetworkConfig) -> None:
        super().__init__()
        width, norm, depthwise = config.head_width, config.norm, config.depthwise
        self.anchors = config.anchors

        def branch() -> nn.Sequential:
            return nn.Sequential(*(spatial_conv(width, width, depthwise=depthwise, norm=norm) for _ in range(2)))

        self.stem = ConvNormAct(inputs, width, norm=norm)
        self.class_branch = branch()
        self.box_branch = branch()
        self.boxes = nn.Conv2d(width, config.anchors * 4, 1)
        self.objectness = nn.Conv2d(width, config.anchors, 1)
        self.classes = nn.Conv2d(width, config.anchors * config.classes, 1)
        self.coefficients = nn.Conv2d(width, config.anchors * config.coefficients, 1)
        for rare in (self.objectness, self.classes):
            nn.init.constant_(rare.bias, RARE)  # type: ignore[arg-type]
        for fresh in (self.boxes, self.coefficients):
            nn.init.normal_(fresh.weight, std=0.01)
            nn.init.zeros_(fresh.bias)  # type: ignore[arg-type]

    def forward(self, x: Float32[Tensor, "b d h w"]) -> Float32[Tensor, "b k c h w"]:
        x = self.stem(x)
        of_class, of_box = self.class_branch(x), self.box_branch(x)
        parts = (self.boxes(of_box), self.objectness(of_box), self.classes(of_class), self.coefficients(of_box))
        return torch.cat([part.unflatten(1, (self.anchors, -1)) for part in parts], dim=2)


class Prototypes(nn.Module):
    """Masks that every box mixes its own from, at stride 4."""

    def __init__(self, inputs: int, fine: int | None, config: NetworkConfig) -> None:
        super().__init__()
        width, norm = config.prototype_width, config.norm
        self.coarse = ConvNormAct(inputs, width, norm=norm)
        self.fine = None if fine is None else ConvNormAct(fine, width, norm=norm)
        self.mix = nn.Sequential(*(spatial_conv(width, width, depthwise=config.depthwise, norm=norm) for _ in range(2)))
        self.out = nn.Conv2d(width, config.coefficients, 1)

    def forward(self, levels: Levels, fine: Tensor | None) -> Float32[Tensor, "b m i j"]:
        x = functional.interpolate(self.coarse(levels[0]), scale_factor=2.0)
        if self.fine is not None and fine is not None:
            x = x + self.fine(fine)
        return self.out(self.mix(x))  # type: ignore[no-any-return]


class YoloNet(nn.Module):
    """Images RGB 0..1 in, raw maps out; `nets.anchors.decode` makes boxes of them."""

    strides = STRIDES

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        name = config.backbone
        self.backbone = make_backbone(name, norm=config.norm and config.backbone_norm, residual=config.residual)
        self.normalize: nn.Module = nn.Identity()
        if any(self.backbone.mean):
            self.normalize = Normalize(self.backbone.mean, self.backbone.std, channels=3)
        channels = dict(zip(self.backbone.strides, self.backbone.channels, strict=True))
        missing = [stride for stride in STRIDES if stride not in channels]
        if missing:
            raise ConfigError(
                f"backbone {config.backbone!r}: detection needs maps at strides 8, 16 and 32, it has "
                f"{self.backbone.strides}. Take another backbone, such as cspdarknet_nano or resnet18."
            )
        c3, c4, c5 = (channels[stride] for stride in STRIDES)
        self.neck: nn.Module
        self.prototypes: nn.Module
        self.neck = Neck((c3, c4, c5), config) if config.neck == "cspnet" else SplitNeck((c3, c4, c5), config)
        make_head = Head if config.head == "offsets" else DistanceHead
        self.heads = nn.ModuleList(make_head(width, config) for width in config.widths)
        fine = channels.get(4) if self.backbone.padded else None
        if config.prototypes == "full":
            self.prototypes = FullPrototypes(config.widths[0], config)
        elif config.prototypes == "fused":
            if fine is None:
                raise ConfigError(
                    f"backbone {config.backbone!r}: fused prototypes need its map at stride 4; take light ones"
                )
            self.prototypes = FusedPrototypes(config.widths, fine, config)
        else:
            self.prototypes = Prototypes(config.widths[0], fine, config)

    def forward(self, images: Float32[Tensor, "b 3 h w"]) -> RawMaps:
        return self.answer(*self.backbone.maps_and_embedding(self.normalize(images)))

    def answer(self, found: tuple[Tensor, ...], embedding: Tensor | None) -> RawMaps:
        """The raw maps that follow from the backbone's, one per stride of it, shallow to deep."""
        maps = dict(zip(self.backbone.strides, found, strict=True))
        levels = self.neck(*(maps[stride] for stride in STRIDES))
        raw = tuple(head(level) for head, level in zip(self.heads, levels, strict=True))
        fine = maps.get(4) if self.backbone.padded else None
        if embedding is None:
            embedding = maps[STRIDES[0]] if fine is None else fine
        return RawMaps(raw, self.prototypes(levels, fine), embedding)


def unrounded(network: YoloNet) -> list[nn.Conv2d]:
    """The convolutions that stay in single precision where the others are kept in half."""
    weights = sum(part.weight.numel() for part in network.modules() if isinstance(part, nn.Conv2d))
    return small_convolutions(network.backbone, most=KEPT_SHARE * weights)
