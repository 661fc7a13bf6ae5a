"""What the colours of per-pixel labels stand for: a tag for each label that a frame shows, in its lower left corner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tracker.overlay.palette import LABEL_PALETTE
from tracker.overlay.text import Pen, Tag, printable
from tracker.types import Image

__all__ = ["legend"]

LEAST = 0.001
"""Fraction of the frame that a label must cover to be named: single pixels would make names flicker."""


def legend(labels: UInt8[ndarray, "i j"], names: Sequence[str], canvas: Image, pen: Pen) -> list[Tag]:
    """A tag per label that covers a thousandth of the frame, lowest the last one; those that have no room are left."""
    counts = np.bincount(labels.ravel(), minlength=len(names))[: len(names)]
    shown = np.flatnonzero(counts >= max(1, LEAST * labels.size))[: canvas.shape[0] // pen.height]
    top = canvas.shape[0] - len(shown) * pen.height
    return [
        Tag(text, LABEL_PALETTE[number % len(LABEL_PALETTE)], 0, top + row * pen.height, pen.width(text), pen.height)
        for row, number in enumerate(shown.tolist())
        if (text := printable(names[number]))
    ]
