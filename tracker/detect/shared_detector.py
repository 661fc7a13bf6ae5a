"""One network for many sources, fair to each of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from tracker.protocols import Detector
from tracker.types import Detections, Image

__all__ = ["SharedDetector"]


class SharedDetector:
    """One detector for many sources, each served in the order in which they asked; it may be exchanged at any time."""

    def __init__(self, detector: Detector) -> None:
        self._turn = threading.Condition()
        self._queue: deque[object] = deque()
        self.exchange(detector)

    def exchange(self, detector: Detector) -> None:
        """Go on with another detector from the next frame on."""
        self._detector = detector
        self.labels = detector.labels
        self.conf = detector.conf
        self.engine = detector.engine

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Objects in each image, when it is this caller's turn."""
        ticket = object()
        with self._turn:
            self._queue.append(ticket)
            while self._queue[0] is not ticket:
                self._turn.wait()
        try:
            return self._detector.detect(images)
        finally:
            with self._turn:
                self._queue.popleft()
                self._turn.notify_all()
