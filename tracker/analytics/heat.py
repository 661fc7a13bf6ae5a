"""Where objects spend their time: seconds per cell of a coarse grid, and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from tracker.analytics.rules import Point
from tracker.types import Image

__all__ = ["HeatMap"]

_LONGEST_STEP_S = 1.0
"""A longer pause between two frames tells nothing of where objects were."""


class HeatMap:
    """Adds up the time that objects spend in each cell."""

    def __init__(self, width: int, height: int, cell: int) -> None:
        self.cell = cell
        self.seconds: Float64[ndarray, "rows columns"] = np.zeros((-(-height // cell), -(-width // cell)))
        self._last_time: float | None = None

    def see(self, points: list[Point], time: float) -> None:
        """Credit each place with the time since the frame before."""
        elapsed = 0.0 if self._last_time is None else time - self._last_time
        self._last_time = time
        if not 0 < elapsed <= _LONGEST_STEP_S:
            return
        rows, columns = self.seconds.shape
        for x, y in points:
            column, row = min(max(int(x // self.cell), 0), columns - 1), min(max(int(y // self.cell), 0), rows - 1)
            self.seconds[row, column] += elapsed

    def paint(self, image: Image, *, opacity: float = 0.6) -> Image:
        """The picture with the map on it; cells without any time stay as they are."""
        height, width = image.shape[:2]
        strength = np.sqrt(self.seconds).astype(np.float32)  # or one who waits would outshine all who pass
        smooth = cv2.GaussianBlur(strength, (0, 0), 1.0)
        smooth = smooth / max(float(smooth.max()), 1e-9)
        smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        shades = np.rint(64 + smooth * 191).astype(np.uint8)  # from purple on: black would look like shade
        colours = cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO)[:, :, ::-1]
        weight = (opacity * np.minimum(smooth * 5, 1))[:, :, None]
        painted: Image = np.rint(image * (1 - weight) + colours * weight).astype(np.uint8)
        return painted

    def state(self) -> dict[str, Any]:
        """What `restore` takes: the cells with any time, as row, column and seconds."""
        cells = np.argwhere(self.seconds)
        values = self.seconds[tuple(cells.T)].tolist()
        rows = [[row, column, value] for (row, column), value in zip(cells.tolist(), values, strict=True)]
        return {"last_time": self._last_time, "cells": rows}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._last_time = state["last_time"]
        self.seconds[:] = 0
        for row, column, value in state["cells"]:
            self.seconds[row, column] = value
