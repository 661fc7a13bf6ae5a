"""Ctrl-C and SIGTERM reach the program as one kind of exception, which lets it finish its work."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

__all__ = [
    "AGAIN_S",
    "EndAtOnce",
    "HeldSignals",
    "Terminated",
    "end_on_sigterm",
    "interrupt_behind",
    "interrupted_code",
    "leave",
    "raise_if_interrupted",
]


AGAIN_S = 1.0
"""Seconds within which a second Ctrl-C is the first one again: `timeout -s INT` sends it to a process and to its group,
and what starts a program for others passes on what the terminal has sent it already."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a service manager sends it."""


def end_on_sigterm() -> None:
    """From now on SIGTERM raises Terminated in the main thread; a second one while it finishes is passed over.

    A second Ctrl-C is passed over for `AGAIN_S`; later it is somebody who does not want to wait, and breaks off what is
    being finished. That either signal came is noted too, for `raise_if_interrupted`.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _noted.append(Terminated)
        raise Terminated

    _noted.clear()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        before = signal.getsignal(signal.SIGINT)
        if before is signal.default_int_handler or isinstance(before, _Interrupt):
            signal.signal(signal.SIGINT, _Interrupt())  # a run's own: it knows of no Ctrl-C before it


class _Interrupt:
    """Raises KeyboardInterrupt, but for a Ctrl-C that is the one before it again."""

    def __init__(self) -> None:
        self._came = -math.inf

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if time.monotonic() - self._came < AGAIN_S:
            return
        self._came = time.monotonic()
        _noted.append(KeyboardInterrupt)
        raise KeyboardInterrupt


def raise_if_interrupted() -> None:
    """Raise what a signal raised before, for loops in which the main thread waits; does nothing in other threads.

    An exception that comes in a callback of a library is dropped there.
    """
    if _noted and threading.current_thread() is threading.main_thread():
        raise _noted.pop()


_noted: list[type[KeyboardInterrupt]] = []
"""Signals that came, and that no waiting loop has raised again."""


class EndAtOnce:
    """Until `release`, Ctrl-C and SIGTERM end the process there and then: for the time in which nothing is written.

    An exception would have to find its way out of whatever is being imported: the interpreter drops those that come in
    a callback ("Exception ignored in"), and libraries in C++ turn them into errors of their own.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number, code, text in ((signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):  # as under nohup
                    self._handlers[number] = before
                    signal.signal(number, self._ending(code, text))

    def release(self) -> None:
        """From now on signals do again what they did before; safe to call twice."""
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)

    @staticmethod
    def _ending(code: int, text: str) -> Callable[[int, FrameType | None], None]:
        def end(_number: int, _frame: FrameType | None) -> None:
            with contextlib.suppress(OSError):
                os.write(2, f"sightline: {text}\n".encode())
            os._exit(code)

        return end


class HeldSignals:
    """Keeps Ctrl-C and SIGTERM waiting from now until `release`, which raises what came meanwhile.

    For the moments between the making of an output and the place where an end is provided for.
    """

    def __init__(self) -> None:
        self._came: int | None = None
        self._handlers: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._note)

    def release(self) -> None:
        """From now on signals do again what they did before; safe to call twice."""
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)
        came, self._came = self._came, None
        if came is not None:
            signal.raise_signal(came)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._came = self._came or number


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The signal that an error came from: libraries in C++ turn one that comes while they load into an ImportError."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, KeyboardInterrupt):
            return at
        seen.add(id(at))
        at = at.__cause__ or at.__context__
    return None


def leave(code: int) -> NoReturn:
    """End the process now, for who was interrupted or terminated, or could not go on, and has finished its outputs.

    What is registered for the end is done; only the taking apart of the interpreter is left out, which takes a process
    with torch half a second, and two on a busy machine.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def interrupted_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code by which shells and service managers know the signal: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
