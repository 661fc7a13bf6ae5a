"""Presentation times for decoded frames, also where the container's stamps are missing, repeated or in coded order."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

__all__ = ["CodedOrderStamps", "PresentationStamps", "Stamps"]

LONGEST_STEP_BACK_S = 1.0
"""A longer step back is a new clock (a spliced stream), a shorter one a faulty stamp."""


class PresentationStamps:
    """Strictly increasing ticks from the frames' own presentation stamps.

    A missing stamp is the last one plus a nominal step; a stamp that does not advance becomes the last one plus
    one tick; after a long step back (a spliced transport stream) the clock goes on from where it was.
    """

    def __init__(self, time_base: Fraction, step: int):
        self._step = step
        self._longest_step_back = round(LONGEST_STEP_BACK_S / time_base)
        self._last: int | None = None
        self._offset = 0

    def tag(self, packet: Packet[VideoStream]) -> None:
        """Nothing to note: the decoder hands the packet's stamp through."""

    def stamp(self, frame: VideoFrame) -> int:
        """Presentation ticks of a frame that just left the decoder."""
        last = self._last
        own = frame.pts
        if own is None:
            ticks = 0 if last is None else last + self._step
        else:
            ticks = own + self._offset
            if last is not None and last - ticks > self._longest_step_back:
                self._offset += last + self._step - ticks
                ticks = last + self._step
        if last is not None:
            ticks = max(ticks, last + 1)
        self._last = ticks
        return ticks


class CodedOrderStamps:
    """Presentation ticks for containers that only know the order of decoding (AVI, raw streams).

    The n-th frame shown takes the n-th smallest stamp. Packets that never gave a frame are found when a later key
    frame comes out (everything coded before it is shown before it) and their share of the stamps is dropped.
    """

    def __init__(self, step: int):
        self._step = step
        self._count = 0
        self._next_stamp = 0
        self._waiting: list[int] = []
        self._in_flight: dict[int, None] = {}
        self._last: int | None = None

    def tag(self, packet: Packet[VideoStream]) -> None:
        """Note the packet's stamp and number it, so that its frame can be recognized when it comes out."""
        stamp = self._next_stamp if packet.dts is None else packet.dts
        self._next_stamp = stamp + self._step
        heappush(self._waiting, stamp)
        packet.pts = self._count
        self._in_flight[self._count] = None
        self._count += 1

    def stamp(self, frame: VideoFrame) -> int:
        """Presentation ticks of a frame that just left the decoder."""
        number = frame.pts
        if number is not None:
            self._in_flight.pop(number, None)
            if frame.key_frame:
                self._drop_lost(before=number)
        last = self._last
        ticks = heappop(self._waiting) if self._waiting else (0 if last is None else last + self._step)
        if last is not None:
            ticks = max(ticks, last + 1)
        self._last = ticks
        return ticks

    def _drop_lost(self, before: int) -> None:
        for number in [number for number in self._in_flight if number < before]:
            del self._in_flight[number]
            if len(self._waiting) > 1:
                heappop(self._waiting)


Stamps = PresentationStamps | CodedOrderStamps
