"""An OpenVINO file from a stranger is looked through before it is loaded: it may compute, and be as large as it is."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tracker.errors import CheckpointError

__all__ = ["check_openvino"]

MOST_BYTES = 50_000_000
MOST_LAYERS = 100_000
MOST_NUMBERS = 1 << 30
"""Of one constant, or of a map whose size is written down."""
OPSET = re.compile(r"opset\d+")
COMPUTING_NAMES = """
    Parameter Const Result Convert ConvertLike ShapeOf Broadcast Gather GatherElements GatherND Range Tile
    Add Subtract Multiply Divide Power Abs Negative Exp Log Sqrt Floor Ceiling Round Clamp Maximum Minimum Mod FloorMod
    Equal NotEqual Less LessEqual Greater GreaterEqual LogicalAnd LogicalOr LogicalNot Select
    Convolution ConvolutionBackpropData GroupConvolution GroupConvolutionBackpropData MatMul FakeQuantize
    MaxPool AvgPool AdaptiveAvgPool AdaptiveMaxPool Interpolate Pad DepthToSpace SpaceToDepth
    BatchNormInference MVN NormalizeL2 LRN
    ReLU PReLU Elu Selu Gelu Sigmoid HSigmoid HardSigmoid Swish HSwish Mish Tanh SoftPlus SoftSign Softmax SoftMax
    LogSoftmax Reshape Squeeze Unsqueeze Transpose Concat Split VariadicSplit Slice StridedSlice ReverseSequence
    ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 CumSum TopK ScatterUpdate ScatterNDUpdate
    ScatterElementsUpdate NonZero OneHot
"""
COMPUTING = frozenset(COMPUTING_NAMES.split())


def check_openvino(path: Path) -> None:
    """Raise CheckpointError where the .xml file holds what no network of ours needs, or more than its .bin file has.

    Operators outside OpenVINO's own sets come from libraries beside the file; XML entities can grow without end.
    """
    weights = path.with_suffix(".bin")
    try:
        held = weights.stat().st_size if weights.exists() else 0
        content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    if not content:
        raise _refusal(path, "more than a network's description, or nothing at all")
    if b"<!" in content.replace(b"<!--", b""):
        raise _refusal(path, "a document type or raw data")
    try:
        layers = list(ElementTree.fromstring(content).iter("layer"))
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not an OpenVINO model of ours: {error}") from error
    if len(layers) > MOST_LAYERS:
        raise _refusal(path, f"{len(layers)} layers")
    for layer in layers:
        kind, version = layer.get("type", ""), layer.get("version", "")
        if kind not in COMPUTING or not OPSET.fullmatch(version):
            raise _refusal(path, f"an operator {kind!r} of {version!r}")
        _check_sizes(layer, path, held)


def _check_sizes(layer: Element, path: Path, held: int) -> None:
    for sides in layer.iter("port"):
        if math.prod(max(1, _whole(side.text)) for side in sides.iter("dim")) > MOST_NUMBERS:
            raise _refusal(path, f"a map of over {MOST_NUMBERS} numbers")
    data = layer.find("data")
    if layer.get("type") == "Const" and data is not None:
        offset, size = _whole(data.get("offset")), _whole(data.get("size"))
        if offset < 0 or size < 0 or offset + size > held:
            raise CheckpointError(
                f"{path}: {path.with_suffix('.bin').name} has {held} bytes, a constant ends at {offset + size}. "
                "Copy both files again, or export the network again."
            )


def _whole(text: str | None) -> int:
    """The number, -1 for what is left open or is none."""
    try:
        return int(text or "")
    except ValueError:
        return -1


def _refusal(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: holds {found[:80]}, which no network of ours needs; it is not loaded. Export the network again "
        "from its .safetensors file, or use that."
    )
