"""Networks that turn an image into feature maps: one file per paper, one line here each.

A backbone has `channels` and `strides`, shallow to deep, and its `forward` gives one map per entry. Names are
resolved lazily, so that asking for one network does not import the others. Imports: layers and weight_files of nets.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tracker.errors import ConfigError
from tracker.nets.backbones.contract import Backbone
from tracker.nets.layers import drop_padding, drop_shortcuts, fold_batch_norm
from tracker.nets.weight_files import read_weights

__all__ = ["BACKBONES", "Backbone", "make_backbone"]

BACKBONES: dict[str, str] = {
    "lenet5": "lenet:lenet5",
    "lenet5_common": "lenet:lenet5_common",
    "alexnet": "alexnet:alexnet",
    "vgg11": "vgg:vgg11",
    "vgg13": "vgg:vgg13",
    "vgg16": "vgg:vgg16",
    "vgg16c": "vgg:vgg16c",
    "vgg19": "vgg:vgg19",
    "vgg11_bn": "vgg:vgg11_bn",
    "vgg13_bn": "vgg:vgg13_bn",
    "vgg16_bn": "vgg:vgg16_bn",
    "vgg16c_bn": "vgg:vgg16c_bn",
    "vgg19_bn": "vgg:vgg19_bn",
    "nin": "nin:nin",
    "googlenet": "googlenet:googlenet",
    "resnet18": "resnet:resnet18",
    "resnet34": "resnet:resnet34",
    "resnet50": "resnet:resnet50",
    "resnet101": "resnet:resnet101",
    "resnet152": "resnet:resnet152",
    "xception": "xception:xception",
    "regnet_x_400mf": "regnet:regnet_x_400mf",
    "regnet_x_800mf": "regnet:regnet_x_800mf",
    "regnet_x_1_6gf": "regnet:regnet_x_1_6gf",
    "regnet_x_3_2gf": "regnet:regnet_x_3_2gf",
    "regnet_x_8gf": "regnet:regnet_x_8gf",
    "regnet_x_16gf": "regnet:regnet_x_16gf",
    "regnet_x_32gf": "regnet:regnet_x_32gf",
    "regnet_y_400mf": "regnet:regnet_y_400mf",
    "regnet_y_800mf": "regnet:regnet_y_800mf",
    "regnet_y_1_6gf": "regnet:regnet_y_1_6gf",
    "regnet_y_3_2gf": "regnet:regnet_y_3_2gf",
    "regnet_y_8gf": "regnet:regnet_y_8gf",
    "regnet_y_16gf": "regnet:regnet_y_16gf",
    "regnet_y_32gf": "regnet:regnet_y_32gf",
    "regnet_y_128gf": "regnet:regnet_y_128gf",
    "cspdarknet_nano": "cspdarknet:cspdarknet_nano",
    "cspdarknet_small": "cspdarknet:cspdarknet_small",
    "yolo11_nano": "yolo26:yolo11_nano",
    "yolo26_nano": "yolo26:yolo26_nano",
}
"""Name -> 'file:constructor' in this package."""

TIMM = "timm:"
FAR = 1024
"""Side of an image that is larger than what any network here needs without padding."""


def make_backbone(
    name: str,
    *,
    pretrained: Path | None = None,
    norm: bool = True,
    residual: bool = True,
    padding: bool = True,
    **options: Any,
) -> Backbone:
    """The backbone of that name; `options` such as `in_channels` go to its constructor.

    Without `norm` its convolutions carry biases in place of batch norm, whatever network it is. Without
    `residual` its blocks add nothing to what they compute: the plain network of the ResNet paper. Without `padding`
    its convolutions and poolings are valid ones: each map sees what is there, and nothing else.

    A name such as `timm:efficientnet_b0` takes any network of the timm library. `pretrained` is a state dict
    (.safetensors, or .pth read without unpickling code) in torchvision's or timm's naming; without it the weights
    are fresh. Raises ConfigError for an unknown name or one that needs its batch norm or its padding, CheckpointError
    for weights that do not fit.
    """
    backbone: Backbone
    if name.startswith(TIMM):
        from tracker.nets.backbones.from_timm import TimmBackbone

        backbone = TimmBackbone(name.removeprefix(TIMM), **options)
    elif name in BACKBONES:
        file, constructor = BACKBONES[name].split(":")
        backbone = getattr(import_module(f"{__name__}.{file}"), constructor)(**options)
    else:
        raise ConfigError(f"backbone: unknown name {name!r}. Known: {', '.join(sorted(BACKBONES))}, and timm:NAME.")
    if not norm:
        fold_batch_norm(backbone)
        if any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules()):
            raise ConfigError(f"backbone {name}: its batch norm cannot be left out. Take another, such as resnet18.")
    if not residual and not drop_shortcuts(backbone):
        raise ConfigError(f"backbone {name}: has no residual links to leave out. Take one that has, such as resnet18.")
    if not padding:
        drop_padding(backbone)
        _check_joins(backbone, name, int(options.get("in_channels", 3)))
    if pretrained is not None:
        state, _ = read_weights(pretrained)
        backbone.load_published(state, where=str(pretrained))
    return backbone


def _check_joins(backbone: Backbone, name: str, channels: int) -> None:
    """ConfigError where branches that are added or joined have other sizes without padding."""
    weights = {key: value.to("meta") for key, value in backbone.state_dict().items()}
    try:
        torch.func.functional_call(backbone, weights, (torch.zeros(1, channels, FAR, FAR, device="meta"),))
    except RuntimeError as error:
        raise ConfigError(
            f"backbone {name}: cannot be without padding, its branches would not fit together. Take a plain one, such "
            "as lenet5_common, alexnet or vgg11."
        ) from error
