"""StreamSource against a local server that dies, stalls, refuses and comes back."""

from __future__ import annotations

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.video.synthetic import read_number, write_clip
from tracker.errors import SourceError, UnreachableError
from tracker.video import StreamSource
from tracker.video.backoff import Backoff
from tracker.video.packet_pump import PacketPump

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """An HTTP server on this machine whose n-th request is answered by the n-th answer, the last one for good."""

    def __init__(self, *answers: Answer):
        self.requests = 0
        self.stalls = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number, owner.requests = owner.requests, owner.requests + 1
                with suppress(BrokenPipeError, ConnectionResetError):
                    answers[min(number, len(answers) - 1)](self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def address(self, path: str = "live.ts") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def close(self) -> None:
        self.stalls.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*answers: Answer) -> Server:
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def live(content: bytes, *, cut: float = 1.0, stall: threading.Event | None = None) -> Answer:
    """Send the clip as an endless stream without a length, up to `cut` of it; then hang up, or stall."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content[: int(cut * len(content))])
        handler.wfile.flush()
        if stall is not None:
            stall.wait(30)

    return answer


def recording(content: bytes) -> Answer:
    """Send a file with its length, and parts of it on request."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
        begin, end = int(wanted[0]), int(wanted[1] or len(content) - 1)
        handler.send_response(206)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(end + 1 - begin))
        handler.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
        handler.end_headers()
        handler.wfile.write(content[begin : end + 1])

    return answer


def refuse(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(503)


def open_stream(address: str, **settings: object) -> StreamSource:
    options: dict[str, object] = {"open_timeout_s": 5.0, "stall_s": 1.5, "backoff": Backoff(0.01, 0.05)}
    return StreamSource(address, **(options | settings))  # type: ignore[arg-type]


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    return write_clip(tmp_path / "clip.ts", frames=50).read_bytes()


def test_a_stream_that_dies_comes_back_and_time_goes_on(serve: Callable[..., Server], clip: bytes) -> None:
    server = serve(live(clip), refuse, live(clip))
    source = open_stream(server.address())
    assert source.live
    frames = list(islice(source, 80))
    source.close()
    assert [frame.index for frame in frames] == list(range(80))
    assert [read_number(frame.image) for frame in frames] == [*range(50), *range(30)]
    assert (np.diff([frame.time for frame in frames]) > 0).all()
    assert source.reconnects == 1
    assert server.requests >= 3


def test_a_protocol_may_be_written_in_capitals(serve: Callable[..., Server], clip: bytes) -> None:
    """FFmpeg knows it by small letters alone."""
    with closing(open_stream(serve(live(clip)).address().replace("http", "HTTP"))) as source:
        assert read_number(next(iter(source)).image) == 0


def test_a_stream_that_broke_off_before_anybody_asked_has_opened_all_the_same(
    serve: Callable[..., Server], clip: bytes
) -> None:
    pump = PacketPump(serve(live(clip)).address(), open_timeout_s=5.0)
    deadline = time.monotonic() + 30
    while pump.failure is None and time.monotonic() < deadline:
        time.sleep(0.001)
    assert pump.failure is not None
    assert pump.wait_until_open()
    assert pump.waiting == 50
    pump.stop()


def test_a_stream_that_stalls_is_opened_again(serve: Callable[..., Server], clip: bytes) -> None:
    hold = threading.Event()
    server = serve(live(clip, cut=0.6, stall=hold), live(clip))
    source = open_stream(server.address())
    numbers = [read_number(frame.image) for frame in islice(source, 60)]
    hold.set()
    source.close()
    assert source.reconnects == 1
    restart = numbers.index(0, 1)
    assert numbers == [*range(restart), *range(60 - restart)]


def test_a_finished_recording_loses_nothing_and_ends(serve: Callable[..., Server], tmp_path: Path) -> None:
    content = write_clip(tmp_path / "film.mp4", frames=40, b_frames=2).read_bytes()
    source = open_stream(serve(recording(content)).address("film.mp4"))
    assert not source.live
    assert [read_number(frame.image) for frame in source] == list(range(40))
    assert source.damage == 0


def test_a_live_stream_that_passes_a_duration_on_comes_back_when_it_is_cut(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """Servers of live FLV tell what the camera's program wrote; it ended like a recording, with exit code 0."""
    clip = write_clip(tmp_path / "clip.flv", frames=50).read_bytes()
    server = serve(live(clip, cut=0.5), live(clip))
    source = open_stream(server.address())
    assert source.live
    frames = list(islice(source, 60))
    source.close()
    assert source.reconnects == 1
    assert len(frames) == 60


def test_a_recording_without_a_length_ends_where_it_says(serve: Callable[..., Server], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.flv", frames=50).read_bytes()
    server = serve(live(clip))
    assert len(list(open_stream(server.address()))) == 50
    source = open_stream(serve(recording(clip)).address())
    assert not source.live
    assert len(list(source)) == 50


def test_joining_in_the_middle_gives_no_damaged_frames(serve: Callable[..., Server], clip: bytes) -> None:
    middle = len(clip) // 188 // 3 * 188 + 188 * 5
    source = open_stream(serve(live(clip[middle:])).address())
    numbers = [read_number(frame.image) for frame in islice(source, 20)]
    source.close()
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert numbers[0] % 10 == 0  # a key frame


def test_closing_ends_waiting_for_a_silent_server(serve: Callable[..., Server], clip: bytes) -> None:
    hold = threading.Event()
    source = open_stream(serve(live(clip, cut=0.6, stall=hold)).address(), stall_s=600.0)
    reading = threading.Event()
    reader = threading.Thread(target=lambda: [reading.set() for _ in source], daemon=True)
    reader.start()
    assert reading.wait(20)
    source.close()
    reader.join(20)  # the server holds the line for 30 s
    hold.set()
    assert not reader.is_alive()


def test_nothing_that_opens_is_waited_for_no_longer_than_the_limit() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(SourceError, match=r"does not open \(no answer (within 1 s|in time)\)"):
            open_stream(f"rtsp://127.0.0.1:{deaf.getsockname()[1]}/x", open_timeout_s=1.0)


def test_a_refused_password_stays_out_of_message_traceback_and_log(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(refuse)
    for password in ("hunter2", "p@ss/w0rd"):
        with pytest.raises(SourceError) as refusal:
            open_stream(f"http://admin:{password}@127.0.0.1:{server.port}/live.ts")
        shown = "".join(traceback.format_exception(refusal.value)) + caplog.text
        shown = "\n".join(line for line in shown.splitlines() if "open_stream(f" not in line)
        assert password not in shown
        assert "admin" not in shown


def test_a_refused_password_is_not_tried_again_soon(serve: Callable[..., Server]) -> None:
    def deny(handler: BaseHTTPRequestHandler) -> None:
        handler.send_error(401)

    with pytest.raises(UnreachableError, match="401") as refusal:
        open_stream(serve(deny).address())
    assert refusal.value.retry_s >= 30
    assert refusal.value.denied
    with pytest.raises(UnreachableError) as refusal:
        open_stream(serve(refuse).address())
    assert refusal.value.retry_s == 0
    assert not refusal.value.denied


def test_an_answer_without_video_is_refused(serve: Callable[..., Server], tmp_path: Path) -> None:
    for content in (b"<html>login</html>" * 50, bytes(5000)):
        with pytest.raises(SourceError, match=r"does not open|no video|no frame"):
            open_stream(serve(live(content)).address(), open_timeout_s=3.0)
