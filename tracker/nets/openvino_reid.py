"""Start from Open Model Zoo's person-reidentification-retail-0288: its layers become those of our OSNet.

The file (Apache-2.0) is an OSNet x0.25 of the layout `openvino` (see reid.py). Where we differ: the slope of 0.996 at
its very end is left out. At the file's own 256 x 128 the vectors agree to a cosine of 0.9999; at other sizes the
weights of the last map are summed or shared out, which is a start for training and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from onnx import GraphProto, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from tracker.errors import CheckpointError
from tracker.nets.reid import (
    ChannelGate,
    ContextGate,
    Convolution,
    LightConvolution,
    OmniScaleBlock,
    OSNet,
    WeightedPool,
)
from tracker.nets.yolox import read_graph

__all__ = ["copy_openvino", "settle_norms"]


class _File:
    """The constants of the file in the order in which the graph uses them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        graph = read_graph(path)
        self._values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._used = self._in_order(graph)

    def _in_order(self, graph: GraphProto) -> Iterator[ndarray]:
        """Weights of convolutions, and what is added to or multiplied with maps."""
        for node in graph.node:
            if node.op_type in ("Conv", "MatMul", "Add", "Mul"):
                named = [self._values[name] for name in node.input if name in self._values]
                yield from (value for value in named if value.shape != (1,) and value.dtype == np.float32)

    def take(self, *shape: int) -> Tensor:
        """The next constant, which must hold as many values as `shape`."""
        value = next(self._used, None)
        if value is None or value.size != np.prod(shape):
            found = "nothing more" if value is None else f"{value.shape}"
            raise CheckpointError(
                f"{self._path}: not person-reidentification-retail-0288: expected a layer of {shape}, found {found}"
            )
        return torch.from_numpy(value.reshape(shape).copy())


@torch.no_grad()
def copy_openvino(network: OSNet, path: Path) -> None:
    """Fill an OSNet x0.25 of the layout `openvino` with the file's weights. Raises CheckpointError for another file."""
    file = _File(path)
    if network.config.backbone != "osnet_x0_25" or network.config.layout != "openvino":
        raise CheckpointError(f"{path}: fills an osnet_x0_25 of layout openvino, not {network.config.backbone}")
    file.take(3)  # standard deviations of the colours, which the instance norm after them undoes
    _affine(network.normalize, file)
    network.conv1.conv.weight.copy_(file.take(*network.conv1.conv.weight.shape))
    _affine(network.conv1.bn, file)
    for stage in (network.conv2, network.conv3, network.conv4):
        for block in stage:
            if isinstance(block, OmniScaleBlock):
                _block(block, file)
            else:
                _convolution(block.get_submodule("0"), file)
    _convolution(network.conv5, file)
    _head(network, file)


def _affine(norm: nn.Module, file: _File) -> None:
    for parameter in (norm.weight, norm.bias):
        assert isinstance(parameter, nn.Parameter)
        parameter.copy_(file.take(*parameter.shape))


def _identity(norm: nn.BatchNorm2d | nn.BatchNorm1d) -> None:
    """Nothing but the bias, as a batch norm is that was folded into what stands before it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0 - norm.eps)


def _convolution(layer: nn.Module, file: _File) -> None:
    assert isinstance(layer, Convolution | LightConvolution)
    convolutions = [layer.conv] if isinstance(layer, Convolution) else [layer.conv1, layer.conv2]
    for each in convolutions:
        each.weight.copy_(file.take(*each.weight.shape))
    assert isinstance(layer.bn, nn.BatchNorm2d)
    _identity(layer.bn)
    layer.bn.weight.fill_(1.0)
    layer.bn.bias.copy_(file.take(len(layer.bn.bias)))


def _block(block: OmniScaleBlock, file: _File) -> None:
    _convolution(block.conv1, file)
    for stream in (block.conv2a, block.conv2b, block.conv2c, block.conv2d):
        for layer in stream if isinstance(stream, nn.Sequential) else [stream]:
            _convolution(layer, file)
        _gate(block.gate, file)
    _convolution(block.conv3, file)
    if block.downsample is not None:
        _convolution(block.downsample, file)


def _gate(gate: nn.Module, file: _File) -> None:
    """One gate of four equal ones."""
    layers = [gate.fc1, gate.fc2] if isinstance(gate, ChannelGate) else [gate]
    for layer in layers:
        assert isinstance(layer, nn.Conv2d | ContextGate)
        assert layer.bias is not None
        layer.weight.copy_(file.take(*layer.weight.shape))
        layer.bias.copy_(file.take(*layer.bias.shape))


def _head(network: OSNet, file: _File) -> None:
    pool, linear, norm = network.pool, network.fc[0], network.fc[1]
    assert isinstance(pool, WeightedPool)
    assert isinstance(linear, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    channels, height, width = pool.weight.shape
    weights = file.take(channels, 16, 8)
    pool.weight.copy_(functional.interpolate(weights[None], (height, width), mode="area")[0])
    pool.weight.mul_(16 * 8 / (height * width))
    moved = file.take(channels)
    linear.weight.copy_(file.take(channels, len(linear.bias)).T)
    linear.bias.copy_(file.take(len(linear.bias)) + linear.weight @ moved)
    _identity(norm)
    norm.weight.copy_(file.take(len(norm.weight)))
    norm.bias.copy_(file.take(len(norm.bias)))


@torch.no_grad()
def settle_norms(network: nn.Module, crops: Float32[Tensor, "b 3 h w"]) -> None:
    """Give batch norms the statistics of these crops without changing what the network answers.

    A norm that only adds its bias would, in training, normalise what was never normalised.
    """

    def settle(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        over = [axis for axis in range(inputs[0].ndim) if axis != 1]
        variance, mean = torch.var_mean(inputs[0], over, correction=0)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(scale * (mean - norm.running_mean))
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(settle) for norm in norms]
    try:
        network.eval()(crops)
    finally:
        for hook in hooks:
            hook.remove()
