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
from tracker.config import nearest
from tracker.detect.classes import choose_classes
from tracker.detect.regions import RegionDetector
from tracker.detect.shared_detector import SharedDetector
from tracker.errors import ConfigError, TrackerError
from tracker.factory import Settings, make_embedder
from tracker.overlay import OverlayConfig
from tracker.pipeline import Pipeline
from tracker.protocols import FrameSource, Sink
from tracker.runner import Progress, Runner
from tracker.track.engine import TrackingEngine
from tracker.types import Detections, FrameResult, Image
from tracker.video import open_source, wait_for_source
from tracker.video.backoff import Backoff
from tracker.watch.camera_set import CameraConfig, address_of, in_span
from tracker.watch.clips import SOUND_S, ClipKeeper, Recorder
from tracker.watch.event_store import StoredEvent

__all__ = ["CameraReading", "CameraWatch", "ContinuousRecording"]

log = logging.getLogger(__name__)

POLL_S = 0.25
STOP_S = 3.0
RETRY_S = 5.0
"""A full disk is tried again after that long, not at every frame."""

OpenSource = Callable[[CameraConfig], FrameSource]
KeepEvent = Callable[[StoredEvent], None]


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
        self._folder = folder / camera.name
        self._keep_event = keep_event
        self._open_source = open_source
        self._overlay = OverlayConfig(blur_classes=camera.blur_classes, blur_regions=camera.blur_regions)
        self._stop = threading.Event()
        self._runner: Runner | None = None
        self._problem = ""
        self._link = "connecting"
        self._last_done: float | None = None
        self._clips: ClipKeeper | None = None
        self._first_size: tuple[int, int] | None = None
        """What rules and region without a size of their own are made on."""
        self._size: tuple[int, int] = (0, 0)
        self._resized = False
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
        runner = self._runner
        age = None if self._last_done is None else time.monotonic() - self._last_done
        return CameraReading(
            self.camera.name, self._link, self._problem, runner.progress() if runner is not None else None, age
        )

    def _run(self) -> None:
        backoff = Backoff(1.0, 30.0)
        while not self._stop.is_set():
            try:
                self._run_once()
                if self._link == "ended":
                    return
                backoff.reset()
            except TrackerError as error:
                self._note("refused" if self._runner is None else "lost", str(error))
            except Exception as error:
                log.exception("camera %s", self.camera.name)
                self._note("lost", f"unforeseen {type(error).__name__}: {error}")
            if not backoff.wait(self._stop):
                return

    def _run_once(self) -> None:
        source = wait_for_source(
            lambda: self._open_source(self.camera),
            stop=self._stop,
            on_refusal=lambda reason: self._note("refused", reason),
        )
        try:
            sinks = self._recorders()
            self._size = width, height = source.info.width, source.info.height
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
            runner = self._runner = Runner(source, pipeline, sinks, on_result=self._took)
        except BaseException:
            source.close()
            raise
        runner.start()
        while True:
            progress = runner.wait(timeout_s=POLL_S)
            self._note(progress.link or "live", "")
            if self._stop.is_set():
                runner.stop()
            if not runner.running:
                break
        runner.wait(timeout_s=STOP_S)
        if self._resized:
            self._resized = False
            log.warning("camera %s: its images have another size now; it is begun anew", self.camera.name)
        else:
            self._note("ended", "")

    def _recorders(self) -> list[ClipKeeper | ContinuousRecording]:
        camera = self.camera
        self._clips = None
        if camera.record == "never":
            return []
        self._folder.mkdir(parents=True, exist_ok=True)
        if camera.record == "continuous":
            return [ContinuousRecording(camera, self._overlay, self._folder)]
        clips = self._clips = ClipKeeper(
            camera.name, self._overlay, lambda: self._folder, before_s=camera.before_s, after_s=camera.after_s
        )
        return [clips]

    def _took(self, result: FrameResult) -> None:
        """On the runner's thread, after the frame has been recorded."""
        self._last_done = time.monotonic()
        if result.frame.image.shape[1::-1] != self._size and self._runner is not None:
            self._resized = True  # rules and region are fitted into the new size
            self._runner.stop()
            return
        if self._clips is not None:
            self._clips.arm(armed=_recorded_now(self.camera))
        now = time.time()
        clip = self._clips.current if self._clips is not None else None
        for event in result.events:
            label = result.labels[event.class_id] if 0 <= event.class_id < len(result.labels) else ""
            moment = now - max(0.0, result.frame.time - event.time)
            self._tell(event.kind, event.name, label, event.track_id, moment, event.value, str(clip or ""))

    def _note(self, link: str, problem: str) -> None:
        """A new state of the camera is an event too."""
        if (link, problem) != (self._link, self._problem):
            changed = link != self._link
            self._link, self._problem = link, problem
            if changed:
                self._tell(link, problem, "", 0, time.time(), 0.0, "")

    def _tell(self, kind: str, name: str, label: str, track: int, moment: float, value: float, clip: str) -> None:
        try:
            self._keep_event(StoredEvent(0, self.camera.name, kind, name, label, track, moment, value, clip))
        except TrackerError as error:
            log.warning("camera %s: %s", self.camera.name, error)


class _OfClasses:
    """The shared detector, of which a camera wants some classes only."""

    def __init__(self, detector: SharedDetector, camera: CameraConfig) -> None:
        self._shared = detector
        self._detector: SharedDetector | RegionDetector = detector
        self.labels, self.conf, self.engine = detector.labels, detector.conf, detector.engine
        self._classes = choose_classes(camera.classes, detector.labels, option=f"camera {camera.name}: classes")
        for where, names in (("blur_classes", camera.blur_classes), ("rules", camera.rules.class_names())):
            for name in sorted(set(names) - set(detector.labels)):
                hint = nearest(name, detector.labels)
                raise ConfigError(f"camera {camera.name}: {where}: the network knows no {name!r}; {hint}")

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


class ContinuousRecording(Sink):
    """A sink that records without end, in files of a certain length, at the hours wanted."""

    def __init__(self, camera: CameraConfig, overlay: OverlayConfig, folder: Path) -> None:
        self._camera, self._folder = camera, folder
        self._recorder = Recorder(camera.name, overlay)
        self._retry_at = 0.0
        self._reported = False

    def write(self, result: FrameResult) -> None:
        recorder = self._recorder
        if recorder.recording and (recorder.seconds >= self._camera.segment_s or not _recorded_now(self._camera)):
            recorder.stop()
        if not recorder.recording and _recorded_now(self._camera) and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + RETRY_S
            try:
                recorder.start(self._folder, annotated=False, raw=True)
                self._reported = False
            except TrackerError as error:
                log.log(logging.DEBUG if self._reported else logging.WARNING, "camera %s: %s", self._camera.name, error)
                self._reported = True
        recorder.write(replace(result, canvas=None))
        if recorder.recording and recorder.seconds >= SOUND_S:
            self._retry_at = 0.0

    def close(self) -> None:
        self._recorder.stop()

    discard = close


def _recorded_now(camera: CameraConfig) -> bool:
    moment = time.localtime()
    return not camera.schedule or in_span(camera.schedule, 60 * moment.tm_hour + moment.tm_min)
