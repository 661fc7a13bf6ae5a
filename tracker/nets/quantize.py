"""Detectors with whole-number convolutions, calibrated on real frames, for ONNX Runtime on CPUs.

Static quantisation (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018): 8-bit weights per channel, 8-bit activations with ranges measured on frames. What loses accuracy
stays in float: the first convolution, whose answer every other sees; depthwise ones, whose channels have very different
ranges once a batch norm is folded in, and which are hardly faster in whole numbers; and those with none behind them,
which answer: a box's size is exp of what they say. Products of 8 by 8 bits are for processors that add them in 32 bits
(VNNI, AMX, Arm's dot product): others add pairs of them in 16, which overflow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from jaxtyping import UInt8
from numpy import ndarray

from tracker.nets.weight_files import write_atomically

__all__ = ["quantize_onnx"]

log = logging.getLogger(__name__)


def quantize_onnx(source: Path, path: Path, canvases: Iterable[UInt8[ndarray, "h w 3"]]) -> None:
    """Write the float network of `source` with 8-bit convolutions; `canvases` are letterboxed real frames."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Frames(CalibrationDataReader):  # type: ignore[misc]
        """The canvases one by one, as the network takes them."""

        def __init__(self) -> None:
            self.remaining: Iterator[ndarray] = iter(canvases)

        def get_next(self) -> dict[str, Any] | None:
            canvas = next(self.remaining, None)
            return None if canvas is None else {"images": canvas[None]}

    model = onnx.load(source)
    nodes = list(model.graph.node)
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    floats = {convolutions[0].name, *_last(nodes), *(node.name for node in convolutions if _groups(node) > 1)}
    with TemporaryDirectory() as folder:
        quantized = Path(folder) / "quantized.onnx"
        quantize_static(
            str(source),
            str(quantized),
            Frames(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=sorted(floats),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},  # one frame's extremes do not widen the range for all
        )
        result = onnx.load(quantized)
    _keep_metadata(model, result)
    write_atomically(path, lambda temporary: onnx.save(result, temporary))


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _last(nodes: list[onnx.NodeProto]) -> list[str]:
    """The convolutions that no other depends on."""
    leads_on: set[str] = set()  # values that a convolution depends on
    last = []
    for node in reversed(nodes):  # a graph's nodes come after what they depend on
        before = leads_on.intersection(node.output)
        if node.op_type == "Conv" and not before:
            last.append(node.name)
        if node.op_type == "Conv" or before:
            leads_on.update(node.input)
    return last


def _keep_metadata(source: onnx.ModelProto, target: onnx.ModelProto) -> None:
    del target.metadata_props[:]
    for entry in source.metadata_props:
        target.metadata_props.add(key=entry.key, value=entry.value)
