"""One camera under watch: waited for, run, recorded by its rule, its events kept; it never gives up by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tracker.analytics import Analytics
from tracker.detect.classes import choose_classes
from tracker.detect.regions import RegionDetector
from tracker.detect.shared_detector import SharedDetector
from tracker.errors import ConfigError, TrackerError
from tracker.factory import Settings, make_embedder
from tracker.pipeline import Pipeline
from tracker.protocols import FrameSource
from tracker.runner import Progress, Runner
from tracker.track.engine import TrackingEngine
from tracker.types import Detections, FrameResult, Image, LinkState
from tracker.video import open_source, wait_for_source
from tracker.video.backoff import Backoff
from tracker.video.stream_source import is_denied
from tracker.watch.camera_records import CameraRecords, KeepEvent, refuse_unknown_classes
from tracker.watch.camera_set import CameraConfig, address_of

__all__ = ["CameraReading", "CameraWatch"]

log = logging.getLogger(__name__)

POLL_S = 0.25
PASSWORD_LOOK_S = 5.0
"""Between searches for another password while the camera refuses the one it was given."""
STOP_S = 3.0
OpenSource = Callable[[CameraConfig], FrameSource]


@dataclass(frozen=True, slots=True)
class CameraReading:
    """How a camera stands, for health checks and metrics."""

    name: str
    link: str
    """connecting, live, stalled, lost, refused, or ended."""
    problem: str
    progress: Progress | None
    frame_age_s: float | None
    """Seconds since a frame was done; None before the first."""


def open_camera(camera: CameraConfig) -> FrameSource:
    """The camera's source, opened."""
    return open_source(address_of(camera), rtsp_transport=camera.rtsp_transport, hwaccel=camera.hwaccel)


class CameraWatch:
    """Runs one camera on threads of its own until `stop`; after any error it begins anew, with growing pauses."""

    def __init__(
        self,
        camera: CameraConfig,
        settings: Settings,
        detector: SharedDetector,
        folder: Path,
        keep_event: KeepEvent,
        *,
        open_source: OpenSource = open_camera,
    ) -> None:
        self.camera = camera
        self._settings = settings
        self._detector = _OfClasses(detector, camera)
        self._records = CameraRecords(camera, folder, keep_event)
        self._open_source = open_source
        self._stop = threading.Event()
        self._runner: Runner | None = None
        self._last_done: float | None = None
        self._first_size: tuple[int, int] | None = None
        """What rules and region without a size of their own are made on."""
        self._size: tuple[int, int] = (0, 0)
        self._resized: tuple[int, int] | None = None
        """The size of images that no longer fit the run; the next one is made for it, whatever the source names."""
        self._address: str | None = None
        """Where the camera was last opened, with the password of then."""
        self._signs_in_anew = False
        self._reported = ""
        self._thread = threading.Thread(target=self._run, name=f"sightline-watch-{camera.name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; recordings are finished."""
        self._stop.set()
        runner = self._runner
        if runner is not None:
            runner.stop()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended by then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def reading(self) -> CameraReading:
        """How it stands now."""
        runner, records = self._runner, self._records
        age = None if self._last_done is None else time.monotonic() - self._last_done
        return CameraReading(
            self.camera.name, records.link, records.problem, runner.progress() if runner is not None else None, age
        )

    def _run(self) -> None:
        backoff = Backoff(1.0, 30.0)
        while not self._stop.is_set():
            try:
                self._run_once()
                if self._records.link == "ended":
                    return
                backoff.reset()
            except TrackerError as error:
                self._report(str(error))
                self._records.note("refused" if self._runner is None else "lost", str(error))
            except Exception as error:
                log.exception("camera %s", self.camera.name)
                self._records.note("lost", f"unforeseen {type(error).__name__}: {error}")
            if not backoff.wait(self._stop):
                return

    def _report(self, problem: str) -> None:
        """Say once what is tried again and again."""
        if problem != self._reported and not self._stop.is_set():
            log.warning("camera %s: %s; it is tried again.", self.camera.name, problem.rstrip("."))
        self._reported = problem

    def _open(self) -> FrameSource:
        self._address = address_of(self.camera)
        return self._open_source(self.camera)

    def _run_once(self) -> None:
        source = wait_for_source(
            self._open,
            stop=self._stop,
            on_refusal=lambda reason: self._records.note("refused", reason),
        )
        try:
            sinks = self._records.sinks()
            resized, self._resized = self._resized, None
            self._size = width, height = resized or (source.info.width, source.info.height)
            if self._first_size is None:
                self._first_size = self._size
            rules = self.camera.rules if self.camera.rules.size else replace(self.camera.rules, size=self._first_size)
            analytics = Analytics(rules, self._detector.labels, width=width, height=height)
            across, down = width / self._first_size[0], height / self._first_size[1]
            self._detector.use_region([(x * across, y * down) for x, y in self.camera.roi], width, height)
            tracker = self._settings.tracker
            if not self._settings.own_scores:
                tracker = tracker.for_threshold(self._detector.conf)
            pipeline = Pipeline(
                self._detector, TrackingEngine(tracker), embed=make_embedder(self._settings), analyse=analytics
            )
            runner = self._runner = Runner(
                source,
                pipeline,
                sinks,
                most_failures=self._settings.source.most_failures,
                on_result=self._took,
            )
        except BaseException:
            source.close()
            raise
        runner.start()
        look_at = 0.0
        while True:
            runner.wait(timeout_s=POLL_S)
            link = source.link
            self._records.note(*("live", "") if link is None else (str(link.state), link.reason))
            denied = link is not None and link.state is not LinkState.LIVE and is_denied(link.reason)
            if denied and time.monotonic() > look_at:
                look_at = time.monotonic() + PASSWORD_LOOK_S
                self._signs_in_anew = self._has_another_password()
            if self._stop.is_set() or self._signs_in_anew:
                runner.stop()
            if not runner.running:
                break
        runner.wait(timeout_s=STOP_S)
        self._note_end()

    def _has_another_password(self) -> bool:
        """Whether the keyring has another one by now than the camera was opened with."""
        try:
            return address_of(self.camera) != self._address
        except ConfigError:  # taken out of it
            return False

    def _note_end(self) -> None:
        if self._signs_in_anew:
            self._signs_in_anew = False
            log.warning("camera %s: it has another password now and is opened anew", self.camera.name)
        elif self._resized is not None:
            text = "camera %s: its images have %d x %d pixels now; it is begun anew, rules and region fitted into them"
            log.warning(text, self.camera.name, *self._resized)
        else:
            self._records.note("ended", "")

    def _took(self, result: FrameResult) -> None:
        """On the runner's thread, after the frame has been recorded."""
        self._last_done = time.monotonic()
        self._reported = ""
        height, width = result.frame.image.shape[:2]
        if (width, height) != self._size and self._runner is not None:
            self._resized = width, height
            self._runner.stop()
            return
        self._records.took(result)


class _OfClasses:
    """The shared detector, of which a camera wants some classes only."""

    def __init__(self, detector: SharedDetector, camera: CameraConfig) -> None:
        self._shared = detector
        self._detector: SharedDetector | RegionDetector = detector
        self.labels, self.conf, self.engine = detector.labels, detector.conf, detector.engine
        refuse_unknown_classes(camera, detector.labels)
        self._classes = choose_classes(camera.classes, detector.labels, option=f"camera {camera.name}: classes")

    def use_region(self, corners: Sequence[tuple[float, float]], width: int, height: int) -> None:
        """Detect inside the polygon alone, or everywhere without corners. Raises ConfigError where it lies outside."""
        self._detector = RegionDetector(self._shared, corners) if corners else self._shared
        if isinstance(self._detector, RegionDetector):
            self._detector.window(width, height)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """What is wanted of each image."""
        return [self._wanted(detections) for detections in self._detector.detect(images)]

    def detect_newest(self, take: Callable[[], Image]) -> Detections:
        """What is wanted of the image that `take` gives when the shared detector is free."""
        return self._wanted(self._detector.detect_newest(take))

    def _wanted(self, detections: Detections) -> Detections:
        if self._classes is None:
            return detections
        return detections[np.isin(detections.class_ids, self._classes)]
