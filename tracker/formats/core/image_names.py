r"""Names of images that were written on another machine: with backslashes, drives, folders above, or as an address.

A file that says C:\Users\me\set\images\a.jpg or ../../upload/4/a.jpg means the image that lies beside it as
images/a.jpg or a.jpg. No name that comes out of here leads out of its folder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["find_image", "is_elsewhere", "relative_names", "relative_parts"]

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
DRIVE = re.compile(r"[A-Za-z]:(?=/)")


def is_elsewhere(name: str) -> bool:
    """Whether a name leads out of the folder it stands in: from a root, a drive, an address, or a folder above."""
    slashed = name.replace("\\", "/")
    return slashed.startswith("/") or bool(DRIVE.match(slashed) or ADDRESS.match(slashed)) or ".." in slashed.split("/")


def relative_parts(name: str) -> tuple[str, ...]:
    """The folders and the file name of a name, without root, drive, server and folders above; empty for no name."""
    if ADDRESS.match(name):
        split = urlsplit(name)
        query = parse_qs(split.query).get("d")  # Label Studio: .../data/local-files/?d=folder/a.jpg
        name = query[0] if query else unquote(split.path)
    parts: list[str] = []
    for part in DRIVE.sub("", name.replace("\\", "/"), count=1).split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def relative_names(names: Sequence[str]) -> list[str]:
    """The names with forward slashes; those that lead elsewhere below the folders that they have in common."""
    parts = [relative_parts(name) for name in names]
    outside = {place for place, name in enumerate(names) if is_elsewhere(name)}
    folders = [parts[place][:-1] for place in outside]
    common = _common(folders)
    short = ["/".join(own[common:] if place in outside else own) for place, own in enumerate(parts)]
    counts = Counter(short)
    ambiguous = {place for place in outside if counts[short[place]] > 1}
    return ["/".join(parts[place]) if place in ambiguous else name for place, name in enumerate(short)]


def _common(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders all of these paths begin with together."""
    if not folders:
        return 0
    first, last = min(folders), max(folders)
    pairs = list(zip(first, last, strict=False))
    return next((place for place, (a, b) in enumerate(pairs) if a != b), len(pairs))


def find_image(name: str, folders: Iterable[Path]) -> Path | None:
    """The image of that name in one of the folders: under its whole name, else under its last parts, longest first.

    None where there is no file of its bare name either.
    """
    parts, folders = relative_parts(name), list(folders)
    for start in range(len(parts)):
        rest = Path(*parts[start:])
        found = next((folder / rest for folder in folders if (folder / rest).is_file()), None)
        if found is not None:
            return found
    return None
