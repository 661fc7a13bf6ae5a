"""Cameras with faults for half an hour: memory, threads and handles stay as they were."""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tests.video.cameras import MjpegCamera, RawCamera, RtspCamera
from tracker.detect.shared_detector import SharedDetector
from tracker.factory import Settings
from tracker.heap import give_back_large_blocks
from tracker.types import Detections, Image
from tracker.watch.camera_set import CameraConfig, CameraSet
from tracker.watch.set_watch import SetWatch

__all__ = ["SlowDetector", "soak"]

Show = Callable[..., None]


class SlowDetector:
    """Two frames a second."""

    labels: tuple[str, ...] = ("person",)
    conf = 0.5
    engine = "slow"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Nothing, slowly."""
        time.sleep(self.seconds)
        return [Detections.empty() for _ in images]


class CamerasElsewhere:
    """The four cameras in a process of their own, so that what is measured is the memory of the program alone."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        self.addresses: list[str] = self._pipe.recv()

    def cut(self, number: int, seconds: float) -> None:
        """Take a camera down and up again."""
        self._pipe.send((number, "down"))
        time.sleep(seconds)
        self._pipe.send((number, "up"))

    def close(self) -> None:
        """Take all down."""
        self._pipe.send(None)
        self._process.join(5)


def _serve(pipe: Connection) -> None:
    cameras = [MjpegCamera(10), MjpegCamera(5), RtspCamera(15, key_every=15), RawCamera(8)]
    pipe.send([camera.address for camera in cameras])
    while (asked := pipe.recv()) is not None:
        number, what = asked
        getattr(cameras[number], what)()


def soak(show: Show, *, full: bool) -> None:
    """Four cameras with faults, one network: memory, threads and handles."""
    seconds, settle_s = (1800, 120) if full else (90, 30)
    give_back_large_blocks(few_heaps=True)  # as `watch` does
    generator = random.Random(6)
    cameras, faults = CamerasElsewhere(), 0
    with tempfile.TemporaryDirectory() as folder:
        configs = tuple(
            CameraConfig(f"camera {number}", address, record="continuous", segment_s=20.0)
            for number, address in enumerate(cameras.addresses)
        )
        detector = SharedDetector(SlowDetector(0.01))
        watch = SetWatch(CameraSet(configs, Path(folder)), Settings(), detector=detector)
        watch.start()
        process = psutil.Process()
        before, began = (0.0, 0, 0), time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            if passed > settle_s and not before[0]:
                before = (process.memory_info().rss / 1e6, process.num_threads(), process.num_fds())
            cameras.cut(generator.randrange(len(configs)), generator.uniform(0.2, 3.0))
            faults += 1
            time.sleep(generator.uniform(0.5, 3.0))
        time.sleep(4)
        after = (process.memory_info().rss / 1e6, process.num_threads(), process.num_fds())
        links = [reading.link for reading in watch.readings()]
        watch.stop()
        cameras.close()
    show("soak", f"{seconds} s, {faults} faults: memory within 20 MB of its value after {settle_s} s",
         f"{before[0]:.0f} -> {after[0]:.0f} MB", good=after[0] - before[0] <= 20)  # fmt: skip
    show("soak", "threads and handles constant, all live at the end", f"{before[1:]} -> {after[1:]}, {links}",
         good=after[1] <= before[1] + 6 and after[2] <= before[2] + 6 and set(links) == {"live"})  # fmt: skip
