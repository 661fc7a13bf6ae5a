"""A segmentation network by name: what a file describes, built again, with its input's normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.nets.backbones import Backbone, make_backbone
from tracker.nets.backbones.contract import IMAGENET_MEAN, IMAGENET_STD
from tracker.nets.fcn import FCN
from tracker.nets.layers import Normalize
from tracker.nets.saved import check_labels, load_network
from tracker.nets.unet import UNet
from tracker.nets.unet_backbone import BackboneUNet

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
    """U-Net without a backbone: halvings."""
    padded: bool = True
    """U-Net without a backbone: convolutions that keep the size; without, the paper's valid ones, whose output is
    smaller than the image by a border."""
    backbone: str = ""
    """Name in tracker.nets.backbones: of an FCN with maps at strides 8, 16 and 32, of a U-Net at 4, 8, ... as its
    contracting path; none gives the paper's U-Net."""
    residual: bool = True
    """Residual links in the backbone, where it has any."""
    norm: bool = True
    """Batch norm, in the U-Net and in the backbone; without it the backbone's convolutions carry biases, as in a file
    whose batch norm was folded."""
    finest: Literal[8, 16, 32] = 8
    """FCN: stride of the finest scores, FCN-8s, 16s or 32s."""
    hidden: int = 0
    """FCN: channels of the two wide layers, 4096 in the paper, 0 for none."""
    dropout: float = 0.5
    """FCN: share of the wide layers' maps dropped while training."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, found {self.dropout}")
        for name, least in (("classes", 1), ("width", 1), ("depth", 1), ("hidden", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, found {getattr(self, name)}")


class SegmentationNet(nn.Module):
    """RGB in 0..1 in, one logit per class and pixel out."""

    def __init__(self, config: SegmentationConfig) -> None:
        super().__init__()
        self.config = config
        mean: tuple[float, ...] = IMAGENET_MEAN
        std: tuple[float, ...] = IMAGENET_STD
        backbone = None
        if config.backbone:
            backbone = make_backbone(config.backbone, norm=config.norm, residual=config.residual)
        if backbone is not None:
            mean, std = backbone.mean, backbone.std
        self.network: nn.Module
        if config.architecture == "unet" and backbone is None:
            self.network = UNet(
                config.classes,
                width=config.width,
                depth=config.depth,
                batch_norm=config.norm,
                padded=config.padded,
            )
        elif config.architecture == "unet" and backbone is not None:
            self.network = BackboneUNet(backbone, config.classes, width=config.width)
        elif config.architecture == "fcn" and backbone is not None:
            self.network = FCN(
                backbone, config.classes, finest=config.finest, hidden=config.hidden, dropout=config.dropout
            )
        elif config.architecture == "fcn":
            raise ConfigError("backbone: an FCN needs one, such as resnet18 or vgg16")
        else:
            raise ConfigError(f"architecture: expected unet or fcn, found {config.architecture!r}")
        self.normalize = Normalize(mean, std, channels=3)

    @property
    def backbone(self) -> Backbone | None:
        """The part that --freeze keeps still; None for the paper's U-Net."""
        found = getattr(self.network, "backbone", None)
        return found if isinstance(found, Backbone) else None

    def forward(self, images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b k h w"]:
        logits: Tensor = self.network(self.normalize(images))
        return logits

    @property
    def finest(self) -> int:
        """Stride of the scores that are learned; what is finer is interpolated."""
        return int(getattr(self.network, "finest", 1))

    @property
    def layout(self) -> dict[str, int]:
        """How the scores that `Deployed` gives lie over its input, for `tracker.segment`."""
        if isinstance(self.network, UNet):
            valid_depth = 0 if self.config.padded else self.config.depth
            return {"multiple": self.network.stride, "finest": 1, "valid_depth": valid_depth}
        if isinstance(self.network, BackboneUNet):
            return {"multiple": self.network.stride, "finest": self.network.finest, "valid_depth": 0}
        return {"multiple": 32, "finest": 1, "valid_depth": 0}

    def own_scores(self, images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b k i j"]:
        """The logits at stride `finest`, to learn by at a fraction of the time."""
        if isinstance(self.network, BackboneUNet):
            return self.network.own_scores(self.normalize(images))
        return self(images)  # type: ignore[no-any-return]


class Deployed(nn.Module):
    """The network as it is shipped: whole numbers RGB (b, h, w, 3) in, logits at its own stride out.

    The sides of the input are multiples of `layout["multiple"]`.
    """

    def __init__(self, network: SegmentationNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> Float32[Tensor, "b k i j"]:
        pixels = images.permute(0, 3, 1, 2).float() / 255
        inside = self.network.network
        if isinstance(inside, BackboneUNet):
            return inside.coarse_scores(self.network.normalize(pixels))
        return self.network(pixels)  # type: ignore[no-any-return]


def deployed(network: SegmentationNet) -> Deployed:
    """In evaluation mode, with the same weights."""
    return Deployed(network).eval()


def load_segmentation(path: Path) -> tuple[SegmentationNet, dict[str, Any]]:
    """The network in evaluation mode and its description, with `labels` and `image_size` (height, width)."""
    return load_network(path, kind="segmentation", build=_build)


def _build(description: Mapping[str, Any]) -> SegmentationNet:
    values = dict(description["network"])
    if "norm" not in values and values.get("architecture") == "unet":
        values["backbone"] = ""  # files made before a U-Net could have one name a backbone that it does not use
    config = SegmentationConfig(**values)
    check_labels(description, config.classes)
    return SegmentationNet(config)
