"""Masks as COCO run lengths, made inside each object's box: no full image is ever built.

A run-length code lists, column by column from the top left, how many pixels are outside, inside, outside ... the
mask. `counts` is COCO's compressed text of that list: each number, from the fourth on as the difference to the one
two before, in groups of five bits with the lowest first, one character a group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy import ndarray

from tracker.errors import FormatError
from tracker.geometry import paste_mask

__all__ = [
    "Rle",
    "clip_rle",
    "masks_to_rle",
    "rle_area",
    "rle_to_window",
    "runs_to_text",
    "text_to_runs",
    "window_to_rle",
]

Window = tuple[slice, slice]
"""Rows and columns of an image."""


class Rle(TypedDict):
    """One mask the size of the image."""

    size: list[int]
    """Height and width of the image."""
    counts: str
    """Compressed run lengths."""


def masks_to_rle(
    masks: UInt8[ndarray, "n m m"], boxes: Float32[ndarray, "n 4"], *, width: int, height: int
) -> list[Rle]:
    """The code of each mask, stretched over its box in an image of width x height."""
    windows, corners = [], []
    for mask, box in zip(masks, boxes, strict=True):
        (rows, columns), covered = paste_mask(mask, box, width, height)
        windows.append(covered)
        corners.append((columns.start, rows.start))
    return _codes(windows, corners, width=width, height=height)


def window_to_rle(covered: Bool[ndarray, "h w"], *, left: int, top: int, width: int, height: int) -> Rle:
    """The code of a mask given by the pixels of a window at (left, top) of an image of width x height."""
    return _codes([covered], [(left, top)], width=width, height=height)[0]


def rle_to_window(code: Rle) -> tuple[Window, Bool[ndarray, "h w"]]:
    """The smallest window around the mask and the covered pixels in it; an empty window for an empty mask.

    Raises FormatError where the runs do not fill the image exactly.
    """
    height, width = code["size"]
    runs = text_to_runs(code["counts"])
    if runs.sum() != height * width or (runs < 0).any():
        raise FormatError(f"mask: the run lengths cover {runs.sum()} pixels, expected {width} x {height}")
    edges = np.cumsum(runs)
    starts, ends = edges[: len(edges) // 2 * 2 : 2], edges[1::2]
    filled = ends > starts
    starts, ends = starts[filled[: len(starts)]], ends[filled]
    if len(starts) == 0:
        return (slice(0, 0), slice(0, 0)), np.empty((0, 0), bool)
    left, right = int(starts[0] // height), int((ends[-1] - 1) // height) + 1
    step = np.zeros((right - left) * height + 1, np.int8)
    step[starts - left * height] += 1
    step[ends - left * height] -= 1
    strip = np.cumsum(step[:-1], dtype=np.int8).reshape(right - left, height).T.astype(bool)
    rows = np.flatnonzero(strip.any(axis=1))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    return (slice(top, bottom), slice(left, right)), strip[top:bottom]


def clip_rle(counts: str, box: Sequence[float], *, width: int, height: int) -> str | None:
    """The part of a mask inside the pixels that a box touches; None where nothing is left."""
    (down, across), covered = rle_to_window({"size": [height, width], "counts": counts})
    x1, y1, x2, y2 = box
    left, right = max(across.start, math.floor(x1)), min(across.stop, math.ceil(x2))
    top, bottom = max(down.start, math.floor(y1)), min(down.stop, math.ceil(y2))
    if left >= right or top >= bottom:
        return None
    if (left, right, top, bottom) == (across.start, across.stop, down.start, down.stop):
        return counts
    inside = covered[top - down.start : bottom - down.start, left - across.start : right - across.start]
    code = window_to_rle(inside, left=left, top=top, width=width, height=height)
    return code["counts"] if inside.any() else None


def rle_area(code: Rle) -> int:
    """Covered pixels."""
    return int(text_to_runs(code["counts"])[1::2].sum())


def runs_to_text(runs: Int64[ndarray, " runs"]) -> str:
    """COCO's compressed text of run lengths."""
    return _texts(runs, np.array([len(runs)]))[0]


def text_to_runs(text: str) -> Int64[ndarray, " runs"]:
    """The run lengths of COCO's compressed text. Raises FormatError where it is none."""
    if not text:
        raise FormatError("mask: the run-length text is empty")
    try:
        bits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError as error:
        raise FormatError("mask: the run-length text has characters that are not ASCII") from error
    last = (bits & 0x20) == 0
    ends = np.flatnonzero(last)
    if bits.min() < 0 or bits.max() > 63 or not last[-1] or np.diff(ends, prepend=-1).max() > 12:
        raise FormatError("mask: the run-length text is damaged")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    place = np.arange(len(bits)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((bits & 0x1F) << (5 * place), starts)
    numbers -= np.where(bits[ends] & 0x10, np.int64(1) << (5 * lengths), 0)  # the top bit is the sign
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _codes(
    windows: Sequence[Bool[ndarray, "h w"]], corners: Sequence[tuple[int, int]], *, width: int, height: int
) -> list[Rle]:
    """The codes of masks given by the pixels of windows and their left, top corners; all are worked out in one pass."""
    if not windows:
        return []
    size = [height, width]
    runs, counts = _runs(windows, np.array(corners), width=width, height=height)
    return [{"size": list(size), "counts": text} for text in _texts(runs, counts)]


def _runs(
    windows: Sequence[Bool[ndarray, "h w"]], corners: Int64[ndarray, "n 2"], *, width: int, height: int
) -> tuple[Int64[ndarray, " runs"], Int64[ndarray, " n"]]:
    """Lengths of the runs outside, inside, outside ... over the whole image, column by column, and each mask's share.

    The windows stand one after another in a line, each column with an empty pixel above and below: so every run starts
    and ends within its column.
    """
    framed = np.array([(window.shape[0] + 2 if window.size else 0) for window in windows])
    ends = np.cumsum([window.size + 2 * window.shape[1] if window.size else 0 for window in windows])
    starts = np.concatenate([[0], ends[:-1]])
    line = np.zeros(int(ends[-1]) + 1, np.uint8)
    for window, start, end in zip(windows, starts.tolist(), ends.tolist(), strict=True):
        if window.size:
            columns = line[start:end].reshape(window.shape[1], -1)
            columns[:, 1:-1] = cv2.transpose(np.ascontiguousarray(window).view(np.uint8))
    changes = np.flatnonzero(line[1:] != line[:-1])
    owner = np.searchsorted(ends, changes, side="right")
    column, row = np.divmod(changes - starts[owner], framed[owner])
    edges = (corners[owner, 0] + column) * height + corners[owner, 1] + row
    # where a run reaches the bottom and the next column goes on at the top, the two are one
    touching = np.flatnonzero((edges[1:-1:2] == edges[2::2]) & (owner[1:-1:2] == owner[2::2])) * 2 + 1
    apart = np.ones(len(edges), bool)
    apart[touching] = apart[touching + 1] = False
    edges, owner = edges[apart], owner[apart]
    last = np.cumsum(np.bincount(owner, minlength=len(windows)))
    edges = np.insert(edges, last, width * height)
    counts = np.diff(last, prepend=0) + 1
    first = np.cumsum(counts) - counts
    before = np.concatenate([[0], edges[:-1]])
    before[first] = 0
    runs = edges - before
    final = first + counts - 1
    needless = final[(runs[final] == 0) & (counts > 1)]
    counts[(runs[final] == 0) & (counts > 1)] -= 1
    return np.delete(runs, needless), counts


def _texts(runs: Int64[ndarray, " runs"], counts: Int64[ndarray, " n"]) -> list[str]:
    """COCO's compressed text of each code; `counts` are the numbers of runs of each."""
    numbers = runs.astype(np.int64)
    first = np.cumsum(counts) - counts
    place_in_code = np.arange(len(numbers)) - np.repeat(first, counts)
    later = np.flatnonzero(place_in_code >= 3)
    numbers[later] -= runs[later - 2]
    magnitude_bits = np.frexp(np.where(numbers < 0, ~numbers, numbers).astype(np.float64))[1]
    groups = (magnitude_bits + 5) // 5  # and one more bit for the sign
    ends = np.cumsum(groups)
    owner = np.repeat(np.arange(len(numbers)), groups)
    place = np.arange(len(owner)) - np.repeat(ends - groups, groups)
    bits = (numbers[owner] >> (5 * place)) & 0x1F
    bits |= np.where(place < groups[owner] - 1, 0x20, 0)
    text = (bits + 48).astype(np.uint8).tobytes().decode("ascii")
    stops = [0, *ends[first + counts - 1].tolist()]
    return [text[start:stop] for start, stop in pairwise(stops)]
