"""A text file that appears under its name complete or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from tracker.errors import SinkError

__all__ = ["AtomicText"]


class AtomicText:
    """Writes to `<name>.partial` beside the target and takes the target's name on `close`.

    After a failed write `close` removes the partial file and leaves what stood under the name before, as `discard`
    does at any time. A process that is killed leaves only the partial file, which the next run overwrites.
    Raises SinkError when the folder or file cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._partial = self.path.with_name(self.path.name + ".partial")
        self._failed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise SinkError(f"{self.path}: cannot be written: it is a folder. Give a file name.")
            self._file = self._partial.open("w", encoding="utf-8", newline="\n")
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
        except OSError as error:
            self._failed = True
            raise self._refusal(error) from error

    def close(self) -> None:
        """Give the file its name; safe to call twice."""
        if self._file.closed:
            return
        if self._failed:
            self.discard()
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self.path)
        except OSError as error:
            self.discard()
            raise self._refusal(error) from error

    def discard(self) -> None:
        """Throw away what was written; safe to call after `close`, which it does not undo."""
        self._failed = True
        with contextlib.suppress(OSError):  # the flush of a full disk fails again; the file is closed all the same
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _refusal(self, error: OSError) -> SinkError:
        return SinkError(
            f"{self.path}: cannot be written: {error.strerror}. Free some space there or choose another folder."
        )
