"""Waiting longer and longer between attempts, and at once no more when told to stop."""

from __future__ import annotations

from threading import Event

__all__ = ["Backoff"]


class Backoff:
    """Pauses of `first_s`, twice that, and so on up to `longest_s`; `reset` after a success."""

    def __init__(self, first_s: float = 0.5, longest_s: float = 1.0):
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def wait(self, stop: Event, *, at_least_s: float = 0.0) -> bool:
        """Pause; True to try again, False when `stop` was set meanwhile."""
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self._longest_s)
        return not stop.wait(max(pause_s, at_least_s))

    def reset(self) -> None:
        self._next_s = self._first_s
