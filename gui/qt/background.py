"""Work off the window's thread: it runs on a thread of its own, what comes of it is handed over on the window's."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from PyQt6.QtCore import QObject, QTimer
from PyQt6.sip import isdeleted

__all__ = ["NICENESS", "POLL_MS", "Background"]

log = logging.getLogger(__name__)

POLL_MS = 16
WAIT_STEP_S = 0.005
"""Between two questions whether a lane is empty, while the window closes."""
NICENESS = 5
"""Of processes that work beside the window. Its own threads keep its priority: one that holds the interpreter's lock
while others go before it would hold up the window too."""
Outcome = TypeVar("Outcome")


class Background(QObject):
    """Runs tasks on daemon threads and calls back on the thread that owns this object, which polls for them.

    Tasks given the same `lane` run one after the other; without a lane they run at once.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._finished: deque[Callable[[], None]] = deque()
        self._lanes: dict[str, deque[Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._open = 0
        self._unsaved = 0
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._deliver)

    def run(
        self,
        work: Callable[[], Outcome],
        done: Callable[[Outcome], Any],
        failed: Callable[[Exception], Any] | None = None,
        *,
        lane: str | None = None,
        owner: QObject | None = None,
        saves: bool = False,
    ) -> None:
        """Call `work` on another thread, then `done` with its result or `failed` with its error on this one.

        Neither is called once `owner`, whom they belong to, has been deleted. What `saves` the user's work counts as
        `saving` until it is done.
        """
        self._open += 1
        with self._lock:
            self._unsaved += saves
        self._timer.start()

        def hand_over(deliver: Callable[[], Any]) -> None:
            self._finished.append(lambda: None if owner is not None and isdeleted(owner) else deliver())

        def task() -> None:
            try:
                outcome = work()
            except Exception as error:
                problem = error
                log.debug("a background task failed", exc_info=True)
                if failed is not None:
                    hand_over(lambda: failed(problem))
                else:
                    hand_over(lambda: log.warning("%s", problem))
            else:
                hand_over(lambda: done(outcome))
            finally:
                with self._lock:
                    self._unsaved -= saves

        if lane is None:
            threading.Thread(target=task, name="sightline-task", daemon=True).start()
            return
        with self._lock:
            waiting = self._lanes.get(lane)
            if waiting is not None:
                waiting.append(task)
                return
            self._lanes[lane] = deque([task])
        threading.Thread(target=self._serve, args=(lane,), name=f"sightline-{lane}", daemon=True).start()

    @property
    def saving(self) -> bool:
        """Whether work of the user's is not yet saved."""
        return self._unsaved > 0

    @property
    def busy(self) -> bool:
        """Whether any task is not yet delivered."""
        return self._open > 0

    def wait(self, lane: str, timeout_s: float) -> bool:
        """Whether all tasks of a lane have ended by then."""
        deadline = time.monotonic() + timeout_s
        while lane in self._lanes:
            if time.monotonic() > deadline:
                return False
            time.sleep(WAIT_STEP_S)
        return True

    def drop_waiting(self, lane: str) -> None:
        """Forget the tasks of a lane that have not begun."""
        with self._lock:
            waiting = self._lanes.get(lane)
            if waiting is not None:
                self._open -= len(waiting)
                waiting.clear()

    def close(self) -> None:
        """Deliver nothing more; tasks at work end by themselves."""
        self._closed = True
        self._timer.stop()
        with self._lock:
            for waiting in self._lanes.values():
                waiting.clear()

    def _serve(self, lane: str) -> None:
        while True:
            with self._lock:
                waiting = self._lanes[lane]
                if not waiting:
                    del self._lanes[lane]
                    return
                task = waiting.popleft()
            task()

    def _deliver(self) -> None:
        while self._finished and not self._closed:
            self._open -= 1
            self._finished.popleft()()
        if self._open <= 0:
            self._timer.stop()
