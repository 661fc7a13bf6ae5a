"""One network for many sources: fair, every frame the newest when its turn comes, together where that is faster."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import pytest

from tests.test_runner import until
from tests.world import FakeSource, NoTracker, ScriptedDetector, World
from tracker.detect.regions import RegionDetector
from tracker.detect.shared_detector import MOST_TOGETHER, SharedDetector
from tracker.pipeline import Pipeline
from tracker.runner import Runner
from tracker.types import Detections, FrameResult, Image

WORLD = World(seconds=600)


class TimedDetector(ScriptedDetector):
    """Takes so long for one image and for each one more, and notes how many it got."""

    def __init__(self, first_s: float, further_s: float, *, most: int = 100) -> None:
        super().__init__(WORLD)
        self.first_s, self.further_s, self.most = first_s, further_s, most

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        if len(images) > self.most:
            raise RuntimeError("this network was made for one image")
        time.sleep(self.first_s + (len(images) - 1) * self.further_s)
        return super().detect(images)


def watch(detector: SharedDetector, sources: int, enough: Callable[[Counter[str]], bool]) -> Counter[str]:
    """Frames done by each source until there are enough."""
    frames: Counter[str] = Counter()

    def took(result: FrameResult) -> None:
        frames[result.frame.source] += 1

    runners = [
        Runner(FakeSource(WORLD, live=True, name=f"camera {number}"), Pipeline(detector, NoTracker()), on_result=took)
        for number in range(sources)
    ]
    for runner in runners:
        runner.start()
    until(lambda: enough(frames))
    for runner in runners:
        runner.stop()
    for runner in runners:
        runner.wait()
    return frames


def test_many_live_sources_are_served_in_turn() -> None:
    frames = watch(SharedDetector(TimedDetector(0.01, 0.01)), 5, lambda frames: frames.total() > 60)
    assert min(frames.values()) >= 0.6 * max(frames.values())


def test_a_region_is_taken_out_of_the_newest_image_too() -> None:
    class Scaled(TimedDetector):
        imgsz = 640
        asked: ClassVar[list[tuple[tuple[int, ...], int | None]]] = []

        def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]:
            self.asked.extend((image.shape[:2], imgsz) for image in images)
            return [Detections(np.array([[30, 10, 50, 30]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32))]

    region = RegionDetector(SharedDetector(Scaled(0.0, 0.0)), ((100, 100), (200, 100), (200, 200), (100, 200)))
    image: Image = np.zeros((480, 640, 3), np.uint8)
    boxes = [region.detect_newest(lambda: image).boxes.tolist() for _ in range(3)]
    assert boxes == [[[110, 90, 130, 110]]] * 3
    assert Scaled.asked == [((140, 140), 160)] * 3
    assert region.detect([image])[0].boxes.tolist() == boxes[0]


def test_sources_go_together_where_a_network_is_faster_so() -> None:
    network = TimedDetector(0.02, 0.001)
    frames = watch(SharedDetector(network), 4, lambda _: sum(network.batches[-20:]) > 30)
    assert min(frames.values()) > 0


def test_sources_go_alone_where_together_is_no_faster() -> None:
    network = TimedDetector(0.005, 0.02)
    watch(SharedDetector(network), 4, lambda frames: frames.total() > 100)
    assert [size for size in network.batches if size > 1][3:] == []
    assert sum(size > 1 for size in network.batches) == 3, "tried, and found no faster"


def test_a_network_for_single_images_gets_single_ones() -> None:
    network = TimedDetector(0.005, 0.0, most=1)
    frames = watch(SharedDetector(network), 3, lambda frames: frames.total() > 60)
    assert set(network.batches) == {1}
    assert len(frames) == 3


def asked_together(detector: SharedDetector, *takes: Callable[[], Image]) -> list[Detections | Exception]:
    """What each gets of those that ask while the network is busy."""
    got: dict[int, Detections | Exception] = {}

    def ask(number: int, take: Callable[[], Image]) -> None:
        try:
            got[number] = detector.detect_newest(take)
        except Exception as error:  # noqa: BLE001 - compared by the test
            got[number] = error

    threads = [threading.Thread(target=ask, args=item) for item in enumerate(takes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [got[number] for number in range(len(takes))]


def test_each_gets_its_own_and_one_that_fails_fails_alone() -> None:
    network = TimedDetector(0.05, 0.0)
    network.fails_at = 30
    detector = SharedDetector(network)
    for _ in range(5):
        detector.detect([WORLD.image(0)])

    def gone() -> Image:
        raise LookupError("the source was closed")

    takes: list[Callable[[], Image]] = [lambda index=index: WORLD.image(index) for index in (10, 30, 50, 70)]  # type: ignore[misc]
    for _ in range(3):
        found = asked_together(detector, *takes, gone)
        for index, detections in zip((10, 50, 70), (found[0], *found[2:4]), strict=True):
            assert isinstance(detections, Detections)
            np.testing.assert_array_equal(detections.boxes, WORLD.detections(index).boxes)
        assert isinstance(found[1], RuntimeError)
        assert isinstance(found[4], LookupError)
    assert max(network.batches) > 1


@pytest.mark.parametrize("sources", [1, 20])
def test_no_more_go_together_than_the_limit(sources: int) -> None:
    network = TimedDetector(0.01, 0.0)
    watch(SharedDetector(network), sources, lambda frames: len(frames) == sources and frames.total() > 60)
    assert max(network.batches) <= min(sources, MOST_TOGETHER)


def test_whoever_asks_without_a_frame_to_take_waits_for_his_turn() -> None:
    at_work = 0
    most = 0

    class Alone(ScriptedDetector):
        def detect(self, images: Sequence[Image]) -> list[Detections]:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            time.sleep(0.005)
            at_work -= 1
            return super().detect(images)

    detector = SharedDetector(Alone())
    image = World().image(0)
    threads = [threading.Thread(target=lambda: [detector.detect([image]) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
