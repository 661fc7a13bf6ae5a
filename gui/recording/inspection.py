"""What the network detects in the frame that is shown, and why parts of it are no track."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from gui.canvas.hit_testing import Point, box_at
from gui.engine.explaining import Untracked, untracked
from gui.engine.live_network import Engine
from gui.qt.background import Background
from tracker.protocols import Explain
from tracker.types import Detections, FrameResult

__all__ = ["Inspection"]

SETTLE_MS = 200
"""So long a frame is held before the network is run on it."""
Replay: TypeAlias = Callable[[int, Detections, float], Explain | None]
"""Of a frame's number, its detections and the detector's threshold; may be called on any thread."""


class Inspection(QObject):
    """Runs the network on held frames while it is turned on; `found` are the detections that no recorded track has.

    `replay` says what became of the detections of a frame, as far as the recording says.
    """

    changed = pyqtSignal()

    def __init__(self, engine: Engine, background: Background, replay: Replay, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._background = background
        self._replay = replay
        self._on = False
        self._result: FrameResult | None = None
        self.found: list[Untracked] = []
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._detect)
        engine.ready.connect(self._settle.start)

    def turn(self, *, on: bool, result: FrameResult | None) -> None:
        """Begin with this frame, or stop."""
        self._on = on
        self._show([])
        if on and result is not None:
            self.show_result(result, playing=False)

    def show_result(self, result: FrameResult, *, playing: bool) -> None:
        """This frame is shown now."""
        if not self._on:
            return
        if self._result is None or self._result.frame.index != result.frame.index:
            self._show([])
        self._result = result
        if not playing:
            self._settle.start()

    def words_at(self, point: Point) -> str:
        """Why what lies below the point is no track; empty where nothing is."""
        boxes = np.array([found.box for found in self.found], np.float32).reshape(-1, 4)
        row = box_at(boxes, point)
        return "" if row is None else self.found[row].words

    def _detect(self) -> None:
        result, detector = self._result, self._engine.detector
        if not self._on or result is None:
            return
        if detector is None:
            self._engine.start()
            return
        self._background.drop_waiting("inspection")
        labels, conf = detector.labels, detector.conf

        def find() -> FrameResult:
            detections = detector.detect([result.frame.image])[0]
            # rows of the recording are numbered otherwise than the detections of now
            tracks = replace(result.tracks, detection_rows=np.full(len(result.tracks), -1, np.int32))
            explain = self._replay(result.frame.index, detections, conf)
            return replace(result, detections=detections, labels=labels, tracks=tracks, explain=explain)

        self._background.run(find, lambda seen: self._found(seen, result), lane="inspection")

    def _found(self, seen: FrameResult, asked: FrameResult) -> None:
        if self._on and self._result is asked:
            self._show(untracked(seen))

    def _show(self, found: list[Untracked]) -> None:
        self.found = found
        self.changed.emit()
