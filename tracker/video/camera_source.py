"""A camera on this machine as live Frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from threading import Event, Lock
from typing import Protocol

import cv2
import numpy as np

from tracker.errors import SourceError, UnreachableError
from tracker.types import Frame, Image, SourceInfo
from tracker.video.backoff import Backoff
from tracker.video.watchdog import ReconnectingSource, Watchdog

__all__ = ["CameraSource", "camera_names"]

log = logging.getLogger(__name__)

FAILURES_BEFORE_REOPENING = 3
RELEASE_PATIENCE_S = 0.5


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used here."""

    def isOpened(self) -> bool: ...  # noqa: N802
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, np.ndarray | None]: ...
    def get(self, property_id: int) -> float: ...
    def set(self, property_id: int, value: float) -> bool: ...
    def release(self) -> None: ...


def open_capture(index: int) -> Capture:
    """OpenCV's capture of the camera with this index; may not be open."""
    with _quiet_opencv():
        capture: Capture = cv2.VideoCapture(index)
    return capture


def camera_names() -> dict[int, str]:
    """Index and name of each camera the system knows."""
    from cv2_enumerate_cameras import enumerate_cameras

    return {camera.index: camera.name for camera in enumerate_cameras()}


class CameraSource(ReconnectingSource):
    """Frames of a camera, chosen by index or by name, for as long as it is wanted.

    `time` is the monotonic clock's seconds since the camera was opened, taken when the frame arrives. A camera that
    stops answering (unplugged) is opened again after 0.5, 1, 1 ... s, by its name where it was chosen by name, and
    time and index go on; `link` says how it stands, `reconnects` counts these. A few frames that cannot be fetched
    are `damage`.
    """

    live = True

    def __init__(
        self,
        camera: int | str,
        *,
        vid_stride: int = 1,
        size: tuple[int, int] | None = None,
        backoff: Backoff | None = None,
        open_capture: Callable[[int], Capture] = open_capture,
        camera_names: Callable[[], dict[int, str]] = camera_names,
    ):
        self.damage = 0
        self._watchdog = Watchdog()
        self._camera = camera
        self._stride = max(1, vid_stride)
        self._size = size
        self._backoff = backoff or Backoff()
        self._open_capture = open_capture
        self._camera_names = camera_names
        self._stop = Event()
        self._lock = Lock()
        self.name = f"camera {camera}" if isinstance(camera, int) else camera
        self._capture: Capture | None = self._open()
        self._began = time.monotonic()
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.info = SourceInfo(
            width=int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            rate=Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else None,
            clock="arrival",
        )

    def __iter__(self) -> Iterator[Frame]:
        index, failures = -1, 0
        while not self._stop.is_set():
            with self._lock:
                capture = self._capture
                grabbed = capture is not None and capture.grab()
                arrived = time.monotonic()
                index += grabbed
                wanted = grabbed and index % self._stride == 0
                fetched, bgr = capture.retrieve() if wanted and capture is not None else (False, None)
            if grabbed:
                failures = 0
                self._backoff.reset()
                if bgr is not None and fetched:
                    self._watchdog.frame_arrived()
                    yield Frame(_to_rgb(bgr), index, arrived - self._began, self.name, arrived)
                else:
                    self.damage += wanted
                continue
            failures += 1
            if failures >= FAILURES_BEFORE_REOPENING or capture is None:
                self._reopen()
        self._release()

    def close(self) -> None:
        self._stop.set()
        self._release()

    def _reopen(self) -> None:
        log.warning("%s gives no more frames; waiting for it to come back.", self.name)
        self._watchdog.cut("it gives no more frames")
        self._release()
        while self._backoff.wait(self._stop):
            try:
                capture = self._open()
            except SourceError as error:
                self._watchdog.refused("it does not open")
                log.debug("%s", error)
                continue
            with self._lock:
                self._capture = capture
            self._watchdog.frame_arrived()
            log.warning("%s is back after %.1f s.", self.name, self._watchdog.away_s)
            return

    def _release(self) -> None:
        """Let go of the device, unless its reader is just inside it: then that one does, once it comes out."""
        if self._lock.acquire(timeout=RELEASE_PATIENCE_S):
            capture, self._capture = self._capture, None
            self._lock.release()
            if capture is not None:
                capture.release()

    def _open(self) -> Capture:
        index = self._camera if isinstance(self._camera, int) else self._index_of(self._camera)
        capture = self._open_capture(index)
        if not capture.isOpened():
            capture.release()
            raise UnreachableError(
                f"{self.name}: this camera does not open. {self._known_cameras()} Check that it is plugged in, "
                "allowed for this program, and not used by another one."
            )
        if self._size is not None:
            width, height = self._size
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        return capture

    def _index_of(self, name: str) -> int:
        cameras = self._camera_names()
        exact = [index for index, known in cameras.items() if known.casefold() == name.casefold()]
        partly = [index for index, known in cameras.items() if name.casefold() in known.casefold()]
        for matches in (exact, partly):
            if len(set(matches)) == 1 or (matches and matches is exact):
                return matches[0]
        if partly:
            found = ", ".join(f"{index}: {cameras[index]}" for index in partly)
            raise SourceError(f"camera '{name}': more than one matches ({found}). Give the whole name or the index.")
        raise UnreachableError(
            f"camera '{name}': no such camera. {self._known_cameras()} Give one of these, or its index."
        )

    def _known_cameras(self) -> str:
        cameras = self._camera_names()
        known = ", ".join(f"{index}: {name}" for index, name in cameras.items()) or "none"
        return f"Cameras found: {known}."


def _to_rgb(bgr: np.ndarray) -> Image:
    image = cv2.cvtColor(bgr, cv2.COLOR_GRAY2RGB if bgr.ndim == 2 else cv2.COLOR_BGR2RGB)
    image.flags.writeable = False
    return image


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """OpenCV's own complaints would stand beside the one clear line that the caller gets."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
