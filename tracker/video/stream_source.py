"""A network stream (RTSP, RTMP, HTTP, UDP ...) as Frames; it comes back after breaking off."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from threading import Event

import av
from av.video.frame import VideoFrame

from tracker.errors import SourceError
from tracker.types import Frame, SourceInfo
from tracker.video.address import redact
from tracker.video.backoff import Backoff
from tracker.video.decoding import StreamDecoder, frame_rate, use_threads
from tracker.video.packet_pump import PacketPump
from tracker.video.pixels import RgbConverter, orientation

__all__ = ["StreamSource"]

log = logging.getLogger(__name__)

BROADCAST_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp")


class StreamSource:
    """Frames of a network stream for as long as it is wanted.

    A live stream that breaks off or stalls is opened again after 0.5, 1, 2 ... 10 s; `reconnects` counts that. Times
    are the stream's own stamps until then, and go on by the clock on the wall across each gap. Frames damaged by
    joining in the middle are left out, none are made up. An HTTP address of a finished recording (`live` is False)
    loses nothing and ends at its end. Neither `name` nor any message holds the address's password.
    """

    def __init__(
        self,
        address: str,
        *,
        vid_stride: int = 1,
        threads: int = 0,
        open_timeout_s: float = 8.0,
        read_timeout_s: float = 5.0,
        backoff: Backoff | None = None,
    ):
        self.name = redact(address)
        self.damage = 0
        self.reconnects = 0
        self._address = address
        self._stride = max(1, vid_stride)
        self._threads = threads
        self._timeouts = {"open_timeout_s": open_timeout_s, "read_timeout_s": read_timeout_s}
        self._backoff = backoff or Backoff()
        self._stop = Event()
        self._rgb = RgbConverter()
        self._past_damage = 0
        self._connection: _Connection | None = self._connect()
        self.info = self._connection.info
        scheme = address.partition(":")[0].lower()
        self.live = scheme in BROADCAST_SCHEMES or self.info.duration_s is None

    def __iter__(self) -> Iterator[Frame]:
        index, last_time, last_arrival, shift = -1, None, 0.0, 0.0
        while not self._stop.is_set() and self._connection is not None:
            connection, joined = self._connection, False
            for picture, stamp in connection.frames():
                self.damage = self._past_damage + connection.decoder.damage
                if picture.is_corrupt and not joined:
                    continue
                if not joined and last_time is not None:
                    shift = last_time + (time.monotonic() - last_arrival) - stamp
                joined = True
                index += 1
                last_time, last_arrival = stamp + shift, time.monotonic()
                if index % self._stride == 0:
                    yield Frame(self._rgb.upright(picture, connection.turn), index, last_time, self.name)
            if self._stop.is_set() or not self._reconnect():
                break
        self._drop_connection()

    def close(self) -> None:
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.pump.stop()

    def _connect(self) -> _Connection:
        pump = PacketPump(self._address, **self._timeouts)
        try:
            return _Connection(pump, self._stop, self._threads, self._timeouts["open_timeout_s"])
        except _NoPictureError as failure:
            pump.stop()
            raise SourceError(
                f"{self.name}: {failure}. Check the address, user and password, and that the "
                "server runs and can be reached."
            ) from None

    def _reconnect(self) -> bool:
        """Stand again on a new connection; False when closed, or at the end of a finished recording."""
        if not self.live and self._connection is not None and self._connection.pump.failure is None:
            return False
        why = (self._connection and self._connection.pump.failure) or "the stream ended"
        if not self.live:
            log.warning("%s broke off: %s.", self.name, why)
            self.damage += 1
            return False
        log.warning("%s broke off: %s; trying to come back.", self.name, why)
        self._drop_connection()
        while self._backoff.wait(self._stop):
            try:
                self._connection = self._connect()
            except SourceError as error:
                log.debug("%s", error)
                continue
            self._backoff.reset()
            self.reconnects += 1
            log.info("%s is back.", self.name)
            return True
        return False

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._past_damage += connection.decoder.damage
            connection.pump.stop()


class _NoPictureError(Exception):
    """A connection that gave no picture; the message says why, without the address."""


class _Connection:
    """A stream that stands: its pump, its decoder, and its first frame."""

    def __init__(self, pump: PacketPump, stop: Event, threads: int, patience_s: float):
        self.pump = pump
        self._stop = stop
        self._deadline: float | None = time.monotonic() + patience_s
        if not pump.wait_until_open() or pump.container is None:
            raise _NoPictureError(f"it does not open ({pump.failure})")
        container = pump.container
        if not container.streams.video:
            raise _NoPictureError("there is no video in it")
        self.stream = container.streams.video[0]
        use_threads(self.stream, threads)
        self.decoder = StreamDecoder(container, self.stream, resumed=True)
        self._time_base = Fraction(self.stream.time_base or Fraction(1, 90000))
        self._frames = self.decoder.frames(pump.packets(self.stream, self._gives_up))
        first = next(self._frames, None)
        if first is None:
            raise _NoPictureError(f"no picture came ({pump.failure or 'nothing in it decodes'})")
        self._first: tuple[VideoFrame, int] | None = first
        self._deadline = None
        self.turn = orientation(first[0])
        transpose, _, _ = self.turn
        size = (first[0].height, first[0].width) if transpose else (first[0].width, first[0].height)
        self.info = SourceInfo(
            width=size[0],
            height=size[1],
            rate=frame_rate(self.stream),
            duration_s=container.duration / av.time_base if container.duration else None,
            time_base=self._time_base,
            has_audio=bool(container.streams.audio),
        )

    def frames(self) -> Iterator[tuple[VideoFrame, float]]:
        """Pictures with the stream's own time in seconds."""
        first, self._first = self._first, None
        for picture, ticks in [first] if first is not None else []:
            yield picture, float(ticks * self._time_base)
        for picture, ticks in self._frames:
            yield picture, float(ticks * self._time_base)

    def _gives_up(self) -> bool:
        return self._stop.is_set() or (self._deadline is not None and time.monotonic() > self._deadline)
