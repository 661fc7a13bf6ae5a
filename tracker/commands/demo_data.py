"""Data sets drawn by us, with exact truth, for trying every kind of network without a download.

Digits as MNIST has them (28 x 28 grey, .npz), and coloured shapes on cluttered ground: one an image for classifiers
and localizers, several for detectors, a label a pixel for segmentation. Everything follows from the seed alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray
from numpy.random import Generator

from tracker.commands.outputs import own_folder
from tracker.types import Image

__all__ = ["SHAPES", "Drawing", "draw_digits", "draw_shapes", "write_datasets"]

SHAPES = ("disc", "square", "triangle", "star", "cross", "ring")
FINE = 4
"""Shapes are drawn this much larger, and shrunk: smooth edges, and labels to the pixel."""
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
SIDES = {"classify": (0.5, 0.9), "localize": (0.2, 0.55), "detect": (0.12, 0.35), "segment": (0.12, 0.35)}
"""Of shapes, as fractions of the image's: those to classify fill most of it, so that a small set teaches them."""
VALIDATION = 4
"""One image to judge by for so many to train on."""


class Drawing(NamedTuple):
    """One image with its truth."""

    image: Image
    boxes: Float32[ndarray, "n 4"]
    """xyxy, the pixels that each shape covers by half or more."""
    classes: Int64[ndarray, " n"]
    """Numbers of SHAPES."""
    labels: UInt8[ndarray, "h w"]
    """0 for the ground, 1 + class for shapes."""


def draw_shapes(
    rng: Generator, *, size: int = 96, most: int = 1, smallest: float = 0.2, largest: float = 0.55
) -> Drawing:
    """From 1 to `most` shapes that do not overlap, with sides from `smallest` to `largest` of the image's."""
    image = _ground(rng, size)
    labels = np.zeros((size, size), np.uint8)
    boxes, classes = [], []
    for _ in range(int(rng.integers(1, most + 1))):
        for _ in range(20):
            kind, side = int(rng.integers(len(SHAPES))), rng.uniform(smallest, largest) * size
            centre = rng.uniform(side / 2 + 1, size - side / 2 - 1, 2)
            cover = _coverage(SHAPES[kind], centre, side, rng.uniform(0, 2 * np.pi), size)
            if not (cv2.dilate(cover, np.ones((5, 5))) > 0)[labels > 0].any():
                break
        else:
            continue  # no room is left
        colour = _contrasting(rng, image[cover > 0.5].mean(axis=0))
        image = np.asarray(image * (1 - cover[..., None]) + colour * cover[..., None], np.float32)
        inside = cover >= 0.5
        labels[inside] = 1 + kind
        rows, columns = np.nonzero(inside)
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        classes.append(kind)
    noisy = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    return Drawing(noisy, np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64), labels)


def draw_digits(rng: Generator, count: int) -> tuple[UInt8[ndarray, "n 28 28"], UInt8[ndarray, " n"]]:
    """(images, digits): white on black, in several hands, turned, slanted and bent a little."""
    labels = rng.integers(0, 10, count).astype(np.uint8)
    return np.stack([_digit(rng, int(label)) for label in labels]) if count else np.zeros((0, 28, 28), np.uint8), labels


def draw_page(rng: Generator) -> UInt8[ndarray, "160 160"]:
    """Nine digits of 32 pixels, anywhere in the cells of a 3 x 3 grid: for a classifier to be slid over."""
    page: ndarray = np.zeros((160, 160), np.uint8)
    digits, _ = draw_digits(rng, 9)
    for number, digit in enumerate(digits):
        y, x = (53 * cell + int(rng.integers(53 - 32)) for cell in divmod(number, 3))
        page[y : y + 32, x : x + 32] = cv2.resize(digit, (32, 32), interpolation=cv2.INTER_LINEAR)
    return page


def write_datasets(folder: Path, *, images: int = 400, seed: int = 0) -> list[Path]:
    """Write all of them below `folder`; returns what the options --data of the trainings take.

    digits.npz and digits-test.npz (ten times as many), classify/train and classify/val, localize/data.yaml,
    detect/data.yaml, segment; digit.png to explain a classifier by, and digits-page.png to slide it over. A quarter as
    many images as those to train on are there to judge by.
    """
    own_folder(folder)
    for number, (name, count) in enumerate((("digits", 10 * images), ("digits-test", 10 * images // VALIDATION))):
        digits, labels = draw_digits(np.random.default_rng((seed, number)), count)
        np.savez_compressed(folder / f"{name}.npz", images=digits, labels=labels)
    _save(folder / "digits-page.png", draw_page(np.random.default_rng((seed, 2))))
    _save(folder / "digit.png", draw_digits(np.random.default_rng((seed, 3)), 1)[0][0])
    for number, (part, count) in enumerate((("train", images), ("val", max(images // VALIDATION, len(SHAPES))))):
        for kind, (name, most) in enumerate((("classify", 1), ("localize", 1), ("detect", 4), ("segment", 3))):
            rng = np.random.default_rng((seed, 10 + number, kind))
            for index in range(count):
                smallest, largest = SIDES[name]
                drawing = draw_shapes(rng, most=most, smallest=smallest, largest=largest)
                _write(folder / name, part, f"{index:05}", drawing, name)
    for name in ("localize", "detect"):
        text = f"path: .\ntrain: images/train\nval: images/val\nnames: [{', '.join(SHAPES)}]\n"
        (folder / name / "data.yaml").write_text(text, encoding="utf-8")
    ready = ("digits.npz", "classify/train", "localize/data.yaml", "detect/data.yaml", "segment")
    return [folder / name for name in ready]


def _write(folder: Path, part: str, name: str, drawing: Drawing, kind: str) -> None:
    """One image in the layout of its kind."""
    if kind == "classify":
        _save(folder / part / SHAPES[int(drawing.classes[0])] / f"{name}.png", drawing.image)
    elif kind == "segment":
        _save(folder / part / "images" / f"{name}.png", drawing.image)
        _save(folder / part / "labels" / f"{name}.png", drawing.labels)
    else:
        _save(folder / "images" / part / f"{name}.png", drawing.image)
        size = drawing.image.shape[0]
        rows = []
        for class_id, (x1, y1, x2, y2) in zip(drawing.classes.tolist(), drawing.boxes.tolist(), strict=True):
            numbers = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
            rows.append(f"{class_id} " + " ".join(f"{value / size:.6f}" for value in numbers))
        text = own_folder(folder / "labels" / part) / f"{name}.txt"
        text.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _save(path: Path, image: UInt8[ndarray, ...]) -> None:
    own_folder(path.parent)
    _, content = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image)
    path.write_bytes(content.tobytes())


def _ground(rng: Generator, size: int) -> Float32[ndarray, "h w 3"]:
    """Soft blots of colour with stripes across, so that a shape is no mere difference from grey."""
    few = rng.uniform(40, 215, (4, 4, 3)).astype(np.float32)
    soft = cv2.resize(few, (size, size), interpolation=cv2.INTER_CUBIC)
    down, across = np.mgrid[:size, :size] / size
    wave = np.sin(2 * np.pi * (rng.uniform(-4, 4) * down + rng.uniform(-4, 4) * across))
    return np.asarray(np.clip(soft + 12 * wave[..., None], 0, 255), np.float32)


def _contrasting(rng: Generator, beneath: Float32[ndarray, " 3"]) -> Float32[ndarray, " 3"]:
    """A colour well away from what lies beneath."""
    colours = rng.uniform(0, 255, (16, 3))
    away = np.abs(colours - beneath).sum(axis=1)
    return np.asarray(colours[int(np.argmax(away > 150)) if (away > 150).any() else int(np.argmax(away))], np.float32)


def _coverage(
    shape: str, centre: Float32[ndarray, " 2"], side: float, angle: float, size: int
) -> Float32[ndarray, "h w"]:
    """How much of each pixel the shape covers, 0 to 1."""
    fine = np.zeros((size * FINE, size * FINE), np.uint8)
    middle, radius = centre * FINE, side * FINE / 2
    if shape in ("disc", "ring"):
        cv2.circle(fine, tuple(np.round(middle).astype(int).tolist()), round(radius), 255, -1)
        if shape == "ring":
            cv2.circle(fine, tuple(np.round(middle).astype(int).tolist()), round(0.55 * radius), 0, -1)
    else:
        outline = middle + radius * _outline(shape, angle)
        cv2.fillPoly(fine, [np.round(outline).astype(np.int32)], 255)
    return np.asarray(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA) / 255, np.float32)


def _outline(shape: str, angle: float) -> ndarray:
    """Corners inside the unit circle."""
    if shape == "cross":
        arm = 0.32
        corners = np.array([(arm, 0.95), (arm, arm), (0.95, arm)])
        turned = [np.array([(c, s), (-s, c)]) for c, s in ((1, 0), (0, -1), (-1, 0), (0, 1))]  # as the corners run
        corners = np.concatenate([corners @ turn for turn in turned])
    else:
        count = {"square": 4, "triangle": 3, "star": 10}[shape]
        around = 2 * np.pi * np.arange(count) / count
        reach = np.where(np.arange(count) % 2, 0.42, 1.0) if shape == "star" else np.ones(count)
        corners = reach[:, None] * np.stack((np.cos(around), np.sin(around)), axis=1)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return np.asarray(corners @ turn)


def _digit(rng: Generator, digit: int) -> UInt8[ndarray, "28 28"]:
    side = 28 * FINE
    canvas: ndarray = np.zeros((side, side), np.uint8)
    font, scale, thick = FONTS[int(rng.integers(len(FONTS)))], rng.uniform(2.2, 2.9), int(rng.integers(5, 12))
    (width, height), _ = cv2.getTextSize(str(digit), font, scale, thick)
    cv2.putText(canvas, str(digit), ((side - width) // 2, (side + height) // 2), font, scale, 255, thick, cv2.LINE_AA)
    angle, slant, zoom = np.radians(rng.uniform(-14, 14)), rng.uniform(-0.25, 0.25), rng.uniform(0.8, 1.1, 2)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    linear = turn @ np.array([(1.0, slant), (0.0, 1.0)]) @ np.diag(zoom)
    middle = np.full(2, side / 2)
    shift = middle - linear @ middle + rng.uniform(-2, 2, 2) * FINE
    canvas = cv2.warpAffine(canvas, np.column_stack((linear, shift)), (side, side))
    bend = cv2.resize(rng.normal(0, 3.0, (4, 4, 2)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    down, across = np.mgrid[:side, :side].astype(np.float32)
    canvas = cv2.remap(canvas, across + bend[..., 0], down + bend[..., 1], cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(canvas, (28, 28), interpolation=cv2.INTER_AREA))
