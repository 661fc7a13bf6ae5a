"""Which recordings a command line means, files as they are named, folders with all below them; and what each is for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tracker.errors import ConfigError, FormatError

__all__ = ["find_recordings", "for_each_recording"]

log = logging.getLogger(__name__)


def find_recordings(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each recording once, with a name of its own: its path below the folder that was given, without the suffix.

    Where several were given, names that would be the same begin with what tells them apart. Raises ConfigError where a
    folder has none.
    """
    found: dict[Path, tuple[str, ...]] = {}
    for path in paths:
        if not path.is_dir():
            found.setdefault(path, (path.stem,))
            continue
        inside = sorted(each for each in path.rglob("*.sqlite") if each.is_file())
        if not inside:
            raise ConfigError(f"{path}: no recording in it; expected files of annotate, such as street.sqlite")
        for each in inside:
            found.setdefault(each, each.relative_to(path).with_suffix("").parts)
    shared = Counter(tuple(part.casefold() for part in parts) for parts in found.values())
    names: list[tuple[Path, str]] = []
    for path, parts in found.items():
        alone = shared[tuple(part.casefold() for part in parts)] == 1
        whole = parts if alone else (*_folders(path, len(parts)), *parts)
        names.append((path, "/".join(whole)))
    if len({name.casefold() for _, name in names}) < len(names):
        raise ConfigError("two of the recordings have the same path; name them one by one")
    return names


def for_each_recording(found: Sequence[tuple[Path, str]], do: Callable[[Path, str], None]) -> int:
    """Do it with each path and name; the exit status: 3 where recordings could not be read, 2 where none could.

    Of several recordings one that cannot be read is reported and left out. Raises FormatError where there is but one.
    """
    failed = 0
    for path, name in found:
        try:
            do(path, name)
        except FormatError as error:
            if len(found) == 1:
                raise
            log.error("%s", error)
            failed += 1
    if failed:
        log.error("%d of %d recordings could not be read and are left out", failed, len(found))
    return 0 if not failed else 2 if failed == len(found) else 3


def _folders(path: Path, depth: int) -> tuple[str, ...]:
    """The folder's own name above the part of the path that is used."""
    parents = path.resolve().parents
    return (parents[depth - 1].name,) if len(parents) > depth else ()
