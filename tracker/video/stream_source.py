"""A network stream (RTSP, RTMP, HTTP, UDP ...) as Frames; it comes back after breaking off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from threading import Event

import av
from av.video.frame import VideoFrame

from tracker.config import HardwareChoice
from tracker.errors import SourceError, UnreachableError
from tracker.types import Clock, Frame, LinkState, LinkStatus, SourceInfo
from tracker.video.address import redact
from tracker.video.arrival_clock import ArrivalClock, NominalClockWatch
from tracker.video.backoff import Backoff
from tracker.video.decoding import StreamDecoder, frame_rate, use_threads
from tracker.video.hardware import SOFTWARE, accelerator, decoder_of
from tracker.video.packet_pump import END_TOLERANCE_S, PacketPump
from tracker.video.pixels import RgbConverter, orientation
from tracker.video.refusal import Refusal
from tracker.video.stream_options import has_clock
from tracker.video.watchdog import STALL_S, ReconnectingSource, Watchdog

__all__ = ["StreamSource", "is_denied"]

log = logging.getLogger(__name__)

CLOCKLESS_TIME_BASE = Fraction(1, 90000)
OPENING_BURST_S = 0.02
DENIED = ("401 Unauthorized", "403 Forbidden")
DENIED_PAUSE_S = 30.0
"""Between tries with a password that was refused: cameras lock accounts that knock too often."""
SHORT_RETURN_S = 5.0
MOST_SHORT_RETURNS = 3
"""Of a stream that breaks off again within 5 s so many returns are reported, and once that it goes on like that."""
STILL_AWAY_S = 5.0
"""A stream that is back sooner is not asked why it stayed away."""


class StreamSource(ReconnectingSource):
    """Frames of a network stream for as long as it is wanted.

    A live stream that breaks off or falls silent is opened again after 0.5, 1, 1 ... s; `link` says how it
    stands, `reconnects` counts the returns. Times are the stream's own stamps, and go on by the clock on the wall
    across each gap. Where the stream has no stamps, or only counts its frames, the time is that of arrival and
    `clock` says so. Frames damaged by joining in the middle are left out, none are made up; where
    decoding falls a second behind it goes on at the newest key frame, and `dropped` counts what was left out. An HTTP
    address of a finished recording (`live` is False) loses nothing and ends at its end. Neither `name` nor any
    message holds the address's password.
    """

    def __init__(
        self,
        address: str,
        *,
        vid_stride: int = 1,
        threads: int = 0,
        rtsp_transport: str = "tcp",
        hwaccel: HardwareChoice = "none",
        open_timeout_s: float = 8.0,
        stall_s: float = STALL_S,
        backoff: Backoff | None = None,
        listen: Callable[[LinkStatus], None] | None = None,
    ):
        self.name = redact(address)
        self.damage = 0
        scheme, _, rest = address.partition(":")
        self._address = f"{scheme.lower()}:{rest}"  # FFmpeg knows protocols by small letters alone
        self._stride = max(1, vid_stride)
        self._threads = threads
        self._rtsp_transport = rtsp_transport
        self._open_timeout_s = open_timeout_s
        self._backoff = backoff or Backoff()
        self._watchdog = Watchdog(stall_s=stall_s, listen=listen)
        self._stop = Event()
        self._rgb = RgbConverter()
        self._past_damage = self._past_dropped = 0
        self._by_images = False
        self._back_at: float | None = None
        self._short_returns = 0
        self._hardware = accelerator(hwaccel, self.name)
        self._decoder = SOFTWARE
        self.live = False  # until the connection shows it
        self._connection: _Connection | None = self._connect()
        self.info = self._connection.info
        self._clock = self.info.clock
        self.live = self._connection.pump.live
        self._arrivals: ArrivalClock | None = None
        if self._clock == "arrival":
            self._arrivals = ArrivalClock(self._connection.first_arrival)

    @property
    def clock(self) -> Clock:
        """Where times come from by now."""
        return self._clock

    @property
    def decoder(self) -> str:
        """What decodes by now: a device such as cuda, or `software`."""
        return self._decoder

    @property
    def dropped(self) -> int:
        """Packets left out because decoding fell behind."""
        connection = self._connection
        return self._past_dropped + (connection.pump.dropped if connection is not None else 0)

    def __iter__(self) -> Iterator[Frame]:
        index = -1
        last_time, last_arrival, shift = None, 0.0, 0.0
        while not self._stop.is_set() and self._connection is not None:
            connection, joined, watch = self._connection, False, NominalClockWatch()
            for decoded, stamp, arrival in connection.frames():
                self.damage = self._past_damage + connection.decoder.damage
                if decoded.is_corrupt and not joined:
                    continue
                if not joined and last_time is not None:
                    shift = last_time + (arrival - last_arrival) - stamp
                    if connection.info.clock == "arrival" and self._arrivals is None:
                        log.warning("%s came back without stamps; the time is now that of arrival.", self.name)
                        self._arrivals, self._clock = ArrivalClock(arrival, stamp + shift), "arrival"
                joined = True
                self._watchdog.frame_arrived()
                self._report_if_it_lasts()
                if self._arrivals is None and self.live and watch.deceives(stamp, arrival):
                    log.warning("%s only counts its frames; the time is now that of their arrival.", self.name)
                    self._arrivals, self._clock = ArrivalClock(arrival, stamp + shift), "arrival"
                seconds = stamp + shift if self._arrivals is None else self._arrivals.time(arrival)
                index += 1
                last_time, last_arrival = seconds, arrival
                if index % self._stride == 0:
                    image = self._rgb.upright(decoded, connection.turn)
                    yield Frame(image, index, seconds, self.name, arrival if self.live else None)
            if self._stop.is_set() or not self._reconnect():
                break
        self._drop_connection()

    def close(self) -> None:
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.pump.stop()

    def _connect(self) -> _Connection:
        pump = PacketPump(
            self._address,
            open_timeout_s=self._open_timeout_s,
            rtsp_transport=self._rtsp_transport,
            hardware=self._hardware,
            by_images=self._by_images,
            live=self.live,
        )
        try:
            connection = _Connection(pump, self._watchdog, self._stop, self._threads, self._open_timeout_s)
        except _NoFrameError as failure:
            pump.stop()
            if self._hardware is not None and pump.container is not None:
                log.warning("%s: %s gives no frame; it is decoded in software.", self.name, self._hardware.device)
                self._hardware = None
                return self._connect()
            self._by_images = self._by_images and pump.container is None  # perhaps it is no JPEG any more
            self._watchdog.refused(str(failure))
            message = f"{self.name}: {failure}. {failure.refusal.advice}"
            if failure.refusal.never:
                raise SourceError(message) from None
            denied = is_denied(str(failure))
            raise UnreachableError(
                message,
                retry_s=DENIED_PAUSE_S if denied else 0.0,
                denied=denied,
            ) from None
        codec = connection.stream.codec_context
        self._decoder = decoder_of(codec, connection.first_frame, self._hardware, self.name)
        if self._decoder == SOFTWARE:
            self._hardware = None
        return connection

    def _reconnect(self) -> bool:
        """Stand again on a new connection; False when closed, or at the end of a finished recording."""
        connection = self._connection
        if connection is not None and (connection.is_finished() or not (self.live or connection.pump.failure)):
            return False
        why = (self._connection and self._connection.pump.failure) or "the stream ended"
        if not self.live:
            log.warning("%s broke off: %s.", self.name, why)
            self.damage += 1
            return False
        self._count_short_returns()
        self._report("%s broke off: %s; trying to come back.", self.name, why)
        if self._short_returns == MOST_SHORT_RETURNS:
            log.warning("%s breaks off soon after each return; that is reported once it lasts.", self.name)
        if self._connection is not None and self._connection.pump.false_lengths and not self._by_images:
            self._by_images = True
            log.warning("%s: its images are not as long as it says; from now on their own begin counts.", self.name)
        self._watchdog.cut(why)
        self._drop_connection()
        if self._arrivals is not None:
            self._arrivals.note_gap()
        pause_s, reported = 0.0, set[str]()
        while self._backoff.wait(self._stop, at_least_s=pause_s):
            try:
                self._connection = self._connect()
            except SourceError as error:
                log.debug("%s", error)
                pause_s = error.retry_s if isinstance(error, UnreachableError) else 0.0
                if str(error) not in reported and (pause_s or self._watchdog.away_s > STILL_AWAY_S):
                    reported.add(str(error))
                    again = f"every {pause_s:.0f} s" if pause_s else "until it is back"
                    log.warning("%s Tried again %s.", error, again)
                continue
            self._backoff.reset()
            self._watchdog.frame_arrived()
            self._report("%s is back after %.1f s.", self.name, self._watchdog.away_s)
            self._back_at = time.monotonic()
            return True
        return False

    def _count_short_returns(self) -> None:
        """How often in a row it has broken off again at once."""
        lasted = self._back_at is None or time.monotonic() - self._back_at > SHORT_RETURN_S
        self._short_returns = 0 if lasted else self._short_returns + 1

    def _report(self, words: str, *values: object) -> None:
        """Tell the user, but for what goes on like that for months."""
        log.log(logging.DEBUG if self._short_returns >= MOST_SHORT_RETURNS else logging.WARNING, words, *values)

    def _report_if_it_lasts(self) -> None:
        lasts = self._back_at is not None and time.monotonic() - self._back_at > SHORT_RETURN_S
        if lasts and self._short_returns >= MOST_SHORT_RETURNS:
            self._short_returns = 0
            log.warning("%s is back, and stays.", self.name)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._past_damage += connection.decoder.damage
            self._past_dropped += connection.pump.dropped
            connection.pump.stop()


def is_denied(reason: str) -> bool:
    """Whether a connection was refused for its user or password."""
    return any(words in reason for words in DENIED)


class _NoFrameError(Exception):
    """A connection that gave no frame; the message says why, without the address."""

    def __init__(self, message: str, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal or Refusal(message)


class _Connection:
    """A stream that stands: its pump, its decoder, and its first frame."""

    def __init__(self, pump: PacketPump, watchdog: Watchdog, stop: Event, threads: int, patience_s: float):
        self.pump = pump
        self._watchdog = watchdog
        self._stop = stop
        self._latest_s = 0.0
        self._deadline: float | None = time.monotonic() + patience_s
        if not pump.wait_until_open() or pump.container is None:
            raise _NoFrameError(f"it does not open ({pump.failure})", pump.refusal)
        container = pump.container
        if not container.streams.video:
            raise _NoFrameError("there is no video in it")
        self.stream = container.streams.video[0]
        use_threads(self.stream, threads, live=pump.live)
        self.decoder = StreamDecoder(container, self.stream, resumed=True)
        self._time_base = Fraction(self.stream.time_base or Fraction(1, 90000))
        clockless = pump.live and not has_clock(container)
        self._burst_ends = pump.opened_at + OPENING_BURST_S if clockless else 0.0
        self._frames = self.decoder.frames(pump.packets(self.stream, self._gives_up, watchdog.sign_of_life))
        first = next(self._frames, None)
        if first is None:
            raise _NoFrameError(f"no frame came ({pump.failure or 'nothing in it decodes'})")
        self._first: tuple[VideoFrame, int] | None = first
        self.first_frame = first[0]
        self.first_arrival = pump.arrival
        self._deadline = None
        self.turn = orientation(first[0])
        transpose, _, _ = self.turn
        size = (first[0].height, first[0].width) if transpose else (first[0].width, first[0].height)
        self.info = SourceInfo(
            width=size[0],
            height=size[1],
            rate=None if pump.live else frame_rate(self.stream),
            duration_s=container.duration / av.time_base if container.duration else None,
            time_base=CLOCKLESS_TIME_BASE if clockless else self._time_base,
            has_audio=bool(container.streams.audio),
            clock="arrival" if clockless else "container",
        )

    def frames(self) -> Iterator[tuple[VideoFrame, float, float]]:
        """Frames with the stream's own time, and when they arrived on the monotonic clock, in seconds.

        Of the frames that were read at once while a stream without a clock was opened only the first is given: when
        the others were taken nobody can tell.
        """
        first, self._first = self._first, None
        if first is not None:
            yield first[0], float(first[1] * self._time_base), self.first_arrival
        for decoded, ticks in self._frames:
            self._latest_s = float(ticks * self._time_base)
            if self.pump.arrival >= self._burst_ends:
                yield decoded, float(ticks * self._time_base), self.pump.arrival

    def is_finished(self) -> bool:
        """Whether it ended where it said that it would: without a length FFmpeg takes any end for one too early."""
        duration_s = self.info.duration_s
        return self.pump.names_end and duration_s is not None and abs(self._latest_s - duration_s) < END_TOLERANCE_S

    def _gives_up(self) -> str | None:
        """Why nothing more is to be waited for; None while it is, no words where it was called off."""
        if self._stop.is_set():
            return ""
        if self._deadline is not None and time.monotonic() > self._deadline:
            return "no frame in time"
        if self._deadline is None and self._watchdog.is_stalled():
            status = self._watchdog.status
            return status.reason if status.state is LinkState.STALLED else "nothing comes"
        return None
