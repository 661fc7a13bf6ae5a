"""Class activation maps: the channels of some maps inside the network, weighted and summed at each place.

    layercam    LayerCAM (Jiang et al., 2021): each place weighted by its own positive gradient
    hirescam    HiResCAM (Draelos and Carin, 2020): each place weighted by its own gradient of either sign
    gradcam     Grad-CAM (Selvaraju et al., 2017): channels weighted by their gradient's mean over the whole map
    eigencam    EigenCAM (Muhammad and Yeasin, 2020): the maps' first principal component, whatever is asked for

Grad-CAM was made for classifiers, whose score depends on the whole map. A detection depends on a part of it only, so
the mean over the map marks other objects as well.
Where we differ: a network that answers at several strides has several last maps. Each is weighted by its own gradient,
as one cell's value per pixel that the cell covers, and the maps are added: no map needs to be chosen, and what a box of
any size was read from is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor, nn

from tracker.config import nearest
from tracker.errors import ConfigError
from tracker.explain.objectives import Objective

__all__ = ["ACTIVATION_METHODS", "ActivationMethod", "activation_map", "capture_maps", "find_layer"]

ActivationMethod: TypeAlias = Literal["layercam", "hirescam", "gradcam", "eigencam"]
ACTIVATION_METHODS: tuple[ActivationMethod, ...] = get_args(ActivationMethod)


def activation_map(
    objective: Objective, method: ActivationMethod, *, layer: str | None = None
) -> Float32[ndarray, "h w"]:
    """The heat over the canvas, at least 0; of the maps that the answering modules read, or of what `layer` gives.

    Raises ConfigError for a layer that does not exist or gives no map.
    """
    modules = objective.readers if layer is None else (find_layer(objective.network, layer),)
    height, width = objective.canvas.shape[2:]
    total = np.zeros((height, width), np.float32)
    for dx, dy in objective.shifts:
        moved = objective.moved(dx, dy)
        with torch.enable_grad(), capture_maps(modules, inputs=layer is None) as maps:
            value = moved.measure(objective.network(moved.canvas)).sum()
        if not maps:
            where = layer or "before the head"
            raise ConfigError(f"explain: layer {where}: gives no map of places; take one before it")
        for each, gradient in zip(maps, _gradients(value, maps), strict=True):
            cells = (height / each.shape[2]) * (width / each.shape[3])
            heat = cv2.resize(_weigh(each.detach(), gradient, method) / np.float32(cells), (width, height))
            total += np.roll(heat, (-dy, -dx), axis=(0, 1))
    return np.maximum(total, 0)


def find_layer(network: nn.Module, name: str) -> nn.Module:
    """The module of that name, as `summary` lists it. Raises ConfigError, naming the nearest, where there is none."""
    modules: dict[str, nn.Module] = {each: module for each, module in network.named_modules() if each}
    if name not in modules:
        raise ConfigError(f"explain: no layer {name!r}; {_near(name, list(modules))}")
    return modules[name]


def _near(name: str, known: Sequence[str]) -> str:
    hint = nearest(name, known)
    if hint.startswith("did"):
        return hint
    top = [each for each in known if each.count(".") <= 1]
    return f"there are {', '.join(top[:12])}{', ...' if len(known) > 12 else ''}; the command summary lists all"


@contextlib.contextmanager
def capture_maps(modules: Sequence[nn.Module], *, inputs: bool) -> Iterator[list[Tensor]]:
    """The maps (1, c, h, w) that go into these modules, or come out of them, while the network runs.

    Each becomes a leaf of the graph: its gradient is that of what follows from it, not of what it was made of.
    """
    maps: list[Tensor] = []

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point():
            leaf = value.detach().requires_grad_()
            maps.append(leaf)
            return leaf.clone()  # what follows may change it in place
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return tuple(cut(each) for each in value)
        return value

    def before(_module: nn.Module, arguments: tuple[Any, ...]) -> Any:
        return cut(arguments)

    def after(_module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> Any:
        return cut(output)

    handles = [
        module.register_forward_pre_hook(before) if inputs else module.register_forward_hook(after)
        for module in modules
    ]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _gradients(value: Tensor, maps: Sequence[Tensor]) -> list[Tensor]:
    """The gradient at each place of each map, zero where the value does not depend on it."""
    if not value.requires_grad:
        return [torch.zeros_like(each) for each in maps]
    found = torch.autograd.grad(value, list(maps), allow_unused=True)
    return [torch.zeros_like(each) if one is None else one for each, one in zip(maps, found, strict=True)]


def _weigh(maps: Tensor, gradient: Tensor, method: ActivationMethod) -> Float32[ndarray, "i j"]:
    if method == "eigencam":
        values = maps[0].flatten(1)  # (c, i j)
        _, sizes, directions = torch.linalg.svd(values - values.mean(dim=1, keepdim=True), full_matrices=False)
        heat = directions[0].reshape(maps.shape[2:]) * sizes[0]
        heat = heat * torch.sign(heat.flatten()[heat.abs().argmax()])  # a component has no sign of its own
        return np.asarray(heat.clamp(min=0).numpy(), np.float32)
    weights = gradient
    if method == "layercam":
        weights = gradient.clamp(min=0)
    elif method == "gradcam":
        weights = gradient.mean(dim=(2, 3), keepdim=True)
    return np.asarray((weights * maps).sum(dim=1)[0].clamp(min=0).numpy(), np.float32)
