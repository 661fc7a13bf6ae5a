"""The class number of each pixel in a label image: a grey value, at any depth, or the number of a palette's colour."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray

__all__ = ["decode_label_image"]

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH, PNG_COLOURS, PNG_CHUNKS = 24, 25, 8
"""Where a PNG has its bits per value, its kind of colours (0 grey, 3 a palette), and its first chunk."""
GREY, PALETTE = 0, 3


def decode_label_image(content: bytes) -> Int64[ndarray, "h w"] | None:
    """The numbers; None where the image cannot be decoded.

    A palette's colour that stands in it twice has its first number. Raises ValueError for an image in true colours,
    whose numbers only a table of the data set would tell.
    """
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        return None
    if pixels.ndim == 2:
        return pixels.astype(np.int64) // _stretched(content)
    colours = pixels[:, :, 2::-1]  # BGR or BGRA to RGB
    palette = _palette(content)
    if palette is not None:
        return _numbers(colours, palette)
    if (colours == colours[:, :, :1]).all():  # grey, saved as colours
        return colours[:, :, 0].astype(np.int64)
    raise ValueError("is in colours; expected a grey value, or a palette's number, for each class")


def _stretched(content: bytes) -> int:
    """By how much the decoder multiplied the numbers of a grey PNG of less than 8 bits; 1 for any other."""
    if content.startswith(PNG_START) and content[PNG_COLOURS] == GREY and content[PNG_DEPTH] < 8:
        return 255 // ((1 << content[PNG_DEPTH]) - 1)
    return 1


def _palette(content: bytes) -> UInt8[ndarray, "n 3"] | None:
    """The colours of a PNG's palette in RGB; None where it has none."""
    if not content.startswith(PNG_START) or content[PNG_COLOURS] != PALETTE:
        return None
    at = PNG_CHUNKS
    while at + 8 <= len(content):
        size, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if name == b"PLTE":
            return np.frombuffer(content[at + 8 : at + 8 + size], np.uint8).reshape(-1, 3)
        at += size + 12  # size, name and checksum, 4 bytes each
    return None


def _numbers(colours: UInt8[ndarray, "h w 3"], palette: UInt8[ndarray, "n 3"]) -> Int64[ndarray, "h w"]:
    weights = np.array([65536, 256, 1])
    packed, known = colours.astype(np.int64) @ weights, palette.astype(np.int64) @ weights
    ordered, first = np.unique(known, return_index=True)
    return np.asarray(first[np.searchsorted(ordered, packed)])
