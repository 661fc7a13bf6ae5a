"""OSNet: Zhou, Yang, Cavallaro and Xiang, "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019.

Blocks of four streams of one to four light 3 x 3 convolutions, joined by one gate that all streams share, so that
each channel chooses its scale.

Where we differ: nothing in the network; parameter names are those of the authors' torchreid, so its files load.
The layout `openvino` is that of Open Model Zoo's person-reidentification-retail: crops and stem are normalised each
by itself (instance norm), every second gate is a linear context transform, the last map is weighed place by place
instead of averaged, and no ReLU ends the vector.
Any other backbone can take OSNet's place through `BackboneEmbedder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.errors import CheckpointError, ConfigError
from tracker.nets.backbones import make_backbone
from tracker.nets.backbones.contract import IMAGENET_MEAN, IMAGENET_STD
from tracker.nets.backbones.start import initialize
from tracker.nets.layers import Normalize
from tracker.nets.saved import load_network
from tracker.nets.weight_files import read_weights

__all__ = ["BackboneEmbedder", "OSNet", "ReidConfig", "ReidNet", "load_reid", "make_reid"]

WIDTHS = {
    "osnet_x1_0": (64, 256, 384, 512),
    "osnet_x0_75": (48, 192, 288, 384),
    "osnet_x0_5": (32, 128, 192, 256),
    "osnet_x0_25": (16, 64, 96, 128),
}
"""Channels of the stem and the three stages."""
GROUPS = (16, 8, 16)
"""Groups of channels in the gates of each stage's second block, in the layout of Open Model Zoo."""
STRIDE = 16
"""Pixels of a crop for one place of the last map."""


@dataclass(frozen=True, slots=True)
class ReidConfig:
    """All that is needed to build a re-identification network again."""

    backbone: str = "osnet_x0_25"
    """osnet_x1_0, osnet_x0_75, osnet_x0_5, osnet_x0_25, or a name in tracker.nets.backbones."""
    identities: int = 0
    """People the training set tells apart; 0 builds no classifier."""
    dimensions: int = 512
    """Length of the vector that describes one crop."""
    height: int = 256
    """Rows of a crop as the network takes it."""
    width: int = 128
    """Columns of a crop as the network takes it."""
    layout: Literal["torchreid", "openvino"] = "torchreid"
    """Which OSNet: the authors', or that of Open Model Zoo (see the top of this file)."""


class ReidNet(nn.Module):
    """Crops in 0..1 in, vectors out; `classifier` tells the training identities apart."""

    config: ReidConfig
    classifier: nn.Module

    def forward(self, crops: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        raise NotImplementedError


class BackboneEmbedder(ReidNet):
    """The deepest map of any backbone, averaged and projected."""

    def __init__(self, config: ReidConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config.backbone)
        self.normalize = Normalize(self.backbone.mean, self.backbone.std, channels=3)
        self.fc = _projection(self.backbone.channels[-1], config.dimensions)
        self.classifier = _identity_layer(config)

    def forward(self, crops: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        deepest = self.backbone(self.normalize(crops))[-1]
        vectors: Tensor = self.fc(deepest.mean(dim=(2, 3)))
        return vectors


class OSNet(ReidNet):
    """Stem, three omni-scale stages at strides 4, 8 and 16, a 1 x 1 convolution, average and projection."""

    def __init__(self, config: ReidConfig) -> None:
        super().__init__()
        self.config = config
        stem, second, third, fourth = WIDTHS[config.backbone]
        own = config.layout == "openvino"
        self.normalize = InstanceNorm(3) if own else Normalize(IMAGENET_MEAN, IMAGENET_STD, channels=3)
        self.conv1 = Convolution(3, stem, kernel=7, stride=2)
        if own:
            self.conv1.bn = InstanceNorm(stem)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        groups = GROUPS if own else (0, 0, 0)
        self.conv2 = _stage(stem, second, halves=True, groups=groups[0])
        self.conv3 = _stage(second, third, halves=True, groups=groups[1])
        self.conv4 = _stage(third, fourth, halves=False, groups=groups[2])
        self.conv5 = Convolution(fourth, fourth)
        self.pool = WeightedPool(fourth, config.height // STRIDE, config.width // STRIDE) if own else None
        self.fc = _projection(fourth, config.dimensions, linear=own)
        self.classifier = _identity_layer(config)
        initialize(self)

    def forward(self, crops: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        x = self.maxpool(self.conv1(self.normalize(crops)))
        x = self.conv5(self.conv4(self.conv3(self.conv2(x))))
        vectors: Tensor = self.fc(x.mean(dim=(2, 3)) if self.pool is None else self.pool(x))
        return vectors


class InstanceNorm(nn.InstanceNorm2d):
    """Each channel of each crop normalised by itself: light and camera count less."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)


class WeightedPool(nn.Module):
    """The mean of a map, each channel with its own weight for every place."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, height, width), 1 / (height * width)))

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c"]:
        return (x * self.weight).sum(dim=(2, 3))


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn: nn.BatchNorm2d | InstanceNorm = nn.BatchNorm2d(outputs)
        self.linear = linear

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y if self.linear else torch.relu_(y)


class LightConvolution(nn.Module):
    """1 x 1 across channels, then 3 x 3 within each, batch norm, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        return torch.relu_(self.bn(self.conv2(self.conv1(x))))


class ChannelGate(nn.Module):
    """Channels weighed by what the whole map shows; the four streams share one gate."""

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        pooled = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(torch.relu_(self.fc1(pooled))))


class ContextGate(nn.Module):
    """Channels weighed by how each stands out in its group (Ruan et al., "Linear Context Transform Block", 2020)."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.ones(channels))

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        channels = len(self.weight)
        pooled = x.mean(dim=(2, 3)).view(-1, self.groups, channels // self.groups)  # (b, g, c / g)
        variance, mean = torch.var_mean(pooled, dim=2, keepdim=True, correction=0)
        channel_response = ((pooled - mean) / (variance + 1e-5).sqrt()).view(-1, channels)
        return x * torch.sigmoid(channel_response * self.weight + self.bias)[..., None, None]


class OmniScaleBlock(nn.Module):
    """Four streams that see 3, 5, 7 and 9 pixels wide, gated and summed, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, groups: int = 0) -> None:
        super().__init__()
        middle = outputs // 4
        self.conv1 = Convolution(inputs, middle)
        self.conv2a = LightConvolution(middle)
        self.conv2b = nn.Sequential(*(LightConvolution(middle) for _ in range(2)))
        self.conv2c = nn.Sequential(*(LightConvolution(middle) for _ in range(3)))
        self.conv2d = nn.Sequential(*(LightConvolution(middle) for _ in range(4)))
        self.gate = ContextGate(middle, groups) if groups else ChannelGate(middle)
        self.conv3 = Convolution(middle, outputs, linear=True)
        self.downsample = Convolution(inputs, outputs, linear=True) if inputs != outputs else None

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        narrow = self.conv1(x)
        streams = (stream(narrow) for stream in (self.conv2a, self.conv2b, self.conv2c, self.conv2d))
        joined: Tensor = sum(self.gate(stream) for stream in streams)
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu_(self.conv3(joined) + shortcut)


def _stage(inputs: int, outputs: int, *, halves: bool, groups: int) -> nn.Sequential:
    blocks = [OmniScaleBlock(inputs, outputs), OmniScaleBlock(outputs, outputs, groups=groups)]
    if not halves:
        return nn.Sequential(*blocks)
    return nn.Sequential(*blocks, nn.Sequential(Convolution(outputs, outputs), nn.AvgPool2d(2)))


def _projection(inputs: int, dimensions: int, *, linear: bool = False) -> nn.Sequential:
    layers = [nn.Linear(inputs, dimensions), nn.BatchNorm1d(dimensions), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[: 2 if linear else 3])


def _identity_layer(config: ReidConfig) -> nn.Module:
    return nn.Linear(config.dimensions, config.identities) if config.identities else nn.Identity()


def make_reid(config: ReidConfig) -> ReidNet:
    """A network with fresh weights."""
    if config.backbone in WIDTHS:
        return OSNet(config)
    if config.backbone.startswith("osnet"):
        raise ConfigError(f"backbone: unknown name {config.backbone!r}. Known: {', '.join(WIDTHS)}.")
    return BackboneEmbedder(config)


def load_reid(path: Path) -> ReidNet:
    """The network of a file that `train reid` made, or of a torchreid state dict, in evaluation mode.

    Classifiers of training identities are left aside. Raises CheckpointError for anything else.
    """
    if path.suffix in {".pt", ".pth"}:
        return _load_torchreid(path)
    network, _ = load_network(path, kind="reid", build=_build)
    return network


def _build(description: Mapping[str, Any]) -> ReidNet:
    return make_reid(ReidConfig(**description["network"]))


def _load_torchreid(path: Path) -> ReidNet:
    state, _ = read_weights(path)
    state = {name.removeprefix("module."): value for name, value in state.items()}
    state = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    stem, projection = state.get("conv1.conv.weight"), state.get("fc.0.weight")
    name = next((name for name, widths in WIDTHS.items() if stem is not None and len(stem) == widths[0]), None)
    if name is None or projection is None:
        raise CheckpointError(
            f"{path}: not an OSNet state dict: no stem of {', '.join(str(w[0]) for w in WIDTHS.values())} channels "
            "found. Give a file from 'train reid' or torchreid's OSNet."
        )
    network = OSNet(ReidConfig(backbone=name, dimensions=len(projection)))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: an OSNet's stem, but the rest does not fit {name}: {error}") from error
    return network.eval()
