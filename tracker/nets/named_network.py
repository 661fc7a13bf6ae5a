"""Any network by its name or file: ours, those of torchvision and timm, the published YOLOs, and what training made.

Named ones are built without weights, on the device meta: enough to count and to draw them, in no memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tracker.errors import CheckpointError, ConfigError
from tracker.nets.backbones import BACKBONES, make_backbone
from tracker.nets.classifier import Classifier, ClassifierConfig, load_classifier
from tracker.nets.kinds import KINDS, network_kind
from tracker.nets.localizer import load_localizer
from tracker.nets.network_config import NetworkConfig
from tracker.nets.reid import ReidConfig, load_reid, make_reid
from tracker.nets.segmenter import SegmentationConfig, SegmentationNet, load_segmentation

__all__ = ["NAMES", "AnyNetwork", "build_network", "open_network"]

LENETS = ("lenet5", "lenet5_common")
SIDES = {"xception": 299}
"""Of the images that a network is made for, where that is not 224."""
NOTES = {
    "lenet5": "the paper's LeNet-5, with partial connections in C3 (60,850 parameters); lenet5_common is the other",
    "lenet5_common": "the LeNet-5 of today, C3 fully connected (61,706 parameters); lenet5 is the paper's",
}
SEGMENTERS = {
    "unet": SegmentationConfig(width=64),
    "fcn32s": SegmentationConfig(architecture="fcn", backbone="vgg16", finest=32, hidden=4096),
    "fcn16s": SegmentationConfig(architecture="fcn", backbone="vgg16", finest=16, hidden=4096),
    "fcn8s": SegmentationConfig(architecture="fcn", backbone="vgg16", finest=8, hidden=4096),
}
"""As in their papers."""
REID = ("osnet_x1_0", "osnet_x0_75", "osnet_x0_5", "osnet_x0_25")
FEATURES = ("cspdarknet_nano", "cspdarknet_small", "yolo11_nano", "yolo26_nano")
"""Backbones that were never classifiers: shown by themselves."""
NAMES = (*BACKBONES, *SEGMENTERS, *REID, "yolo")
"""What a name may be, beside torchvision:NAME and timm:NAME."""


@dataclass(frozen=True, slots=True)
class AnyNetwork:
    """A network and what it takes."""

    network: nn.Module
    channels: int
    height: int
    width: int
    kind: str = ""
    """A name of tracker.nets.kinds; empty for what no training of ours made."""
    note: str = ""


class _Features(nn.Module):
    """A backbone that gives its maps."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = make_backbone(name)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps: tuple[torch.Tensor, ...] = self.backbone(images)
        return maps


def build_network(name: str, *, classes: int = 0) -> AnyNetwork:
    """The network of that name without weights, on the device meta; 1000 classes (LeNet: 10) unless given.

    Raises ConfigError for an unknown name.
    """
    with torch.device("meta"):
        if name in SEGMENTERS:
            config = SEGMENTERS[name]
            return AnyNetwork(SegmentationNet(config).eval(), 3, 224, 224, "segmenter")
        if name in REID:
            return AnyNetwork(make_reid(ReidConfig(backbone=name)).eval(), 3, 256, 128, "re-identification network")
        if name == "yolo":
            from tracker.nets.yolo import YoloNet

            return AnyNetwork(YoloNet(NetworkConfig()).eval(), 3, 416, 416, "detector")
        if name in FEATURES:
            return AnyNetwork(_Features(name).eval(), 3, 224, 224, note="a backbone: no layers for classes of its own")
        if name in BACKBONES:
            grey = name in LENETS
            channels, side = (1, 28) if grey else (3, SIDES.get(name, 224))
            made = ClassifierConfig(name, classes=classes or (10 if grey else 1000), in_channels=channels)
            return AnyNetwork(Classifier(made).eval(), channels, side, side, "classifier", NOTES.get(name, ""))
    for prefix, build in {"torchvision:": _torchvision, "timm:": _timm}.items():
        if name.startswith(prefix):
            return build(name.removeprefix(prefix))
    raise ConfigError(
        f"unknown network {name!r}; known are {', '.join(NAMES)}, torchvision:NAME, timm:NAME, and files of networks"
    )


def open_network(path: Path) -> AnyNetwork:
    """What a .safetensors file of ours holds, in evaluation mode, or a published YOLO26 or YOLO11 nano.

    Raises CheckpointError for any other file.
    """
    from tracker.nets.checkpoint import load_detector
    from tracker.nets.ultralytics_weights import is_ultralytics_weights, open_ultralytics

    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: expected a .safetensors or .onnx file; export it, or name the network instead")
    kind = network_kind(path)
    if kind == "detector":
        detector, card = load_detector(path)
        return AnyNetwork(detector, 3, card.scaled_size, card.scaled_size, kind)
    if kind == "classifier":
        classifier, description = load_classifier(path)
        side = int(description["image_size"])
        return AnyNetwork(classifier, classifier.config.in_channels, side, side, kind)
    if kind == "segmenter":
        segmenter, description = load_segmentation(path)
        height, width = description["image_size"]
        return AnyNetwork(segmenter, 3, int(height), int(width), kind)
    if kind == "localizer":
        localizer, description = load_localizer(path)
        side = int(description["image_size"])
        return AnyNetwork(localizer, 3, side, side, kind)
    if kind == "re-identification network":
        reid = load_reid(path)
        return AnyNetwork(reid, 3, reid.config.height, reid.config.width, kind)
    if is_ultralytics_weights(path):
        published, card, _ = open_ultralytics(path)
        return AnyNetwork(published.eval(), 3, card.input_size, card.input_size, "detector")
    kinds = ", ".join(dict.fromkeys(KINDS.values()))
    raise CheckpointError(f"{path}: the file does not say which network it is for; files of ours hold a {kinds}")


def _torchvision(name: str) -> AnyNetwork:
    from torchvision.models import get_model, list_models

    if name not in list_models():
        raise ConfigError(f"torchvision:{name}: unknown; torchvision.models.list_models() has their names")
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network = _on_meta(lambda: get_model(name, weights=None, **options))
    side = 299 if name == "inception_v3" else 224
    return AnyNetwork(network, 3, side, side)


def _timm(name: str) -> AnyNetwork:
    try:
        import timm
    except ImportError as error:
        raise ConfigError(f"timm:{name}: timm is not installed. Try: pip install timm") from error
    if not timm.is_model(name.partition(".")[0]):
        close = ", ".join(timm.list_models(f"*{name[:6]}*")[:8]) or "see timm.list_models()"
        raise ConfigError(f"timm:{name}: unknown. Near: {close}.")
    network = _on_meta(lambda: timm.create_model(name, pretrained=False))
    channels, height, width = network.default_cfg.get("input_size", (3, 224, 224))  # type: ignore[union-attr,operator]
    return AnyNetwork(network, channels, height, width)


def _on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The network without memory; for a constructor that computes with its weights, with memory first."""
    try:
        with torch.device("meta"):
            return build().eval()
    except (NotImplementedError, RuntimeError):
        return build().eval().to("meta")
