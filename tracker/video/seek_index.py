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
    """A place where decoding can start: the index of the frame it shows, and its packet's stamp."""

    frame: int
    stamp: int


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
        return self.keys[: bisect_right(self.keys, frame, key=lambda key: key.frame)][::-1]

    @classmethod
    def from_packets(cls, reader: FileReader, first_ticks: int) -> SeekIndex | None:
        """From the packets' stamps alone, without decoding; None where they do not tell the frames and their order."""
        if reader.coded_order or reader.stream.codec_context.name == "vp8":  # vp8 has packets that show nothing
            return None
        stamps: list[int] = []
        keys: list[int] = []
        last_dts: int | None = None
        for packet in reader.packets():
            if packet.size == 0:
                continue
            if packet.pts is None or packet.is_corrupt:
                return None
            if packet.dts is not None:
                if last_dts is not None and packet.dts <= last_dts:
                    return None
                last_dts = packet.dts
            if packet.pts < first_ticks or packet.is_discard:
                continue
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        ticks = np.unique(np.array(stamps, np.int64))
        if len(ticks) != len(stamps) or not len(ticks) or ticks[0] != first_ticks or reader.decoder.damage:
            return None
        shown = np.searchsorted(ticks, keys).tolist()
        return cls(ticks, _ascending(list(zip(shown, keys, strict=True))), False)

    @classmethod
    def from_decoding(cls, reader: FileReader) -> SeekIndex:
        """From decoding the whole file once: slower, and right also for damaged files and for coded-order stamps."""
        stamp_of: dict[int | None, int] = {}
        ticks: list[int] = []
        shown: list[tuple[int, int | None]] = []
        for frame, shown_at in reader.decoder.frames(_noting_keys(reader, stamp_of)):
            if frame.key_frame:
                shown.append((len(ticks), frame.pts))
            ticks.append(shown_at)
        keys = [(index, stamp_of[own]) for index, own in shown if own in stamp_of]
        return cls(np.array(ticks, np.int64), _ascending(keys), True)


def _noting_keys(reader: FileReader, stamp_of: dict[int | None, int]) -> Iterator[Packet[VideoStream]]:
    """The packets, each key packet's stamp noted under the one its frame will carry."""
    for packet in reader.packets():
        stamp = reader.stamp(packet)
        yield packet
        if packet.is_keyframe and stamp is not None:
            stamp_of[packet.pts] = stamp  # after the decoder has tagged it


def _ascending(keys: list[tuple[int, int]]) -> tuple[KeyPacket, ...]:
    return tuple(KeyPacket(frame, stamp) for frame, stamp in sorted(keys))
