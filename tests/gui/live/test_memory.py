"""What a window that watches cameras for days keeps: as much after many thousand tracks as after a few."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from itertools import islice
from types import FunctionType, ModuleType

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from gui.canvas.hit_testing import Shape
from gui.engine.stages import LiveTracker
from gui.live.events_panel import MOST_KEPT, EventsPanel
from gui.live.notices import Notice
from gui.live.source import STAMPS_KEPT, WatchedSource
from gui.qt.background import Background
from gui.rules.counting import LiveCounts
from tracker.analytics import analyse
from tracker.config import TrackerConfig
from tracker.overlay import Overlay, OverlayConfig
from tracker.pipeline import Pipeline
from tracker.protocols import FrameSource
from tracker.types import Detections, Event, Frame, Image, SourceInfo
from tracker.watch.thumbnails import THUMBNAIL

WIDTH, HEIGHT, RATE = 640, 240, 10
CROWD = 20
LIFE, DETECTED = 18, 9
"""Frames from one crowd to the next, and those in which it is seen: it passes the line and ends in the zone."""
LIVES = 150
FORGOTTEN_S = 30.0


class Crowds:
    """Sees a new crowd every two seconds."""

    labels: tuple[str, ...] = ("person",)
    conf = 0.5
    engine = "fake, CPU"

    def __init__(self) -> None:
        self._frame = 0

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        moment, self._frame = self._frame % LIFE, self._frame + 1
        if moment >= DETECTED:
            return [Detections.empty()] * len(images)
        left, top = np.arange(CROWD) * 30.0, np.full(CROWD, 14.0 * moment)
        boxes = np.stack([left, top, left + 25, top + 80], axis=1).astype(np.float32)
        return [Detections(boxes, np.full(CROWD, 0.9, np.float32), np.zeros(CROWD, np.int32))]


def bytes_held(*roots: object) -> int:
    """The size of all that can be reached from these, but for code."""
    seen, waiting, total = set(), list(roots), 0
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, type | ModuleType | FunctionType):
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        waiting += gc.get_referents(item)
    return total


def test_stages_hold_no_more_after_thousands_of_tracks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyse, "_FORGET_S", FORGOTTEN_S)
    counts, tracker, detector = LiveCounts(), LiveTracker(TrackerConfig()), Crowds()
    counts.begin(detector.labels, WIDTH, HEIGHT)
    zone = Shape("zone", "zone", ((0.0, 165.0), (640.0, 165.0), (640.0, 240.0), (0.0, 240.0)))
    counts.use_shapes([Shape("line", "line", ((0.0, 130.0), (640.0, 130.0))), zone])
    overlay = Overlay(OverlayConfig(trails=True))
    pipeline = Pipeline(detector, tracker, analyse=counts)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    held, most_id = [], 0
    for index in range(LIVES * LIFE):
        result = pipeline.process(Frame(image, index, index / RATE, "camera"))
        most_id = max(most_id, *result.tracks.ids.tolist(), 0)
        if index % 3 == 0:
            overlay(result)
        if index % 50 == 0:
            held.append(bytes_held(counts, tracker, overlay))
    line, area = counts.rows()
    assert most_id == LIVES * CROWD
    assert line.inward + line.outward == area.inward == most_id
    half = len(held) // 2
    assert max(held[half:]) < 1.02 * max(held[:half])


class Clip(FrameSource):
    """A file of three frames, which goes on to its end at once."""

    live = False
    name, damage, info = "clip", 0, SourceInfo(2, 2)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(3):
            yield Frame(np.zeros((2, 2, 3), np.uint8), index, index * 1e-6, self.name)

    def close(self) -> None:
        pass


def test_a_source_that_loops_holds_only_its_latest_stamps() -> None:
    source = WatchedSource(Clip(), loop=True)
    frames = iter(source)
    last = [frame.index for frame in islice(frames, 2 * STAMPS_KEPT)][-1]
    before = bytes_held(source)
    indices = [frame.index for frame in islice(frames, 4 * STAMPS_KEPT)]
    assert indices == list(range(last + 1, last + 1 + 4 * STAMPS_KEPT))
    assert source.read_at(indices[-STAMPS_KEPT]) is not None
    assert source.read_at(indices[-STAMPS_KEPT] - 1) is None
    assert bytes_held(source) < 1.05 * before + 4096
    source.close()


def test_the_list_of_events_forgets_the_oldest(qtbot: QtBot) -> None:
    panel = EventsPanel(Background())
    qtbot.addWidget(panel)
    references = []
    for number in range(MOST_KEPT + 50):
        thumbnail = np.zeros((THUMBNAIL[1], THUMBNAIL[0], 4), np.uint8)
        references.append(weakref.ref(thumbnail))
        event = Event("line", "gate", float(number), number + 1, 0, 1.0)
        panel.add(Notice("camera", event, "person", float(number), thumbnail, b"", None))
        del thumbnail
    assert panel.count == MOST_KEPT
    assert sum(reference() is not None for reference in references) == MOST_KEPT


FRAGMENTED = """
import numpy as np
from pathlib import Path
from tracker.heap import give_back_large_blocks
give_back_large_blocks()
def resident():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
before = resident()
for _ in range(3):  # glibc left to itself raises its limit at the first that is freed
    np.ones(2 << 20, np.uint8)
frames, pins = [], []
for _ in range(100):
    frames.append(np.ones(2 << 20, np.uint8))
    pins.append(np.ones(100 << 10, np.uint8))
full = resident()
del frames
print(full - before, resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about glibc, and read from /proc")
def test_memory_of_frames_is_given_back_whatever_lies_between_them() -> None:
    output = subprocess.run([sys.executable, "-c", FRAGMENTED], capture_output=True, text=True, check=True).stdout
    full, left = map(float, output.split())
    assert full > 200
    assert left < 30
