"""What is kept of live input: recordings on demand, a clip around each event, snapshots. Privacy is burnt in."""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from tracker.errors import SinkError, TrackerError
from tracker.factory import annotation_sink
from tracker.overlay import AskFigures, Figure, Overlay, OverlayConfig
from tracker.protocols import Sink
from tracker.types import FrameResult, Image
from tracker.video import VideoSink

__all__ = ["ClipKeeper", "Recorder", "privacy_only", "save_snapshot"]

log = logging.getLogger(__name__)

BEFORE_S = 5.0
AFTER_S = 5.0
LONGEST_CLIP_S = 60.0
JPEG_QUALITY = 90
SOUND_S = 2.0
"""A recording of that length is not cut off by what ended the one before: further failures are reported again."""


def privacy_only(config: OverlayConfig) -> OverlayConfig:
    """The overlay that hides what must be hidden and draws nothing."""
    return replace(
        config, boxes=False, masks=False, class_names=False, ids=False, scores=False, counts=False, trails=False,
        semantic_opacity=0.0,
    )  # fmt: skip


def _stem(name: str) -> str:
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "source"
    return f"{safe}-{time.strftime('%Y%m%d-%H%M%S')}"


def _free(path: Path) -> Path:
    number = 2
    chosen = path
    while chosen.exists():
        chosen = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return chosen


class Recorder(Sink):
    """A sink that records while it is asked to. What goes wrong ends the recording, never the source.

    `figures` are drawn into the drawn video, and asked for on the thread that writes.
    """

    def __init__(
        self,
        name: str,
        config: OverlayConfig,
        rate: Fraction | None = None,
        *,
        figures: AskFigures | None = None,
    ) -> None:
        self._name = name
        self._rate = rate
        self._figures = figures
        self._lock = threading.RLock()
        self._config = config
        self._overlays: dict[bool, Overlay] = {}
        """By whether they draw or only hide."""
        self._videos: list[tuple[Sink, bool]] = []
        self._rows: Sink | None = None
        self._origin: float | None = None
        self.files: list[Path] = []
        self.problem: str | None = None
        self.seconds = 0.0
        self.wanted: tuple[bool, bool] | None = None
        """What is being recorded: the drawn video, the plain one; None while nothing is."""
        self._reported = False
        """Whether the last failure was reported, and no recording has gone on since."""

    @property
    def recording(self) -> bool:
        """Whether frames are being written."""
        return bool(self._videos)

    def configure(self, config: OverlayConfig) -> None:
        """Draw and hide differently from the next frame on; never waits for one that is being written."""
        self._config = config

    def start(self, folder: Path, *, annotated: bool, raw: bool) -> None:
        """Begin: `annotated` writes the drawn video, `raw` the plain one with its annotations as JSON Lines.

        Raises SinkError where nothing can be written.
        """
        with self._lock:
            self.stop()
            self.problem, self._origin, self.seconds, self.files = None, None, 0.0, []
            self._overlays.clear()
            stem = _stem(self._name)
            try:
                if annotated:
                    self._open_video(_free(folder / f"{stem}.mp4"), drawn=True)
                if raw:
                    self._open_video(_free(folder / f"{stem}-raw.mp4"), drawn=False)
                    path = _free(folder / f"{stem}-raw.jsonl")
                    self._rows = annotation_sink("jsonl", path)
                    self.files.append(path)
            except TrackerError:
                self.stop()
                raise
            self.wanted = annotated, raw

    def stop(self) -> list[Path]:
        """End the recording and give its files."""
        with self._lock:
            sinks = [sink for sink, _ in self._videos] + ([self._rows] if self._rows is not None else [])
            self._videos, self._rows, self.wanted = [], None, None
            for sink in sinks:
                try:
                    sink.close()
                except TrackerError as error:
                    self._note(error)
            self.files = [file for file in self.files if file.exists()]  # where no frame came there is no video
            if all(file.suffix == ".jsonl" for file in self.files):
                for file in self.files:
                    file.unlink(missing_ok=True)
                self.files = []
            return self.files

    def write(self, result: FrameResult) -> None:
        with self._lock:
            if not self._videos:
                return
            if self._origin is None:
                self._origin = result.frame.time
            self.seconds = result.frame.time - self._origin
            moved = replace(result, frame=replace(result.frame, time=self.seconds), canvas=None)
            try:
                for sink, drawn in self._videos:
                    sink.write(replace(moved, canvas=self._overlay(drawn=drawn)(moved)))
                if self._rows is not None:
                    self._rows.write(moved)
            except TrackerError as error:
                self._note(error)
                self.stop()
                return
            if self._reported and self.seconds >= SOUND_S:
                self._reported = False
                log.warning("recording %s goes on", self._name)

    def close(self) -> None:
        self.stop()

    def discard(self) -> None:
        """The video so far stays: whoever records wants what there was."""
        self.stop()

    def _note(self, error: TrackerError) -> None:
        self.problem = str(error)
        log.log(logging.DEBUG if self._reported else logging.WARNING, "recording %s ended: %s", self._name, error)
        self._reported = True

    def _open_video(self, path: Path, *, drawn: bool) -> None:
        self._videos.append((VideoSink(path, rate=self._rate, live=True), drawn))
        self.files.append(path)

    def _overlay(self, *, drawn: bool) -> Overlay:
        wanted = self._config if drawn else privacy_only(self._config)
        overlay = self._overlays.get(drawn)
        if overlay is None or overlay.config != wanted:
            overlay = self._overlays[drawn] = Overlay(wanted, self._figures if drawn else None)
        return overlay


@dataclass(frozen=True, slots=True)
class _Kept:
    """A frame as JPEG with what was found in it."""

    jpeg: np.ndarray
    result: FrameResult
    figures: Sequence[Figure] = ()
    """Lines and zones as they counted then."""


Wanted: TypeAlias = tuple[_Kept, OverlayConfig]
"""A frame for a clip, and how it is to be drawn: what is hidden from now on is hidden in clips begun before."""


class ClipKeeper(Sink):
    """A sink that remembers the last seconds and writes a clip around every event, 5 s before to 5 s after.

    `figures` are drawn into it, and asked for on the thread that writes.
    """

    def __init__(
        self,
        name: str,
        config: OverlayConfig,
        folder: Callable[[], Path],
        *,
        before_s: float = BEFORE_S,
        after_s: float = AFTER_S,
        figures: AskFigures | None = None,
    ) -> None:
        self._name = name
        self._config = config
        self._folder = folder
        self._before_s, self._after_s = before_s, after_s
        self._figures = figures
        self._armed = False
        self._ring: deque[_Kept] = deque()
        self._clip: _Clip | None = None
        self._clips: list[_Clip] = []

    def arm(self, *, armed: bool) -> None:
        """Keep clips from now on, or no more."""
        self._armed = armed

    def configure(self, config: OverlayConfig) -> None:
        """Draw and hide differently from the next frame on, also in a clip that was begun."""
        self._config = config

    @property
    def current(self) -> Path | None:
        """The clip being written."""
        return self._clip.path if self._clip is not None else None

    def write(self, result: FrameResult) -> None:
        if not self._armed:
            self._ring.clear()
            self._end()
            return
        now = result.frame.time
        figures = self._figures() if self._figures is not None else ()
        kept = _Kept(_to_jpeg(result.frame.image), _without_image(result), figures)
        if result.events and self._clip is None:
            path = _free(self._folder() / f"{_stem(self._name)}-{result.events[0].kind}.mp4")
            self._clip = _Clip(path, began=now, after_s=self._after_s)
            self._clips = [clip for clip in self._clips if clip.alive] + [self._clip]
            for earlier in self._ring:
                self._clip.add((earlier, self._config))
        if self._clip is not None:
            self._clip.add((kept, self._config))
            if result.events:
                self._clip.until = now + self._after_s
            if now >= self._clip.until or now - self._clip.began > LONGEST_CLIP_S:
                self._end()
        self._ring.append(kept)
        while now - self._ring[0].result.frame.time > self._before_s:
            self._ring.popleft()

    def close(self) -> None:
        self._end()
        self._ring.clear()  # a source that is opened again begins at other times
        for clip in self._clips:
            clip.wait()

    discard = close

    def _end(self) -> None:
        if self._clip is not None:
            self._clip.add(None)
            self._clip = None


class _Clip:
    """One clip, encoded on a thread of its own so that the source is not held up."""

    def __init__(self, path: Path, *, began: float, after_s: float) -> None:
        self.path = path
        self.began = began
        self.until = began + after_s
        self._frames: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._encode, name="sightline-clip", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def add(self, wanted: Wanted | None) -> None:
        self._frames.put(wanted)

    def wait(self) -> None:
        self._thread.join(2.0)

    def _encode(self) -> None:
        try:
            sink = VideoSink(self.path)
            first: float | None = None
            overlay: Overlay | None = None
            figures: list[Figure] = []
            while (wanted := self._frames.get()) is not None:
                kept, config = wanted
                figures[:] = kept.figures
                if overlay is None or overlay.config != config:
                    overlay = Overlay(config, figures.copy)
                image = _from_jpeg(kept.jpeg)
                first = kept.result.frame.time if first is None else first
                frame = replace(kept.result.frame, image=image, time=kept.result.frame.time - first)
                result = replace(kept.result, frame=frame)
                sink.write(replace(result, canvas=overlay(result)))
            sink.close()
        except (TrackerError, cv2.error) as error:
            log.warning("the clip %s could not be written: %s", self.path, error)


def _to_jpeg(image: Image) -> np.ndarray:
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return packed


def _from_jpeg(packed: np.ndarray) -> Image:
    image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _without_image(result: FrameResult) -> FrameResult:
    return replace(result, frame=replace(result.frame, image=np.empty((0, 0, 3), np.uint8)), canvas=None)


def save_snapshot(
    result: FrameResult, config: OverlayConfig, folder: Path, name: str, figures: Sequence[Figure] = ()
) -> Path:
    """The frame with its overlay and these lines and zones as a PNG file of its own.

    Raises SinkError where it cannot be written.
    """
    path = _free(folder / f"{_stem(name)}.png")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _, packed = cv2.imencode(".png", cv2.cvtColor(Overlay(config, lambda: figures)(result), cv2.COLOR_RGB2BGR))
        path.write_bytes(packed.tobytes())
    except OSError as error:
        raise SinkError(f"{path}: cannot write the image: {error.strerror}; choose another folder") from error
    return path
