"""Which recordings make room for new ones: the oldest first, marked ones never."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracker.watch.camera_set import RetentionConfig

__all__ = ["KeptFile", "clear_out", "to_delete"]

log = logging.getLogger(__name__)

DAY_S = 86_400
GIGABYTE = 10**9
SUFFIXES = (".mp4", ".jsonl")
YOUNGEST_S = 120.0
"""A file changed since is being written."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A recording on disk."""

    path: str
    changed: float
    """Seconds since 1970."""
    size: int


def to_delete(files: Sequence[KeptFile], config: RetentionConfig, *, marked: Collection[str], now: float) -> list[str]:
    """The files that must go, oldest first.

    Of a marked recording all files stay, also where the folder was moved since.
    """
    spared = {_recording_of(path) for path in marked}
    gone = []
    total = sum(file.size for file in files)
    for file in sorted(files, key=lambda file: (file.changed, file.path)):
        old = config.days is not None and now - file.changed > config.days * DAY_S
        large = config.gigabytes is not None and total > config.gigabytes * GIGABYTE
        if (old or large) and _recording_of(file.path) not in spared and now - file.changed > YOUNGEST_S:
            gone.append(file.path)
            total -= file.size
    return gone


def clear_out(folder: Path, config: RetentionConfig, *, marked: Collection[str]) -> list[str]:
    """Delete what must go from the folder; what was deleted. A file that cannot be deleted is reported and left."""
    files = []
    for path in folder.rglob("*"):
        if path.suffix in SUFFIXES and path.is_file() and not path.is_symlink():
            stat = path.stat()
            files.append(KeptFile(str(path), stat.st_mtime, stat.st_size))
    gone = []
    for name in to_delete(files, config, marked=marked, now=time.time()):
        try:
            Path(name).unlink()
            gone.append(name)
        except OSError as error:
            log.warning("%s: cannot be deleted: %s", name, error.strerror)
    return gone


def _recording_of(path: str) -> tuple[str, str]:
    """The camera's folder, and what the files of one recording share in their names."""
    return Path(path).parent.name, Path(path).stem
