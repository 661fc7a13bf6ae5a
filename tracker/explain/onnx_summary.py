"""The layers of any ONNX file: shapes by running it once on ONNX Runtime, the rest from its graph, without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import CheckpointError, ConfigError
from tracker.explain import positions
from tracker.explain.layer_table import Layer, Summary, Window
from tracker.explain.positions import UNKNOWN, WHOLE, Positions
from tracker.nets.onnx_file import OnnxFile, OnnxNode, read_onnx, with_outputs

__all__ = ["summarise_onnx"]

KINDS = {
    "Conv": "convolution",
    "ConvTranspose": "transposed convolution",
    "MaxPool": "max pooling",
    "AveragePool": "average pooling",
    "GlobalAveragePool": "global pooling",
    "GlobalMaxPool": "global pooling",
    "Gemm": "dense",
    "MatMul": "product",
    "BatchNormalization": "norm",
    "InstanceNormalization": "norm",
    "LayerNormalization": "norm",
    "Resize": "up-sampling",
    "Upsample": "up-sampling",
}
"""Operations that are rows of the table."""
NUMBERS = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16} | {
    "tensor(int64)": np.int64,
    "tensor(double)": np.float64,
}
DEFAULT_SIDE = 224


def summarise_onnx(path: Path, *, height: int | None = None, width: int | None = None) -> Summary:
    """Every layer of the file for an image of that size; its own size, or 224, unless given.

    Raises CheckpointError where the file is no ONNX file or does not run, ConfigError where it takes another size.
    """
    graph = read_onnx(path)
    names = list(chain.from_iterable(node.outputs for node in graph.nodes))
    written = graph.metadata.get("input_size") or graph.metadata.get("imgsz") or ""
    if height is None and written:
        height, width = _written_size(written)
    shapes, axes = _run(path, [name for name in names if name and name not in graph.outputs], height, width)
    shapes = {**graph.weights, **shapes}
    layers: list[Layer] = []
    seen: dict[str, Positions] = {graph.inputs[0]: positions.of_image(axes)}
    of: dict[str, tuple[str, ...]] = {name: (name,) for name in graph.weights}  # what constants are made of
    counted: set[str] = set(graph.indices)
    for node in graph.nodes:
        given = [name for name in node.inputs if name]
        if all(name in of for name in given):
            of |= dict.fromkeys(node.outputs, tuple(dict.fromkeys(chain.from_iterable(of[name] for name in given))))
            continue
        used = [
            name
            for name in dict.fromkeys(chain.from_iterable(of.get(name, ()) for name in given))
            if name not in counted
        ]
        counted.update(used)
        own = sum(math.prod(graph.weights[name]) for name in used if name in graph.weights)
        known = [seen[name] for name in given if name in seen]
        if not known:
            continue
        window, found = _follow(node, graph, shapes, [name for name in given if name in seen], seen)
        seen |= dict.fromkeys(node.outputs, found)
        if node.kind in KINDS or own:
            layers.append(_layer(node, shapes, own, window, found))
    size = shapes[graph.inputs[0]]
    resting = sum(math.prod(shape) for name, shape in graph.weights.items() if name not in counted)
    return Summary(tuple(layers), (size[axes[0]], size[axes[1]]), resting)


def _written_size(text: str) -> tuple[int | None, int | None]:
    """(height, width) of the size that a file says it was made for: 416, or [384, 640]."""
    try:
        size = json.loads(text)
    except ValueError:
        return None, None
    sides = size if isinstance(size, list) else [size]
    return (sides[0], sides[-1]) if sides and all(isinstance(side, int) for side in sides) else (None, None)


def _run(
    path: Path, names: Sequence[str], height: int | None, width: int | None
) -> tuple[dict[str, tuple[int, ...]], tuple[int, int]]:
    """(the shape of every tensor, the dimensions of the image that are its height and width)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        content = with_outputs(path.read_bytes(), iter(names))
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has classes of its own for each trouble, below RuntimeError or not
        raise CheckpointError(f"{path}: ONNX Runtime cannot open it: {str(error).splitlines()[0]}") from error
    feeds, axes = {}, (-2, -1)
    if not session.get_inputs():
        raise ConfigError(f"{path}: has no input; summary is for networks that take images")
    for number, entry in enumerate(session.get_inputs()):
        shape = list(entry.shape)
        if number == 0:
            if len(shape) < 3:
                found = ", ".join(map(str, shape))
                raise ConfigError(
                    f"{path}: its input {entry.name!r} has the shape [{found}], which is no image; summary is for "
                    "networks that take images"
                )
            axes = (-3, -2) if len(shape) == 4 and shape[-1] in (1, 3) else (-2, -1)
            for axis, asked in zip(axes, (height, width), strict=True):
                shape[axis] = _side(path, shape[axis], asked)
        fixed = [side if isinstance(side, int) else 1 for side in shape]
        feeds[entry.name] = np.zeros(fixed, NUMBERS.get(entry.type, np.float32))
    outputs = [output.name for output in session.get_outputs()]
    try:
        values = session.run(outputs, feeds)
    except Exception as error:
        raise ConfigError(
            f"{path}: does not run on an image of {next(iter(feeds.values())).shape}: {str(error).splitlines()[0]}; "
            "give a size that it takes with --imgsz"
        ) from error
    shapes = {name: tuple(np.shape(value)) for name, value in zip(outputs, values, strict=True)}
    return shapes | {name: value.shape for name, value in feeds.items()}, axes


def _side(path: Path, own: Any, asked: int | None) -> int:
    if isinstance(own, int) and asked not in (None, own):
        raise ConfigError(f"{path}: takes images of {own} only, not {asked}; leave --imgsz out")
    return own if isinstance(own, int) else asked or DEFAULT_SIDE


def _layer(
    node: OnnxNode, shapes: Mapping[str, tuple[int, ...]], own: int, window: Window | None, seen: Positions
) -> Layer:
    shape = shapes.get(node.outputs[0], ())
    stride = field = None
    if seen.fields is not None:
        down, across = seen.fields
        stride, field = float(max(down.stride, across.stride)), (down.size, across.size)
    kind = KINDS.get(node.kind, node.kind)
    if node.kind == "Conv" and node.attributes.get("group", 1) > 1:
        kind = "depthwise convolution"
    work = _work(node, shapes)
    return Layer(node.name or node.outputs[0], kind, tuple(shape[1:]), own, work, window, stride, field, seen.whole)


def _work(node: OnnxNode, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Multiplications with their additions."""
    if node.kind in ("Conv", "ConvTranspose") and node.inputs[1] in shapes:
        whole = shapes[node.inputs[0] if node.kind == "ConvTranspose" else node.outputs[0]]
        return math.prod(whole) * math.prod(shapes[node.inputs[1]][1:])
    if node.kind in ("Gemm", "MatMul") and node.inputs[0] in shapes:
        inner = shapes[node.inputs[0]]
        return math.prod(shapes[node.outputs[0]]) * inner[0 if node.attributes.get("transA") else -1]
    return 0


def _follow(
    node: OnnxNode,
    graph: OnnxFile,
    shapes: Mapping[str, tuple[int, ...]],
    given: Sequence[str],
    seen: Mapping[str, Positions],
) -> tuple[Window | None, Positions]:
    """(what slides over the map, what the positions of the output see)."""
    first, before, after = seen[given[0]], shapes.get(given[0], ()), shapes.get(node.outputs[0], ())
    if node.kind in ("Conv", "ConvTranspose", "MaxPool", "AveragePool") and len(after) == 4:
        weight = shapes.get(node.inputs[1], ()) if node.kind.startswith("Conv") else ()
        window, start = _window(node, before, weight)
        return window, positions.slide(first, window, before=start, transposed=node.kind == "ConvTranspose")
    if node.kind in ("GlobalAveragePool", "GlobalMaxPool"):
        return None, WHOLE
    if node.kind.startswith("Reduce"):
        return None, positions.reduce(first, before, after)
    if node.kind == "Gemm" or (node.kind == "MatMul" and len(given) == 1):
        return None, positions.dense(first, before, after)
    if node.kind == "MatMul":
        return None, WHOLE
    if node.kind in ("Resize", "Upsample"):
        return None, positions.enlarge(first, before, after, linear=node.attributes.get("mode") != "nearest")
    if node.kind == "Transpose":
        return None, positions.permute(first, node.attributes.get("perm", list(range(len(before)))[::-1]))
    if node.kind == "Pad":
        amounts = node.attributes.get("pads") or graph.constants.get(node.inputs[1], [])
        return None, positions.pad(first, *amounts[-2 - len(before) : -len(before)]) if len(amounts) >= 4 else UNKNOWN
    if node.kind == "Slice":
        return None, _slice(node, graph, first, before)
    if node.kind in ("Shape", "Size"):
        return None, UNKNOWN
    if len(given) > 1:
        joined = first
        for name in given[1:]:
            joined = positions.join(joined, seen[name]) if len(shapes.get(name, ())) >= 2 else joined
        return None, joined
    return None, positions.reshape(first, before, after)


def _slice(node: OnnxNode, graph: OnnxFile, seen: Positions, before: Sequence[int]) -> Positions:
    """After parts of dimensions were cut out; ends are of no concern to where positions are."""
    if "starts" in node.attributes:
        starts, axes, steps = (node.attributes.get(name) for name in ("starts", "axes", "steps"))
    else:
        _, start_name, _, axes_name, steps_name = [*node.inputs, "", ""][:5]
        starts, axes, steps = (graph.constants.get(name) for name in (start_name, axes_name, steps_name))
    if starts is None:
        return UNKNOWN
    for start, axis, step in zip(starts, axes or range(len(starts)), steps or [1] * len(starts), strict=True):
        place = axis % len(before) - len(before)
        begins = start + before[place] if start < 0 else start
        seen = positions.slice_along(seen, place, begins, step) if step > 0 else UNKNOWN
    return seen


def _window(node: OnnxNode, before: Sequence[int], weight: Sequence[int]) -> tuple[Window, tuple[int, int]]:
    kernel = node.attributes.get("kernel_shape") or list(weight[2:])
    strides, dilations = (node.attributes.get(name) or [1, 1] for name in ("strides", "dilations"))
    pads = node.attributes.get("pads") or [0, 0, 0, 0]
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto.startswith("SAME"):
        whole = [
            max((-(-side // step) - 1) * step + apart * (size - 1) + 1 - side, 0)
            for side, size, step, apart in zip(before[-2:], kernel, strides, dilations, strict=True)
        ]
        first = [(side + 1) // 2 if auto == "SAME_LOWER" else side // 2 for side in whole]
        pads = [*first, *(side - start for side, start in zip(whole, first, strict=True))]
    padding = (pads[0] + pads[2], pads[1] + pads[3])
    window = Window((kernel[0], kernel[1]), (strides[0], strides[1]), padding, (dilations[0], dilations[1]))
    return window, (pads[0], pads[1])
