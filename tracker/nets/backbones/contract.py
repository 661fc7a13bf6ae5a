"""What every backbone offers."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float32
from torch import Tensor, nn

from tracker.errors import CheckpointError

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Backbone"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HEAD_NAMES = ("fc", "classifier", "aux1", "aux2")
"""Modules of published classifiers that are not part of their features."""


class Backbone(nn.Module):
    """An image network that gives feature maps, shallow to deep."""

    channels: tuple[int, ...]
    """Channels of each map."""
    strides: tuple[int, ...]
    """Image pixels per step of each map."""
    exact_strides: bool = True
    """Whether sides that are multiples of the last stride give maps of exactly side / stride, as a pyramid needs."""
    padded: bool = True
    """Whether that holds for maps finer than stride 8 too; not where the first convolutions have no padding."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """What the published weights want subtracted from RGB in 0..1."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """What RGB in 0..1, less the mean, is divided by."""

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def maps_and_embedding(self, images: Float32[Tensor, "b c h w"]) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """The maps, and one of the finest stride by which objects are told apart, where that is none of the maps."""
        return self(images), None

    def paper_head(self, classes: int, *, dropout: float) -> nn.Module | None:  # noqa: ARG002
        """The paper's own classifier on the deepest map; None where that is global pooling and one dense layer."""
        return None

    def load_published(self, state: Mapping[str, Tensor], *, where: str) -> None:
        """Fill with a state dict in torchvision's or timm's naming; its classifier's entries are left aside.

        Raises CheckpointError, naming `where`, when entries are missing, foreign or of another shape.
        """
        expected = self.state_dict()
        features = {
            name: value for name, value in state.items() if name in expected or name.split(".")[0] not in HEAD_NAMES
        }
        missing = sorted(name for name in expected.keys() - features.keys() if not name.endswith("batches_tracked"))
        foreign = sorted(features.keys() - expected.keys())
        reshaped = [
            f"{name} of shape {tuple(value.shape)} where {tuple(expected[name].shape)} is expected"
            for name, value in features.items()
            if name in expected and value.shape != expected[name].shape
        ]
        for problem, names in (("lacks", missing), ("has the unknown", foreign), ("has", reshaped)):
            if names:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise CheckpointError(
                    f"{where}: not weights of this {type(self).__name__}: it {problem} {names[0]}{more}. "
                    "Check that the backbone named is the one the file was made for."
                )
        self.load_state_dict(features, strict=False)
