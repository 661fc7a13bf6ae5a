"""Reads a network stream in a thread of its own, because a blocking read cannot be called off."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Event, Thread
from typing import TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from tracker.video.hardware import Accelerator
from tracker.video.pacing import SEGMENTED_FORMATS, Pacing
from tracker.video.read_guard import ReadGuard
from tracker.video.refusal import NO_ANSWER, Refusal, refusal_of
from tracker.video.stream_options import is_broadcast, is_recorded, names_end, options_of, with_longer_probe

__all__ = ["PacketPump"]

MOST_WAITING = 256
MOST_WAITING_BYTES = 2**26
MOST_BEHIND_S = 1.0
GLANCE_S = 0.1
READ_TIMEOUT_S = 10.0
JUDGED_S = 0.8
"""How long the pace of what has no length is watched before it counts as live."""
OUTRUNS_S = 10.0
"""What brings so much of itself within that time is no live stream: that begins with a few seconds its server kept."""
END_TOLERANCE_S = 0.5
"""Between the last frame and the duration, of what is over."""
MULTIPART = "mpjpeg"
"""FFmpeg's name for JPEG images over HTTP, each with a head of its own."""

Arrived: TypeAlias = "tuple[Packet[VideoStream], float]"


class PacketPump:
    """One connection: opened and read in the background, its packets taken in the foreground.

    Packets that wait longer than a second for a slow decoder make room, if the stream is live: decoding goes on at
    the newest key frame, and `dropped` counts what lay before it. A live stream of segments, which arrive whole, is
    read at its own pace; its packets arrive when they are due. What has a duration and no length is judged by its
    pace first, unless the caller knows that it is `live`. A server that floods is left, as `ReadGuard` says. The
    thread ends by itself soon after `stop`, and closes the connection.
    """

    def __init__(
        self,
        address: str,
        *,
        open_timeout_s: float,
        rtsp_transport: str = "tcp",
        hardware: Accelerator | None = None,
        by_images: bool = False,
        live: bool = False,
    ):
        self.failure: str | None = None
        """Why opening or reading ended, without the address; None while it goes on or after a proper end."""
        self.refusal: Refusal | None = None
        """What `failure` means where it did not open."""
        self.container: InputContainer | None = None
        self.live = live or is_broadcast(address)
        self.names_end = False
        """Whether it is over where it ends at its duration, though the server stated no length."""
        self.dropped = 0
        self.arrival = 0.0
        """When the packet taken last arrived, on the monotonic clock."""
        self.opened_at = 0.0
        self._open_timeout_s = open_timeout_s
        self._rtsp_transport = rtsp_transport
        self._hardware = hardware
        self._by_images = by_images
        """Whether JPEG images are told apart by where they begin, whatever is sent about their lengths."""
        self.false_lengths = False
        """Whether it broke off because its JPEG images are not as long as it said."""
        self._address = address
        self._opened = Event()
        self._stop = Event()
        self._changed = Condition()
        self._guard = ReadGuard(self._stop)
        self._waiting: deque[Arrived] = deque()
        self._waiting_bytes = 0
        self._at_end = False
        self._wants_key = False
        self._thread = Thread(target=self._run, name="stream reader", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Packets that have arrived and not been taken."""
        return len(self._waiting)

    @property
    def running(self) -> bool:
        """Whether its thread has not ended yet."""
        return self._thread.is_alive()

    def wait_until_open(self) -> bool:
        """Whether a connection came about; False after a failure or when the time limit passed.

        One that broke off since is one that came about: what it sent before is still to be taken.
        """
        if not self._opened.wait(self._open_timeout_s):
            self.refusal = NO_ANSWER
            self.failure = f"no answer within {self._open_timeout_s:g} s"
            return False
        return self.container is not None

    def packets(
        self, stream: VideoStream, give_up: Callable[[], str | None], arrived: Callable[[], None]
    ) -> Iterator[Packet[VideoStream]]:
        """Packets of `stream` as they come, until the connection ends or `give_up` has a reason.

        `arrived` is called for every packet of the connection.
        """
        while not self._stop.is_set():
            with self._changed:
                if not self._waiting and not self._at_end:
                    self._changed.wait(GLANCE_S)
                if not self._waiting and self._at_end:
                    return
                packet, self.arrival = self._take() if self._waiting else (None, self.arrival)
                self._changed.notify_all()
            if packet is not None:
                arrived()
                if packet.stream.index == stream.index:
                    yield packet
            if (reason := give_up()) is not None:
                self.failure = self.failure or reason
                return

    def stop(self) -> None:
        """Let the thread end, whatever it waits for. The container and its packets must not be used any more."""
        self._stop.set()

    def _run(self) -> None:
        began = time.monotonic()
        self._guard.begin()
        try:
            container = self._open()
        except (av.FFmpegError, OSError, ValueError) as error:
            late = time.monotonic() - began > 0.9 * self._open_timeout_s / 2
            flood = self._guard.failure
            self.refusal = Refusal(flood) if flood else NO_ANSWER if late else refusal_of(error, self._address)
            self.failure = self.refusal.reason
            self._opened.set()
            return
        self.container = container
        self.names_end = not is_broadcast(self._address) and names_end(container)
        packets = container.demux(container.streams.video)
        try:
            recorded = is_recorded(container)
            if recorded is None and not self.live:
                recorded = self._outruns_life(container, packets)
            self.live = self.live or not recorded
            self.opened_at = time.monotonic()
            self._opened.set()
            pacing = Pacing() if self.live and container.format.name.startswith(SEGMENTED_FORMATS) else None
            for packet in packets:
                if self._guard.failure:  # what was read of it until then
                    break
                self._guard.begin()
                if pacing is not None:
                    self._wait_until_due(packet, pacing)
                if packet.size and not self._put(packet):
                    break
        except (av.FFmpegError, OSError) as error:
            self.failure = self._guard.failure or _reason(error)
            self.false_lengths = container.format.name == MULTIPART and isinstance(error, av.InvalidDataError)
        self.failure = self.failure or self._guard.failure
        self.live = self.live or not self._opened.is_set()  # broken off while it was judged
        with self._changed:
            self._at_end = True
            self._changed.notify_all()
        self._opened.set()
        self._stop.wait()
        container.close()

    def _open(self) -> InputContainer:
        """The connection. Its probe is brief, for frames come slowly, and longer where that recognizes nothing."""
        timeout = (self._open_timeout_s / 2, READ_TIMEOUT_S)
        options = options_of(self._address, rtsp_transport=self._rtsp_transport)
        accelerated = None if self._hardware is None else self._hardware.settings
        named = "mjpeg" if self._by_images else None
        while True:
            try:
                container = av.open(self._address, format=named, options=options, timeout=timeout, hwaccel=accelerated)
            except av.InvalidDataError:
                longer = with_longer_probe(options, None)
                if longer == options:
                    raise
            else:
                longer = with_longer_probe(options, container)
                if longer == options:
                    return container
                container.close()
            options = longer

    def _outruns_life(self, container: InputContainer, packets: Iterator[Packet[VideoStream]]) -> bool:
        """Whether it comes much faster than it happened, or all of it has come at once."""
        began, first, span_s = time.monotonic(), None, 0.0
        for packet in packets:
            self._guard.begin()
            if packet.dts is not None and packet.time_base is not None:
                seconds = float(packet.dts * packet.time_base)
                first = seconds if first is None else first
                span_s = seconds + float((packet.duration or 0) * packet.time_base) - first
            if packet.size and not self._put(packet):
                break
            full = len(self._waiting) == MOST_WAITING or self._waiting_bytes > MOST_WAITING_BYTES / 2
            if span_s > OUTRUNS_S or full:  # nobody takes packets yet
                return True
            if time.monotonic() - began > JUDGED_S:
                return False
        return span_s > (container.duration or 0) / av.time_base - END_TOLERANCE_S

    def _wait_until_due(self, packet: Packet[VideoStream], pacing: Pacing) -> None:
        if packet.dts is not None and packet.time_base is not None:
            now = time.monotonic()
            self._stop.wait(pacing.due(float(packet.dts * packet.time_base), now) - now)

    def _put(self, packet: Packet[VideoStream]) -> bool:
        arrival = time.monotonic()
        with self._changed:
            while not self._stop.is_set():
                if self.live and self._waiting and time.monotonic() - self._waiting[0][1] > MOST_BEHIND_S:
                    self._skip_to_newest_key(packet)
                if not self._waiting or self._has_room(packet):
                    break
                self._changed.wait(GLANCE_S)
            else:
                return False
            if self._wants_key and not packet.is_keyframe:
                self.dropped += 1
                return True
            self._wants_key = False
            self._waiting.append((packet, arrival))
            self._waiting_bytes += packet.size
            self._changed.notify_all()
        return True

    def _has_room(self, packet: Packet[VideoStream]) -> bool:
        return len(self._waiting) < MOST_WAITING and self._waiting_bytes + packet.size <= MOST_WAITING_BYTES

    def _take(self) -> Arrived:
        packet, arrival = self._waiting.popleft()
        self._waiting_bytes -= packet.size
        return packet, arrival

    def _skip_to_newest_key(self, arriving: Packet[VideoStream]) -> None:
        """Let go of what waits before the newest key frame, or of all until the next one where none waits."""
        places = [place for place, (packet, _) in enumerate(self._waiting) if packet.is_keyframe]
        gone = len(self._waiting) if arriving.is_keyframe or not places or not places[-1] else places[-1]
        self._wants_key = gone == len(self._waiting)
        for _ in range(gone):
            self._take()
        self.dropped += gone


def _reason(error: Exception) -> str:
    """What went wrong, without the address that FFmpeg puts beside it."""
    if isinstance(error, av.error.ExitError):
        return NO_ANSWER.reason
    return getattr(error, "strerror", None) or type(error).__name__
