"""What can go wrong, as one small tree.

    TrackerError
    ├── ConfigError       a setting, option, class, format or model name that does not exist or does not fit
    │   └── FeaturesError   a model that has no features to tell objects apart by
    ├── SourceError       a file, camera or stream that does not open or cannot be decoded
    │   └── UnreachableError   a camera or stream that does not answer now, and may later
    ├── SinkError         an output folder or file that cannot be written
    ├── CheckpointError   a model file that is not one, or does not fit its labels
    └── FormatError       an annotation file that breaks its format
        └── DamagedStoreError   a recording whose SQLite file is damaged

A message says what, where, what was expected and found, and what to try. The command line turns a
TrackerError into one line on stderr and exit code 2, without a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DamagedStoreError",
    "FeaturesError",
    "FormatError",
    "SinkError",
    "SourceError",
    "TrackerError",
    "UnreachableError",
    "named_by",
    "refusal_beside",
    "refuse_special",
    "why_unwritable",
]

PROBED = 2**20
"""Bytes that are written to find out why no more can be."""


class TrackerError(Exception):
    """Anything Sightline refuses or cannot do; its message is meant for the user.

    Where it names `frames`, counted from 0, they stand at {0}, {1} and so on of the message.
    """

    def __init__(self, message: str = "", *, frames: Sequence[int] = ()) -> None:
        super().__init__(_fill(message, frames))
        self._message, self._frames = message, tuple(frames)

    def counting_from(self, first: int) -> str:
        """The message with its frames counted from `first`: the window's first frame is 1.

        >>> ConfigError("nothing in frame {0}", frames=[7]).counting_from(1)
        'nothing in frame 8'
        """
        return _fill(self._message, [frame + first for frame in self._frames]) if self._frames else str(self)


class ConfigError(TrackerError):
    """A setting, option, class, format or model name that does not exist or does not fit."""


class FeaturesError(ConfigError):
    """A model that has no features to tell objects apart by."""


class SourceError(TrackerError):
    """A file, camera or stream that does not open or cannot be decoded."""


class UnreachableError(SourceError):
    """A camera or stream that does not answer now, and may later.

    `retry_s` is the least pause before another try; `denied` says that user or password were refused.
    """

    def __init__(self, message: str, *, retry_s: float = 0.0, denied: bool = False) -> None:
        super().__init__(message)
        self.retry_s, self.denied = retry_s, denied


class SinkError(TrackerError):
    """An output folder or file that cannot be written."""


class CheckpointError(TrackerError):
    """A model file that is not one, or does not fit its labels."""


class FormatError(TrackerError):
    """An annotation file that breaks its format."""


class DamagedStoreError(FormatError):
    """A recording whose SQLite file is damaged; `store.set_aside` and `store.restore_copy` repair it."""


def _fill(message: str, frames: Sequence[int]) -> str:
    """Braces of other content, such as a path's, stay as they are."""
    for place, frame in enumerate(frames):
        message = message.replace(f"{{{place}}}", str(int(frame)))
    return message


@contextlib.contextmanager
def named_by(option: str) -> Iterator[None]:
    """Let what is refused of a model speak of the option that named it, where that is another than --model."""
    try:
        yield
    except (CheckpointError, ConfigError) as error:
        text = str(error).replace("--model", option)
        raise type(error)(text if text.startswith(option) else f"{option} {text}") from error


def why_unwritable(error: OSError) -> str:
    """The system's reason why a file cannot be written, and what to try."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{reason}. Free some space there or choose another folder."
    if error.errno == errno.EFBIG:
        return f"{reason}. Raise the limit of file sizes (ulimit -f), or choose another file system."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{reason}. Choose a folder you may write to, or change its permissions."
    return f"{reason}. Choose another folder or name."


def refusal_beside(path: Path) -> OSError | None:
    """Why nothing can be written where `path` is, found by trying, for libraries that do not say; None where it can.

    A file of its own is grown beyond the size that `path` has, and deleted.
    """
    probe = path.with_name(f".{path.name}.probe")
    try:
        size = path.stat().st_size if path.exists() else 0
        with probe.open("wb") as file:
            file.seek(size)
            file.write(bytes(PROBED))
    except OSError as error:
        return error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return None


def refuse_special(path: Path) -> None:
    """Raise OSError for a pipe, a socket or a device: reading one may take for ever, or never end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "a pipe or a device, not a file", str(path))
