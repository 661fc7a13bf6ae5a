"""How much of a fragmented MP4 is whole, and cutting off what is not: a file that a full disk left in the middle.

A box is its length in four bytes, its name in four, its content; a length of 1 stands for one of eight bytes behind the
name, one of 0 for the rest of the file (ISO/IEC 14496-12, 4.2). A fragment is a `moof` and the `mdat` after it.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cut_to_whole", "missing_bytes"]

HEAD, LONG_HEAD = 8, 16


def missing_bytes(path: Path) -> int:
    """How many bytes are at least missing at the end of the file; 0 where its last box is whole."""
    _, reaches, size = _measure(path)
    return max(0, reaches - size) if size else HEAD


def cut_to_whole(path: Path) -> None:
    """Leave whole fragments only; a file without a whole header is left alone."""
    whole, _, size = _measure(path)
    if 0 < whole < size:
        os.truncate(path, whole)


def _measure(path: Path) -> tuple[int, int, int]:
    """(where the last whole fragment ends, 0 before the header is whole; where the last box says it ends; size)."""
    size, at, whole, described = path.stat().st_size, 0, 0, False
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(LONG_HEAD)
            length, name = int.from_bytes(head[:4], "big"), head[4:HEAD]
            if length == 1:
                length = int.from_bytes(head[HEAD:LONG_HEAD], "big")
            length = size - at if length == 0 and len(head) >= HEAD else max(HEAD, length)
            at += length
            if at > size:
                break
            described = described or name == b"moov"
            if described and name != b"moof":
                whole = at
    return whole, at, size
