"""CameraSource with a made-up capture device: true times, unplugging, names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice

import cv2
import numpy as np
import pytest

from tracker.errors import SourceError
from tracker.types import LinkState
from tracker.video import CameraSource
from tracker.video.backoff import Backoff


class FakeCapture:
    """A camera that gives `frames` frames, numbered in the blue channel, and then nothing more."""

    def __init__(self, frames: int = 5, *, opened: bool = True, broken: frozenset[int] = frozenset()):
        self.frames, self.opened, self.broken = frames, opened, broken
        self.grabbed = -1
        self.released = False
        self.asked: dict[int, float] = {}

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def grab(self) -> bool:
        self.grabbed += 1
        return self.grabbed < self.frames and not self.released

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if self.grabbed in self.broken:
            return False, None
        return True, np.full((48, 64, 3), (self.grabbed, 7, 9), np.uint8)

    def get(self, property_id: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0, cv2.CAP_PROP_FPS: 30.0}[property_id]

    def set(self, property_id: int, value: float) -> bool:
        self.asked[property_id] = value
        return True

    def release(self) -> None:
        self.released = True


def camera(*captures: FakeCapture, which: int | str = 0, **settings: object) -> tuple[CameraSource, list[int]]:
    """A source that is given these captures in turn, and the indices it asked for."""
    asked: list[int] = []
    left = list(captures)

    def open_capture(index: int) -> FakeCapture:
        asked.append(index)
        return left.pop(0) if left else FakeCapture(opened=False)

    options: dict[str, object] = {"backoff": Backoff(0.001, 0.002), "open_capture": open_capture} | settings
    return CameraSource(which, **options), asked  # type: ignore[arg-type]


def known(names: dict[int, str]) -> Callable[[], dict[int, str]]:
    return lambda: names


def test_frames_are_rgb_numbered_and_timed_as_they_arrive() -> None:
    source, _ = camera(FakeCapture(5))
    began = time.monotonic()
    frames = list(islice(source, 5))
    assert source.live
    assert (source.info.width, source.info.height, source.info.rate) == (64, 48, 30)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [tuple(frame.image[0, 0]) for frame in frames] == [(9, 7, number) for number in range(5)]
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= time.monotonic() - began + 1
    assert not frames[0].image.flags.writeable


def test_an_unplugged_camera_comes_back_with_index_and_time_going_on() -> None:
    first, second = FakeCapture(3), FakeCapture(2)
    source, asked = camera(first, FakeCapture(opened=False), second)
    frames = list(islice(source, 5))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert (np.diff([frame.time for frame in frames]) >= 0).all()
    assert first.released
    assert source.reconnects == 1
    assert asked == [0, 0, 0]


def test_a_camera_chosen_by_name_is_found_again_under_another_index() -> None:
    names = {0: "Built-in", 2: "USB Camera HD"}
    source, asked = camera(FakeCapture(2), FakeCapture(2), which="usb camera", camera_names=known(names))
    iterator = iter(source)
    next(iterator), next(iterator)
    names[5] = names.pop(2)
    assert next(iterator).index == 2
    assert asked == [2, 5]
    assert source.name == "usb camera"


def test_frames_that_cannot_be_fetched_are_damage() -> None:
    source, _ = camera(FakeCapture(5, broken=frozenset({1, 3})))
    assert [frame.index for frame in islice(source, 3)] == [0, 2, 4]
    assert source.damage == 2


def test_strides_skip_frames() -> None:
    source, _ = camera(FakeCapture(9), vid_stride=4)
    assert [frame.index for frame in islice(source, 3)] == [0, 4, 8]


def test_a_wanted_size_is_asked_of_the_camera() -> None:
    capture = FakeCapture()
    camera(capture, size=(1280, 720))
    assert capture.asked == {cv2.CAP_PROP_FRAME_WIDTH: 1280, cv2.CAP_PROP_FRAME_HEIGHT: 720}


def test_closing_ends_the_wait_for_a_lost_camera_at_once() -> None:
    source, _ = camera(FakeCapture(1), backoff=Backoff(600, 600))
    reader = threading.Thread(target=lambda: list(source), daemon=True)
    reader.start()
    while source.link.state is not LinkState.LOST:
        time.sleep(0.001)
    source.close()
    source.close()
    reader.join(60)
    assert not reader.is_alive()


def test_closing_without_reading_lets_the_device_go() -> None:
    capture = FakeCapture()
    source, _ = camera(capture)
    source.close()
    assert capture.released


def test_a_camera_that_does_not_open_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(SourceError, match=r"camera 4: this camera does not open. Cameras found: 0: Built-in\."):
        camera(which=4, camera_names=known({0: "Built-in"}))
    with pytest.raises(SourceError, match=r"no such camera. Cameras found: none"):
        camera(which="Webcam", camera_names=known({}))
    with pytest.raises(SourceError, match="more than one matches"):
        camera(which="cam", camera_names=known({0: "Cam A", 1: "Cam B"}))


def test_no_camera_on_this_machine_has_number_ninety(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="camera 90: this camera does not open"):
        CameraSource(90)
    assert capfd.readouterr().err == ""


def test_pauses_double_up_to_the_longest() -> None:
    stop, backoff, pauses = threading.Event(), Backoff(1, 5), []
    stop.wait = lambda pause=None: bool(pauses.append(pause))  # type: ignore[method-assign,assignment,func-returns-value]
    for _ in range(5):
        assert backoff.wait(stop)
    backoff.reset()
    backoff.wait(stop)
    assert pauses == [1, 2, 4, 5, 5, 1]
