"""A torch network's layers in the order they run: shapes, parameters, work, and which pixels each value sees.

One forward pass is followed operation by operation, whatever module or function asks for it; on the device `meta` it
costs no arithmetic. Where positions are mixed (dense layers over a map, attention) a value sees the whole image; where
a network rearranges positions (tokens, windows), the field is not known and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tracker.explain import positions
from tracker.explain.layer_table import Layer, Summary, Window
from tracker.explain.positions import UNKNOWN, WHOLE, Positions

__all__ = ["Layer", "Summary", "summarise"]


NORMS = {"native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "_batch_norm_no_update"} | {
    "native_layer_norm",
    "native_group_norm",
    "batch_norm",
    "layer_norm",
    "group_norm",
}
DENSE = {"mm", "addmm", "linear"}
MIXING = {"bmm", "baddbmm", "matmul"}


def summarise(network: nn.Module, images: Tensor) -> Summary:
    """Run the network on `images` (one, in 0..1) and note every layer that multiplies, norms, pools or has weights.

    `images` and network may be on the device meta: shapes are all that is needed.
    """
    trace = _Trace(network, images)
    modes = {name: module.training for name, module in network.named_modules()}
    handles = []
    for name, module in network.eval().named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: trace.enter(name)))
        handles.append(module.register_forward_hook(lambda *results: trace.leave(results[2])))
    try:
        with torch.no_grad(), trace:
            network(images)
    finally:
        for handle in handles:
            handle.remove()
        for name, module in network.named_modules():
            module.training = modes[name]
    total = sum(parameter.numel() for parameter in network.parameters())
    resting = total - sum(layer.parameters for layer in trace.layers)
    return Summary(tuple(trace.layers), (images.shape[2], images.shape[3]), resting)


class _Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what runs."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[Layer] = []
        self._modules = dict(network.named_modules())
        self._inside: list[str] = []
        self._begun: list[int] = []
        self._parameters = {id(parameter): parameter for parameter in network.parameters()}
        self._waiting: list[Tensor] = []
        self._seen: dict[int, tuple[Tensor, Positions]] = {id(images): (images, positions.of_image())}

    def enter(self, name: str) -> None:
        self._inside.append(name)
        self._begun.append(len(self.layers))

    def leave(self, output: Any) -> None:
        """A module whose weights no layer took used them for something else: scaling, tokens."""
        own, name, begun = self._take_parameters(), self._inside[-1], self._begun.pop()
        if own and len(self.layers) > begun and self.layers[-1].name == name:
            self.layers[-1] = replace(self.layers[-1], parameters=self.layers[-1].parameters + own)
        elif own:
            tensor = next(iter(_tensors(output)), None)
            seen = UNKNOWN if tensor is None else self._of(tensor)
            shape = () if tensor is None else tuple(tensor.shape[1:])
            self._note(type(self._modules[name]).__name__, shape, own, 0, None, seen)
        self._inside.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs, given = _tensors(result), _tensors((args, kwargs))
        self._waiting += [self._parameters.pop(id(each)) for each in given if id(each) in self._parameters]
        inputs = [each for each in given if id(each) in self._seen]
        if inputs and outputs:
            name = func.overloadpacket.__name__.rstrip("_")
            seen = self._follow(name, args, inputs, outputs[0])
            for each in outputs:
                self._seen[id(each)] = (each, seen)
        return result

    def _follow(self, name: str, args: Any, inputs: Sequence[Tensor], output: Tensor) -> Positions:
        """What the positions of an operation's output see; the layer is noted where it is one."""
        first = self._of(inputs[0])
        if name in ("convolution", "_convolution", "convolution_overrideable"):
            return self._convolution(args, first, output)
        if name in ("max_pool2d_with_indices", "max_pool2d", "avg_pool2d"):
            window = _pooling(args, name)
            seen = positions.slide(first, window, before=_pair(args[3] if len(args) > 3 and args[3] else 0))
            return self._layer("max pooling" if "max" in name else "average pooling", output, 0, window, seen)
        if name in ("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"):
            return self._layer(
                "adaptive pooling", output, 0, None, positions.pool_to(first, inputs[0].shape, output.shape)
            )
        if name in DENSE:
            inner = inputs[0].shape[-1]
            seen = positions.dense(first, inputs[0].shape, output.shape)
            return self._layer("dense", output, output.numel() * inner, None, seen)
        if name in MIXING or name.startswith("_scaled_dot_product"):
            work = output.numel() * (inputs[0].shape[-1] if name in MIXING else 2 * inputs[1].shape[-2])
            return self._layer("attention" if name.startswith("_scaled") else "product", output, work, None, WHOLE)
        if name in NORMS:
            return self._layer("norm", output, 0, None, first)
        if name.startswith("upsample"):
            seen = positions.enlarge(first, inputs[0].shape, output.shape, linear="bilinear" in name)
            return self._layer("up-sampling", output, 0, None, seen)
        if name in ("mean", "sum", "amax", "max", "logsumexp") and output.numel() < inputs[0].numel():
            return positions.reduce(first, inputs[0].shape, output.shape)
        return _rearranged(name, args, [(each, self._of(each)) for each in inputs], output)

    def _convolution(self, args: Any, seen: Positions, output: Tensor) -> Positions:
        images, weight, _, stride, padding, dilation, transposed, _, groups = args[:9]
        if output.ndim != 4:
            return self._layer("convolution", output, output.numel() * weight[0].numel(), None, UNKNOWN)
        kernel = (int(weight.shape[2]), int(weight.shape[3]))
        window = Window(kernel, _pair(stride), _pair([2 * side for side in padding]), _pair(dilation))
        before = _pair(padding)
        kind = "transposed convolution" if transposed else "depthwise convolution" if groups > 1 else "convolution"
        whole = images if transposed else output
        slid = positions.slide(seen, window, before=before, transposed=transposed)
        return self._layer(kind, output, whole.numel() * weight[0].numel(), window, slid)

    def _layer(self, kind: str, output: Tensor, work: int, window: Window | None, seen: Positions) -> Positions:
        module = self._modules[self._inside[-1]] if self._inside else None
        leaf = module is not None and not list(module.children())
        own = self._take_parameters()
        self._note(type(module).__name__ if leaf else kind, tuple(output.shape[1:]), own, work, window, seen)
        return seen

    def _note(
        self, kind: str, shape: tuple[int, ...], parameters: int, work: int, window: Window | None, seen: Positions
    ) -> None:
        stride = field = None
        if seen.fields is not None:
            down, across = seen.fields
            stride, field = float(max(down.stride, across.stride)), (down.size, across.size)
        name = self._inside[-1] if self._inside else ""
        self.layers.append(
            Layer(name or "(the network)", kind, shape, parameters, int(work), window, stride, field, seen.whole)
        )

    def _take_parameters(self) -> int:
        """How many weights were used since the last layer, that none before it used."""
        count = sum(parameter.numel() for parameter in self._waiting)
        self._waiting.clear()
        return count

    def _of(self, tensor: Tensor) -> Positions:
        return self._seen[id(tensor)][1] if id(tensor) in self._seen else UNKNOWN


def _pooling(args: Any, name: str) -> Window:
    size = _pair(args[1])
    stride = _pair(args[2]) if len(args) > 2 and args[2] else size
    padding = _pair(args[3]) if len(args) > 3 and args[3] else (0, 0)
    dilation = _pair(args[4]) if "max" in name and len(args) > 4 else (1, 1)
    return Window(size, stride, (2 * padding[0], 2 * padding[1]), dilation)


def _rearranged(name: str, args: Any, inputs: Sequence[tuple[Tensor, Positions]], output: Tensor) -> Positions:
    """After anything else: what works value by value keeps fields, what moves positions is followed or given up."""
    before, seen = inputs[0]
    if name in ("permute", "transpose", "t"):
        order = list(range(before.ndim))
        if name == "permute":
            order = [axis % before.ndim for axis in args[1]]
        else:
            first, second = (axis % before.ndim for axis in args[1:3]) if name == "transpose" else (0, 1)
            order[first], order[second] = order[second], order[first]
        return positions.permute(seen, order)
    if name == "constant_pad_nd" or name.endswith("pad2d"):
        left, _, top = [*args[1], 0, 0, 0][:3]
        return positions.pad(seen, top, left)
    if name == "slice":
        axis, start, _, step = [*args[1:], None, None, None][:4]
        axis, start = axis % before.ndim - before.ndim, start or 0
        start = start + before.shape[axis] if start < 0 else start
        return positions.slice_along(seen, axis, start, step or 1)
    if len(inputs) == 1:
        return positions.reshape(seen, before.shape, output.shape)
    for tensor, each in inputs[1:]:
        seen = positions.join(seen, each) if tensor.ndim >= 2 else seen
    return seen


def _tensors(values: Any) -> list[Tensor]:
    """Every tensor among values, lists and tables."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[-1])
