"""The layers of a network in the order they run, as text, JSON and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FORMULA", "Layer", "Summary", "Window", "counted"]

FORMULA = (
    "side = floor((side + padding - dilation (kernel - 1) - 1) / stride) + 1, padding being that of both ends; "
    "transposed: (side - 1) stride + dilation (kernel - 1) + 1 - padding"
)


@dataclass(frozen=True, slots=True)
class Window:
    """What a convolution or pooling slides over the map; each (down, across)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    """Values added, or for a transposed convolution taken away, at both ends together."""
    dilation: tuple[int, int] = (1, 1)

    def text(self) -> str:
        """Such as `3x3 /2 +1`: kernel, stride, padding on each side, `d2` for dilation."""
        words = ["x".join(map(str, self.kernel))]
        if self.stride != (1, 1):
            words.append(f"/{self.stride[0]}" if len(set(self.stride)) == 1 else f"/{self.stride[0]}x{self.stride[1]}")
        if any(self.padding):
            words.append("+" + ("x".join(f"{side / 2:g}" for side in dict.fromkeys(self.padding))))
        if self.dilation != (1, 1):
            words.append(f"d{self.dilation[0]}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution, norm, pooling or dense layer, in the order they ran."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """Of what it gives, without the batch."""
    parameters: int
    multiply_adds: int
    window: Window | None = None
    stride: float | None = None
    """Image pixels from one position of the map to the next; None where it has no positions, or it is unknown."""
    field: tuple[int, int] | None = None
    """Image pixels (down, across) that a position sees; None where that is the whole image, or unknown."""
    whole: bool = False
    """Whether each value sees the whole image."""

    @property
    def flops(self) -> int:
        """Two for each multiplication with its addition."""
        return 2 * self.multiply_adds


@dataclass(frozen=True, slots=True)
class Summary:
    """All layers of one forward pass."""

    layers: tuple[Layer, ...]
    size: tuple[int, int]
    """Height and width of the image."""
    resting: int = 0
    """Parameters that took no part in it, such as heads for training alone."""

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers) + self.resting

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    def table(self) -> str:
        """One line per layer and the totals."""
        width = max((len(layer.name) for layer in self.layers), default=5)
        kinds = max((len(layer.kind) for layer in self.layers), default=4)
        head = f"{'layer':{width}}  {'kind':{kinds}}  {'window':>12}  {'output':>16}  {'parameters':>11}  "
        lines = [head + f"{'mega FLOPs':>11}  {'stride':>6}  {'field':>11}"]
        lines += [
            f"{layer.name:{width}}  {layer.kind:{kinds}}  {layer.window.text() if layer.window else '':>12}  "
            f"{' x '.join(map(str, layer.shape)):>16}  {layer.parameters:11,}  {layer.flops / 1e6:11.3f}  "
            f"{'' if layer.stride is None else f'{layer.stride:g}':>6}  {_field(layer):>11}"
            for layer in self.layers
        ]
        height, wide = self.size
        if self.resting:
            lines.append(f"{self.resting:,} parameters took no part (layers for training alone)")
        work = f"{counted(self.multiply_adds)} multiply-adds ({counted(2 * self.multiply_adds)}FLOPs)"
        return "\n".join([*lines, f"{self.parameters:,} parameters, {work} at {wide} x {height}"])

    def to_mapping(self) -> Mapping[str, Any]:
        """The same for programs, as JSON takes it."""
        rows = [
            {
                "name": layer.name,
                "kind": layer.kind,
                "shape": list(layer.shape),
                "parameters": layer.parameters,
                "multiply_adds": layer.multiply_adds,
                "flops": layer.flops,
                "kernel": list(layer.window.kernel) if layer.window else None,
                "stride": list(layer.window.stride) if layer.window else None,
                "padding": list(layer.window.padding) if layer.window else None,
                "dilation": list(layer.window.dilation) if layer.window else None,
                "image_stride": layer.stride,
                "receptive_field": list(layer.field) if layer.field else "image" if layer.whole else None,
            }
            for layer in self.layers
        ]
        return {
            "height": self.size[0],
            "width": self.size[1],
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "flops": 2 * self.multiply_adds,
            "parameters_at_rest": self.resting,
            "layers": rows,
        }


def counted(number: int) -> str:
    """Such as 4.089 G or 0.417 M."""
    return f"{number / 1e9:.3f} G" if number >= 1e8 else f"{number / 1e6:.3f} M"


def _field(layer: Layer) -> str:
    if layer.field is None:
        return "image" if layer.whole else ""
    return " x ".join(map(str, layer.field))
