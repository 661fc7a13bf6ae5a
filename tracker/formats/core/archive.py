"""Exports as programs hand them out: zipped, or as a folder around the one file that is meant."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tracker.errors import FormatError
from tracker.formats.core.class_names import NAME_FILES

__all__ = ["opened"]

MOST_BYTES = 32 * 2**30
"""Of an archive's content: more is not unpacked, nor what claims to be."""
NOT_MEANT = (*NAME_FILES, "info.json", "readme.txt", "seqinfo.txt")
"""Files beside annotations with the suffix of some format."""


@contextmanager
def opened(path: Path, suffix: str) -> Iterator[Path]:
    """What to read for a file, folder or zip archive of a format whose files have that suffix, '' for folders.

    Of an archive or folder this is the only file with the suffix that can be meant. Raises FormatError where there is
    none or more than one, and for an archive that cannot be unpacked; errors in an archive name it.
    """
    if path.is_file() and zipfile.is_zipfile(path):
        with TemporaryDirectory(prefix="sightline-") as folder:
            inner = Path(folder) / path.name
            try:
                _unpack(path, inner)
                yield _meant(_single(inner), suffix)
            except FormatError as error:
                raise FormatError(str(error).replace(str(inner), str(path))) from error
    else:
        yield _meant(path, suffix)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise FormatError(f"{path}: holds more than {MOST_BYTES >> 30} GiB; unpack it yourself")
            archive.extractall(folder)  # names that lead out of the folder are made to stay inside
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise FormatError(f"{path}: cannot be unpacked: {error}") from error
    except RuntimeError as error:  # an encrypted one
        raise FormatError(f"{path}: cannot be unpacked: {error}; unpack it yourself") from error


def _single(folder: Path) -> Path:
    """The folder that all is in."""
    while True:
        inner = [entry for entry in folder.iterdir() if entry.name != "__MACOSX"]
        if len(inner) != 1 or not inner[0].is_dir():
            return folder
        folder = inner[0]


def _meant(path: Path, suffix: str) -> Path:
    """The file inside a folder, for a format of single files."""
    if not suffix or not path.is_dir():
        return path
    found = sorted(file for file in path.rglob(f"*{suffix}") if file.is_file() and _may_be_meant(file))
    if len(found) != 1:
        names = ", ".join(file.relative_to(path).as_posix() for file in found[:5]) or "none"
        raise FormatError(f"{path}: expected one {suffix} file in it, found {len(found)} ({names}); name the one")
    return found[0]


def _may_be_meant(file: Path) -> bool:
    return not file.name.startswith(".") and "__MACOSX" not in file.parts and file.name.lower() not in NOT_MEANT
