"""Boxes, masks, trails and pixelation, each worked inside its own box so that the cost follows the object's size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

from tracker.geometry import sample_mask
from tracker.overlay.palette import BLACK, Colour
from tracker.types import Image

__all__ = [
    "Corners",
    "blend_labels",
    "blend_mask",
    "draw_box",
    "draw_dashed_box",
    "draw_figure",
    "draw_trail",
    "fill",
    "pixelate",
    "to_pixels",
]

Corners = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels; the box ends before its right and bottom."""

_FADE_STEPS = 6


def to_pixels(box: Sequence[float], frame_size: tuple[int, int]) -> Corners | None:
    """The box on the pixel grid, or None where it does not touch the frame.

    It may reach out of the frame, by at most one frame's size: farther corners are pulled in, since drawing
    routines count in 16 bits.
    """
    width, height = frame_size
    x1, y1, x2, y2 = box
    if not (x1 < width and y1 < height and x2 > 0 and y2 > 0 and x2 >= x1 and y2 >= y1):
        return None
    left, top = round(max(x1, -width)), round(max(y1, -height))
    right, bottom = round(min(x2, 2 * width)), round(min(y2, 2 * height))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def visible_part(corners: Corners, frame_size: tuple[int, int]) -> Corners:
    """The part of a box inside the frame."""
    x1, y1, x2, y2 = corners
    width, height = frame_size
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def size_of(canvas: Image) -> tuple[int, int]:
    """Width and height of a frame."""
    return canvas.shape[1], canvas.shape[0]


def draw_box(canvas: Image, corners: Corners, colour: Colour, *, line: int) -> None:
    """A rectangle with a dark rim around it, so that it shows on a ground of its own colour too."""
    _darken_rim(canvas, corners, line=line)
    for strip in _edges(corners, line=line):
        fill(canvas, strip, colour)


def draw_dashed_box(canvas: Image, corners: Corners, colour: Colour, *, line: int) -> None:
    """A rectangle of dashes, for where an object is expected but not seen."""
    _darken_rim(canvas, corners, line=line)
    for x1, y1, x2, y2 in _edges(corners, line=line):
        wide = x2 - x1 > y2 - y1
        length = x2 - x1 if wide else y2 - y1
        dashes = max(1, round(length / (8 * line)))
        ends = [round(length * part / (2 * dashes - 1)) for part in range(2 * dashes)]
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            fill(canvas, (x1 + start, y1, x1 + end, y2) if wide else (x1, y1 + start, x2, y1 + end), colour)


def fill(canvas: Image, corners: Corners, colour: Colour) -> None:
    """Make a rectangle one colour, as far as it is in the frame (30 times faster than assigning to a slice)."""
    x1, y1, x2, y2 = corners
    if x2 > x1 and y2 > y1:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), colour, cv2.FILLED)


def _darken_rim(canvas: Image, corners: Corners, *, line: int) -> None:
    x1, y1, x2, y2 = corners
    rim = max(1, line // 3)
    grow = line // 2 + rim - rim // 2
    for edge in _edges((x1 - grow, y1 - grow, x2 + grow, y2 + grow), line=rim):
        left, top, right, bottom = visible_part(edge, size_of(canvas))
        if right > left and bottom > top:
            strip = canvas[top:bottom, left:right]
            cv2.convertScaleAbs(strip, dst=strip, alpha=1 / 3)


def _edges(corners: Corners, *, line: int) -> tuple[Corners, Corners, Corners, Corners]:
    """The four sides of a rectangle, `line` wide, centred on it and not overlapping each other."""
    x1, y1, x2, y2 = corners
    before = line // 2
    left, top = x1 - before, y1 - before
    right, bottom = x2 + before - line, y2 + before - line
    return (
        (left, top, right + line, top + line),
        (left, bottom, right + line, bottom + line),
        (left, top + line, left + line, bottom),
        (right, top + line, right + line, bottom),
    )


def draw_figure(
    canvas: Image, points: Sequence[tuple[float, float]], colour: Colour, *, closed: bool, line: int
) -> None:
    """An anti-aliased line through the points with a dark rim; back to the first when closed."""
    path = [np.rint(np.clip(np.array(points), -16000, 16000)).astype(np.int32)]
    cv2.polylines(canvas, path, closed, BLACK, line + 2, cv2.LINE_AA)
    cv2.polylines(canvas, path, closed, colour, line, cv2.LINE_AA)


def blend_mask(
    canvas: Image, coverage: UInt8[ndarray, "m m"], corners: Corners, colour: Colour, *, opacity: float, line: int
) -> None:
    """Tint the pixels the mask covers and draw its outline; `line` 0 leaves the outline out."""
    covered, window = mask_in_window(coverage, corners, size_of(canvas))
    if covered is None:
        return
    x1, y1, x2, y2 = window
    part = canvas[y1:y2, x1:x2]
    tint = np.empty_like(part)
    fill(tint, (0, 0, x2 - x1, y2 - y1), colour)
    tinted = cv2.addWeighted(part, 1 - opacity, tint, opacity, 0, dst=tint)
    cv2.copyTo(tinted, covered, part)
    if line > 0:
        outlines, _ = cv2.findContours(covered, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        # fewer, longer segments cost a third of the steps along the pixel grid and look smoother
        smooth = [cv2.approxPolyDP(outline, 0.9, True) for outline in outlines]
        cv2.polylines(part, smooth, True, colour, line, cv2.LINE_AA)


def mask_in_window(
    coverage: UInt8[ndarray, "m m"], corners: Corners, frame_size: tuple[int, int]
) -> tuple[UInt8[ndarray, "h w"] | None, Corners]:
    """0 or 255 for each pixel of the visible part of the box, and that part; None where nothing is visible."""
    x1, y1, x2, y2 = corners
    window = left, top, right, bottom = visible_part(corners, frame_size)
    if right <= left or bottom <= top:
        return None, window
    if window == corners:
        covered = cv2.resize(coverage, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    else:  # scale only what is seen of it: a box may reach far out of the frame
        covered = sample_mask(coverage, corners, window)
    return cv2.threshold(covered, 127, 255, cv2.THRESH_BINARY, dst=covered)[1], window


def blend_labels(canvas: Image, labels: UInt8[ndarray, "h w"], colours: Sequence[Colour], *, opacity: float) -> None:
    """Tint every pixel by its label; the one thing drawn that is as large as the frame."""
    if labels.shape != canvas.shape[:2]:
        labels = cv2.resize(labels, size_of(canvas), interpolation=cv2.INTER_NEAREST)
    table = np.resize(np.array(colours, np.uint8), (256, 3))[None]
    cv2.addWeighted(canvas, 1 - opacity, cv2.LUT(cv2.merge([labels] * 3), table), opacity, 0, dst=canvas)


def draw_trail(
    canvas: Image, points: Float64[ndarray, "n 2"], faded: Float64[ndarray, " n"], colour: Colour, *, line: int
) -> None:
    """A line through the points that fades out: `faded` is 0 for fresh points and 1 for those about to vanish."""
    steps = np.minimum((faded * _FADE_STEPS).astype(int), _FADE_STEPS - 1)
    pixels = np.rint(points).astype(np.int32)
    for step in range(_FADE_STEPS - 1, -1, -1):
        members = np.flatnonzero(steps == step)
        if len(members) == 0:
            continue
        stroke = pixels[members[0] : members[-1] + 2]  # on to the next, fresher point, so that no gap shows
        strength = 1 - step / _FADE_STEPS
        _stroke(canvas, stroke, colour, strength=strength, line=max(1, round(line * (0.5 + 0.5 * strength))))


def _stroke(canvas: Image, points: ndarray, colour: Colour, *, strength: float, line: int) -> None:
    if len(points) < 2:
        return
    x1, y1 = points.min(axis=0) - line - 1
    x2, y2 = points.max(axis=0) + line + 2
    x1, y1, x2, y2 = visible_part((int(x1), int(y1), int(x2), int(y2)), size_of(canvas))
    if x2 <= x1 or y2 <= y1:
        return
    part = canvas[y1:y2, x1:x2]
    local = [(points - (x1, y1)).astype(np.int32)[:, None]]
    if strength >= 1:
        cv2.polylines(part, local, False, colour, line, cv2.LINE_AA)
    else:
        drawn = cv2.polylines(part.copy(), local, False, colour, line, cv2.LINE_AA)
        cv2.addWeighted(drawn, strength, part, 1 - strength, 0, dst=part)


def pixelate(canvas: Image, corners: Corners, coverage: UInt8[ndarray, "m m"] | None = None) -> None:
    """Make the box's content unrecognisable: at most eight flat cells across its shorter side.

    With `coverage` only the pixels a mask covers are changed, with a rim of one cell for safety.
    """
    left, top, right, bottom = visible_part(corners, size_of(canvas))
    if right <= left or bottom <= top:
        return
    part = canvas[top:bottom, left:right]
    width, height = right - left, bottom - top
    cell = max(2, -(-min(width, height) // 8))
    coarse = cv2.resize(part, (max(1, width // cell), max(1, height // cell)), interpolation=cv2.INTER_AREA)
    hidden = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    if coverage is None:
        part[:] = hidden
        return
    covered, _ = mask_in_window(coverage, corners, size_of(canvas))
    if covered is not None:
        rim = cv2.dilate(covered, np.ones((2 * cell + 1, 2 * cell + 1), np.uint8))
        cv2.copyTo(hidden, rim, part)
