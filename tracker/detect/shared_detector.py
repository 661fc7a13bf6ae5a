"""One network for many sources, fair to each of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tracker.detect.windows import detect_at_size
from tracker.protocols import Detector, Scalable
from tracker.types import Detections, Image

__all__ = ["SharedDetector"]


class SharedDetector:
    """One detector for many sources, each served in the order in which they asked; it may be exchanged at any time."""

    def __init__(self, detector: Detector) -> None:
        self._turn = threading.Condition()
        self._queue: deque[object] = deque()
        self._holder: int | None = None
        self.exchange(detector)

    def exchange(self, detector: Detector) -> None:
        """Go on with another detector from the next frame on."""
        self._detector = detector
        self.labels = detector.labels
        self.conf = detector.conf
        self.engine = detector.engine
        self.imgsz = detector.imgsz if isinstance(detector, Scalable) else 0

    def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]:
        """Objects in each image, when it is this caller's turn."""
        with self.turn():
            return detect_at_size(self._detector, images, imgsz)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this thread's turn and hold it, so that a live source can take its newest frame only then."""
        own = threading.get_ident()
        if self._holder == own:
            yield
            return
        ticket = object()
        with self._turn:
            self._queue.append(ticket)
            while self._queue[0] is not ticket:
                self._turn.wait()
            self._holder = own
        try:
            yield
        finally:
            with self._turn:
                self._holder = None
                self._queue.popleft()
                self._turn.notify_all()
