"""Thumbnails of tracks, cut out beside the window's thread with a reader of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from gui.recording.player import seekable
from tracker.errors import TrackerError
from tracker.protocols import FrameSource
from tracker.types import Image

__all__ = ["THUMBNAIL", "Thumbnailer", "Wish", "crop_of"]

log = logging.getLogger(__name__)

THUMBNAIL = (48, 36)
"""Width and height in pixels of the window; thumbnails are twice as large for dense screens."""
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a track's thumbnail is to be cut from."""

    frame: int
    box: tuple[float, float, float, float]


class Thumbnailer(Generic[Key]):
    """Cuts thumbnails out of a recording's frames in the frames' order; `take` gives what is ready.

    `find` says where what is asked for, such as a track, is seen well; None for what must not be shown.
    """

    def __init__(self, open_source: Callable[[], FrameSource], find: Callable[[Key], Wish | None]) -> None:
        self._open_source = open_source
        self._find = find
        self._wake = threading.Condition()
        self._wanted: set[Key] = set()
        self._ready: dict[Key, UInt8[ndarray, "h w 4"]] = {}
        self._stop = self._anew = False
        self._thread: threading.Thread | None = None

    def ask(self, key: Key) -> None:
        """Make this thumbnail soon."""
        with self._wake:
            self._wanted.add(key)
            self._wake.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="sightline-thumbnails", daemon=True)
            self._thread.start()

    def reopen(self) -> None:
        """Read from another source from now on: frames have other numbers."""
        with self._wake:
            self._anew = True

    def forget_wishes(self) -> None:
        """Nobody looks any more."""
        with self._wake:
            self._wanted.clear()

    def take(self) -> Mapping[Key, UInt8[ndarray, "h w 4"]]:
        """Thumbnails that are ready, by what was asked for, once."""
        with self._wake:
            ready, self._ready = self._ready, {}
        return ready

    def close(self) -> None:
        """Stop soon."""
        with self._wake:
            self._stop = True
            self._wake.notify_all()

    def _main(self) -> None:
        try:
            source = seekable(self._open_source())
        except TrackerError as error:
            log.debug("no thumbnails: %s", error)
            return
        try:
            while (wanted := self._next()) is not None:
                if self._anew:
                    self._anew = False
                    source.close()
                    source = seekable(self._open_source())
                wishes = [(wish, key) for key in wanted if (wish := self._find(key)) is not None]
                for wish, key in sorted(wishes, key=lambda entry: entry[0].frame):
                    if self._stop:
                        return
                    try:
                        thumbnail = crop_of(source.frame_at(wish.frame).image, wish.box)
                    except TrackerError as error:
                        log.debug("no thumbnail of %s: %s", key, error)
                        continue
                    with self._wake:
                        self._ready[key] = thumbnail
        finally:
            source.close()

    def _next(self) -> set[Key] | None:
        with self._wake:
            while not self._wanted and not self._stop:
                self._wake.wait()
            if self._stop:
                return None
            wanted, self._wanted = self._wanted, set()
        return wanted


def crop_of(image: Image, box: tuple[float, float, float, float]) -> UInt8[ndarray, "h w 4"]:
    """The box and a little around it in the shape of a thumbnail, as Qt paints it."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    aspect = THUMBNAIL[0] / THUMBNAIL[1]
    high = min(max((y2 - y1) * 1.15, (x2 - x1) * 1.15 / aspect, 16.0), float(height), width / aspect)
    wide = high * aspect
    left = min(max((x1 + x2 - wide) / 2, 0.0), width - wide)
    top = min(max((y1 + y2 - high) / 2, 0.0), height - high)
    crop = image[int(top) : max(int(top + high), int(top) + 1), int(left) : max(int(left + wide), int(left) + 1)]
    size = (THUMBNAIL[0] * 2, THUMBNAIL[1] * 2)
    small = cv2.resize(np.ascontiguousarray(crop), size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2BGRA)
