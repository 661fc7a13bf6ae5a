"""Where objects spend their time: seconds per cell of a coarse grid, and its image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8
from numpy import ndarray

from tracker.analytics.rules import Point
from tracker.types import Image

__all__ = ["HeatMap"]

DARKEST = 64
"""First level of the colour map that is used, purple: black would look like shade."""
FADE_IN = 5
"""The map is seen whole from a fifth of its strongest cell on, and fades out below."""
_LONGEST_STEP_S = 1.0
"""A longer pause between two frames says nothing of where objects were."""


class HeatMap:
    """Adds up the time that objects spend in each cell."""

    def __init__(self, width: int, height: int, cell: int) -> None:
        self.cell = cell
        self.seconds: Float64[ndarray, "rows columns"] = np.zeros((-(-height // cell), -(-width // cell)))
        self._last_time: float | None = None

    def see(self, points: list[Point], time: float) -> None:
        """Credit each place with the time since the frame before."""
        self.see_stretch(np.array([time]), np.zeros(len(points), np.int64), np.array(points, float).reshape(-1, 2))

    def see_stretch(
        self, times: Float64[ndarray, " f"], frames: Int64[ndarray, " n"], points: Float64[ndarray, "n 2"]
    ) -> None:
        """The same for successive frames at once: `frames` says in which of them each point is, from 0."""
        if not len(times):
            return
        before = times[0] if self._last_time is None else self._last_time
        elapsed = np.diff(times, prepend=before)
        elapsed[(elapsed <= 0) | (elapsed > _LONGEST_STEP_S)] = 0.0
        self._last_time = float(times[-1])
        rows, columns = self.seconds.shape
        places = np.floor(points / self.cell).clip(0, (columns - 1, rows - 1)).astype(np.int64)
        np.add.at(self.seconds, (places[:, 1], places[:, 0]), elapsed[frames])

    def paint(self, image: Image, *, opacity: float = 0.6) -> Image:
        """The image with the map on it; cells without any time stay as they are."""
        height, width = image.shape[:2]
        colours, weight = self._shades(width, height)
        weight = opacity * weight[:, :, None]
        painted: Image = np.rint(image * (1 - weight) + colours * weight).astype(np.uint8)
        return painted

    def layer(self, width: int, height: int, *, opacity: float = 0.6) -> UInt8[ndarray, "h w 4"]:
        """The map by itself, to be laid over images: red, green, blue and how much of them is seen."""
        colours, weight = self._shades(width, height)
        return np.dstack([colours, np.rint(255 * opacity * weight).astype(np.uint8)])

    def _shades(self, width: int, height: int) -> tuple[Image, Float32[ndarray, "h w"]]:
        """Colours in that size, and how much of them is seen, 0 to 1."""
        strength = np.sqrt(self.seconds).astype(np.float32)  # or one who waits would outshine all who pass
        smooth = cv2.GaussianBlur(strength, (0, 0), 1.0)
        smooth = smooth / max(float(smooth.max()), 1e-9)
        smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        shades = np.rint(DARKEST + smooth * (255 - DARKEST)).astype(np.uint8)
        colours = cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO)[:, :, ::-1]
        return colours, np.minimum(smooth * FADE_IN, 1)

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
