"""Formats that are a folder of files: reading them in order, writing nothing outside."""

from __future__ import annotations

import re
from pathlib import Path

from tracker.errors import FormatError, SinkError
from tracker.formats.core.collector import Collector

__all__ = ["by_numbers", "files_in", "frame_number", "inside", "new_folder"]


def files_in(path: Path | str, suffix: str, *, subfolder: str) -> list[Path]:
    """The file itself, or the folder's files with that suffix by name; `subfolder` is looked into where it exists.

    Numbers in names count by their value: clip_2 stands before clip_10. Raises FormatError where there are none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    folder = path / subfolder if (path / subfolder).is_dir() else path
    try:
        found = sorted((item for item in folder.rglob("*") if _is_wanted(item, suffix)), key=by_numbers)
    except OSError as error:
        raise FormatError(f"{folder}: cannot be read: {error.strerror}") from error
    if not found:
        raise FormatError(f"{path}: expected a folder with {suffix} files, found none")
    return found


def _is_wanted(item: Path, suffix: str) -> bool:
    """Whether it is a file with the suffix, in any case, and not what a system leaves beside its files."""
    return item.suffix.lower() == suffix and not item.name.startswith(".") and "__MACOSX" not in item.parts


def by_numbers(path: Path | str) -> list[tuple[int, str]]:
    """A key that sorts names by the values of the numbers in them."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def frame_number(name: str, rows: Collector, where: str) -> int:
    """The number, from 0, of a video's frame from a file name such as street_000001.jpg."""
    end = re.search(r"_(\d{6,15})$", Path(name).stem)
    if end is None or int(end.group(1)) < 1:
        rows.refuse(where, f"expected a name that ends in the frame's number such as _000001, found {name!r}")
    return int(end.group(1)) - 1


def new_folder(path: Path | str) -> Path:
    """The folder, made where it is missing. Raises SinkError where that fails or it holds files already."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise SinkError(f"{folder}: cannot make the folder: {error.strerror}; try another place") from error
    if taken is not None:
        raise SinkError(f"{folder}: the folder is not empty (it holds {taken.name}); choose a new one")
    return folder


def inside(folder: Path, name: str) -> Path:
    """The path of a relative name below the folder. Raises SinkError for a name that leads out of it."""
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise SinkError(f"{name}: leads out of {folder}")
    return target
