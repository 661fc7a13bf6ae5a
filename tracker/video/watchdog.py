"""The watch over one live source: where it stands, since when, why, and whether it has fallen silent.

    CONNECTING --frame--> LIVE --silence--> STALLED --given up--> LOST --frame--> LIVE (a return)
        |                    |                                        ^
        +--no answer--> REFUSED --frame--> LIVE                     +-- cut (from LIVE)

It has no thread and asks only the clock it is given; whoever reads the source reports to it what happens.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

from tracker.protocols import FrameSource
from tracker.types import LinkState, LinkStatus

__all__ = ["ReconnectingSource", "Watchdog"]

STALL_S = 2.5
FIRST_PATIENCE_S = 8.0
KNOWN_AFTER_S = 2.0
PAUSES_OF_SILENCE = 2.5
SHORTEST_PAUSE_S = 0.1
PAUSES_KEPT = 9


class Watchdog:
    """Follows one source through its states and hands each new one to `listen`, on the thread that caused it.

    Silence counts as a stall after `stall_s`, or after 2.5 usual pauses of a source that makes pauses (a frame every
    few seconds, segments); after 8 s while it has not been watched for 2 s.
    """

    def __init__(
        self,
        *,
        stall_s: float = STALL_S,
        clock: Callable[[], float] = time.monotonic,
        listen: Callable[[LinkStatus], None] | None = None,
    ) -> None:
        self._stall_s = stall_s
        self._clock = clock
        self._listen = listen
        self._status = LinkStatus(LinkState.CONNECTING, clock())
        self._pauses: deque[float] = deque(maxlen=PAUSES_KEPT)
        self._first_sign: float | None = None
        self._last_sign: float | None = None
        self._gone_at: float | None = None

    @property
    def status(self) -> LinkStatus:
        """How it stands now."""
        return self._status

    @property
    def away_s(self) -> float:
        """How long it has been gone, or was gone before it last came back; 0 if never."""
        if self._gone_at is None:
            return 0.0
        end = self._status.since if self._status.state is LinkState.LIVE else self._clock()
        return end - self._gone_at

    def sign_of_life(self) -> None:
        """Something arrived."""
        now = self._clock()
        if self._first_sign is None:
            self._first_sign = now
        if self._last_sign is not None and now - self._last_sign > SHORTEST_PAUSE_S:
            self._pauses.append(now - self._last_sign)
        self._last_sign = now

    def frame_arrived(self) -> None:
        """A frame came: the source is live, perhaps again."""
        before = self._status
        if before.state is not LinkState.LIVE:
            lost = before.state in (LinkState.LOST, LinkState.STALLED)
            self._enter(LinkState.LIVE, returns=before.returns + lost)

    def refused(self, reason: str) -> None:
        """A try to connect failed."""
        before = self._status
        state = before.state if before.state in (LinkState.LOST, LinkState.REFUSED) else LinkState.REFUSED
        if state is LinkState.LOST:
            reason = reason or before.reason
        since = before.since if state is before.state else self._clock()
        self._status = LinkStatus(state, since, reason, before.attempts + 1, before.returns)
        if (state, reason) != (before.state, before.reason):
            self._report()

    def cut(self, reason: str) -> None:
        """The connection ended, or was given up after a stall."""
        self._last_sign = None
        if self._status.state is not LinkState.LOST:
            if self._status.state is LinkState.LIVE:
                self._gone_at = self._clock()
            self._enter(LinkState.LOST, reason)

    def is_stalled(self) -> bool:
        """Whether nothing has come for too long; enters STALLED when it has."""
        if self._last_sign is None:
            return False
        silence = self._clock() - self._last_sign
        if silence <= self.patience_s:
            return False
        if self._status.state is LinkState.LIVE:
            self._gone_at = self._last_sign
            self._enter(LinkState.STALLED, f"nothing came for {silence:.1f} s")
        return True

    @property
    def patience_s(self) -> float:
        """The silence that is borne."""
        usual = PAUSES_OF_SILENCE * median(self._pauses) if self._pauses else 0.0
        watched = (self._last_sign or 0.0) - (self._first_sign or 0.0)
        return max(self._stall_s, usual, FIRST_PATIENCE_S if watched < KNOWN_AFTER_S <= self._stall_s else 0.0)

    def _enter(self, state: LinkState, reason: str = "", returns: int | None = None) -> None:
        before = self._status
        self._status = LinkStatus(state, self._clock(), reason, 0, before.returns if returns is None else returns)
        self._report()

    def _report(self) -> None:
        if self._listen is not None:
            self._listen(self._status)


class ReconnectingSource(FrameSource):
    """A live source that reports what a watchdog knows of its link."""

    _watchdog: Watchdog

    @property
    def link(self) -> LinkStatus:
        """Where the connection stands."""
        return self._watchdog.status

    @property
    def reconnects(self) -> int:
        """How often the source was lost and came back."""
        return self._watchdog.status.returns
