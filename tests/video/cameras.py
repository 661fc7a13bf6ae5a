"""Network cameras on the loopback interface that can be cut, silenced and slowed: MJPEG, raw H.264, RTSP, HLS."""

from __future__ import annotations

import base64
import io
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache, lru_cache
from itertools import cycle, islice

import av
import cv2
import numpy as np

from tests.video.synthetic import numbered_image

MOST_NUMBERS = 1024


def jpeg(number: int) -> bytes:
    """Frame `number` as JPEG; numbers begin anew after the largest that a frame can show."""
    return _jpeg(number % MOST_NUMBERS)


@cache
def _jpeg(number: int) -> bytes:
    return cv2.imencode(".jpg", numbered_image(number)[..., ::-1])[1].tobytes()


@cache
def h264(rate: int, frames: int, key_every: int, width: int = 160, height: int = 96) -> list[bytes]:
    """Frames as H.264 access units with start codes, parameter sets before each key frame."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
    encoder.gop_size, encoder.max_b_frames = key_every, 0
    encoder.options = {"preset": "ultrafast", "crf": "20", "tune": "zerolatency", "x264-params": "sliced-threads=0"}
    units = []
    grain = np.random.default_rng(0).integers(0, 30, (height, width, 1), np.uint8)  # gives key frames weight
    for number in range(frames):
        image = numbered_image(number % MOST_NUMBERS, width=width, height=height) + grain
        coded = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        coded.pts, coded.time_base = number, Fraction(1, rate)
        units += [bytes(packet) for packet in encoder.encode(coded)]
    return units + [bytes(packet) for packet in encoder.encode(None)]


class Camera:
    """Listens on a port of its own and gives every client frames numbered by the time since it was made.

    `down` closes all connections and the port, `up` opens it again; `silent` keeps connections and sends nothing.
    `jitter` gives a delay in seconds for each frame; of `most` frames only so many are sent to a client.
    """

    scheme = "tcp"
    path = ""

    def __init__(
        self,
        rate: float = 10,
        *,
        jitter: Callable[[int], float] | None = None,
        most: int | None = None,
        start: bool = True,
    ) -> None:
        self.rate = rate
        self.most = most
        self.jitter = jitter or (lambda _: 0.0)
        self.silent = threading.Event()
        self.clients = 0
        self.began = time.monotonic()
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        if start:
            self.up()

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{self.path}"

    def up(self) -> None:
        self._closing = threading.Event()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener, self._closing), daemon=True).start()

    def down(self) -> None:
        self._closing.set()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for client in self._sockets:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _accept(self, listener: socket.socket, closing: threading.Event) -> None:
        while not closing.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self.clients += 1
            threading.Thread(target=self._serve, args=(client, closing), daemon=True).start()

    def _serve(self, client: socket.socket, closing: threading.Event) -> None:
        with suppress(OSError), client:
            self.serve(client, closing)

    def frames(self, closing: threading.Event) -> Iterator[int]:
        """Numbers of frames, each when it is due."""
        number, left = int((time.monotonic() - self.began) * self.rate) + 1, self.most
        while not closing.is_set():
            if left == 0:
                closing.wait()
                return
            left = None if left is None else left - 1
            due = self.began + number / self.rate + self.jitter(number)
            if closing.wait(max(0.0, due - time.monotonic())):
                return
            if not self.silent.is_set():
                yield number
            number += 1

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        raise NotImplementedError


class MjpegCamera(Camera):
    """Motion JPEG over HTTP: no clock at all."""

    scheme = "http"
    path = "/video.mjpg"
    off = 0
    """Bytes that an image is shorter than it says."""

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        send_jpegs(self, client, closing, off=self.off)


class FalseLengths(MjpegCamera):
    """One whose images are longer or shorter than it says."""

    def __init__(self, rate: float = 10, *, off: int) -> None:
        self.off = off
        super().__init__(rate)


class BriefCamera(MjpegCamera):
    """One that ends every connection after three frames."""

    def frames(self, closing: threading.Event) -> Iterator[int]:
        return islice(super().frames(closing), 3)


class GuardedCamera(MjpegCamera):
    """One that asks "me" for a password, which may change."""

    password = "first"

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        asked = client.recv(4096, socket.MSG_PEEK).decode("latin1")
        known = base64.b64encode(f"me:{self.password}".encode()).decode()
        if f"Authorization: Basic {known}\r\n" in asked:
            super().serve(client, closing)
            return
        client.recv(4096)
        head = 'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"\r\nContent-Length: 0\r\n\r\n'
        client.sendall(head.encode())


class FloodingServer(Camera):
    """Answers each request with what `answers` has for its path, or else its only answer; that of `floods` never ends.

    `sent` counts the bytes of the flood.
    """

    def __init__(self, scheme: str, path: str, answers: dict[str, bytes], floods: str, flood: bytes) -> None:
        self.scheme, self.path = scheme, path
        self._answers, self._floods = answers, floods
        self._flood = flood * (2**16 // len(flood) + 1)
        self.sent = 0
        super().__init__()

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        request = client.recv(4096).decode("latin1")
        if not request:
            return
        asked = request.split(" ")[1] if self.scheme == "http" else self._floods
        client.sendall(self._answers[asked])
        while asked == self._floods and not closing.is_set():
            client.sendall(self._flood)
            self.sent += len(self._flood)


class RefusingServer(Camera):
    """Answers every request with the same few bytes; `again` keeps the connection for the next request."""

    path = "/stream"

    def __init__(self, scheme: str, answer: bytes, *, again: bool = False) -> None:
        self.scheme, self._answer, self._again = scheme, answer, again
        super().__init__()

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        while request := client.recv(4096).decode("latin1"):
            number = request.partition("CSeq: ")[2].partition("\r")[0]
            client.sendall(self._answer.replace(b"NUMBER", number.encode()))
            if not self._again:
                return


class TricklingServer(Camera):
    """Answers every request with `answer`, and then goes on with `drops` byte by byte."""

    def __init__(self, scheme: str, path: str, answer: bytes, drops: bytes) -> None:
        self.scheme, self.path, self._answer, self._drops = scheme, path, answer, drops
        super().__init__()

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        if client.recv(4096):
            client.sendall(self._answer)
            for byte in cycle(self._drops):
                if closing.wait(0.01):
                    return
                client.sendall(bytes([byte]))


class RawCamera(Camera):
    """Bare H.264 over TCP; every client begins at a key frame, numbered 0."""

    def __init__(self, rate: float = 10, *, key_every: int = 10, **settings: object) -> None:
        self.key_every = key_every
        super().__init__(rate, **settings)  # type: ignore[arg-type]

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        units = h264(25, 40 * self.key_every, self.key_every)
        first: int | None = None
        for number in self.frames(closing):
            first = number if first is None else first
            client.sendall(units[(number - first) % len(units)])


class RtspCamera(Camera):
    """RTSP with RTP over the same connection, stamps of a 90 kHz clock, from the next key frame on."""

    scheme = "rtsp"
    path = "/stream"

    def __init__(self, rate: float = 25, *, key_every: int = 25, **settings: object) -> None:
        self.key_every = key_every
        super().__init__(rate, **settings)  # type: ignore[arg-type]

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        units = [nal_units(unit) for unit in h264(25, 20 * self.key_every, self.key_every)]
        sets = [nal for nal in units[0] if nal[0] & 31 in (7, 8)]
        while not (request := client.recv(4096).decode("latin1")):
            return
        while request:
            method = request.split(" ")[0]
            number = request.partition("CSeq:")[2].split("\r\n")[0].strip()
            head, body = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 1\r\n", ""
            if method == "OPTIONS":
                head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
            elif method == "DESCRIBE":
                sprop = ",".join(base64.b64encode(nal).decode() for nal in sets)
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                    "a=rtpmap:96 H264/90000\r\na=control:track\r\n"
                    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\n"
                )
                head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            client.sendall(f"{head}\r\n{body}".encode())
            if method == "PLAY":
                break
            request = client.recv(4096).decode("latin1")
        self._play(client, closing, units)

    def _play(self, client: socket.socket, closing: threading.Event, units: Sequence[list[bytes]]) -> None:
        sequence, started = 0, False
        for number in self.frames(closing):
            started = started or number % self.key_every == 0
            if not started:
                continue
            nals = units[number % len(units)]
            for place, nal in enumerate(nals):
                marker = 0x80 if place == len(nals) - 1 else 0
                stamp = round(number / self.rate * 90000) & 0xFFFFFFFF
                packet = struct.pack(">BBHII", 0x80, marker | 96, sequence & 0xFFFF, stamp, 7) + nal
                client.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
                sequence += 1


class HlsCamera(Camera):
    """HLS over HTTP: a list of the last four segments of a second, each of which is a transport stream."""

    scheme = "http"
    path = "/live.m3u8"

    def __init__(self, rate: int = 25, **settings: object) -> None:
        self.key_every = rate
        super().__init__(rate, **settings)  # type: ignore[arg-type]

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        asked = client.recv(4096).decode("latin1").split(" ")[1]
        made = int(time.monotonic() - self.began)
        if asked == self.path:
            head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{max(0, made - 4)}\n"
            segments = "".join(f"#EXTINF:1.0,\n{number}.ts\n" for number in range(max(0, made - 4), made))
            kind, body = "application/vnd.apple.mpegurl", (head + segments).encode()
        else:
            kind, body = "video/mp2t", segment(int(asked.strip("/").removesuffix(".ts")), self.key_every)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode() + body)


def send_jpegs(camera: Camera, client: socket.socket, closing: threading.Event, *, off: int = 0) -> None:
    """A multipart reply of the camera's images, each `off` bytes shorter than it says."""
    client.recv(4096)
    client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
    for number in camera.frames(closing):
        data = jpeg(number)
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (len(data) + off)
        client.sendall(head + data + b"\r\n")


class ReplacedCamera(Camera):
    """Motion JPEG of 160 x 96 over HTTP, or, once `replaced`, H.264 of 320 x 192 at the same address."""

    scheme = "http"
    path = "/video"
    replaced = False

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        if not self.replaced:
            send_jpegs(self, client, closing)
            return
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        rate, number = int(self.rate), int(time.monotonic() - self.began)
        while not closing.is_set():
            client.sendall(segment(number, rate, 320, 192))
            number += 1
            closing.wait(max(0.0, self.began + number - time.monotonic()))


@lru_cache(maxsize=64)
def segment(number: int, rate: int, width: int = 160, height: int = 96) -> bytes:
    """One second of an HLS stream, its stamps those of the whole."""
    units, file = h264(rate, 20 * rate, rate, width, height), io.BytesIO()
    with av.open(
        file, "w", format="mpegts", options={"mpegts_copyts": "1", "mpegts_flags": "initial_discontinuity"}
    ) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = width, height
        for index in range(number * rate, (number + 1) * rate):
            packet = av.Packet(units[index % len(units)])
            packet.stream, packet.time_base = stream, Fraction(1, 90000)
            packet.pts = packet.dts = index * 90000 // rate
            packet.is_keyframe = index % rate == 0
            container.mux(packet)
    return file.getvalue()


def nal_units(unit: bytes) -> list[bytes]:
    """The parts of an access unit, without their start codes."""
    parts = unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]
