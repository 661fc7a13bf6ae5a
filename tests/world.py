"""A synthetic world with exact truth: coloured people-sized boxes that cross, hide and leave, and fakes to run it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from tracker.protocols import EmbedRows, FrameSource
from tracker.types import Detections, Frame, Image, SourceInfo, Tracks

LABELS = ("person", "car")


@dataclass(frozen=True)
class Mover:
    """One object on a straight way, in the frame from `enters` to `leaves` seconds."""

    x: float
    y: float
    speed_x: float
    speed_y: float
    width: float = 40
    height: float = 90
    class_id: int = 0
    enters: float = 0.0
    leaves: float = np.inf

    def box(self, moment: float) -> tuple[float, float, float, float]:
        x, y = self.x + self.speed_x * moment, self.y + self.speed_y * moment
        return x, y, x + self.width, y + self.height


CROSSING = (
    Mover(20, 100, 60, 0),
    Mover(560, 110, -60, 0),
    Mover(300, 20, 0, 25, class_id=1, width=110, height=60),
    Mover(100, 230, 40, 4, enters=1.0, leaves=4.0),
)


@dataclass(frozen=True)
class World:
    """Movers on a grey floor, `rate` frames a second."""

    movers: tuple[Mover, ...] = CROSSING
    width: int = 640
    height: int = 360
    rate: int = 25
    seconds: float = 5.0

    @property
    def count(self) -> int:
        return round(self.rate * self.seconds)

    def truth(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids from 1, boxes and classes of who is in frame `index`."""
        moment = index / self.rate
        here = [(number, mover) for number, mover in enumerate(self.movers, 1) if mover.enters <= moment < mover.leaves]
        ids = np.array([number for number, _ in here], np.int64)
        boxes = np.array([mover.box(moment) for _, mover in here], np.float32).reshape(-1, 4)
        return ids, boxes, np.array([mover.class_id for _, mover in here], np.int32)

    def image(self, index: int) -> Image:
        """The image of frame `index`; its number stands in the first pixels, so that a detector can look it up."""
        image = np.full((self.height, self.width, 3), 90, np.uint8)
        ids, boxes, _ = self.truth(index)
        for track, (x1, y1, x2, y2) in zip(ids, boxes.astype(int), strict=True):
            image[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = (40 * track % 256, 200, 255 - 40 * track % 256)
        image[0, 0] = (index // 256, index % 256, 0)
        return image

    def detections(self, index: int) -> Detections:
        """What a perfect detector sees in frame `index`."""
        _, boxes, class_ids = self.truth(index)
        return Detections(boxes, np.full(len(boxes), 0.9, np.float32), class_ids)


@dataclass
class FakeSource(FrameSource):
    """The frames of a world; live ones come at their own pace whether anyone looks or not."""

    world: World = field(default_factory=World)
    live: bool = False
    damage: int = 0
    fails_at: int | None = None
    name: str = "world.mp4"
    closed: bool = False

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            self.world.width,
            self.world.height,
            rate=Fraction(self.world.rate),
            frame_count=None if self.live else self.world.count,
            time_base=Fraction(1, self.world.rate * 512),
        )

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.world.count):
            if self.closed:
                return
            if index == self.fails_at:
                raise RuntimeError("the source broke")
            if self.live:
                time.sleep(0.002)
            image = self.world.image(index)
            image.flags.writeable = False
            yield Frame(image, index, index / self.world.rate, self.name)

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedDetector:
    """Sees exactly what the world holds, by the number written into the frame."""

    world: World = field(default_factory=World)
    delay_s: float = 0.0
    fails_at: int | None = None
    spoiled: bool = False
    labels: tuple[str, ...] = LABELS
    conf: float = 0.5
    engine: str = "script"
    batches: list[int] = field(default_factory=list)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self.batches.append(len(images))
        time.sleep(self.delay_s)
        found = []
        for image in images:
            high, low, _ = (int(value) for value in image[0, 0])
            index = high * 256 + low
            if index == self.fails_at:
                raise RuntimeError("the detector broke")
            detections = self.world.detections(index)
            found.append(_spoil(detections) if self.spoiled else detections)
        return found


def _spoil(detections: Detections) -> Detections:
    """NaN, infinite and empty boxes among the good ones."""
    bad = np.array([[np.nan, 0, 10, 10], [0, 0, np.inf, 10], [5, 5, 5, 5], [30, 30, 20, 40]], np.float32)
    return Detections(
        np.concatenate([bad, detections.boxes]),
        np.concatenate([np.full(4, 0.9, np.float32), detections.scores]),
        np.concatenate([np.zeros(4, np.int32), detections.class_ids]),
    )


class NoTracker:
    """A tracker that sees nobody, for tests of what stands around it."""

    def update(
        self,
        detections: Detections,
        time: float,
        camera_motion: np.ndarray | None = None,
        embed_rows: EmbedRows | None = None,
    ) -> Tracks:
        return Tracks.empty()
