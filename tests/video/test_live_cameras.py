"""Streams from cameras on the loopback interface: their time, their cuts, their backlog."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from tests.test_runner import until
from tests.video.cameras import (
    BriefCamera,
    Camera,
    FalseLengths,
    HlsCamera,
    MjpegCamera,
    RawCamera,
    ReplacedCamera,
    RtspCamera,
    segment,
)
from tests.video.synthetic import read_number
from tracker.errors import SourceError, UnreachableError
from tracker.types import Frame, LinkState, LinkStatus
from tracker.video import StreamSource, stream_source
from tracker.video.backoff import Backoff
from tracker.video.watchdog import FIRST_PATIENCE_S


def read_for(source: StreamSource, seconds: float) -> list[Frame]:
    """The frames of so many seconds from the first one on."""
    frames: list[Frame] = []
    for frame in source:
        frames.append(frame)
        if time.monotonic() - (frames[0].arrival or 0) > seconds:
            break
    source.close()
    return frames


@pytest.mark.parametrize("make", [lambda: MjpegCamera(5), lambda: RawCamera(8)])
def test_a_stream_without_a_clock_gets_the_time_of_arrival(make: Callable[[], Camera]) -> None:
    with make() as camera:
        source = StreamSource(camera.address)
        assert source.info.clock == source.clock == "arrival"
        assert source.info.rate is None
        frames = read_for(source, 2.0)
    found = np.array([frame.time for frame in frames])
    passed = (frames[-1].arrival or 0) - (frames[0].arrival or 0)
    assert found[-1] - found[0] == pytest.approx(passed, abs=0.3)
    assert np.median(np.diff(found)) == pytest.approx(1 / camera.rate, rel=0.4)


@pytest.mark.parametrize("make", [lambda: MjpegCamera(20, most=3), lambda: RawCamera(20, most=6)])
def test_a_few_frames_are_enough_to_open(make: Callable[[], Camera]) -> None:
    with make() as camera:  # a slow one: more do not come in the time that opening may take
        source = StreamSource(camera.address)
        assert source.info.width == 160
        source.close()


def test_a_stream_with_a_clock_keeps_it() -> None:
    with RtspCamera(20, key_every=10) as camera:
        frames = read_for(StreamSource(camera.address), 1.0)
    assert np.diff([frame.time for frame in frames]) == pytest.approx(0.05, abs=0.001)


def read_over_a_cut(camera: Camera, *, after: int, away_s: float, until: int) -> tuple[StreamSource, list[Frame]]:
    """The frames of a source whose camera goes away after so many of them; the cut is noticed, and its end."""
    states: list[str] = []
    source = StreamSource(camera.address, listen=lambda status: states.append(status.state.value))
    frames: list[Frame] = []
    for frame in source:
        frames.append(frame)
        if len(frames) == after:
            camera.down()
            threading.Timer(away_s, camera.up).start()
        if source.reconnects and len(frames) > until:
            break
    source.close()
    assert states[0] == "live"
    assert states[-2:] == ["lost", "live"]
    return source, frames


@pytest.mark.parametrize("make", [lambda: MjpegCamera(10), lambda: RtspCamera(20, key_every=10)])
def test_a_cut_is_noticed_and_time_passes_on_the_wall(make: Callable[[], Camera]) -> None:
    with make() as camera:
        source, frames = read_over_a_cut(camera, after=15, away_s=0.8, until=40)
        assert source.reconnects == 1
    times, arrivals = np.array([(frame.time, frame.arrival) for frame in frames]).T
    assert np.diff(times).min() > 0
    assert np.diff(times).max() > 0.7
    assert times - times[0] == pytest.approx(arrivals - arrivals[0], abs=0.6)


def test_segments_come_back_after_a_cut_without_damage() -> None:
    segment(0, 25)  # encoded once for all: a busy machine takes seconds for it, in which a segment leaves the list
    with HlsCamera(25) as camera:
        until(lambda: time.monotonic() - camera.began > 2)  # the first segment is made of a second
        source, frames = read_over_a_cut(camera, after=40, away_s=2.0, until=120)
        assert (source.reconnects, source.damage) == (1, 0)
    assert (np.diff([frame.time for frame in frames]) > 0).all()


def test_segments_arrive_at_the_pace_at_which_they_were_taken() -> None:
    """A segment comes at once: of each second a run, which takes the newest frame, saw one or two of 25."""
    segment(0, 25)  # encoded once for all: a busy machine takes seconds for it
    with HlsCamera(25) as camera:
        until(lambda: time.monotonic() - camera.began > 4)
        source = StreamSource(camera.address)
        frames = list(islice(source, 50))
        source.close()
    times, arrivals = np.array([(frame.time, frame.arrival) for frame in frames]).T
    assert arrivals[-1] - arrivals[0] > 0.5 * (times[-1] - times[0])


@pytest.mark.parametrize("off", [-5, 5, 50_000])
def test_images_that_are_not_as_long_as_they_say_are_read_all_the_same(
    off: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Such a camera broke off after each of its images, for ever."""
    with FalseLengths(20, off=off) as camera:
        source = StreamSource(camera.address)
        numbers = [read_number(frame.image) for frame in islice(source, 30)]
        source.close()
    assert source.reconnects == 1
    assert np.diff(numbers[2:]).tolist() == [1] * 27
    assert sum("not as long as it says" in line for line in caplog.messages) == 1


def test_a_camera_of_false_lengths_may_be_replaced_by_one_of_another_codec() -> None:
    with FalseLengths(20, off=5) as camera, ReplacedCamera(10, start=False) as other:
        source = StreamSource(camera.address)
        sizes = []
        for frame in source:
            sizes.append(frame.image.shape)
            if len(sizes) == 10:
                camera.down()
                other.port, other.replaced = camera.port, True
                other.up()
            if frame.image.shape != sizes[0]:
                break
        source.close()
    assert sizes[-1][:2] == (192, 320)


def test_a_stream_that_breaks_off_after_each_return_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A camera that gives one image at a time was two lines a second, for months."""
    with BriefCamera(50) as camera:
        source = StreamSource(camera.address, backoff=Backoff(0.01, 0.01))
        for _ in source:
            if source.reconnects == 9:
                break
        source.close()
    told = [line.partition("/video.mjpg ")[2] for line in caplog.messages]
    assert len([line for line in told if line.startswith("broke off")]) == 3
    assert len([line for line in told if line.startswith("is back")]) == 3
    assert told[-1] == "breaks off soon after each return; that is reported once it lasts."


def test_silence_is_a_stall_that_ends_with_the_next_frame() -> None:
    with MjpegCamera(10) as camera:
        reports: list[LinkStatus] = []

        def listen(status: LinkStatus) -> None:
            reports.append(status)
            if status.state is LinkState.STALLED:
                camera.silent.clear()

        source = StreamSource(camera.address, listen=listen)
        frames = []
        for frame in source:
            frames.append(frame)
            if not camera.silent.is_set() and not source.reconnects and frame.time > FIRST_PATIENCE_S / 3:
                camera.silent.set()
            if source.reconnects:
                break
        source.close()
    stalled = next(status for status in reports if status.state is LinkState.STALLED)
    assert re.match(r"nothing came for \d+\.\d s", stalled.reason)
    assert reports[-1].state is LinkState.LIVE


def test_what_refuses_may_answer_later_and_what_is_no_address_never_will() -> None:
    camera = MjpegCamera(10, start=False)
    with pytest.raises(UnreachableError, match="Connection refused"):
        StreamSource(camera.address)
    with camera:
        camera.up()
        source = StreamSource(camera.address)
        assert len(list(islice(source, 3))) == 3
        source.close()
    with pytest.raises(SourceError, match="the FFmpeg of this program has no NONSENSE") as refusal:
        StreamSource("nonsense://host/x")
    assert not isinstance(refusal.value, UnreachableError)


def test_a_decoder_that_falls_behind_goes_on_at_the_newest_key_frame() -> None:
    with RtspCamera(50, key_every=10) as camera:
        source = StreamSource(camera.address, backoff=Backoff(0.05, 0.1))
        ages = []
        for frame in source:
            time.sleep(0.1)  # a decoder of 10 frames a second
            ages.append(time.monotonic() - (frame.arrival or 0))
            if len(ages) == 60:
                break
        source.close()
        assert source.reconnects == 0
    assert np.median(ages[30:]) < 2  # it would be 3.6 s behind
    assert source.dropped > 30


def test_why_a_lost_stream_stays_away_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream_source, "STILL_AWAY_S", 0.3)
    with MjpegCamera(20) as camera:
        source = StreamSource(camera.address, backoff=Backoff(0.05, 0.1))
        frames = iter(source)
        next(frames)
        reader = threading.Thread(target=lambda: [None for _ in frames])
        reader.start()
        camera.down()
        until(lambda: source.link.attempts > 8)
        camera.up()
        until(lambda: source.reconnects == 1)
        source.close()
        reader.join()
    told = [line for line in caplog.messages if "Connection refused" in line]
    assert len(told) == 1
    assert told[0].endswith(
        "Nothing listens at that port: check it, and that the camera or server runs. Tried again until it is back."
    )
