"""Events on their way into the store: while it cannot be written they wait, in order, and are reported once."""

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
MOST_WITH_THUMBNAILS = 5_000
"""Those that wait with what they looked like, about 20 MB; later ones wait without."""


class EventBacklog:
    """Puts events into a store, any thread's; what it refuses is tried again by the next `flush`."""

    def __init__(self, store: EventStore, *, most: int = MOST_WAITING) -> None:
        self._store = store
        self._most = most
        self._lock = threading.Lock()
        """Held while the store is written, which may take long."""
        self._adding = threading.Lock()
        self._waiting: deque[tuple[StoredEvent, Sequence[str], bytes]] = deque()
        self._refused = False
        self.lost = 0
        """Events that there was no room for, not even in memory."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: StoredEvent, alerts: Sequence[str] = (), thumbnail: bytes = b"") -> None:
        """Have an event kept, with what is to be reported of it, by the next `flush`; never waits for the store."""
        with self._adding:
            kept = thumbnail if len(self._waiting) < MOST_WITH_THUMBNAILS else b""
            self._waiting.append((event, alerts, kept))

    def flush(self) -> bool:
        """Put into the store what waits; whether nothing does any more."""
        with self._lock:
            try:
                while (first := self._first()) is not None:
                    self._store.add(*first)
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

    def _first(self) -> tuple[StoredEvent, Sequence[str], bytes] | None:
        """The oldest that waits; before it those are let go that there is no room for."""
        with self._adding:
            while len(self._waiting) > self._most:
                self._waiting.popleft()
                self.lost += 1
            return self._waiting[0] if self._waiting else None
