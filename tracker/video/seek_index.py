"""Which frame is shown when, and from which key packet it can be decoded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from jaxtyping import Int64
from numpy import ndarray

from tracker.video.file_reader import FileReader

__all__ = ["KeyPacket", "SeekIndex"]


@dataclass(frozen=True, slots=True)
class KeyPacket:
    """A place where decoding can start: the index of the frame it shows, and its decoding stamp."""

    frame: int
    dts: int


@dataclass(frozen=True, slots=True, eq=False)
class SeekIndex:
    """Presentation ticks of every frame, and the key packets, both ascending."""

    ticks: Int64[ndarray, " n"]
    keys: tuple[KeyPacket, ...]
    by_decoding: bool

    def __len__(self) -> int:
        return len(self.ticks)

    def frame_shown_at(self, ticks: int) -> int:
        """Index of the last frame whose time has come at `ticks`, 0 before the first."""
        return max(0, int(np.searchsorted(self.ticks, ticks, side="right")) - 1)

    def keys_before(self, frame: int) -> tuple[KeyPacket, ...]:
        """The key packets from which `frame` can be decoded, nearest first."""
        return self.keys[bisect_right(self.keys, frame, key=lambda key: key.frame) - 1 :: -1] if self.keys else ()

    @classmethod
    def from_packets(cls, reader: FileReader, first_ticks: int) -> SeekIndex | None:
        """From the packets' stamps alone, without decoding; None where they do not tell the frames and their order."""
        if reader.coded_order or reader.stream.codec_context.name == "vp8":  # vp8 has packets that show nothing
            return None
        stamps: list[int] = []
        keys: list[tuple[int, int]] = []
        last_dts: int | None = None
        for packet in reader.packets():
            if packet.size == 0:
                continue
            if packet.pts is None or packet.dts is None or packet.is_corrupt:
                return None
            if last_dts is not None and packet.dts <= last_dts:
                return None
            last_dts = packet.dts
            if packet.pts < first_ticks or packet.is_discard:
                continue
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append((packet.pts, packet.dts))
        ticks = np.unique(np.array(stamps, np.int64))
        if len(ticks) != len(stamps) or not len(ticks) or ticks[0] != first_ticks or reader.decoder.damage:
            return None
        shown = np.searchsorted(ticks, [pts for pts, _ in keys]).tolist()
        return cls(ticks, _ascending([(frame, dts) for frame, (_, dts) in zip(shown, keys, strict=True)]), False)

    @classmethod
    def from_decoding(cls, reader: FileReader) -> SeekIndex:
        """From decoding the whole file once: slower, and right also for damaged files and for coded-order stamps."""
        dts_of: dict[int | None, int] = {}
        ticks: list[int] = []
        shown: list[tuple[int, int | None]] = []
        for frame, shown_at in reader.decoder.frames(_noting_keys(reader.packets(), dts_of)):
            if frame.key_frame:
                shown.append((len(ticks), frame.pts))
            ticks.append(shown_at)
        keys = [(index, dts_of[stamp]) for index, stamp in shown if stamp in dts_of]
        return cls(np.array(ticks, np.int64), _ascending(keys), True)


def _noting_keys(
    packets: Iterator[Packet[VideoStream]], dts_of: dict[int | None, int]
) -> Iterator[Packet[VideoStream]]:
    """The packets, each key packet's decoding stamp noted under the stamp its frame will carry."""
    for packet in packets:
        yield packet
        if packet.is_keyframe and packet.dts is not None:
            dts_of[packet.pts] = packet.dts  # after the decoder has tagged it


def _ascending(keys: list[tuple[int, int]]) -> tuple[KeyPacket, ...]:
    return tuple(KeyPacket(frame, dts) for frame, dts in sorted(keys))
