"""Many live sources on one network: their total rate beside one source's, and whether slow ones stay alive."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from tracker.detect.shared_detector import SharedDetector
from tracker.factory import Settings, make_detector, usable_cores
from tracker.pipeline import Pipeline
from tracker.protocols import Detector, FrameSource
from tracker.runner import Runner
from tracker.track.engine import TrackingEngine
from tracker.types import Frame, FrameResult, SourceInfo

__all__ = ["sources"]

WIDTH, HEIGHT = 640, 480

Show = Callable[..., None]


@dataclass
class _PacedSource(FrameSource):
    """Noise at a true rate."""

    name: str
    rate: float
    live: bool = True
    damage: int = 0
    closed: bool = False
    info: SourceInfo = field(default_factory=lambda: SourceInfo(WIDTH, HEIGHT))

    def __iter__(self) -> Iterator[Frame]:
        image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        began, index = time.monotonic(), 0
        while not self.closed:
            time.sleep(max(0.0, began + index / self.rate - time.monotonic()))
            yield Frame(image, index, index / self.rate, self.name, time.monotonic())
            index += 1

    def close(self) -> None:
        self.closed = True


def _rates(detector: Detector, count: int, rate: float, seconds: float) -> list[float]:
    """Frames per second of each source, after a second to start in."""
    shared, frames, settings = SharedDetector(detector), Counter[str](), Settings()

    def took(result: FrameResult) -> None:
        frames[result.frame.source] += 1

    runners = [
        Runner(
            _PacedSource(f"source {number}", rate),
            Pipeline(shared, TrackingEngine(settings.tracker)),
            on_result=took,
        )
        for number in range(count)
    ]
    for runner in runners:
        runner.start()
    time.sleep(1.0)
    before, began = frames.copy(), time.monotonic()
    time.sleep(seconds)
    after, passed = frames.copy(), time.monotonic() - began
    for runner in runners:
        runner.stop()
    for runner in runners:
        runner.wait()
    return [(after[f"source {number}"] - before[f"source {number}"]) / passed for number in range(count)]


def sources(show: Show, *, full: bool) -> None:
    """The embedded network: one source and four in turn, several rounds; then sixteen slow ones."""
    detector = make_detector(Settings().detector, threads=usable_cores())
    rounds, seconds = (8, 8.0) if full else (3, 4.0)
    ratios, spreads = [], []
    for _ in range(rounds):
        alone = _rates(detector, 1, 120, seconds)[0]
        four = _rates(detector, 4, 120, seconds)
        ratios.append(sum(four) / alone)
        spreads.append(min(four) / max(four))
    ratio = median(ratios)
    show("sources", f"{rounds} rounds: four have 90 % of the total rate of one", f"median {100 * ratio:.0f} %",
         good=ratio >= 0.9)  # fmt: skip
    show("sources", "the slowest of four has 80 % of the fastest", f"{100 * min(spreads):.0f} %",
         good=min(spreads) >= 0.8)  # fmt: skip
    sixteen = _rates(detector, 16, 2, 2 * seconds)
    show("sources", "sixteen at 2 frames/s stay alive", f"slowest {min(sixteen):.2f}/s, {sum(sixteen):.1f} in all",
         good=min(sixteen) >= 1.0)  # fmt: skip
