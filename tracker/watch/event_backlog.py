"""Events on their way into the store: while it cannot be written they wait, in order, and are told of once."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence

from tracker.errors import SinkError
from tracker.watch.event_store import EventStore, StoredEvent

__all__ = ["EventBacklog"]

log = logging.getLogger(__name__)

MOST_WAITING = 100_000
"""Events held in memory, about 40 MB; the oldest beyond that are lost, and counted."""


class EventBacklog:
    """Puts events into a store, any thread's; what it refuses is tried again at the next event and by `flush`."""

    def __init__(self, store: EventStore, *, most: int = MOST_WAITING) -> None:
        self._store = store
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[tuple[StoredEvent, Sequence[str]]] = deque()
        self._refused = False
        self.lost = 0
        """Events that there was no room for, not even in memory."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: StoredEvent, alerts: Sequence[str] = ()) -> None:
        """Keep an event with what is to be told of it, now or as soon as it can be."""
        with self._lock:
            self._waiting.append((event, alerts))
            if len(self._waiting) > self._most:
                self._waiting.popleft()
                self.lost += 1
        self.flush()

    def flush(self) -> bool:
        """Try again what waits; whether nothing does any more."""
        with self._lock:
            try:
                while self._waiting:
                    self._store.add(*self._waiting[0])
                    self._waiting.popleft()
            except SinkError as error:
                if not self._refused:
                    self._refused = True
                    log.warning("%s Events wait in memory and are tried again.", error)
                return False
            if self._refused:
                self._refused = False
                lost = f"; {self.lost} were lost" if self.lost else ""
                log.warning("%s: events are kept again%s", self._store.path, lost)
            return True
