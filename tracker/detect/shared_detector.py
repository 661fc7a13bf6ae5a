"""One network for many sources, fair to each of them, several frames at once where that is faster."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from tracker.detect.windows import detect_at_size
from tracker.protocols import Detector, Scalable
from tracker.types import Detections, Image

__all__ = ["SharedDetector"]

MOST_TOGETHER = 8
WORTH_IT = 0.6
"""Images go through the network together where each takes at most this part of the time it takes alone."""
MEASURED_ALONE, MEASURED_TOGETHER = 5, 3
REMEASURED_AFTER = 500


class SharedDetector:
    """One detector for many sources, each served in the order in which they asked; it may be exchanged at any time.

    The frames of sources that wait at the same time go through the network together where it has been measured to be
    faster so (a GPU), and one by one where it is not: alone a frame is done sooner.
    """

    def __init__(self, detector: Detector) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[_Request] = deque()
        self._at_work = False
        self.exchange(detector)

    def exchange(self, detector: Detector) -> None:
        """Go on with another detector from the next frame on."""
        self._detector, self._batching = detector, _Batching()
        self.labels = detector.labels
        self.conf = detector.conf
        self.engine = detector.engine
        self.imgsz = detector.imgsz if isinstance(detector, Scalable) else 0

    def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]:
        """Objects in each image, when it is this caller's turn."""
        return self._ask(_Request(lambda: images, imgsz))

    def detect_newest(self, take: Callable[[], Image], *, imgsz: int | None = None) -> Detections:
        """Objects in the image that `take` gives; it is called when this caller's turn has come, perhaps by another.

        What `take` raises is raised.
        """
        return self._ask(_Request(lambda: [take()], imgsz))[0]

    def _ask(self, request: _Request) -> list[Detections]:
        """Wait until somebody has served the request, or serve it with those that wait behind it."""
        with self._changed:
            self._waiting.append(request)
            while not request.done and (self._at_work or self._waiting[0] is not request):
                self._changed.wait()
            served = [] if request.done else self._take_requests()
        if served:
            try:
                self._serve(served)
            finally:
                with self._changed:
                    self._at_work = False
                    for each in served:
                        each.done = True
                    self._changed.notify_all()
        if request.error is not None:
            raise request.error
        return request.found

    def _take_requests(self) -> list[_Request]:
        """The first of those that wait, and those behind it that can go with it."""
        self._at_work = True
        most, taken = self._batching.size(len(self._waiting)), [self._waiting.popleft()]
        while len(taken) < most and self._waiting[0].imgsz == taken[0].imgsz:
            taken.append(self._waiting.popleft())
        return taken

    def _serve(self, requests: Sequence[_Request]) -> None:
        """Fill in what each asked for, or why it cannot be had; one that fails does not fail the others."""
        detector, batching = self._detector, self._batching
        taken = [(request, images) for request in requests if (images := request.images()) is not None]
        if not taken:
            return
        began = time.perf_counter()
        try:
            together = [image for _, images in taken for image in images]
            found = iter(detect_at_size(detector, together, requests[0].imgsz))
        except Exception as error:  # noqa: BLE001 - raised where the frame came from
            if len(taken) == 1:
                taken[0][0].error = error
                return
            batching.note(len(taken), float("inf"))
            for request, _ in taken:
                self._serve([request])
            return
        for request, images in taken:
            request.found = [next(found) for _ in images]
        batching.note(sum(len(images) for _, images in taken), time.perf_counter() - began)


@dataclass(slots=True, eq=False)
class _Request:
    """What one source waits for."""

    take: Callable[[], Sequence[Image]]
    imgsz: int | None = None
    taken: Sequence[Image] | None = None
    found: list[Detections] = field(default_factory=list)
    error: Exception | None = None
    done: bool = False

    def images(self) -> Sequence[Image] | None:
        """The images, taken now if they have not been; None where they cannot be had any more."""
        if self.taken is None and self.error is None:
            try:
                self.taken = self.take()
            except Exception as error:  # noqa: BLE001 - raised where the frame was to come from
                self.error = error
        return self.taken


class _Batching:
    """How many images go through one network together, by the time it took so far."""

    def __init__(self) -> None:
        self._alone: deque[float] = deque(maxlen=MEASURED_ALONE)
        self._together: deque[float] = deque(maxlen=MEASURED_TOGETHER)
        self._asked = 0

    def size(self, waiting: int) -> int:
        """Of how many that wait the images are taken."""
        self._asked += 1
        if self._asked % REMEASURED_AFTER == 0:  # the machine may have had other work meanwhile
            self._alone.clear()
            self._together.clear()
        if waiting < 2 or len(self._alone) < MEASURED_ALONE:
            return 1
        if len(self._together) == MEASURED_TOGETHER and median(self._together) > WORTH_IT * median(self._alone):
            return 1
        return min(waiting, MOST_TOGETHER)

    def note(self, images: int, seconds: float) -> None:
        """So long took so many."""
        (self._together if images > 1 else self._alone).append(seconds / images)
