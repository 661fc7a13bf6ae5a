"""The order: detect, track, analyse, draw. One frame in, one FrameResult out, no threads.

`process` is deterministic: the same frames in the same order give the same results. `detect` keeps no state, so
the Runner may call it for several frames at once; `follow` remembers and must see the frames in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from tracker.geometry import is_valid
from tracker.protocols import (
    Analyse,
    Detector,
    Draw,
    Embed,
    EmbedRows,
    EstimateMotion,
    Explains,
    LabelPixels,
    NameTracks,
    Stateful,
    Tracker,
)
from tracker.types import Detections, Frame, FrameResult, Image, Tracks

__all__ = ["Pipeline", "StageDetections"]


@dataclass(frozen=True, slots=True)
class StageDetections:
    """What the stateless half of the pipeline found in one frame."""

    detections: Detections
    rejected: int
    seconds: float
    semantic: UInt8[ndarray, "i j"] | None = None


class Pipeline:
    """A detector, a tracker and what stands around them, run in order on each frame.

    Without a tracker each frame stands alone.
    """

    def __init__(
        self,
        detector: Detector,
        tracker: Tracker | None,
        *,
        embed: Embed | None = None,
        estimate_motion: EstimateMotion | None = None,
        name_tracks: NameTracks | None = None,
        more_labels: Sequence[str] | Callable[[], Sequence[str]] = (),
        label_pixels: LabelPixels | None = None,
        analyse: Analyse | None = None,
        draw: Draw | None = None,
    ) -> None:
        self.detector = detector
        self.tracker = tracker
        self._embed = embed
        self._estimate_motion = estimate_motion
        self._name_tracks = name_tracks
        self._more_labels = more_labels
        self._label_pixels = label_pixels
        self._analyse = analyse
        self._draw = draw

    @property
    def labels(self) -> tuple[str, ...]:
        """The detector's, then those that `name_tracks` gives to tracks; both are those of the networks now in use."""
        more = self._more_labels() if callable(self._more_labels) else self._more_labels
        return (*self.detector.labels, *more)

    @property
    def semantic_labels(self) -> tuple[str, ...]:
        """Labels of pixels; empty without a network for it."""
        return () if self._label_pixels is None else self._label_pixels.labels

    @property
    def analyse(self) -> Analyse | None:
        """The stage that makes events of tracks, where there is one."""
        return self._analyse

    def process(self, frame: Frame) -> FrameResult:
        """Everything about one frame. Frames of one source come in order."""
        return self.follow(frame, self.detect([frame.image])[0])

    def state(self) -> dict[str, Any]:
        """All that `follow` remembers of earlier frames, by stage; to be taken between two frames."""
        return {name: stage.state() for name, stage in self._stateful()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a pipeline with the same settings stood when it gave `state`."""
        for name, stage in self._stateful():
            stage.restore(state[name])

    def _stateful(self) -> list[tuple[str, Stateful]]:
        stages: dict[str, object] = {"tracker": self.tracker, "motion": self._estimate_motion, "analyse": self._analyse}
        if self._name_tracks is not None:
            stages["classes"] = self._name_tracks
        return [(name, stage) for name, stage in stages.items() if isinstance(stage, Stateful)]

    def detect(self, images: Sequence[Image]) -> list[StageDetections]:
        """The objects in each image, those a tracker cannot use dropped and counted; keeps no state."""
        started = time.perf_counter()
        found = self.detector.detect(images)
        seconds = (time.perf_counter() - started) / max(len(found), 1)
        return [self._usable(each, image, seconds) for each, image in zip(found, images, strict=True)]

    def detect_newest(self, take: Callable[[], Image]) -> StageDetections:
        """As `detect`, of the image that `take` gives when the detector is free: many sources may share it."""
        started = 0.0
        taken: list[Image] = []

        def take_now() -> Image:
            nonlocal started
            taken.append(take())
            started = time.perf_counter()
            return taken[-1]

        ask: Callable[[Callable[[], Image]], Detections] | None = getattr(self.detector, "detect_newest", None)
        found = self.detector.detect([take_now()])[0] if ask is None else ask(take_now)
        return self._usable(found, taken[-1], time.perf_counter() - started)

    def follow(self, frame: Frame, seen: StageDetections) -> FrameResult:
        """Give the objects of the next frame their identities, then analyse and draw it."""
        clock = _Clock()
        tracks = Tracks.empty()
        if self.tracker is not None:
            motion = self._estimate_motion(frame.image) if self._estimate_motion else None
            tracks = self.tracker.update(seen.detections, frame.time, motion, self._look(frame.image, seen.detections))
            if self._name_tracks is not None:
                tracks = self._name_tracks(frame.image, tracks)
        clock.lap("track")
        events = self._analyse(tracks, frame.time) if self._analyse else ()
        clock.lap("analyse")
        result = FrameResult(
            frame=frame,
            detections=seen.detections,
            tracks=tracks,
            labels=self.labels,
            semantic=seen.semantic,
            semantic_labels=self.semantic_labels,
            events=events,
            timings=clock.laps,
            rejected=seen.rejected,
            tracked=self.tracker is not None,
            explain=self.tracker.explanation if isinstance(self.tracker, Explains) else None,
        )
        canvas = self._draw(result) if self._draw else None
        clock.lap("draw")
        return replace(result, canvas=canvas, timings={"detect": seen.seconds, **clock.laps})

    def _usable(self, detections: Detections, image: Image, seconds: float) -> StageDetections:
        """What a tracker can use of it, with a label per pixel where there is a network for that."""
        usable = is_valid(detections.boxes, detections.scores)
        rejected = int(len(usable) - usable.sum())
        semantic = None if self._label_pixels is None else self._label_pixels(image)
        return StageDetections(detections[usable] if rejected else detections, rejected, seconds, semantic)

    def _look(self, image: Image, detections: Detections) -> EmbedRows | None:
        embed = self._embed
        return None if embed is None else lambda rows: embed(image, detections.boxes[rows])


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
