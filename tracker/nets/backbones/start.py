"""How fresh weights start."""

from __future__ import annotations

from torch import nn

__all__ = ["initialize"]


def initialize(module: nn.Module) -> None:
    """Start convolutions as He et al. (ICCV 2015, by fan-out) and norms as the identity."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.BatchNorm2d):
            nn.init.ones_(child.weight)
            nn.init.zeros_(child.bias)
