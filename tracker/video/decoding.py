"""From packets to decoded frames with repaired stamps, going on after damage and counting it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tracker.video.completeness import GapWatch, is_contiguous
from tracker.video.stamps import CodedOrderStamps, PresentationStamps, Stamps

__all__ = ["StreamDecoder", "frame_rate", "has_coded_order", "nominal_step", "use_threads"]

MOST_THREADS = 4
MOST_READ_FAILURES = 32
MOST_IN_FLIGHT = 32
HIGHEST_RATE = 1000
RATELESS_STEP_S = Fraction(1, 25)
CODED_ORDER_FORMATS = {"avi", "h264", "hevc", "m4v", "mpegvideo", "av1", "obu", "vvc"}
CUT_ANYWHERE_FORMATS = {"mpegts", "mpeg", "rtsp", "rtp", "sdp", "hls", "h264", "hevc", "mpegvideo"}


def use_threads(stream: VideoStream, requested: int, *, live: bool = False) -> None:
    """Let the decoder, before its first packet, use that many threads, or for 0 one per two cores, at most four.

    Live input is decoded by slices: threads that work on whole frames hold back one frame each.

    All stages share the cores: at 1080p H.264 one thread decodes 400 frames/s for 2.5 ms of processor time each,
    two threads 600 frames/s for 3.0 ms each.
    """
    automatic = max(1, min(MOST_THREADS, (os.cpu_count() or 2) // 2))
    stream.codec_context.thread_count = requested if requested > 0 else automatic
    stream.codec_context.thread_type = "SLICE" if live else "AUTO"


def frame_rate(stream: VideoStream) -> Fraction | None:
    """Frames per second as far as the container says; clock rates posing as frame rates are not believed."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate < HIGHEST_RATE:
            return Fraction(rate)
    return None


def has_coded_order(container: InputContainer) -> bool:
    """Whether the container's stamps tell the order of decoding only."""
    return bool(CODED_ORDER_FORMATS & set(container.format.name.split(",")))


def nominal_step(stream: VideoStream) -> int:
    """Ticks from one frame to the next at the nominal rate, at least 1."""
    rate = frame_rate(stream)
    step_s = 1 / rate if rate else RATELESS_STEP_S
    return max(1, round(step_s / Fraction(stream.time_base or Fraction(1, 1000))))


class StreamDecoder:
    """Frames of one video stream in presentation order, each with its ticks.

    `damage` counts the places where reading or decoding failed: neighbouring failures are one place. What a
    transport stream holds before its first key frame is no damage.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, *, resumed: bool = False):
        self.damage = 0
        self._container = container
        self._stream = stream
        self._in_damage = resumed or bool(CUT_ANYWHERE_FORMATS & set(container.format.name.split(",")))
        time_base = Fraction(stream.time_base or Fraction(1, 1000))
        step = nominal_step(stream)
        coded_order = has_coded_order(container)
        contiguous = is_contiguous(container)
        self._gaps = GapWatch(stream.index, step) if contiguous else None
        self._streams = list(container.streams) if contiguous else [stream]
        self._recent: deque[int | None] = deque(maxlen=MOST_IN_FLIGHT)
        self.last_key_pts: int | None = None
        self.latest_s = 0.0
        """Where the newest packet of any stream that was read ends."""
        self._stamps: Stamps = CodedOrderStamps(step) if coded_order else PresentationStamps(time_base, step)

    def frames(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[tuple[VideoFrame, int]]:
        """Decode `packets` and what the decoder still holds at their end."""
        for packet in packets:
            if packet.size == 0:
                continue
            if packet.is_keyframe:
                self.last_key_pts = packet.pts
            self._recent.append(packet.pts)
            self._stamps.tag(packet)
            if packet.is_corrupt:
                self._note_damage()
            yield from self._decode(packet)
        yield from self._decode(None)

    def unseen_after(self, ticks: int) -> bool:
        """Whether packets to be shown after `ticks` were sent to the decoder lately."""
        return any(stamp is not None and stamp > ticks for stamp in self._recent)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets to the end of the file, going on after places that cannot be read."""
        failures = 0
        while failures < MOST_READ_FAILURES:
            try:
                for packet in self._container.demux(*self._streams):
                    failures = 0
                    if packet.pts is not None and packet.time_base is not None:
                        self.latest_s = max(
                            self.latest_s, float((packet.pts + (packet.duration or 0)) * packet.time_base)
                        )
                    if self._gaps is not None and self._gaps.misses_before(packet):
                        self._note_damage()
                    if packet.stream.index == self._stream.index:
                        yield cast("Packet[VideoStream]", packet)
                return
            except av.FFmpegError:
                self._note_damage()
                failures += 1

    def _decode(self, packet: Packet[VideoStream] | None) -> Iterator[tuple[VideoFrame, int]]:
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._note_damage()
            return
        for frame in frames:
            if frame.is_corrupt:
                self._note_damage()
            else:
                self._in_damage = False
            yield frame, self._stamps.stamp(frame)

    def _note_damage(self) -> None:
        self.damage += not self._in_damage
        self._in_damage = True
