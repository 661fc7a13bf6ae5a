"""Signs that a file lost bytes: a container shorter than it says, or packets missing between two others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.packet import Packet

__all__ = ["GapWatch", "has_shrunk", "is_contiguous", "is_cut_off"]

HEAD_BYTES = 4096
RIFF_HEADER = 8
UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF)
EBML_ID, SEGMENT_ID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
TS_SYNC, TS_PACKET_SIZES = 0x47, (188, 192, 204)
MOST_OVERHEAD = 256
WIDEST_STEP = 1.5
CONTIGUOUS_FORMATS = {"matroska", "webm", "flv", "avi"}


def is_cut_off(path: Path) -> bool:
    """Whether an AVI, Matroska or transport stream file is shorter than its own framing says.

    Other containers are judged by the duration they promise. A recording whose header was never completed makes no
    promise, so it is not cut off; neither is one that was deleted while it was read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    if head.startswith(b"RIFF"):
        promised = int.from_bytes(head[4:8], "little")
        return promised not in UNKNOWN_RIFF_SIZES and size + 1 < promised + RIFF_HEADER
    if head.startswith(EBML_ID):
        end = _segment_end(head)
        return end is not None and size < end
    for packet_size in TS_PACKET_SIZES:
        first = packet_size - 188 if packet_size == 192 else 0
        if len(head) > 4 * packet_size and all(head[first + i * packet_size] == TS_SYNC for i in range(4)):
            return size % packet_size != 0
    return False


def has_shrunk(path: Path, opened: os.stat_result) -> bool:
    """Whether the file that was opened has lost bytes since; one that took its place, or was deleted, has not."""
    try:
        now = path.stat()
    except OSError:
        return False
    return (now.st_ino, now.st_dev) == (opened.st_ino, opened.st_dev) and now.st_size < opened.st_size


def is_contiguous(container: InputContainer) -> bool:
    """Whether the container's packets follow each other in the file with hardly anything between."""
    return bool(CONTIGUOUS_FORMATS & set(container.format.name.split(",")))


class GapWatch:
    """Tells, packet by packet in file order, where both bytes and time went missing.

    Either alone is innocent: players store other things between packets, and pauses are part of variable frame rates.
    """

    def __init__(self, video_index: int, step: int):
        self._video_index = video_index
        self._step = step
        self._begin: int | None = None
        self._end = 0
        self._unaccounted = 0
        self._last_stamp: int | None = None

    def misses_before(self, packet: Packet[Any]) -> bool:
        """Whether video is missing between the packets before and this one."""
        if packet.pos is None or packet.size == 0:
            return False
        if packet.pos == self._begin:  # several frames laced into one block
            self._end += packet.size
        else:
            if self._begin is not None:
                self._unaccounted = max(self._unaccounted, packet.pos - self._end)
            self._begin, self._end = packet.pos, packet.pos + packet.size
        if packet.stream.index != self._video_index:
            return False
        stamp = packet.pts if packet.dts is None else packet.dts
        last, self._last_stamp = self._last_stamp, stamp
        unaccounted, self._unaccounted = self._unaccounted, 0
        if last is None or stamp is None or unaccounted <= MOST_OVERHEAD:
            return False
        return stamp - last > WIDEST_STEP * self._step


def _segment_end(head: bytes) -> int | None:
    """Where the first Matroska segment ends, None where its size is left open."""
    header_size, header_bytes = _variable_integer(head, len(EBML_ID))
    segment = len(EBML_ID) + header_bytes + (header_size or 0)
    if head[segment : segment + 4] != SEGMENT_ID:
        return None
    size, size_bytes = _variable_integer(head, segment + 4)
    return None if size is None else segment + 4 + size_bytes + size


def _variable_integer(buffer: bytes, position: int) -> tuple[int | None, int]:
    """EBML's variable-size integer (RFC 8794, section 4) and its length; None stands for 'unknown'."""
    if position >= len(buffer) or buffer[position] == 0:
        return None, 0
    length = 9 - buffer[position].bit_length()
    marker = 1 << 7 * length
    value = int.from_bytes(buffer[position : position + length], "big") & marker - 1
    return (None if value == marker - 1 else value), length
