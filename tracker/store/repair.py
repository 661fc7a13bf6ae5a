"""What to do about a damaged recording: keep it beside under another name, and put a sound copy in its place."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from tracker.errors import DamagedStoreError, FormatError
from tracker.store.reader import Recording
from tracker.store.schema import SIDE_FILES, connect, damage_of, refuse_write, remove

__all__ = ["check_store", "restore_copy", "set_aside", "set_aside_if_damaged"]

MOST_PROBLEMS = 3
"""How many of SQLite's findings a message quotes."""


def check_store(path: Path) -> None:
    """Read every page and index of a recording (`PRAGMA integrity_check`); takes about a second for 100 MB.

    Raises DamagedStoreError where something is wrong, FormatError for what is no recording.
    """
    with contextlib.closing(connect(path)) as connection:
        try:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({MOST_PROBLEMS})")]
        except sqlite3.Error as error:
            raise damage_of(path, error) from error
    if found != ["ok"]:
        problems = "; ".join(" ".join(text.split()) for text in found)
        raise DamagedStoreError(f"{path}: damaged: {problems}. Restore it from a copy, or annotate again.")


def set_aside(path: Path) -> Path:
    """Rename a recording to `NAME.damaged` (`NAME.damaged2`, ...), with what SQLite keeps beside it; the new path.

    Raises SinkError where it cannot be renamed.
    """
    number = 1
    while True:
        aside = path.with_name(f"{path.name}.damaged{number if number > 1 else ''}")
        if not aside.exists():
            break
        number += 1
    try:
        _move(path, aside)
    except OSError as error:
        raise refuse_write(path, error) from error
    return aside


def set_aside_if_damaged(path: Path) -> Path | None:
    """Rename what stands there if it is a damaged recording; its new path, None where nothing was to be kept."""
    if not path.is_file():
        return None
    try:
        check_store(path)
        Recording(path).close()
    except DamagedStoreError:
        return set_aside(path)
    except FormatError:
        return None
    return None


def restore_copy(path: Path, copy: Path) -> Path | None:
    """Put a sound copy in the place of a recording; the recording is kept as `.damaged`, its path is returned.

    Raises DamagedStoreError or FormatError where the copy is not sound, SinkError where it cannot be put there; the
    recording stays as it is then.
    """
    check_store(copy)
    unborn = path.with_name(path.name + ".new")
    remove(unborn)
    try:
        with contextlib.closing(connect(copy)) as source, contextlib.closing(sqlite3.connect(unborn)) as target:
            source.backup(target)
        aside = set_aside(path) if path.exists() else None
        try:
            unborn.replace(path)
        except OSError:
            if aside is not None:
                _move(aside, path)
            raise
    except (OSError, sqlite3.Error) as error:
        remove(unborn)
        raise refuse_write(path, error) from error
    return aside


def _move(path: Path, target: Path) -> None:
    """Rename a recording with what SQLite keeps beside it. Raises OSError."""
    path.replace(target)
    for suffix in SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.replace(target.with_name(target.name + suffix))
