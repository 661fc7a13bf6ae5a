"""Calls off what FFmpeg is reading from a network: at once where it is told to stop, or where memory runs full.

Between two reads of a connection FFmpeg asks PyAV whether to go on, and PyAV compares its clock with a time limit. That
limit is set once a call; so it is the clock that is ours here, and far ahead in a thread whose reading is called off.
PyAV before 17 keeps a clock of its own, out of reach.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from threading import Event

from av.container import core

__all__ = ["MOST_UNFINISHED_MB", "ReadGuard"]

MOST_UNFINISHED_MB = 200
"""What reading may take before it gives a packet: a server that never ends a header, a list or an image is left."""
LOOK_EVERY_S = 0.03
LEAST_QUESTIONS = 2
"""FFmpeg asks once in a tenth of a second while it waits, and at least twice for each piece that comes."""
AHEAD_S = 1e6
STATM = Path("/proc/self/statm")


class ReadGuard:
    """Guards what the thread reads that called `begin` first; `failure` says why the guard ended it.

    Only memory is counted that the process gained while data flowed in this thread, since its last packet.
    """

    def __init__(self, stop: Event) -> None:
        self.failure: str | None = None
        self._stop = stop
        self._gained = self._known = self._questions = self._called_off = 0
        self._looked_at = 0.0

    def begin(self) -> None:
        """A packet came, or the first one is awaited."""
        if getattr(_reading, "guard", None) is not self:
            _reading.guard = self
            vars(core)["time"] = _Clock
        self._gained, self._known, self._questions, self._looked_at = 0, _memory_bytes(), 0, time.monotonic()

    def clock(self) -> float:
        """The time, or one that is ever further ahead once reading is to end."""
        now = time.monotonic()
        self._questions += 1
        if now - self._looked_at > LOOK_EVERY_S:
            self._look(now)
        if self.failure is None and not self._stop.is_set():
            return now
        self._called_off += 1
        return now + self._called_off * AHEAD_S

    def _look(self, now: float) -> None:
        known, self._known = self._known, _memory_bytes()
        if self._questions >= LEAST_QUESTIONS:
            self._gained = max(0, self._gained + self._known - known)
        self._questions, self._looked_at = 0, now
        if self._gained > MOST_UNFINISHED_MB * 2**20:
            self.failure = f"more than {MOST_UNFINISHED_MB} MB came and no whole frame"


class _Clock:
    """What PyAV sees as its module `time`."""

    @staticmethod
    def monotonic() -> float:
        guard: ReadGuard | None = getattr(_reading, "guard", None)
        return time.monotonic() if guard is None else guard.clock()


_reading = threading.local()


def _memory_bytes() -> int:
    """What the process has in memory now, or had at most where the system tells only that; 0 where it tells neither."""
    if STATM.exists():
        return int(STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10)
