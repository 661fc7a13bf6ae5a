"""Images that show what a network does: heat over an image, feature maps and filters, each with numbers and a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.overlay.palette import Colour
from tracker.overlay.shapes import draw_box, to_pixels
from tracker.overlay.text import Pen
from tracker.types import Image

__all__ = ["captioned", "crop_around", "draw_filters", "draw_maps", "scale_bar", "sheet", "stack", "tint_heat"]

TEXT = 12
GAP = 4
INK: Colour = (235, 235, 235)
PAPER = 24
BAR = 8
"""Pixels that a scale bar is high."""


def tint_heat(image: Image, heat: Float32[ndarray, "h w"]) -> Image:
    """The image with a heat map of 0 to 1 over it."""
    colours = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    mixed = cv2.addWeighted(image, 0.5, np.ascontiguousarray(colours), 0.5, 0)
    return np.asarray(mixed, np.uint8)


def crop_around(
    image: Image, box: Float32[ndarray, " 4"], colour: Colour, *, times: float = 2.5, side: int = 240
) -> Image:
    """The box drawn, with its surroundings: a square `times` its longer side, made `side` pixels wide."""
    drawn = image.copy()
    height, width = drawn.shape[:2]
    corners = to_pixels(box.tolist(), (width, height))
    if corners is not None:
        draw_box(drawn, corners, colour, line=1)
    x1, y1, x2, y2 = box.tolist()
    wide = min(max(x2 - x1, y2 - y1, 8.0) * times, float(min(width, height)))
    left = round(min(max((x1 + x2 - wide) / 2, 0), width - wide))
    top = round(min(max((y1 + y2 - wide) / 2, 0), height - wide))
    part = drawn[top : top + max(1, round(wide)), left : left + max(1, round(wide))]
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_NEAREST), np.uint8)


def scale_bar(width: int, low: float, high: float, colours: int) -> Image:
    """A bar of OpenCV's colour map number `colours`, from left to right, with the values at its ends."""
    pen = Pen(TEXT)
    bar = np.full((BAR + pen.height, width, 3), PAPER, np.uint8)
    ramp = np.linspace(0, 255, width).astype(np.uint8)[None]
    bar[:BAR] = cv2.applyColorMap(ramp, colours)[0, :, ::-1]
    left, right = (f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}" for value in (low, high))
    baseline = BAR + pen.size
    pen.write(bar, left, 0, baseline, INK)
    pen.write(bar, right, width - pen.width(right) + pen.padding, baseline, INK)
    return bar


def captioned(image: Image, text: str, *, bar: tuple[float, float, int] | None = None) -> Image:
    """The image with a line of text above it and, where `bar` gives low, high and colours, a scale below."""
    pen = Pen(TEXT)
    line = np.full((pen.height, image.shape[1], 3), PAPER, np.uint8)
    pen.write(line, text, 0, pen.size, INK)
    parts = [line, image]
    if bar is not None:
        low, high, colours = bar
        parts.append(scale_bar(image.shape[1], low, high, colours))
    return np.concatenate(parts)


def sheet(tiles: Sequence[Image], *, columns: int = 0) -> Image:
    """The tiles in rows, each cell as large as the largest; as square as it goes unless `columns` says otherwise."""
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    tall, wide = max(tile.shape[0] for tile in tiles), max(tile.shape[1] for tile in tiles)
    rows = math.ceil(len(tiles) / columns)
    whole = np.full((rows * (tall + GAP) + GAP, columns * (wide + GAP) + GAP, 3), PAPER, np.uint8)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        top, left = GAP + row * (tall + GAP), GAP + column * (wide + GAP)
        whole[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return whole


def stack(images: Sequence[Image]) -> Image:
    """The images below each other, as wide as the widest."""
    wide = max(image.shape[1] for image in images)
    rows = [np.pad(each, ((0, 0), (0, wide - each.shape[1]), (0, 0)), constant_values=PAPER) for each in images]
    return np.concatenate(rows)


def draw_maps(maps: Float32[ndarray, "c h w"], *, count: int = 16, side: int = 160) -> UInt8[ndarray, "h w 3"]:
    """The `count` channels that differ most over the image, strongest first, each with its number and its scale."""
    strongest = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:count]
    height, width = maps.shape[1:]
    wide, tall = (side, max(1, side * height // width)) if width >= height else (max(1, side * width // height), side)
    tiles = []
    for channel in strongest.tolist():
        low, high = float(maps[channel].min()), float(maps[channel].max())
        levels = (255 * (maps[channel] - low) / max(high - low, 1e-9)).astype(np.uint8)
        coloured = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1]
        image = cv2.resize(np.ascontiguousarray(coloured), (wide, tall), interpolation=cv2.INTER_NEAREST)
        tiles.append(captioned(image, f"channel {channel}", bar=(low, high, cv2.COLORMAP_VIRIDIS)))
    return sheet(tiles)


def draw_filters(weights: Float32[ndarray, "d c i j"], *, count: int = 32, side: int = 96) -> UInt8[ndarray, "h w 3"]:
    """The `count` filters with the largest weights: in colour where they read RGB, else their strongest input channel.

    Each has its number and its scale; grey is 0 in colour, and the middle of the scale without.
    """
    strongest = np.argsort(-np.abs(weights).max(axis=(1, 2, 3)), kind="stable")[:count]
    tiles = []
    for number in strongest.tolist():
        kernel = weights[number]
        reach = max(float(np.abs(kernel).max()), 1e-9)
        if len(kernel) == 3:
            image, name = np.asarray(127.5 + 127.5 * kernel.transpose(1, 2, 0) / reach, np.uint8), f"filter {number}"
        else:
            channel = int(np.abs(kernel).max(axis=(1, 2)).argmax())
            levels = np.asarray(127.5 + 127.5 * kernel[channel] / reach, np.uint8)
            image = np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])
            name = f"{number} of {channel}"
        enlarged = cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST)
        colours = cv2.COLORMAP_BONE if len(kernel) == 3 else cv2.COLORMAP_VIRIDIS
        tiles.append(captioned(enlarged, name, bar=(-reach, reach, colours)))
    return sheet(tiles)
