"""What every backbone offers."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float32
from torch import Tensor, nn

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Backbone"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """An image network that gives feature maps, shallow to deep."""

    channels: tuple[int, ...]
    """Channels of each map."""
    strides: tuple[int, ...]
    """Image pixels per step of each map."""
    exact_strides: ClassVar[bool] = True
    """Whether sides that are multiples of the last stride give maps of exactly side / stride, as a pyramid needs."""
    mean: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0)
    """What the published weights want subtracted from RGB in 0..1."""
    std: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0)
    """What RGB in 0..1, less the mean, is divided by."""

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def paper_head(self, classes: int, *, dropout: float) -> nn.Module | None:  # noqa: ARG002
        """The paper's own classifier on the deepest map; None where that is global pooling and one dense layer."""
        return None
