"""Reads a network stream in a thread of its own, because a blocking read cannot be called off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["PacketPump"]

MOST_WAITING = 256
GLANCE_S = 0.1


class PacketPump:
    """One connection: opened and read in the background, its packets taken in the foreground.

    The thread ends by itself within the time limits after `stop`, and closes the connection.
    """

    def __init__(self, address: str, *, open_timeout_s: float, read_timeout_s: float):
        self.failure: str | None = None
        """Why opening or reading ended, without the address; None while it goes on or after a proper end."""
        self.container: InputContainer | None = None
        self._timeouts = (open_timeout_s, read_timeout_s)
        self._address = address
        self._opened = Event()
        self._stop = Event()
        self._queue: Queue[Packet[VideoStream] | None] = Queue(MOST_WAITING)
        self._thread = Thread(target=self._run, name="stream reader", daemon=True)
        self._thread.start()

    def wait_until_open(self) -> bool:
        """Whether the connection stands; False after a failure or when the time limit passed."""
        open_timeout_s, _ = self._timeouts
        if not self._opened.wait(open_timeout_s):
            self.failure = f"no answer within {open_timeout_s:g} s"
        return self.failure is None and self.container is not None

    def packets(self, stream: VideoStream, give_up: Callable[[], bool]) -> Iterator[Packet[VideoStream]]:
        """Packets of `stream` as they come, until the connection ends, stalls, or `give_up` says so."""
        _, read_timeout_s = self._timeouts
        last_arrival = time.monotonic()
        while not give_up() and not self._stop.is_set():
            try:
                packet = self._queue.get(timeout=GLANCE_S)
            except Empty:
                if time.monotonic() - last_arrival > read_timeout_s:
                    self.failure = f"nothing came for {read_timeout_s:g} s"
                    return
                continue
            if packet is None:
                return
            last_arrival = time.monotonic()
            if packet.stream.index == stream.index:
                yield packet

    def stop(self) -> None:
        """Let the thread end. The container and its packets must not be used any more."""
        self._stop.set()

    def _run(self) -> None:
        open_timeout_s, read_timeout_s = self._timeouts
        try:
            container = av.open(
                self._address, options=_options(self._address), timeout=(open_timeout_s / 2, read_timeout_s)
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            self.failure = _reason(error)
            self._opened.set()
            return
        self.container = container
        self._opened.set()
        try:
            self._read(container)
        except (av.FFmpegError, OSError) as error:
            self.failure = _reason(error)
        self._put(None)
        self._stop.wait()
        container.close()

    def _read(self, container: InputContainer) -> None:
        for packet in container.demux(container.streams.video):
            if not self._put(packet):
                return

    def _put(self, packet: Packet[VideoStream] | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(packet, timeout=GLANCE_S)
                return True
            except Full:
                continue
        return False


def _options(address: str) -> dict[str, str]:
    scheme = address.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return {"reconnect": "1", "reconnect_on_network_error": "1", "reconnect_delay_max": "2"}
    if scheme in ("rtsp", "rtsps"):
        return {"rtsp_transport": "tcp", "fflags": "nobuffer"}
    return {"fflags": "nobuffer"}


def _reason(error: Exception) -> str:
    """What went wrong, without the address that FFmpeg puts beside it."""
    if isinstance(error, av.error.ExitError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__
