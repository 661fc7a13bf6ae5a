"""Masks as COCO run lengths, made inside each object's box: no full picture is ever built.

A run-length code lists, column by column from the top left, how many pixels are outside, inside, outside ... the
mask. `counts` is COCO's compressed text of that list: each number, from the fourth on as the difference to the one
two before, in groups of five bits with the lowest first, one character a group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy import ndarray

from tracker.errors import FormatError
from tracker.geometry import paste_mask

__all__ = ["Rle", "masks_to_rle", "rle_area", "rle_to_window", "runs_to_text", "text_to_runs", "window_to_rle"]

Window = tuple[slice, slice]
"""Rows and columns of a picture."""


class Rle(TypedDict):
    """One mask the size of the picture."""

    size: list[int]
    """Height and width of the picture."""
    counts: str
    """Compressed run lengths."""


def masks_to_rle(
    masks: UInt8[ndarray, "n m m"], boxes: Float32[ndarray, "n 4"], *, width: int, height: int
) -> list[Rle]:
    """The code of each mask, stretched over its box in a picture of width x height."""
    return [
        window_to_rle(covered, left=columns.start, top=rows.start, width=width, height=height)
        for (rows, columns), covered in _pasted(masks, boxes, width, height)
    ]


def window_to_rle(covered: Bool[ndarray, "h w"], *, left: int, top: int, width: int, height: int) -> Rle:
    """The code of a mask given by the pixels of a window at (left, top) of a picture of width x height."""
    runs = _runs(covered, left=left, top=top, width=width, height=height)
    return {"size": [height, width], "counts": runs_to_text(runs)}


def rle_to_window(code: Rle) -> tuple[Window, Bool[ndarray, "h w"]]:
    """The smallest window around the mask and the covered pixels in it; an empty window for an empty mask.

    Raises FormatError where the runs do not fill the picture exactly.
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


def rle_area(code: Rle) -> int:
    """Covered pixels."""
    return int(text_to_runs(code["counts"])[1::2].sum())


def runs_to_text(runs: Int64[ndarray, " runs"]) -> str:
    """COCO's compressed text of run lengths."""
    numbers = runs.astype(np.int64)
    numbers[3:] -= runs[1:-2]
    magnitude_bits = np.frexp(np.where(numbers < 0, ~numbers, numbers).astype(np.float64))[1]
    groups = (magnitude_bits + 5) // 5  # and one more bit for the sign
    owner = np.repeat(np.arange(len(numbers)), groups)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(groups) - groups, groups)
    bits = (numbers[owner] >> (5 * place)) & 0x1F
    bits |= np.where(place < groups[owner] - 1, 0x20, 0)
    characters: bytes = (bits + 48).astype(np.uint8).tobytes()
    return characters.decode("ascii")


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


def _pasted(masks: ndarray, boxes: ndarray, width: int, height: int) -> Iterable[tuple[Window, Bool[ndarray, "h w"]]]:
    for mask, box in zip(masks, boxes, strict=True):
        yield paste_mask(mask, box, width, height)


def _runs(covered: Bool[ndarray, "h w"], *, left: int, top: int, width: int, height: int) -> Int64[ndarray, " runs"]:
    """Lengths of the runs outside, inside, outside ... over the whole picture, column by column."""
    rows, columns = covered.shape
    if covered.size == 0:
        return np.array([width * height], np.int64)
    framed = np.zeros((columns, rows + 2), np.uint8)  # an empty pixel above and below: every run starts and ends
    framed[:, 1:-1] = cv2.transpose(np.ascontiguousarray(covered).view(np.uint8))
    line = framed.ravel()
    column, row = np.divmod(np.flatnonzero(line[1:] != line[:-1]), rows + 2)
    edges = (left + column) * height + top + row
    # where a run reaches the bottom and the next column goes on at the top, the two are one
    touching = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1
    edges = np.delete(edges, np.concatenate([touching, touching + 1]))
    runs = np.diff(np.concatenate([[0], edges, [width * height]]))
    return runs if runs[-1] > 0 or len(runs) == 1 else runs[:-1]
