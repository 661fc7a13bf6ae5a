"""Gradients of the pixels with the rectifiers' own rule, by captum.

    guided    guided backpropagation (Springenberg et al., 2015): only what is positive passes a rectifier backwards,
              where it was positive forwards
    deconv    deconvolution (Zeiler and Fergus, 2014): only what is positive passes, wherever it was

Where we differ: both were made for ReLU; SiLU, which most of our networks have, is held to the same rule, its own slope
standing for the step of ReLU. Both show edges that the network answers to, and change little with what is asked
(Adebayo et al., 2018): take an activation map for where the evidence lies.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.explain.objectives import Objective

__all__ = ["RECTIFIED_METHODS", "RectifiedMethod", "pixel_gradient"]

RectifiedMethod: TypeAlias = Literal["guided", "deconv"]
RECTIFIED_METHODS: tuple[RectifiedMethod, ...] = get_args(RectifiedMethod)


def pixel_gradient(objective: Objective, method: RectifiedMethod) -> Float32[ndarray, "h w"]:
    """How strongly each pixel of the canvas, its channels together, moves the answer, by the method's rule.

    Raises ConfigError where the network has no rectifier, ModuleNotFoundError without captum.
    """
    from captum.attr import Deconvolution, GuidedBackprop

    total = np.zeros(objective.canvas.shape[2:], np.float32)
    with _separate_rectifiers(objective.network, method):
        for dx, dy in objective.shifts:
            moved = objective.moved(dx, dy)
            make = GuidedBackprop if method == "guided" else Deconvolution
            canvas = moved.canvas.clone().requires_grad_()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
                heat = make(_Number(moved)).attribute(canvas).detach()[0].abs().sum(dim=0)
            total += np.roll(heat.numpy(), (-dy, -dx), axis=(0, 1))
    return total


class _Number(nn.Module):
    """The network with its objective as the only answer."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.network = objective.network
        self._measure = objective.measure

    def forward(self, canvases: Tensor) -> Tensor:
        return self._measure(self.network(canvases))


class _SmoothRectifier(nn.ReLU):
    """SiLU, as a kind of ReLU for those who hold ReLUs to a rule."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)


@contextlib.contextmanager
def _separate_rectifiers(network: nn.Module, method: str) -> Iterator[None]:
    """The network with each rectifier a module of its own that leaves its input as it was; as before afterwards."""
    places: list[tuple[nn.Module, str, nn.Module]] = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ReLU | nn.SiLU)
    ]
    if not places:
        raise ConfigError(
            f"explain: {method}: this network has no ReLU or SiLU to hold to its rule; take layercam or occlusion"
        )

    def put(parent: Any, name: str, module: nn.Module) -> None:
        parent._modules[name] = module

    for parent, name, child in places:
        put(parent, name, nn.ReLU() if isinstance(child, nn.ReLU) else _SmoothRectifier())
    try:
        with torch.enable_grad():
            yield
    finally:
        for parent, name, child in places:
            put(parent, name, child)
