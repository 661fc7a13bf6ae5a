"""Stages whose settings change while they run: one detector for all sources, trackers that keep their ids."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy import ndarray

from tracker.classify import ImageClassifier
from tracker.config import DetectorConfig, TrackerConfig
from tracker.detect.classes import choose_classes
from tracker.detect.regions import RegionDetector
from tracker.detect.shared_detector import SharedDetector
from tracker.detect.tiles import join_windows
from tracker.factory import Settings, classes_of_tracks, floor_of, make_detector
from tracker.protocols import Detector, Embed, EmbedRows, Explain, LabelPixels
from tracker.track.engine import TrackingEngine
from tracker.track.track_classes import TrackClasses
from tracker.types import Detections, Image, Tracks, Warp

__all__ = [
    "AreaDetector",
    "LiveClasses",
    "LiveTracker",
    "Polygon",
    "SharedClassifier",
    "SharedEmbedder",
    "SharedLabeller",
    "live_detector",
    "tracker_settings",
    "warm_up",
]

Polygon: TypeAlias = Sequence[tuple[float, float]]
"""Corners in pixels of the frame."""
SHAPING = ("filter", "direction_span", "direction_weight", "reupdate", "appearance", "gallery", "reid_model")
"""Settings that decide what a track remembers: when one changes, tracks begin anew."""


class AreaDetector:
    """The detector of all sources, inside areas of one of them; they may change while it runs. Without any: everywhere.

    Of the classes named, all without any. An area beside the frame, drawn when the camera sent a larger one, is passed
    over.
    """

    def __init__(self, detector: Detector, areas: Sequence[Polygon] = (), *, classes: Sequence[str] = ()) -> None:
        self._detector = detector
        self._wanted = classes
        self._chosen: tuple[tuple[str, ...], Int32[ndarray, " k"] | None] | None = None
        self.use(areas)

    def use(self, areas: Sequence[Polygon]) -> None:
        """Detect in these from the next frame on."""
        self._regions = tuple(RegionDetector(self._detector, area) for area in areas)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of the network now in use."""
        return self._detector.labels

    @property
    def conf(self) -> float:
        """That of the network now in use."""
        return self._detector.conf

    @property
    def engine(self) -> str:
        """That of the network now in use."""
        return self._detector.engine

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """What is in any of the areas, once."""
        regions = self._regions
        found = [_in_regions(image, regions) for image in images] if regions else self._detector.detect(images)
        return [self._of_classes(each) for each in found]

    def detect_newest(self, take: Callable[[], Image]) -> Detections:
        """The same of the image that `take` gives, which is called late where the whole frame is detected in."""
        if not self._regions and isinstance(self._detector, SharedDetector):
            return self._of_classes(self._detector.detect_newest(take))
        return self.detect([take()])[0]

    def _of_classes(self, found: Detections) -> Detections:
        """Those of the classes that are wanted, by the labels of the network now in use. Raises ConfigError."""
        if not self._wanted:
            return found
        labels = self._detector.labels
        if self._chosen is None or self._chosen[0] != labels:
            self._chosen = labels, choose_classes(self._wanted, labels, option="classes")
        chosen = self._chosen[1]
        return found if chosen is None else found[np.isin(found.class_ids, chosen)]


def _in_regions(image: Image, regions: Sequence[RegionDetector]) -> Detections:
    height, width = image.shape[:2]
    found = [own for region in regions if region.is_inside(width, height) for own in region.detect([image])]
    if len(found) < 2:
        return found[0] if found else Detections.empty()
    return join_windows(found, [np.zeros(len(own), bool) for own in found])


class SharedEmbedder:
    """A re-identification network for many sources, one at a time."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._turn = threading.Lock()

    def __call__(self, image: Image, boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n d"]:
        """A unit vector for each box, when it is this caller's turn."""
        with self._turn:
            return self._embed(image, boxes)


class SharedLabeller:
    """A network that labels every pixel, for many sources; it may be exchanged, or be none, between two frames."""

    def __init__(self) -> None:
        self._label: LabelPixels | None = None

    def exchange(self, label: LabelPixels | None) -> None:
        """Use this network from the next frame on."""
        self._label = label

    @property
    def labels(self) -> tuple[str, ...]:
        """What the numbers stand for; none without a network."""
        return () if self._label is None else self._label.labels

    def __call__(self, image: Image) -> UInt8[ndarray, "i j"] | None:
        """A number per pixel; None without a network."""
        label = self._label
        return None if label is None else label(image)


class SharedClassifier:
    """The classifier that names tracks, for many sources; it may be exchanged, or be none, between two frames."""

    def __init__(self) -> None:
        self.present: tuple[ImageClassifier, DetectorConfig] | None = None

    def exchange(self, classifier: ImageClassifier | None, config: DetectorConfig) -> None:
        """Use this one, by the settings that it was made for, from the next frame on."""
        self.present = None if classifier is None else (classifier, config)

    @property
    def labels(self) -> tuple[str, ...]:
        """What it says; none without a classifier."""
        return () if self.present is None else self.present[0].labels


class LiveClasses:
    """Which kind each track of one source is; votes begin anew with another classifier or detector."""

    def __init__(self, shared: SharedClassifier, detector: Detector) -> None:
        self._shared, self._detector = shared, detector
        self._made: tuple[object, tuple[str, ...]] | None = None
        self._classes: TrackClasses | None = None

    def __call__(self, image: Image, tracks: Tracks) -> Tracks:
        """The tracks under the class that the classifier at work gives them; as they are without one."""
        present, labels = self._shared.present, self._detector.labels
        if present is None:
            return tracks
        if self._classes is None or self._made != (present, labels):
            self._made = present, labels
            self._classes = classes_of_tracks(*present, labels)
        return self._classes(image, tracks)


class LiveTracker:
    """A tracking engine whose settings may change between two frames; ids go on, tracks too where they can.

    `embed` is the network that looks at crops, for settings with `reid` appearance.
    """

    def __init__(self, config: TrackerConfig, embed: Embed | None = None) -> None:
        self._engine = TrackingEngine(config)
        self._embed = embed
        self._lock = threading.Lock()
        self._pending: tuple[TrackerConfig, Embed | None] | None = None

    def change(self, config: TrackerConfig, embed: Embed | None = None) -> None:
        """Use these settings from the next frame on."""
        with self._lock:
            self._pending = config, embed

    def embed(self, image: Image, boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n d"]:
        """What the boxes look like to the network now in use; only to be asked by `update`."""
        assert self._embed is not None
        return self._embed(image, boxes)

    @property
    def engine(self) -> TrackingEngine:
        """The engine now at work."""
        return self._engine

    def update(
        self,
        detections: Detections,
        time: float,
        camera_motion: Warp | None = None,
        embed_rows: EmbedRows | None = None,
    ) -> Tracks:
        with self._lock:
            pending, self._pending = self._pending, None
        if pending is not None:
            config, self._embed = pending
            if config != self._engine.config:
                self._engine = _changed(self._engine, config)
        return self._engine.update(detections, time, camera_motion, None if self._embed is None else embed_rows)

    @property
    def explanation(self) -> Explain | None:
        """What to ask about the detections of the last update."""
        return self._engine.explanation

    def state(self) -> Mapping[str, Any]:
        return self._engine.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._engine.restore(state)

    def reset(self) -> None:
        """Forget every track; ids go on and are not reused."""
        self._engine.reset()


def _changed(engine: TrackingEngine, config: TrackerConfig) -> TrackingEngine:
    changed = TrackingEngine(config)
    state = engine.state()
    if any(getattr(engine.config, name) != getattr(config, name) for name in SHAPING):
        state = {**changed.state(), "next_id": state["next_id"]}
    changed.restore(state)
    return changed


def live_detector(config: DetectorConfig, tracker: TrackerConfig, *, threads: int) -> Detector:
    """The detector of the settings, also giving what the tracker can still use."""
    return make_detector(config, threads=threads, floor=floor_of(tracker), appearance=tracker.appearance)


def warm_up(config: TrackerConfig) -> None:
    """Have imported and compiled what a tracker needs, or sources would wait for it amid their first crowd."""
    engine = TrackingEngine(replace(config, appearance="none"))
    boxes = np.array([[0, 0, 40, 80], [10, 0, 50, 80], [20, 0, 60, 80]], np.float32)
    for moment in range(3):
        crowd = Detections(boxes + 4 * moment, np.full(3, 0.9, np.float32), np.zeros(3, np.int32))
        engine.update(crowd, moment / 25)


def tracker_settings(settings: Settings, conf: float) -> TrackerConfig:
    """The tracker's settings with the network's own threshold where they leave it open."""
    if settings.own_scores:
        return settings.tracker
    return settings.tracker.for_threshold(conf)
