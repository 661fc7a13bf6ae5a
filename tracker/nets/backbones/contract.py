"""What every backbone offers: feature maps from shallow to deep.

A feature map's stride is the number of input pixels per cell. Where `exact_strides` is true an input whose sides
are multiples of the last stride gives maps of exactly side / stride, as a pyramid neck needs.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Backbone"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A network without its head: image in, one feature map per stage out."""

    channels: tuple[int, ...]
    """Channels of each feature map, shallow to deep."""
    strides: tuple[int, ...]
    """Input pixels per cell of each feature map."""
    exact_strides: ClassVar[bool] = True
    mean: ClassVar[tuple[float, ...]] = IMAGENET_MEAN
    """Subtracted from RGB in 0..1 for the published weights."""
    std: ClassVar[tuple[float, ...]] = IMAGENET_STD
    """Divides RGB in 0..1 after the mean is gone."""
    head_names: ClassVar[tuple[str, ...]] = ("fc", "classifier", "aux1", "aux2")
    """Modules of the published network that are not part of its features."""

    def forward(self, images: Float[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def paper_head(self, classes: int, *, dropout: float) -> nn.Module | None:  # noqa: ARG002
        """The paper's own classifier on the last feature map; None where that is global pooling and one dense layer."""
        return None
