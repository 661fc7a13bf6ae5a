"""A text file that appears under its name complete or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO, TextIO

from tracker.errors import SinkError, why_unwritable
from tracker.lock import hold
from tracker.protocols import Finishing

__all__ = ["PARTIAL", "AtomicText"]

PARTIAL = ".partial"
"""What is added to a file's name until it is complete."""
BLOCK = 65536
CLOSES_FIRST = sys.platform == "win32"
"""Windows renames and removes no open file."""
TRIES, RETRY_S = 4, 0.05
"""The file may be renamed by its writer between being opened and being locked here."""


class AtomicText(Finishing):
    """Writes to `<name>.partial` beside the target and takes the target's name on `close`.

    After a failed write `close` removes the partial file and leaves what stood under the name before, as `discard`
    does at any time; `keep` leaves the whole lines written so far under the partial name. A process that is killed
    leaves only the partial file, which the next run overwrites. With `flush_s` what is written reaches the file after
    that many seconds at the latest. Raises SinkError when the folder or file cannot be written, or somebody else
    is writing it: the partial file is locked while it is open.
    """

    def __init__(self, path: Path | str, *, flush_s: float | None = None) -> None:
        self.path = Path(path)
        self._partial = self.path.with_name(self.path.name + PARTIAL)
        self._failed = self._ended = False
        self._flush_s = flush_s
        self._flushed_at = time.monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise SinkError(f"{self.path}: cannot be written: it is a folder. Give a file name.")
            self._file = self._open_alone()
        except OSError as error:
            raise self._refusal(error) from error

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def write(self, text: str) -> None:
        """Add text at the end."""
        try:
            self._file.write(text)
            if self._flush_s is not None and time.monotonic() - self._flushed_at >= self._flush_s:
                self._file.flush()
                self._flushed_at = time.monotonic()
        except OSError as error:
            self._failed = True
            raise self._refusal(error) from error

    def close(self) -> None:
        """Give the file its name; safe to call twice."""
        if self._ended:
            return
        if self._failed:
            self.discard()
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            if CLOSES_FIRST:
                self._file.close()
            self._partial.replace(self.path)
        except OSError as error:
            self.discard()
            raise self._refusal(error) from error
        self._ended = True
        self._file.close()  # the lock goes with it: nobody may take the partial file while it is not renamed

    def discard(self) -> None:
        """Throw away what was written; safe to call after `close`, which it does not undo."""
        if self._ended:
            return
        self._failed = self._ended = True
        if not CLOSES_FIRST:
            self._partial.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the flush of a full disk fails again; the file is closed all the same
            self._file.close()
        if CLOSES_FIRST:
            self._partial.unlink(missing_ok=True)

    def keep(self) -> Path | None:
        """Leave the whole lines written so far under the partial name, which is returned; None where there are none."""
        if self._ended:
            return None
        self._ended = True
        with contextlib.suppress(OSError):
            self._file.close()
        try:
            with self._partial.open("rb+") as file:
                size = _whole_lines(file)
                file.truncate(size)
        except OSError:
            return None
        if not size:
            self._partial.unlink(missing_ok=True)
        return self._partial if size else None

    def _open_alone(self) -> TextIO:
        for _ in range(TRIES):
            held = hold(self._partial)
            if held is not None:
                break
            time.sleep(RETRY_S)
        else:
            raise SinkError(f"{self.path}: somebody else is writing it. Wait for that to end, or choose another name.")
        if held < 0:
            return self._partial.open("w", encoding="utf-8", newline="\n")
        file = os.fdopen(held, "w", encoding="utf-8", newline="\n")
        if os.fstat(held).st_size:
            file.truncate(0)
        return file

    def _refusal(self, error: OSError) -> SinkError:
        return SinkError(f"{self.path}: cannot be written: {why_unwritable(error)}")


def _whole_lines(file: BinaryIO) -> int:
    """How many bytes of a text end with a line's end."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - BLOCK)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
