"""Whether a transport stream file is whole: its packets follow each other, counters go on, every frame came out.

Layout: ISO 13818-1, 2.4.3. Packets of 192 bytes have a time in front (Blu-ray, AVCHD), those of 204 a checksum behind.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["ReadFrames", "faults_in"]

PACKET, SYNC, NULL = 188, 0x47, 0x1FFF
PACKET_SIZES = (188, 192, 204)
LOOKED_AT_BYTES = 1 << 18
PACKETS_AT_ONCE = 4096
PES_HEAD, VIDEO_STREAM_IDS = b"\0\0\1", range(0xE0, 0xF0)
CLOCK_TICKS = 1 << 33
MOST_LOST = 0.1
"""Where more frames than that are announced than came out, the writer announces something else, such as fields."""


@dataclass(frozen=True, slots=True)
class ReadFrames:
    """What was decoded of a file from its start to its end."""

    packet_id: int
    """Of the stream they are in."""
    first_ticks: int
    """The first one's time stamp, by the 90 kHz clock of the stream."""
    later: int
    """How many came after it."""
    interlaced: bool
    """Whether some were made of two fields, each of which may have a time stamp of its own."""


def faults_in(path: Path, read: ReadFrames | None = None) -> int:
    """The number of places where the file is not what its writer left.

    A packet that carries a time stamp begins a frame with it; those that never came out are faults too. What lies
    before the first whole packet is none: recordings begin anywhere. Raises OSError.
    """
    faults, announced, counters = 0, 0, dict[int, int]()
    with path.open("rb") as file:
        size, first = _framing(file.read(LOOKED_AT_BYTES))
        whole = first + (os.fstat(file.fileno()).st_size - first) // size * size
        file.seek(first)
        while file.tell() < whole and (block := file.read(size * PACKETS_AT_ONCE)):
            for at in range(0, len(block) - PACKET + 1, size):
                if block[at] != SYNC:
                    return faults + 1
                packet_id = (block[at + 1] & 0x1F) << 8 | block[at + 2]
                control = block[at + 3]
                adapted = control & 0x20 and block[at + 4] > 0
                if adapted and block[at + 5] & 0x80:  # the writer says that the count begins anew
                    counters.pop(packet_id, None)
                if packet_id == NULL or not control & 0x10:
                    continue
                last, counters[packet_id] = counters.get(packet_id), control & 0xF
                faults += last is not None and (control - last) & 0xF not in (0, 1)
                if read is not None and packet_id == read.packet_id and block[at + 1] & 0x40 and last != control & 0xF:
                    payload = at + 4 + (1 + block[at + 4] if control & 0x20 else 0)
                    announced += _is_later(block[payload : at + PACKET], read.first_ticks)
    if read is not None and not read.interlaced and read.later < announced <= read.later / (1 - MOST_LOST):
        faults += announced - read.later
    return faults


def _is_later(payload: bytes, ticks: int) -> bool:
    """Whether frames begin here with a stamp after that one."""
    if payload[:3] != PES_HEAD or len(payload) < 14 or payload[3] not in VIDEO_STREAM_IDS or not payload[7] & 0x80:
        return False
    high, middle, low = (
        payload[9] >> 1 & 7,
        (payload[10] << 8 | payload[11]) >> 1,
        (payload[12] << 8 | payload[13]) >> 1,
    )
    return 0 < ((high << 30 | middle << 15 | low) - ticks) % CLOCK_TICKS < CLOCK_TICKS // 2


def _framing(head: bytes) -> tuple[int, int]:
    """The size of the packets, by how many sync bytes lie that far apart, and where the first one is."""
    syncs = np.frombuffer(head, np.uint8) == SYNC
    size = max(PACKET_SIZES, key=lambda size: int((syncs[:-size] & syncs[size:]).sum()))
    if head[:1] == bytes([SYNC]):
        return size, 0
    begins = np.flatnonzero(syncs[: -2 * size] & syncs[size:-size] & syncs[2 * size :])
    return size, int(begins[0]) if len(begins) else 0
