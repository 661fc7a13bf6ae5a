"""Servers that flood are left before they fill the memory, and reading ends as soon as nobody wants it."""

from __future__ import annotations

import threading
import time

import pytest

from tests.test_runner import until
from tests.video.cameras import FloodingServer, MjpegCamera, jpeg, segment
from tracker.errors import UnreachableError
from tracker.types import LinkState, LinkStatus
from tracker.video import StreamSource, packet_pump, read_guard
from tracker.video.packet_pump import PacketPump

MJPEG = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
IMAGE = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(1)
HUGE_IMAGE = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n" + jpeg(1)[:-2]
LIST = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
REPLY = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2000000000\r\n\r\n"
ENDLESS_FRAME = b"\x47\x01\x00\x10" + b"\xff" * 184
"""A packet of a transport stream that goes on with the frame before."""


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> int:
    """The limit in bytes: so little comes within the time limits on a busy machine too."""
    monkeypatch.setattr(read_guard, "MOST_UNFINISHED_MB", 20)
    return 20 * 2**20


@pytest.mark.parametrize(
    ("scheme", "path", "answer", "flood"),
    [
        ("http", "/video", MJPEG + HUGE_IMAGE, b"a"),
        ("http", "/video", MJPEG + IMAGE[:-2], b"a"),
        ("http", "/list.m3u8", LIST, b"#EXTINF:1,\na.ts\n"),
        ("http", "/list.m3u8", LIST, b"#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n"),
        ("rtsp", "/stream", REPLY, b"a"),
    ],
    ids=["image with a length", "image without", "list of segments", "list of lists", "RTSP reply"],
)
def test_a_server_that_floods_is_left_in_one_line(
    little_memory: int, scheme: str, path: str, answer: bytes, flood: bytes
) -> None:
    with FloodingServer(scheme, path, {path: answer}, path, flood) as server:
        with pytest.raises(UnreachableError, match="more than 20 MB came and no whole frame"):
            StreamSource(server.address, open_timeout_s=120.0)
        sent = server.sent
    assert sent < 10 * little_memory


def test_a_segment_that_never_ends_breaks_a_running_stream_off(little_memory: int) -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
    answers = {"/list.m3u8": LIST + b"#EXTINF:1,\n0.ts\n", "/0.ts": head + segment(0, 25)}
    states: list[LinkStatus] = []
    with FloodingServer("http", "/list.m3u8", answers, "/0.ts", ENDLESS_FRAME) as server:
        source = StreamSource(server.address, stall_s=60.0, listen=states.append)
        reader = threading.Thread(target=lambda: [None for _ in source])
        reader.start()
        until(lambda: any(status.state is LinkState.LOST for status in states))
        source.close()
        reader.join()
    lost = next(status for status in states if status.state is LinkState.LOST)
    assert lost.reason == "more than 20 MB came and no whole frame"


@pytest.mark.parametrize("silent_before_it_opens", [True, False])
def test_a_reader_that_nobody_wants_ends_at_once(monkeypatch: pytest.MonkeyPatch, silent_before_it_opens: bool) -> None:
    """It waited for data until its time was over, and took what came meanwhile."""
    monkeypatch.setattr(packet_pump, "READ_TIMEOUT_S", 600.0)
    with MjpegCamera(20) as camera:
        if silent_before_it_opens:
            camera.silent.set()
        pump = PacketPump(camera.address, open_timeout_s=1200.0)
        if not silent_before_it_opens:
            assert pump.wait_until_open()
            camera.silent.set()
        else:
            until(lambda: camera.clients == 1)
        pump.stop()
        until(lambda: not pump.running)


def test_memory_that_others_take_while_it_waits_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is loaded beside a slow camera takes hundreds of megabytes too."""
    now, memory = 0.0, 0
    monkeypatch.setattr(read_guard.time, "monotonic", lambda: now)
    monkeypatch.setattr(read_guard, "_memory_bytes", lambda: memory)
    guard = read_guard.ReadGuard(threading.Event())
    guard.begin()
    for _ in range(20):
        now, memory = now + 0.1, memory + 2**26
        assert guard.clock() == now
    for _ in range(20):  # data flows: it is asked more often
        now, memory = now + 0.02, memory + 2**22
        guard.clock()
        guard.clock()
    assert guard.failure is None
    while guard.failure is None:
        now, memory = now + 0.02, memory + 2**24
        guard.clock()
        guard.clock()
    assert guard.clock() < guard.clock()


def test_large_images_wait_by_their_bytes_not_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_pump, "MOST_WAITING_BYTES", 3 * len(jpeg(1)))
    with MjpegCamera(50) as camera:
        pump = PacketPump(camera.address, open_timeout_s=60.0)
        assert pump.wait_until_open()
        until(lambda: pump.waiting >= 2)
        now = time.monotonic()
        until(lambda: time.monotonic() > now + 25 / camera.rate)
        assert 2 <= pump.waiting <= 4
        pump.stop()
