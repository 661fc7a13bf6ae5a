"""`convolutionalize`: a classifier's dense layers as convolutions, and one pass beside the windows cut out one by one.

Prints how far both grids of answers are apart and what each costs, and draws what every window shows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.commands.outputs import output_file, own_folder
from tracker.config import LARGEST_IMAGE, nearest
from tracker.errors import ConfigError, SourceError
from tracker.explain.sheets import captioned, sheet, tint_heat
from tracker.extras import explain_missing
from tracker.image_file import read_image
from tracker.overlay.palette import WHITE, colour_of
from tracker.paths import typed_path
from tracker.types import Image

if TYPE_CHECKING:
    from torch import Tensor

    from tracker.nets.classifier import Classifier
    from tracker.nets.convolutionalize import FullyConvolutional

__all__ = ["add_parsers"]

TOGETHER = 32
"""Windows classified at once, where they are not one by one."""
ROUNDS = 3
"""The fastest of so many counts."""
EQUAL = 1e-4
"""Probabilities that differ by less are the same but for rounding."""
SHOWN = 320
"""Pixels of a drawing's longer side, about."""
Answer = TypeVar("Answer")


def add_parsers(subparsers: Any) -> None:
    """Add `convolutionalize`."""
    parser = subparsers.add_parser(
        "convolutionalize",
        help="a classifier over a whole image in one pass, and window by window",
        description=__doc__,
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the image whose every window is classified")
    text = "a classifier that `train classifier` made (.safetensors)"
    parser.add_argument("--model", type=typed_path, required=True, metavar="FILE", help=text)
    text = "bring the image to this side, or WIDTHxHEIGHT, first (default: its own size)"
    parser.add_argument("--imgsz", metavar="PIXELS", help=text)
    parser.add_argument("--label", metavar="NAME", help="the class drawn (default: the surest of all windows)")
    text = "image to write: where the class is, and what each window shows"
    parser.add_argument("--out", type=output_file(".png"), metavar="FILE.png", help=text)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    image = _read(options.image, options.imgsz)
    with explain_missing(f"--model {options.model}"):
        from tracker.nets.classifier import load_classifier
        from tracker.nets.convolutionalize import convolutionalize
    network, description = load_classifier(options.model)
    labels, window = tuple(description["labels"]), int(description["image_size"])
    if options.label is not None and options.label not in labels:
        raise ConfigError(f"--label {options.label}: the network has no such class; {nearest(options.label, labels)}")
    height, width = image.shape[:2]
    if min(height, width) < window:
        raise ConfigError(
            f"{options.image}: {width} x {height} pixels, smaller than the classifier's windows of {window}; give a "
            "larger --imgsz"
        )
    whole = convolutionalize(network, window)
    lines, probabilities = _compare(network, whole, _canvas(image, network.config.in_channels))
    sys.stdout.write("\n".join(lines) + "\n")
    surest = int(probabilities.reshape(len(labels), -1).max(axis=1).argmax())
    wanted = surest if options.label is None else labels.index(options.label)
    row, column = np.unravel_index(int(probabilities[wanted].argmax()), probabilities.shape[1:])
    x, y = int(column) * whole.stride, int(row) * whole.stride
    score = probabilities[wanted, row, column]
    sys.stdout.write(f"{labels[wanted]} {score:.3f} in the window at {x}, {y} to {x + window}, {y + window}\n")
    if options.out is not None:
        drawn = _draw(image, probabilities, wanted, labels, window=window, stride=whole.stride)
        own_folder(options.out.absolute().parent)
        _, content = cv2.imencode(".png", drawn[..., ::-1])
        options.out.write_bytes(content.tobytes())
        sys.stdout.write(f"drawn to {options.out}\n")
    return 0


def _compare(
    network: Classifier, whole: FullyConvolutional, canvas: Tensor
) -> tuple[list[str], Float32[ndarray, "k rows columns"]]:
    """(what is to be said, the probability of each class in each window by the one pass)."""
    import torch

    from tracker.explain.layer_summary import summarise
    from tracker.nets.convolutionalize import padded_layers, slide

    window, stride = whole.window, whole.stride
    with torch.inference_mode():
        grids, seconds = [], []
        for run in (
            lambda: slide(network, canvas, window=window, stride=stride, batch=1),
            lambda: slide(network, canvas, window=window, stride=stride, batch=TOGETHER),
            lambda: whole(canvas),
        ):
            answer, best = _timed(run)
            grids.append(answer.logits.softmax(dim=1)[0].numpy())
            seconds.append(best)
    rows, columns = grids[0].shape[1:]
    height, width = canvas.shape[2:]
    one = summarise(network, canvas[:, :, :window, :window]).multiply_adds
    work = [rows * columns * one, rows * columns * one, summarise(whole, canvas).multiply_adds]
    kernels = [
        layer for part in (whole.dense, whole.heads) for layer in part.modules() if isinstance(layer, torch.nn.Conv2d)
    ]
    lines = [
        f"{width} x {height} pixels: {rows} x {columns} answers (down x across), windows of {window} every {stride}",
        "dense layers as convolutions: "
        + ", ".join("{1} -> {0}, {2} x {3}".format(*layer.weight.shape) for layer in kernels),
        "",
        f"{'':24}      seconds   times as fast   giga multiply-adds",
    ]
    for name, took, operations in zip(
        ("windows one by one", f"windows, {TOGETHER} at once", "one pass"), seconds, work, strict=True
    ):
        lines.append(f"{name:24} {took:12.4f} {seconds[0] / took:15.1f} {operations / 1e9:20.3f}")
    apart = float(np.abs(grids[2] - grids[0]).max())
    alike = float((grids[2].argmax(axis=0) == grids[0].argmax(axis=0)).mean())
    lines += ["", f"largest difference of a probability {apart:.1e}; the same class in {alike:.0%} of the windows"]
    padded = padded_layers(network)
    if padded and apart > EQUAL:
        lines.append(
            f"{padded} layers of {network.config.backbone} are padded: a window by itself has zeros beyond its edge, "
            "the pass has the neighbouring pixels. Trained with --set network.padding=false both are equal."
        )
    return lines, grids[2]


def _timed(run: Callable[[], Answer]) -> tuple[Answer, float]:
    """(what it gives, the seconds of the fastest of a few rounds)."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        answer = run()
        best = min(best, time.perf_counter() - begun)
    return answer, best


def _read(path: Path, size: str | None) -> Image:
    image = read_image(path).pixels
    if image is None:
        raise SourceError(f"{path}: no image that can be read; check the path")
    if size is None:
        return image
    sides = size.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and 0 < int(side) <= LARGEST_IMAGE for side in sides):
        raise ConfigError(
            f"--imgsz {size}: expected a side in pixels or WIDTHxHEIGHT, up to {LARGEST_IMAGE}, such as 448 or 640x448"
        )
    wanted = int(sides[0]), int(sides[-1])
    smaller = wanted[0] * wanted[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, wanted, interpolation=method), np.uint8)


def _canvas(image: Image, channels: int) -> Tensor:
    import torch

    pixels: ndarray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if channels == 1 else image
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float() / 255


def _draw(
    image: Image,
    probabilities: Float32[ndarray, "k rows columns"],
    wanted: int,
    labels: Sequence[str],
    *,
    window: int,
    stride: int,
) -> Image:
    """The image with the surest window, the class's probability about each window's centre, and each window's class."""
    times = max(1, round(SHOWN / max(image.shape[:2])))
    large = np.asarray(cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST), np.uint8)
    _, rows, columns = probabilities.shape
    found = large.copy()
    row, column = np.unravel_index(int(probabilities[wanted].argmax()), (rows, columns))
    corner = int(column) * stride * times, int(row) * stride * times
    end = corner[0] + window * times - 1, corner[1] + window * times - 1
    cv2.rectangle(found, corner, end, colour_of(wanted + 1), 2)
    classes, named = probabilities.argmax(axis=0), large.copy()
    for place in np.ndindex(rows, columns):
        x, y = ((place[1 - axis] * stride + window / 2) * times for axis in (0, 1))
        number = int(classes[place])
        cv2.circle(named, (round(x), round(y)), max(2, stride * times // 4), WHITE, -1)
        cv2.circle(named, (round(x), round(y)), max(1, stride * times // 5), colour_of(number + 1), -1)
    heat = np.zeros(image.shape[:2], np.float32)
    cells = cv2.resize(probabilities[wanted], (columns * stride, rows * stride), interpolation=cv2.INTER_NEAREST)
    top = left = (window - stride) // 2
    heat[top : top + rows * stride, left : left + columns * stride] = cells
    wide = cv2.resize(heat, (large.shape[1], large.shape[0]), interpolation=cv2.INTER_NEAREST)
    counts = np.bincount(classes.ravel(), minlength=len(labels))
    most = ", ".join(f"{labels[number]} {counts[number]}" for number in np.argsort(-counts, kind="stable")[:3].tolist())
    return sheet(
        [
            captioned(found, f"{labels[wanted]} {probabilities[wanted].max():.2f}: the surest window"),
            captioned(tint_heat(large, wide), f"{labels[wanted]}", bar=(0.0, 1.0, cv2.COLORMAP_INFERNO)),
            captioned(named, f"windows: {most}"),
        ],
        columns=3,
    )
