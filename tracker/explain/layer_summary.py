"""A network's layers in the order they run: shapes, parameters, multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Layer", "Summary", "summarise"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution, norm, pooling or dense layer, in the order they ran."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """Of what it gives, without the batch."""
    parameters: int
    multiply_adds: int


@dataclass(frozen=True, slots=True)
class Summary:
    """All layers of one forward pass."""

    layers: tuple[Layer, ...]
    size: tuple[int, int]
    """Height and width of the picture."""

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    def table(self) -> str:
        """One line per layer and the totals."""
        width = max(len(layer.name) for layer in self.layers)
        lines = [f"{'layer':{width}}  {'kind':12}  {'output':>16}  {'parameters':>11}  {'mega mult-adds':>14}"]
        lines += [
            f"{layer.name:{width}}  {layer.kind:12}  {' x '.join(map(str, layer.shape)):>16}  {layer.parameters:11,}  "
            f"{layer.multiply_adds / 1e6:14.3f}"
            for layer in self.layers
        ]
        height, wide = self.size
        total = f"{self.parameters:,} parameters, {self.multiply_adds / 1e9:.3f} G multiply-adds at {wide} x {height}"
        return "\n".join([*lines, total])


def summarise(network: nn.Module, images: Tensor) -> Summary:
    """Run the network on `images` (one picture, in 0..1) and note every layer that has parameters or pools."""
    layers: list[Layer] = []
    handles = []

    def note(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            work = multiply_adds(module, output)
            layers.append(Layer(name, type(module).__name__, tuple(output.shape[1:]), own, work))

        handles.append(module.register_forward_hook(hook))

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear | nn.MaxPool2d | nn.AvgPool2d):
            note(name, module)
    try:
        with torch.inference_mode():
            network.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    return Summary(tuple(layers), (images.shape[2], images.shape[3]))


def multiply_adds(module: nn.Module, output: Tensor) -> int:
    """Multiplications of one picture; norms count as folded away, pooling as none."""
    if isinstance(module, nn.Conv2d):
        kernel = module.kernel_size[0] * module.kernel_size[1]
        return int(output[0].numel() * kernel * module.in_channels // module.groups)
    if isinstance(module, nn.Linear):
        return int(output[0].numel() * module.in_features)
    return 0
