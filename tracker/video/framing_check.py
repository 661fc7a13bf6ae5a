"""Whether an FLV, AVI, Matroska or transport stream file is whole: each piece ends where the next begins.

Only where a writer keeps to the rule at the beginning of the file is a later breach taken for damage: some never do.
Layouts: Adobe's FLV 10.1, annex E; Microsoft's AVI RIFF reference.
"""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import BinaryIO

from tracker.video.matroska_check import faults_in as matroska_faults
from tracker.video.transport_check import ReadFrames
from tracker.video.transport_check import faults_in as transport_faults

__all__ = ["faults_in"]

FLV_HEAD, FLV_TAG, FLV_KINDS = 9, 11, {8, 9, 18}
RIFF_HEAD, CHUNK_HEAD = 12, 8
CHUNK_LETTERS = frozenset((string.ascii_letters + string.digits + " _").encode())


def faults_in(path: Path, container: str, read: ReadFrames | None = None) -> int:
    """The number of places where the file is not what its writer left; 0 for other containers.

    `container` is FFmpeg's name for it, `read` what a transport stream gave.
    """
    try:
        if container == "mpegts":
            return transport_faults(path, read)
        with path.open("rb") as file:
            head = file.read(FLV_HEAD + RIFF_HEAD)
            size = os.fstat(file.fileno()).st_size
            if head.startswith(b"\x1a\x45\xdf\xa3"):
                return matroska_faults(path)
            if head.startswith(b"FLV"):
                return _flv_faults(file, int.from_bytes(head[5:9], "big"), size)
            if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
                return _avi_faults(file, size)
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


def _avi_faults(file: BinaryIO, size: int) -> int:
    """Chunks fill their lists without anything between."""
    at, faults = 0, 0
    while at + RIFF_HEAD <= size:
        file.seek(at)
        head = file.read(RIFF_HEAD)
        if head[:4] != b"RIFF":
            return faults  # players pass over what follows the last RIFF
        end = at + CHUNK_HEAD + int.from_bytes(head[4:8], "little")
        if end > size or end <= at + RIFF_HEAD:  # never completed, or cut off, which is reported elsewhere
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
