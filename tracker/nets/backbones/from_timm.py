"""Any network of the timm library as a backbone, through its `features_only` interface; timm is an optional extra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float32
from torch import Tensor

from tracker.errors import ConfigError
from tracker.nets.backbones.contract import Backbone

__all__ = ["TimmBackbone"]


class TimmBackbone(Backbone):
    """The feature maps of the timm network `name`; its weights start fresh, nothing is downloaded."""

    def __init__(self, name: str, *, in_channels: int = 3) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ConfigError(f"backbone 'timm:{name}': timm is not installed. Try: pip install timm") from error
        try:
            network: Any = timm.create_model(name, pretrained=False, features_only=True, in_chans=in_channels)
        except RuntimeError as error:
            close = ", ".join(timm.list_models(f"*{name[:6]}*")[:8]) or "see timm.list_models()"
            raise ConfigError(f"backbone 'timm:{name}': {error}. Near: {close}.") from error
        self.channels = tuple(network.feature_info.channels())
        self.strides = tuple(network.feature_info.reduction())
        self.mean = tuple(network.default_cfg.get("mean", self.mean))
        self.std = tuple(network.default_cfg.get("std", self.std))
        self.network = network

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        return tuple(self.network(images))

    def load_published(self, state: Mapping[str, Tensor], *, where: str) -> None:
        known = self.network.state_dict()
        features = {f"network.{name}": value for name, value in state.items() if name in known}
        super().load_published(features, where=where)
