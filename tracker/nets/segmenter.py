"""A segmentation network by name: what a file describes, built again, with its input's normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float32
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.nets.backbones import make_backbone
from tracker.nets.backbones.contract import IMAGENET_MEAN, IMAGENET_STD
from tracker.nets.fcn import FCN
from tracker.nets.layers import Normalize
from tracker.nets.saved import load_network
from tracker.nets.unet import UNet

__all__ = ["SegmentationConfig", "SegmentationNet", "load_segmentation"]


@dataclass(frozen=True, slots=True)
class SegmentationConfig:
    """All that is needed to build a segmentation network again."""

    architecture: Literal["unet", "fcn"] = "unet"
    """unet or fcn."""
    classes: int = 2
    """Number of labels."""
    width: int = 32
    """U-Net: channels of the first level; the paper has 64."""
    depth: int = 4
    """U-Net: halvings."""
    backbone: str = "resnet18"
    """FCN: name in tracker.nets.backbones, with maps at strides 8, 16 and 32."""
    finest: Literal[8, 16, 32] = 8
    """FCN: stride of the finest scores, FCN-8s, 16s or 32s."""
    hidden: int = 0
    """FCN: channels of the two wide layers, 4096 in the paper, 0 for none."""
    dropout: float = 0.5
    """FCN: share of the wide layers' maps dropped while training."""


class SegmentationNet(nn.Module):
    """RGB in 0..1 in, one logit per class and pixel out."""

    def __init__(self, config: SegmentationConfig, *, pretrained: Path | None = None) -> None:
        super().__init__()
        self.config = config
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        if config.architecture == "unet":
            if pretrained is not None:
                raise ConfigError("--pretrained: a U-Net has no published backbone; take --architecture fcn")
            self.network: nn.Module = UNet(config.classes, width=config.width, depth=config.depth)
        elif config.architecture == "fcn":
            backbone = make_backbone(config.backbone, pretrained=pretrained)
            mean, std = backbone.mean, backbone.std  # type: ignore[assignment]
            self.network = FCN(
                backbone, config.classes, finest=config.finest, hidden=config.hidden, dropout=config.dropout
            )
        else:
            raise ConfigError(f"architecture: expected unet or fcn, found {config.architecture!r}")
        self.normalize = Normalize(mean, std, channels=3)

    @property
    def backbone(self) -> nn.Module | None:
        """The part that --freeze keeps still; None for a U-Net."""
        found = getattr(self.network, "backbone", None)
        return found if isinstance(found, nn.Module) else None

    def forward(self, images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b k h w"]:
        logits: Tensor = self.network(self.normalize(images))
        return logits


def load_segmentation(path: Path) -> tuple[SegmentationNet, dict[str, Any]]:
    """The network in evaluation mode and its description, with `labels` and `image_size` (height, width)."""
    return load_network(path, kind="segmentation", build=_build)


def _build(description: Mapping[str, Any]) -> SegmentationNet:
    config = SegmentationConfig(**description["network"])
    if config.classes != len(description["labels"]):
        raise ConfigError(f"head has {config.classes} classes, labels list {len(description['labels'])}")
    return SegmentationNet(config)
