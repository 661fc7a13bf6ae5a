"""Where objects spend their time: read from a recording as it stands, and laid over a frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtGui import QImage

from gui.canvas.zoom_view import FrameView
from gui.qt.background import Background
from tracker.analytics import Rules
from tracker.analytics.heat import HeatMap
from tracker.store import Recording

__all__ = ["HeatLayer", "heat_image", "read_heat"]

REFRESH_MS = 1000
WIDTH = 480
"""Pixels across of what is laid over a frame; the map is coarse and smooth."""


def read_heat(path: Path, rules: Rules) -> HeatMap:
    """The heat map of all that the store holds now, the same that the core's analytics give frame by frame."""
    with Recording(path) as recording, recording.snapshot():
        info = recording.info
        heat = HeatMap(info.width, info.height, rules.scaled(info.width, info.height).heat_cell)
        for stretch in recording.chunks(frames=4096):
            rows = stretch.observations
            x1, y1, x2, y2 = np.round(rows.boxes.astype(np.float64), 2).T
            points = np.column_stack([(x1 + x2) / 2, y2 if rules.anchor == "foot" else (y1 + y2) / 2])
            heat.see_stretch(stretch.times, np.searchsorted(stretch.frames, rows.frames), points)
    return heat


def heat_image(heat: HeatMap) -> QImage:
    """The map as Qt lays it over a frame, whatever that frame's size."""
    rows, columns = heat.seconds.shape
    layer = heat.layer(WIDTH, max(1, round(WIDTH * rows / columns)))
    height, width = layer.shape[:2]
    straight = QImage(layer.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return straight.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


class HeatLayer(QObject):
    """Lays the heat map of the moment over a view while it is turned on. `heat` gives it, None before there is one."""

    def __init__(
        self, view: FrameView, heat: Callable[[], HeatMap | None], background: Background, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._view = view
        self._heat = heat
        self._background = background
        self._on = False
        self._shown: HeatMap | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self.refresh)

    def turn(self, *, on: bool) -> None:
        """Show it from now on, or no longer."""
        self._on, self._shown = on, None
        if on:
            self._timer.start()
            self.refresh()
        else:
            self._timer.stop()
            self._view.show_layer(None)

    def refresh(self) -> None:
        """Show it as it is now, unless nobody looks."""
        if not self._on or not self._view.isVisible():
            return
        heat = self._heat()
        if heat is None:
            self._show(None)
        elif heat is not self._shown:
            self._shown = heat
            self._background.run(lambda: heat_image(heat), self._show, lane="heat layer", owner=self)

    def _show(self, layer: QImage | None) -> None:
        if self._on:
            self._view.show_layer(layer)
