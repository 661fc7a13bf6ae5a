"""Streams from cameras on the loopback interface: their time, their cuts, their backlog."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from tests.video.cameras import Camera, MjpegCamera, RawCamera, RtspCamera
from tracker.errors import SourceError, UnreachableError
from tracker.types import Frame
from tracker.video import StreamSource
from tracker.video.backoff import Backoff


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
        began = time.monotonic()
        source = StreamSource(camera.address)
        assert time.monotonic() - began < 2
        assert source.info.clock == source.clock == "arrival"
        assert source.info.rate is None
        frames = read_for(source, 2.0)
    found = np.array([frame.time for frame in frames])
    passed = (frames[-1].arrival or 0) - (frames[0].arrival or 0)
    assert found[-1] - found[0] == pytest.approx(passed, abs=0.03)
    assert np.median(np.diff(found)) == pytest.approx(1 / camera.rate, rel=0.2)


def test_a_stream_with_a_clock_keeps_it() -> None:
    with RtspCamera(20, key_every=10) as camera:
        frames = read_for(StreamSource(camera.address), 1.0)
    assert np.diff([frame.time for frame in frames]) == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize("make", [lambda: MjpegCamera(10), lambda: RtspCamera(20, key_every=10)])
def test_a_cut_is_noticed_and_time_passes_on_the_wall(make: Callable[[], Camera]) -> None:
    with make() as camera:
        states: list[str] = []
        source = StreamSource(camera.address, listen=lambda status: states.append(status.state.value))
        threading.Timer(0.7, camera.down).start()
        threading.Timer(1.5, camera.up).start()
        frames = read_for(source, 3.5)
        assert source.reconnects == 1
    assert states[0] == "live"
    assert states[-2:] == ["lost", "live"]
    times, arrivals = np.array([(frame.time, frame.arrival) for frame in frames]).T
    assert np.diff(times).min() > 0
    assert times - times[0] == pytest.approx(arrivals - arrivals[0], abs=0.35)
    assert arrivals[-1] - arrivals[0] > 3


def test_silence_is_noticed_in_three_seconds() -> None:
    with MjpegCamera(10) as camera:
        told: list[tuple[str, float]] = []
        source = StreamSource(camera.address, listen=lambda status: told.append((status.state.value, time.monotonic())))
        quiet = threading.Timer(2.5, camera.silent.set)
        quiet.start()
        threading.Timer(6.0, camera.silent.clear).start()
        frames = read_for(source, 6.5)
        quiet.join()
    lost_at = next(moment for state, moment in told if state == "stalled")
    assert 2.4 < lost_at - (frames[0].arrival or 0) - 2.5 < 3.0
    assert told[-1][0] == "live"


def test_what_refuses_may_answer_later_and_what_is_no_address_never_will() -> None:
    camera = MjpegCamera(10, start=False)
    with pytest.raises(UnreachableError, match="Connection refused"):
        StreamSource(camera.address)
    with camera:
        camera.up()
        source = StreamSource(camera.address)
        assert len(list(islice(source, 3))) == 3
        source.close()
    with pytest.raises(SourceError, match="Protocol not found") as refusal:
        StreamSource("nonsense://host/x")
    assert not isinstance(refusal.value, UnreachableError)


def test_a_decoder_that_falls_behind_goes_on_at_the_newest_key_frame() -> None:
    with RtspCamera(50, key_every=10) as camera:
        source = StreamSource(camera.address, backoff=Backoff(0.05, 0.1))
        ages = []
        for frame in source:
            time.sleep(0.06)  # a decoder of 16 frames a second
            ages.append(time.monotonic() - (frame.arrival or 0))
            if len(ages) == 70:
                break
        source.close()
        assert source.reconnects == 0
    assert max(ages) < 1.4
    assert source.dropped > 30
