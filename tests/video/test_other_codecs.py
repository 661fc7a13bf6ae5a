"""Cameras that stream something else after a cut, and streams that do not tell whether they have an end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from tests.video.cameras import Camera, h264
from tests.video.codecs import CodecCamera
from tests.video.synthetic import read_number, write_clip
from tests.video.test_stream_source import Answer, Server, live, open_stream, serve
from tracker.types import Frame
from tracker.video import StreamSource
from tracker.video.backoff import Backoff

__all__ = ["serve"]


def whole(content: bytes) -> Answer:
    """Send all of it without a length, as one chunk and the last one: its end is told, unlike that of other answers."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content))

    return answer


@contextmanager
def limited(source: StreamSource, limit_s: float) -> Iterator[Iterator[Frame]]:
    """Its frames, which end after `limit_s` where they would go on for ever, or none would come."""
    limit = threading.Timer(limit_s, source.close)
    limit.start()
    try:
        yield iter(source)
    finally:
        limit.cancel()
        source.close()


def shown_over_cuts(camera: CodecCamera, kinds: list[str]) -> dict[int, list[int]]:
    """The numbers of the frames of a camera that is cut every time that five came, and returns with the next kind."""
    shown: dict[int, list[int]] = {}
    source = StreamSource(camera.address, backoff=Backoff(0.01, 0.05))
    assert source.live
    with limited(source, 90) as frames:
        for frame in frames:
            numbers = shown.setdefault(source.reconnects, [])
            numbers.append(read_number(frame.image))
            if len(numbers) == 5:
                if source.reconnects == len(kinds):
                    break
                camera.down()
                camera.kind = kinds[source.reconnects]
                camera.up()
    return shown


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_a_camera_may_come_back_with_any_codec(scheme: str) -> None:
    """Small JPEG images without heads never opened: FFmpeg probed a megabyte of them before it was sure."""
    kinds = ["bare JPEG", "bare H.264", "JPEG with heads", "FLV", "bare MPEG-2", "bare JPEG", "Matroska"]
    kinds += ["MP4 in fragments", "bare JPEG", "H.264 in MPEG-TS", "MPEG-2 in MPEG-TS"]
    with CodecCamera(scheme, "MPEG-2 in MPEG-TS") as camera:
        shown = shown_over_cuts(camera, kinds)
    assert {turn: min(5, len(numbers)) for turn, numbers in shown.items()} == dict.fromkeys(range(12), 5)
    assert all((np.diff(numbers) > 0).all() for numbers in shown.values())


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_a_few_small_images_are_enough_to_open(scheme: str) -> None:
    """16 KB of them, which were probed, are three seconds of a camera of five a second."""
    with CodecCamera(scheme, "bare JPEG") as camera:
        camera.most = 9
        assert sum(map(len, map(camera.image, range(camera.most)))) < 12_000
        waited = threading.Timer(30, camera.down)  # more would not have come
        waited.start()
        with limited(StreamSource(camera.address, open_timeout_s=120), 60) as frames:
            assert read_number(next(frames).image) == 0
            assert waited.is_alive()
        waited.cancel()


@pytest.mark.parametrize("kind", ["MP4 in fragments", "Matroska with a duration"])
def test_a_live_stream_comes_back_whatever_duration_ffmpeg_tells(kind: str) -> None:
    """They counted as recordings, which end with their first cut."""
    with CodecCamera("http", kind) as camera:
        assert sorted(shown_over_cuts(camera, [kind])) == [0, 1]


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.flv", "fragments.mp4"])
def test_a_recording_without_a_length_loses_nothing_and_ends(
    name: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"} if name == "fragments.mp4" else {}
    content = write_clip(tmp_path / name, frames=300, muxer_options=options).read_bytes()
    source = open_stream(serve(whole(content) if options else live(content)).address())
    assert not source.live
    with limited(source, 60) as frames:
        assert [read_number(frame.image) for frame in frames] == list(range(300))
    assert (source.reconnects, source.damage) == (0, 0)


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4"])
def test_a_recording_without_a_length_that_breaks_off_is_damaged(
    name: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    content = write_clip(tmp_path / name, frames=600, muxer_options={"movflags": "faststart"}).read_bytes()
    source = open_stream(serve(live(content, cut=0.7)).address())
    with limited(source, 60) as frames:
        assert 300 < len(list(frames)) < 500
    assert (source.reconnects, source.damage) == (0, 1)


def test_a_recording_that_breaks_off_while_it_is_judged_is_asked_for_again(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    content = write_clip(tmp_path / "clip.mkv", frames=50).read_bytes()
    server = serve(live(content, cut=0.5), live(content))
    source = open_stream(server.address())
    with limited(source, 60) as frames:
        numbers = [read_number(frame.image) for frame in frames]
    assert numbers[-50:] == list(range(50))
    assert source.reconnects == 1


@pytest.mark.parametrize("size", [(160, 96), (640, 384)])
def test_bare_images_get_the_time_of_their_arrival(size: tuple[int, int]) -> None:
    """Large ones FFmpeg reads by another demuxer, which numbers them as well."""
    with CodecCamera("tcp", "bare JPEG", 10, size=size) as camera:
        source = StreamSource(camera.address)
        assert source.info.clock == "arrival"
        source.close()


class MiddleCamera(Camera):
    """Bare H.264 over tcp, joined 40 frames before the next key frame."""

    def serve(self, client: object, closing: threading.Event) -> None:
        units = h264(25, 100, 50, 640, 384)
        for number in self.frames(closing):
            client.sendall(units[(10 + number - int(self.rate)) % 100])  # type: ignore[attr-defined]


def test_bare_video_joined_far_from_a_key_frame_is_probed_longer() -> None:
    with MiddleCamera(25) as camera:
        source = StreamSource(camera.address)
        assert source.info.width == 640
        source.close()
