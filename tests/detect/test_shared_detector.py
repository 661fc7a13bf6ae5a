"""One network for many sources: fair, and every frame the newest when its turn comes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tests.world import FakeSource, NoTracker, ScriptedDetector, World
from tracker.detect.shared_detector import SharedDetector
from tracker.pipeline import Pipeline
from tracker.runner import Runner
from tracker.types import Detections, FrameResult, Image


def test_many_live_sources_share_fairly_and_show_new_frames() -> None:
    delay_s, count = 0.02, 5
    detector = SharedDetector(ScriptedDetector(World(seconds=60), delay_s=delay_s))
    ages: list[float] = []
    frames: Counter[str] = Counter()
    runners: list[Runner] = []
    for number in range(count):
        source = FakeSource(World(seconds=60), live=True, name=f"camera {number}")

        def took(result: FrameResult, number: int = number) -> None:
            ages.append(runners[number].progress().latency_s)
            frames[result.frame.source] += 1

        runners.append(Runner(source, Pipeline(detector, NoTracker()), on_result=took))
    for runner in runners:
        runner.start()
    time.sleep(1.5)
    for runner in runners:
        runner.stop()
    for runner in runners:
        runner.wait()
    assert min(frames.values()) >= 0.7 * max(frames.values())
    assert np.median(ages[count:]) < 2.5 * delay_s  # not a round of all five


def test_whoever_asks_without_a_turn_waits_for_it() -> None:
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
