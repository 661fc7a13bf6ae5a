"""How charts for the pages are drawn: without a ground, in an ink that can be read on light pages and on dark ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib

__all__ = ["page_style"]

INK = "#808080"
"""Contrast of 3.9 to 1 on white, 4.5 to 1 on the dark pages' #1e2129."""


@contextmanager
def page_style() -> Iterator[None]:
    """Charts made and saved inside have no ground of their own."""
    with matplotlib.rc_context(
        {
            "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "grid.color": INK,
            "xtick.color": INK, "ytick.color": INK, "figure.facecolor": "none", "axes.facecolor": "none",
            "savefig.facecolor": "none", "legend.facecolor": "none", "legend.edgecolor": INK,
        }
    ):  # fmt: skip
        yield
