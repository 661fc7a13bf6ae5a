"""Start from a published YOLOX nano: its convolutions become ours, box for box.

YOLOX (Ge et al., 2021) predicts one box per cell, w = stride * exp(t_w). A head with k anchors contains that head:
each anchor's answer is a copy whose size bias is moved by log(stride / anchor). So at step 0 our network finds
exactly what the published one finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy import ndarray
from onnx import GraphProto, numpy_helper
from torch import nn

from tracker.config.coco_classes import COCO_LABELS
from tracker.errors import CheckpointError
from tracker.nets.anchors import Anchors
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import Head, YoloNet

__all__ = ["copy_yolox", "open_yolox", "published_size"]

CONVOLUTIONS = 113


Convolution: TypeAlias = tuple[ndarray, ndarray]
"""Weight and bias."""


def read_graph(path: Path) -> GraphProto:
    """The graph of an ONNX file."""
    try:
        return onnx.load(path).graph
    except (DecodeError, OSError) as error:
        raise CheckpointError(f"{path}: not an ONNX file ({error}).") from error


def published_size(path: Path) -> int | None:
    """The one size of images that a published YOLOX nano file takes; None for any other network."""
    graph = read_graph(path)
    _, channels, *sides = (each.dim_value for each in graph.input[0].type.tensor_type.shape.dim)
    nano = sum(node.op_type == "Conv" for node in graph.node) == CONVOLUTIONS and channels == 3
    return max(sides) if nano and all(sides) else None


def read_convolutions(path: Path) -> list[Convolution]:
    """(weight, bias) of each convolution in graph order."""
    graph = read_graph(path)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = [tuple(values[name] for name in node.input[1:]) for node in graph.node if node.op_type == "Conv"]
    if len(found) != CONVOLUTIONS or any(len(pair) != 2 for pair in found):
        raise CheckpointError(f"{path}: expected the {CONVOLUTIONS} convolutions of YOLOX nano, found {len(found)}.")
    return found  # type: ignore[return-value]


def unfold_focus(weight: ndarray) -> ndarray:
    """The 6 x 6 convolution on an RGB 0..1 image that equals the 3 x 3 one on four shifted BGR 0..255 copies."""
    outputs = len(weight)
    unfolded = np.zeros((outputs, 3, 6, 6), weight.dtype)
    # the copies come as (row, column) offsets (0, 0), (1, 0), (0, 1), (1, 1)
    for copy, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        unfolded[:, :, row::2, column::2] = weight[:, 3 * copy : 3 * copy + 3]
    return unfolded[:, ::-1] * 255.0


def copy_convolution(target: nn.Conv2d, weight: ndarray, bias: ndarray) -> None:
    """Fill one convolution; shapes must agree."""
    if target.bias is None or target.weight.shape != weight.shape:
        raise CheckpointError(
            f"a convolution of shape {tuple(target.weight.shape)} cannot take weights of shape {weight.shape}. "
            "Build the network with backbone cspdarknet_nano and norm=False."
        )
    with torch.no_grad():
        target.weight.copy_(torch.from_numpy(np.array(weight, np.float32)))
        target.bias.copy_(torch.from_numpy(np.array(bias, np.float32)))


def convolutions(module: nn.Module) -> Iterator[nn.Conv2d]:
    """The convolutions in the order they were built, which is the published graph's order."""
    return (part for part in module.modules() if isinstance(part, nn.Conv2d))


def copy_answers(
    head: Head,
    of_class: Convolution,
    of_box: Convolution,
    of_object: Convolution,
    classes: list[int],
    shifts: list[tuple[float, float]],
) -> None:
    """Fill the last convolutions of one stride, repeated per anchor; `shifts` are stride / anchor, width and height."""
    copies = len(shifts)
    size_shift = np.concatenate([(0.0, 0.0, np.log(w), np.log(h)) for w, h in shifts]).astype(np.float32)
    class_weight, class_bias = (part[classes] for part in of_class)
    box_weight, box_bias = of_box
    object_weight, object_bias = of_object
    copy_convolution(head.classes, np.tile(class_weight, (copies, 1, 1, 1)), np.tile(class_bias, copies))
    copy_convolution(head.boxes, np.tile(box_weight, (copies, 1, 1, 1)), np.tile(box_bias, copies) + size_shift)
    copy_convolution(head.objectness, np.tile(object_weight, (copies, 1, 1, 1)), np.tile(object_bias, copies))


def copy_yolox(network: YoloNet, path: Path, labels: tuple[str, ...], anchors: Anchors) -> None:
    """Fill a cspdarknet_nano network without batch norm so that it detects what the file at `path` detects."""
    unknown = [label for label in labels if label not in COCO_LABELS]
    if unknown:
        raise CheckpointError(f"{path}: has no class {unknown[0]!r}. Known are COCO's: {', '.join(COCO_LABELS)}.")
    source = iter(read_convolutions(path))
    stem, *body = (*convolutions(network.backbone), *convolutions(network.neck))
    stem_weight, stem_bias = next(source)
    copy_convolution(stem, unfold_focus(stem_weight), stem_bias)
    for convolution in body:
        copy_convolution(convolution, *next(source))
    classes = [COCO_LABELS.index(label) for label in labels]
    for head, stride, pairs in zip(network.heads, network.strides, anchors, strict=True):
        assert isinstance(head, Head)
        for convolution in (*convolutions(head.stem), *convolutions(head.class_branch)):
            copy_convolution(convolution, *next(source))
        of_class = next(source)
        for convolution in convolutions(head.box_branch):
            copy_convolution(convolution, *next(source))
        copy_answers(head, of_class, next(source), next(source), classes, [(stride / w, stride / h) for w, h in pairs])


def open_yolox(path: Path) -> tuple[YoloNet, ModelCard]:
    """A published YOLOX nano as a network of ours, for images of any size: one anchor per cell, as large as the stride.

    It finds what the file finds.
    """
    labels, anchors = COCO_LABELS, tuple(((float(stride), float(stride)),) for stride in YoloNet.strides)
    network = YoloNet(NetworkConfig(classes=len(labels), anchors=1, norm=False))
    copy_yolox(network, path, labels, anchors)
    return network.eval(), ModelCard(labels, anchors, coefficients=network.config.coefficients, confidence=0.3)
