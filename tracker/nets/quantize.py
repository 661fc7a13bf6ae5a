"""Detectors with whole-number convolutions, calibrated on real frames, for ONNX Runtime on CPUs.

Static quantisation (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018): weights per channel, 8-bit activations with ranges measured on frames. Measured layer by layer, the
loss of accuracy comes from the first layers, where a folded batch norm leaves channels of very different ranges in one
depthwise convolution, and from the heads, where a box's size is exp of the output. The first half of the backbone's
convolutions, the heads and the prototypes therefore stay in float.
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

AFTER_BACKBONE = ("/neck/", "/heads.", "/prototypes/")
"""Parts of the names of convolutions behind it; the last two, which answer, are not quantised."""


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
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    backbone = [name for name in convolutions if not any(part in name for part in AFTER_BACKBONE)]
    answers = [name for name in convolutions if any(part in name for part in AFTER_BACKBONE[1:])]
    floats = [*backbone[: len(backbone) // 2], *answers]
    with TemporaryDirectory() as folder:
        quantized = Path(folder) / "quantized.onnx"
        quantize_static(
            str(source),
            str(quantized),
            Frames(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=floats,
            per_channel=True,
            reduce_range=True,  # 7-bit weights: processors without VNNI add pairs of products in 16 bits
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},  # one frame's extremes do not widen the range for all
        )
        result = onnx.load(quantized)
    _keep_metadata(model, result)
    write_atomically(path, lambda temporary: onnx.save(result, temporary))


def _keep_metadata(source: onnx.ModelProto, target: onnx.ModelProto) -> None:
    del target.metadata_props[:]
    for entry in source.metadata_props:
        target.metadata_props.add(key=entry.key, value=entry.value)
