"""Whether an FLV, AVI or transport stream file is whole: each piece ends where the next begins, counters go on.

Only where a writer keeps to the rule at the beginning of the file is a later breach taken for damage: some never do.
Layouts: Adobe's FLV 10.1, annex E; Microsoft's AVI RIFF reference; ISO 13818-1, 2.4.3.
"""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import BinaryIO

from tracker.video.matroska_check import faults_in as matroska_faults

__all__ = ["faults_in"]

FLV_HEAD, FLV_TAG, FLV_KINDS = 9, 11, {8, 9, 18}
TS_PACKET, TS_SYNC, TS_NULL = 188, 0x47, 0x1FFF
TS_BLOCK = 4096
RIFF_HEAD, CHUNK_HEAD = 12, 8
CHUNK_LETTERS = frozenset((string.ascii_letters + string.digits + " _").encode())


def faults_in(path: Path) -> int:
    """The number of places where the file is not what its writer left; 0 for other containers."""
    try:
        with path.open("rb") as file:
            head = file.read(4 * TS_PACKET + 1)
            size = os.fstat(file.fileno()).st_size
            if head.startswith(b"\x1a\x45\xdf\xa3"):
                return matroska_faults(path)
            if head.startswith(b"FLV"):
                return _flv_faults(file, int.from_bytes(head[5:9], "big"), size)
            if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
                return _avi_faults(file, size)
            if all(head[at : at + 1] == b"G" for at in range(0, 4 * TS_PACKET, TS_PACKET)):
                return _ts_faults(file)
    except OSError:
        return 0
    return 0


def _flv_faults(file: BinaryIO, first: int, size: int) -> int:
    """Each tag is followed by its own length."""
    at, tags, honours = first + 4, 0, True
    while at + FLV_TAG <= size:
        file.seek(at)
        head = file.read(FLV_TAG)
        length = FLV_TAG + int.from_bytes(head[1:4], "big")
        if head[0] & 0x1F not in FLV_KINDS or at + length > size:
            return int(tags > 0)
        file.seek(at + length)
        matches = int.from_bytes(file.read(4), "big") == length or at + length + 4 > size
        if tags < 3:
            honours = honours and matches
        elif honours and not matches:
            return 1
        at += length + 4
        tags += 1
    return int(tags > 0 and at < size)


def _ts_faults(file: BinaryIO) -> int:
    """Packets begin with their sync byte, and those of a stream that carry data are counted from 0 to 15."""
    counters: dict[int, int] = {}
    faults = 0
    file.seek(0)
    while block := file.read(TS_BLOCK * TS_PACKET):
        for at in range(0, len(block) - TS_PACKET + 1, TS_PACKET):
            if block[at] != TS_SYNC:
                return faults + 1
            pid = (block[at + 1] & 0x1F) << 8 | block[at + 2]
            control = block[at + 3]
            adapted = control & 0x20 and block[at + 4] > 0
            if adapted and block[at + 5] & 0x80:  # the writer says that the count begins anew
                counters.pop(pid, None)
            if pid == TS_NULL or not control & 0x10:
                continue
            last, counters[pid] = counters.get(pid), control & 0xF
            faults += last is not None and (control - last) & 0xF not in (0, 1)
    return faults


def _avi_faults(file: BinaryIO, size: int) -> int:
    """Chunks fill their lists without anything between."""
    at, faults = 0, 0
    while at + RIFF_HEAD <= size:
        file.seek(at)
        head = file.read(RIFF_HEAD)
        if head[:4] != b"RIFF":
            return faults  # players pass over what follows the last RIFF
        end = at + CHUNK_HEAD + int.from_bytes(head[4:8], "little")
        if end > size or end <= at + RIFF_HEAD:  # never completed, or cut off, which is told elsewhere
            return faults
        faults += _bad_chunks(file, at + RIFF_HEAD, end)
        at = end + end % 2
    return faults


def _bad_chunks(file: BinaryIO, at: int, end: int) -> int:
    while at + CHUNK_HEAD <= end:
        file.seek(at)
        head = file.read(RIFF_HEAD)
        stop = at + CHUNK_HEAD + int.from_bytes(head[4:8], "little")
        if not CHUNK_LETTERS.issuperset(head[:4]) or stop > end + 1:
            return 1
        if head[:4] == b"LIST" and head[8:12] in (b"movi", b"rec ") and _bad_chunks(file, at + RIFF_HEAD, stop):
            return 1
        at = stop + stop % 2
    return 0
