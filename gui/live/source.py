"""A source under observation: when each frame was read, whether frames still come, files at their own pace."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from tracker.protocols import FrameSource
from tracker.types import Frame
from tracker.video.wrapped_source import WrappedSource

__all__ = ["WatchedSource"]

STAMPS_KEPT = 1024
"""Frames whose time of reading is remembered, more than can be between reading and showing."""
LATEST_S = 1.0
"""A file that is played later than this no longer tries to catch up."""


class WatchedSource(WrappedSource):
    """The frames of any source as live input, and when they were read.

    A recorded one is played at its own pace, and from its start again with `loop`; index and time go on. `size` is that
    of its frames where it is known better than by the source: there are cameras that name another one.
    """

    live = True

    def __init__(self, source: FrameSource, *, loop: bool = False, size: tuple[int, int] | None = None) -> None:
        super().__init__(source)
        self._loop = loop
        self._paced = not source.live
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._read_at: OrderedDict[int, float] = OrderedDict()
        self._last_read: float | None = None
        if size is not None:
            self.info = replace(source.info, width=size[0], height=size[1])
        self.damage = source.damage
        self.rounds = 0
        """Times a looped file has started over."""

    @property
    def recorded(self) -> bool:
        """Whether this is a file played at its own pace."""
        return self._paced

    def silent_s(self) -> float:
        """Seconds since a frame came; 0 before the first."""
        return 0.0 if self._last_read is None else time.monotonic() - self._last_read

    def read_at(self, index: int) -> float | None:
        """The monotonic() reading at which a recent frame arrived."""
        with self._lock:
            return self._read_at.get(index)

    def __iter__(self) -> Iterator[Frame]:
        index_shift, time_shift = 0, 0.0
        while not self._stop.is_set():
            last: Frame | None = None
            step = 1 / 25
            pace = _Pace(self._stop)
            for frame in self._source:
                if self._paced:
                    pace.wait(frame.time)
                if self._stop.is_set():
                    return
                if last is not None:
                    step = max(frame.time - last.time, 0.001)
                last = frame
                self.damage = self._source.damage
                moved = replace(frame, index=frame.index + index_shift, time=frame.time + time_shift)
                self._note(moved)
                yield moved
            if last is None or not (self._loop and self._paced):
                return
            self.rounds += 1
            index_shift += last.index + 1
            time_shift += last.time + step

    def close(self) -> None:
        """Let go of the source."""
        self._stop.set()
        super().close()

    def _note(self, frame: Frame) -> None:
        now = time.monotonic()
        with self._lock:
            self._last_read = now
            self._read_at[frame.index] = now if frame.arrival is None else frame.arrival
            while len(self._read_at) > STAMPS_KEPT:
                self._read_at.popitem(last=False)


class _Pace:
    """Waits until a frame's time has come."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._origin: float | None = None

    def wait(self, stamp: float) -> None:
        now = time.perf_counter()
        if self._origin is None or now - self._origin - stamp > LATEST_S:
            self._origin = now - stamp
        due = self._origin + stamp - now
        if due > 0:
            self._stop.wait(due)
