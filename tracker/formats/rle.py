"""Masks as COCO run lengths, made inside each object's box: no full picture is ever built.

A run-length code lists, column by column from the top left, how many pixels are outside, inside, outside ... the
mask; `counts` is pycocotools' compressed text of that list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy import ndarray
from pycocotools import mask as coco

from tracker.geometry import paste_mask

__all__ = ["Rle", "masks_to_rle", "window_to_rle"]


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
    code = coco.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": code["counts"].decode("ascii")}


def _pasted(
    masks: ndarray, boxes: ndarray, width: int, height: int
) -> Iterable[tuple[tuple[slice, slice], Bool[ndarray, "h w"]]]:
    for mask, box in zip(masks, boxes, strict=True):
        yield paste_mask(mask, box, width, height)


def _runs(covered: Bool[ndarray, "h w"], *, left: int, top: int, width: int, height: int) -> Int64[ndarray, " runs"]:
    """Lengths of the runs outside, inside, outside ... over the whole picture, column by column."""
    rows, columns = covered.shape
    framed = np.zeros((columns, rows + 2), np.int8)  # an empty pixel above and below: every run starts and ends
    framed[:, 1:-1] = covered.T
    step = np.diff(framed.ravel())
    column, row = np.divmod(np.flatnonzero(step), rows + 2)
    edges = (left + column) * height + top + row
    # where a run reaches the bottom and the next column goes on at the top, the two are one
    touching = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1
    edges = np.delete(edges, np.concatenate([touching, touching + 1]))
    return np.diff(np.concatenate([[0], edges, [width * height]]))
