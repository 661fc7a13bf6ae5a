"""A network of three layers that sees bright blocks, and clips of such blocks: the whole program in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tracker.types import Detections, Frame, FrameResult, Tracks
from tracker.video import VideoSink

WIDTH, HEIGHT, BLOCK, RATE = 160, 128, 24, 25
COLOURS = ((255, 255, 60), (60, 255, 255))
LABELS = ("person", "car")
LONG_FRAMES = 700
"""Of the clip whose annotation is killed: long enough to be caught in the middle, however busy the machine is."""


def write_network(path: Path) -> Path:
    """An ONNX file of our own format that finds blocks of 24 pixels by their green, and their class by red or blue."""
    bias = [0.5, 0.5, 0.0, 0.0, -25.0, 0.0, 0.0]
    weights = np.zeros((7, 3, 1, 1), np.float32)
    weights[4, 1] = 40 / 255
    weights[5, 0] = weights[6, 2] = 10 / 255
    weights[5, 2] = weights[6, 0] = -10 / 255
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
    ]
    tensors = [numpy_helper.from_array(np.array([1], np.int64), "axis")]
    for level, stride in ((3, 8), (4, 16), (5, 32)):
        kernel = weights if level == 3 else np.zeros_like(weights)
        tensors.append(numpy_helper.from_array(kernel, f"w{level}"))
        tensors.append(numpy_helper.from_array(np.array(bias, np.float32), f"b{level}"))
        sides = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes += [
            helper.make_node("AveragePool", ["planes"], [f"pool{level}"], **sides),
            helper.make_node("Conv", [f"pool{level}", f"w{level}", f"b{level}"], [f"conv{level}"]),
            helper.make_node("Unsqueeze", [f"conv{level}", "axis"], [f"p{level}"]),
        ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["b", "h", "w", 3])
    outputs = [
        helper.make_tensor_value_info(f"p{level}", TensorProto.FLOAT, ["b", 1, 7, None, None]) for level in (3, 4, 5)
    ]
    graph = helper.make_graph(nodes, "tiny", [images], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    facts = {
        "format": "sightline-yolo/1",
        "labels": json.dumps(LABELS),
        "anchors": json.dumps([[[BLOCK, BLOCK]]] * 3),
        "strides": json.dumps([8, 16, 32]),
        "coefficients": "0",
        "input_size": str(WIDTH),
        "confidence": "0.5",
        "iou": "0.3",
    }
    helper.set_model_props(model, facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def write_clip(
    path: Path, frames: int, *, seed: int = 0, blocks: int = 4, times: Sequence[float] | None = None
) -> Path:
    """A video of blocks that run through the frame, hide behind each other and come back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sink = VideoSink(path, rate=Fraction(RATE), time_base=Fraction(1, 12800))
    for index, image in enumerate(_images(frames, np.random.default_rng(seed), blocks)):
        frame = Frame(image, index, times[index] if times is not None else index / RATE, path.name)
        sink.write(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))
    sink.close()
    return path


def _images(count: int, rng: np.random.Generator, blocks: int) -> Iterator[np.ndarray]:
    places = rng.uniform((0, 0), (WIDTH, HEIGHT), (blocks, 2))
    speeds = rng.uniform(1, 3, (blocks, 2)) * rng.choice([-1, 1], (blocks, 2))
    for _ in range(count):
        image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
        for number, (x, y) in enumerate(places.astype(int).tolist()):
            top, left = max(y, 0), max(x, 0)
            image[top : max(y + BLOCK, 0), left : max(x + BLOCK, 0)] = COLOURS[number % 2]
        yield image
        places += speeds
        outside = (places < -BLOCK) | (places > (WIDTH, HEIGHT))
        speeds = np.where(outside, -np.sign(places) * np.abs(speeds), speeds)
