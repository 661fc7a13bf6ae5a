"""One run at a time: a lock that the system lets go of when its process dies, however it dies."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Claim", "alone", "hold"]

log = logging.getLogger(__name__)

PATIENCE_S = 0.5


@contextlib.contextmanager
def alone(path: Path, what: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the file of that name, made for this and removed afterwards, as the only process.

    While another one has it, that is said of `what`, and `waiting` is called again and again. Where the system has no
    locks, or the folder takes no file, nothing is held: what is done inside must stay whole all the same.
    """
    held = hold(path)
    if held is None:
        log.warning("%s: another run is at work on it; waiting for that one to end", what)
    while held is None:
        waiting()
        time.sleep(PATIENCE_S)
        held = hold(path)
    try:
        yield
    finally:
        _let_go(path, held)


class Claim:
    """The same lock for as long as it is wanted, by whoever does not wait for another one to end."""

    def __init__(self, path: Path, held: int) -> None:
        self._path, self._held = path, held

    @classmethod
    def take(cls, path: Path) -> Claim | None:
        """Hold the file of that name; None while another process, or another part of this one, does."""
        held = hold(path)
        return None if held is None else cls(path, held)

    def release(self) -> None:
        """Let another one have it; safe to call twice."""
        held, self._held = self._held, -1
        _let_go(self._path, held)


def _let_go(path: Path, held: int) -> None:
    if held < 0:
        return
    if sys.platform != "win32":  # Windows removes no open file
        path.unlink(missing_ok=True)
    os.close(held)
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            path.unlink()


def hold(path: Path) -> int | None:
    """A descriptor of the file, locked; -1 where there are no locks, None while another process has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        log.debug("%s: no lock: %s", path, error)
        return -1
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have removed the file after this one had opened it.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except OSError as error:
        log.debug("%s: no lock: %s", path, error)
        os.close(descriptor)
        return -1
    os.close(descriptor)
    return None
