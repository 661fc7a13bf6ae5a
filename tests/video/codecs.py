"""A camera on the loopback interface that streams what another model would: other codecs, in other containers."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import count, islice

import av
import cv2

from tests.video.cameras import Camera
from tests.video.synthetic import numbered_image

SECONDS = 20
X264 = {"preset": "ultrafast", "tune": "zerolatency"}
STREAMS: dict[str, tuple[str, str, dict[str, str]]] = {
    "H.264 in MPEG-TS": ("mpegts", "libx264", {}),
    "MPEG-2 in MPEG-TS": ("mpegts", "mpeg2video", {}),
    "bare H.264": ("h264", "libx264", {}),
    "bare MPEG-2": ("mpeg2video", "mpeg2video", {}),
    "FLV": ("flv", "libx264", {"flvflags": "no_duration_filesize"}),
    "Matroska": ("matroska", "libx264", {"cluster_time_limit": "200", "live": "1"}),
    "Matroska with a duration": ("matroska", "libx264", {"cluster_time_limit": "200"}),
    "MP4 in fragments": ("mp4", "libx264", {"movflags": "frag_every_frame+empty_moov+default_base_moof"}),
}
"""FFmpeg's names of container and codec, and options of the container; beside these there are two of JPEG images."""


class _Parts(io.RawIOBase):
    """Takes what a muxer writes, in parts as they are cut off."""

    def __init__(self) -> None:
        self._part = b""

    def writable(self) -> bool:
        return True

    def write(self, written: object) -> int:
        self._part += bytes(written)  # type: ignore[call-overload]
        return len(bytes(written))  # type: ignore[call-overload]

    def cut_off(self) -> bytes:
        part, self._part = self._part, b""
        return part


@cache
def parts(kind: str, rate: int, size: tuple[int, int]) -> list[bytes]:
    """What a stream of that kind sends at each frame; the last frames of a container stay in the muxer."""
    container_format, codec, options = STREAMS[kind]
    file, sent = _Parts(), []
    with av.open(file, "w", format=container_format, options=options | {"flush_packets": "1"}) as container:
        stream = container.add_stream(codec, rate=rate, options=X264 if codec == "libx264" else {})
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = rate // 2, 0
        stream.metadata["DURATION"] = "00:00:05.000000000"  # Matroska that is no live one passes it on
        for number in range(SECONDS * rate):
            image = numbered_image(number, width=size[0], height=size[1])
            coded = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            coded.pts, coded.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(coded))
            sent.append(file.cut_off())
    return sent


class CodecCamera(Camera):
    """Streams `kind`, of STREAMS, or bare JPEG, or JPEG with heads, over tcp or HTTP; to each client from its begin."""

    path = "/video"

    def __init__(self, scheme: str, kind: str, rate: int = 20, *, size: tuple[int, int] = (160, 96)) -> None:
        self.scheme, self.kind, self.size = scheme, kind, size
        super().__init__(rate)

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{self.path if self.scheme == 'http' else ''}"

    def image(self, number: int) -> bytes:
        width, height = self.size
        return cv2.imencode(".jpg", numbered_image(number, width=width, height=height)[..., ::-1])[1].tobytes()

    def serve(self, client: socket.socket, closing: threading.Event) -> None:
        mime = "multipart/x-mixed-replace; boundary=frame" if self.kind == "JPEG with heads" else "video/unknown"
        if self.scheme == "http":
            client.recv(4096)
            client.sendall(f"HTTP/1.0 200 OK\r\nContent-Type: {mime}\r\n\r\n".encode())
        sent: Iterator[bytes]
        if self.kind == "bare JPEG":
            sent = map(self.image, count())
        elif self.kind == "JPEG with heads":
            head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
            sent = (head % len(image) + image + b"\r\n" for image in map(self.image, count()))
        else:
            sent = iter(parts(self.kind, int(self.rate), self.size))
        for part in islice(sent, self.most):
            client.sendall(part)
            if closing.wait(1 / self.rate):
                return
        closing.wait()
