"""Whether a Matroska or WebM file is whole: elements end where the next begins, clusters are in order, checksums hold.

A demuxer goes on silently at the next cluster it can make out, so a range of the file that was overwritten, doubled or
moved would pass for a shorter recording. Layout: RFC 9559, RFC 8794.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["faults_in"]

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
VOID, CRC32 = 0xEC, 0xBF
TIMESTAMP, POSITION, PREVIOUS_SIZE = 0xE7, 0xA7, 0xAB
SIMPLE_BLOCK, BLOCK_GROUP = 0xA3, 0xA0
TOP_LEVEL = {
    *(CLUSTER, VOID, CRC32),
    *(0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1043A770, 0x1C53BB6B, 0x1941A469, 0x1254C367),  # SeekHead ... Tags
}
IN_CLUSTER = {TIMESTAMP, POSITION, PREVIOUS_SIZE, SIMPLE_BLOCK, BLOCK_GROUP, VOID, CRC32, 0x5854, 0xAF}
LONGEST_HEADER = 12
RESYNC_BLOCK = 1 << 20
CLUSTER_BYTES = CLUSTER.to_bytes(4, "big")
BLOCKS_REMEMBERED = 64


def faults_in(path: Path) -> int:
    """The number of places where the file is not what its writer left; 0 for what is no Matroska, or not there."""
    try:
        with path.open("rb") as file:
            return _Walk(file).faults()
    except OSError:
        return 0


class _Walk:
    """One pass over the headers of all elements, and over the bytes of clusters that carry a checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._count = 0
        self._cluster_size = 0
        self._newest: dict[int, int] = {}
        self._recent: dict[int, list[int]] = {}

    def faults(self) -> int:
        head = self._header(0, self._size)
        if head is None or head[0] != EBML or head[2] is None:
            return 0
        segment = self._header(head[2], self._size)
        if segment is None or segment[0] != SEGMENT:
            return 0
        start = segment[1]
        end = self._size if segment[2] is None else min(segment[2], self._size)
        position = start
        while position < end:
            header = self._header(position, end)
            if header is None or header[0] not in TOP_LEVEL:
                self._count += 1
                position = self._next_cluster(position + 1, end)
            elif header[0] != CLUSTER:
                position = end if header[2] is None else header[2]
            else:
                position = self._cluster(position, header[1], header[2], start, end)
        return self._count

    def _cluster(self, position: int, begin: int, stop: int | None, segment: int, end: int) -> int:
        """Walk through one cluster; where the next element is to be looked for."""
        limit = end if stop is None else min(stop, end)
        base = 0
        at = begin
        while at < limit:
            header = self._header(at, limit)
            if header is None or header[0] not in IN_CLUSTER or header[2] is None:
                if stop is None and header is not None and header[0] in TOP_LEVEL:
                    break
                self._count += 1
                self._cluster_size = 0
                return self._next_cluster(at, end)
            kind, content, after = header[0], header[1], header[2]
            if kind == CRC32 and at == begin and stop is not None and stop <= end:
                self._count += self._checksum_differs(content, after, stop)
            elif kind == TIMESTAMP:
                base = self._integer(content, after)
            elif kind == POSITION:
                stated = self._integer(content, after)
                self._count += stated not in (0, position - segment)
            elif kind == PREVIOUS_SIZE:
                stated = self._integer(content, after)
                self._count += self._cluster_size not in (0, stated)
            elif kind in (SIMPLE_BLOCK, BLOCK_GROUP):
                self._count += self._stands_twice(kind, content, after, base)
            at = after
        self._cluster_size = at - position
        return at

    def _checksum_differs(self, content: int, after: int, stop: int) -> bool:
        stated = int.from_bytes(self._read(content, after - content), "little")
        found, at = 0, after
        while at < stop:
            part = self._read(at, min(RESYNC_BLOCK, stop - at))
            if not part:
                return True
            found = zlib.crc32(part, found)
            at += len(part)
        return found != stated

    def _stands_twice(self, kind: int, content: int, after: int, base: int) -> bool:
        """Whether a block of the same track and time was there before, or a key frame is older than what was shown."""
        key = kind == SIMPLE_BLOCK
        if kind == BLOCK_GROUP:
            block = next((child for child in self._children(content, after) if child[0] == 0xA1), None)
            if block is None:
                return False
            content, after = block[1], block[2]
        raw = self._read(content, LONGEST_HEADER)
        track, length = _variable_integer(raw)
        if track is None or len(raw) < length + 3:
            return False
        time = base + int.from_bytes(raw[length : length + 2], "big", signed=True)
        key = key and bool(raw[length + 2] & 0x80)
        recent = self._recent.setdefault(track, [])
        twice = time in recent or (key and time < self._newest.get(track, time))
        recent.append(time)
        del recent[:-BLOCKS_REMEMBERED]
        self._newest[track] = max(time, self._newest.get(track, time))
        return twice

    def _children(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        while at < end:
            header = self._header(at, end)
            if header is None or header[2] is None:
                return
            yield header[0], header[1], header[2]
            at = header[2]

    def _header(self, at: int, end: int) -> tuple[int, int, int | None] | None:
        """An element's id, where its content begins and ends; None for what is no element, or does not fit."""
        raw = self._read(at, LONGEST_HEADER)
        if not raw or raw[0] < 0x10:
            return None
        id_length = 9 - raw[0].bit_length()
        size, size_length = _variable_integer(raw[id_length:])
        if not size_length:
            return None
        begin = at + id_length + size_length
        after = None if size is None else begin + size
        if after is not None and after > end and end < self._size:
            return None
        return int.from_bytes(raw[:id_length], "big"), begin, after

    def _next_cluster(self, at: int, end: int) -> int:
        """Where the next cluster's id stands, or the end."""
        while at < end:
            part = self._read(at, RESYNC_BLOCK)
            found = part.find(CLUSTER_BYTES)
            if found >= 0:
                return at + found
            if len(part) < RESYNC_BLOCK:
                break
            at += len(part) - len(CLUSTER_BYTES) + 1
        return end

    def _integer(self, content: int, after: int) -> int:
        return int.from_bytes(self._read(content, min(8, after - content)), "big")

    def _read(self, at: int, length: int) -> bytes:
        self._file.seek(at)
        return self._file.read(length)


def _variable_integer(raw: bytes) -> tuple[int | None, int]:
    """EBML's variable-size integer and its length; None stands for 'unknown', a length of 0 for none at all."""
    if not raw or raw[0] == 0:
        return None, 0
    length = 9 - raw[0].bit_length()
    if len(raw) < length:
        return None, 0
    marker = 1 << 7 * length
    value = int.from_bytes(raw[:length], "big") & marker - 1
    return (None if value == marker - 1 else value), length
