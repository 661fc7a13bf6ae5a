"""What one camera of a set keeps by its rules: video, events with what they looked like, its own states."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tracker.config import nearest
from tracker.detect.classes import choose_classes
from tracker.errors import ConfigError, SinkError, TrackerError, why_unwritable
from tracker.overlay import AskFigures, OverlayConfig
from tracker.protocols import Sink
from tracker.types import FrameResult
from tracker.watch.camera_set import CameraConfig, in_span
from tracker.watch.clips import SOUND_S, ClipKeeper, Recorder
from tracker.watch.event_store import StoredEvent
from tracker.watch.thumbnails import thumbnails_of

__all__ = ["CameraRecords", "ContinuousRecording", "KeepEvent", "refuse_unknown_classes"]

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""A full disk is tried again after that long, not at every frame."""

KeepEvent = Callable[[StoredEvent, bytes], None]
"""Takes an event and what it looked like, as JPEG or nothing; it never waits."""


class CameraRecords:
    """Keeps what the camera's rules ask for, whoever runs the camera: `watch`, or the window."""

    def __init__(
        self, camera: CameraConfig, folder: Path, keep_event: KeepEvent, overlay: OverlayConfig | None = None
    ) -> None:
        self._camera = camera
        self._folder = folder / camera.name
        self._keep_event = keep_event
        self._overlay = overlay or OverlayConfig(blur_classes=camera.blur_classes, blur_regions=camera.blur_regions)
        self._clips: ClipKeeper | None = None
        self._continuous: ContinuousRecording | None = None
        self.link = "connecting"
        """connecting, live, stalled, lost, refused, or ended."""
        self.problem = ""

    @property
    def recording(self) -> bool:
        """Whether a video is being written now."""
        return self.clip is not None

    @property
    def clip(self) -> Path | None:
        """The video that is being written, a clip or a part of the continuous recording."""
        recorder = self._clips or self._continuous
        return None if recorder is None else recorder.current

    def sinks(self, figures: AskFigures | None = None) -> list[Sink]:
        """The recorders of one run of the camera, made anew for each. Raises SinkError where there is no folder.

        `figures`, asked for on another thread than counts, are drawn into clips.
        """
        camera = self._camera
        self._clips = self._continuous = None
        if camera.record == "never":
            return []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"{self._folder}: cannot be made: {why_unwritable(error)}") from error
        if camera.record == "continuous":
            self._continuous = ContinuousRecording(camera, self._overlay, self._folder)
            return [self._continuous]
        self._clips = ClipKeeper(
            camera.name, self._overlay, lambda: self._folder,
            before_s=camera.before_s, after_s=camera.after_s, figures=figures,
        )  # fmt: skip
        return [self._clips]

    def configure(self, overlay: OverlayConfig) -> None:
        """Draw and hide differently from the next frame on, in videos and in what events looked like."""
        self._overlay = overlay
        for recorder in (self._clips, self._continuous):
            if recorder is not None:
                recorder.configure(overlay)

    def took(self, result: FrameResult) -> None:
        """Keep the events of a frame that its sinks have been given."""
        if self._clips is not None:
            self._clips.arm(armed=recorded_now(self._camera))
        if not result.events:
            return
        now = time.time()
        clip = self.clip
        for event, thumbnail in zip(result.events, thumbnails_of(result, self._overlay), strict=True):
            label = result.labels[event.class_id] if 0 <= event.class_id < len(result.labels) else ""
            moment = now - max(0.0, result.frame.time - event.time)
            kept = StoredEvent(
                0, self._camera.name, event.kind, event.name, label, event.track_id, moment, event.value,
                str(clip or ""),
            )  # fmt: skip
            self._keep_event(kept, thumbnail)

    def note(self, link: str, problem: str = "") -> None:
        """How the camera stands; a new state is an event too."""
        if (link, problem) != (self.link, self.problem):
            changed = link != self.link
            self.link, self.problem = link, problem
            if changed:
                self._keep_event(StoredEvent(0, self._camera.name, link, problem, "", 0, time.time(), 0.0), b"")


class ContinuousRecording(Sink):
    """A sink that records without end, in files of a certain length, at the hours wanted."""

    def __init__(self, camera: CameraConfig, overlay: OverlayConfig, folder: Path) -> None:
        self._camera, self._folder = camera, folder
        self._recorder = Recorder(camera.name, overlay)
        self._retry_at = 0.0
        self._reported = False

    @property
    def current(self) -> Path | None:
        """The video that is being written."""
        return next(iter(self._recorder.files), None) if self._recorder.recording else None

    def configure(self, overlay: OverlayConfig) -> None:
        """Hide differently from the next frame on."""
        self._recorder.configure(overlay)

    def write(self, result: FrameResult) -> None:
        recorder = self._recorder
        if recorder.recording and (recorder.seconds >= self._camera.segment_s or not recorded_now(self._camera)):
            recorder.stop()
        if not recorder.recording and recorded_now(self._camera) and time.monotonic() >= self._retry_at:
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


def refuse_unknown_classes(camera: CameraConfig, labels: Sequence[str]) -> None:
    """Raise ConfigError, naming the nearest, where the camera's settings name a class that the network does not know.

    What is to be hidden or noticed would else be passed over in silence.
    """
    choose_classes(camera.classes, labels, option=f"camera {camera.name}: classes")
    for where, names in (("blur_classes", camera.blur_classes), ("rules", camera.rules.class_names())):
        for name in sorted(set(names) - set(labels)):
            hint = nearest(name, labels)
            raise ConfigError(f"camera {camera.name}: {where}: the network knows no {name!r}; {hint}")


def recorded_now(camera: CameraConfig) -> bool:
    """Whether this is an hour in which the camera is recorded."""
    moment = time.localtime()
    return not camera.schedule or in_span(camera.schedule, 60 * moment.tm_hour + moment.tm_min)
