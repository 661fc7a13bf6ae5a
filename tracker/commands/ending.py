"""Being told to end: Ctrl-C and SIGTERM reach the program as one kind of exception, which lets it finish its work."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["Terminated", "end_on_sigterm", "interrupted_code"]


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a service manager sends it."""


def end_on_sigterm() -> None:
    """From now on SIGTERM raises Terminated in the main thread; a second one while it finishes is passed over."""

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


def interrupted_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code by which shells and service managers know the signal: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
