"""Frames of one size, whatever the source sends: boxes, lines, zones and the video that is written stay in its pixels.

A camera may come back with another resolution, and a file may change it in the middle.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import cv2

from tracker.protocols import FrameSource
from tracker.types import Frame, Image
from tracker.video.wrapped_source import WrappedSource

__all__ = ["OneSize", "SizeFitter"]

log = logging.getLogger(__name__)


class SizeFitter:
    """Scales images of another size than `size` (width, height), without one that of the first; says so once each."""

    def __init__(self, name: str, size: tuple[int, int] | None = None) -> None:
        self._name, self._size = name, size
        self._now = size

    def __call__(self, image: Image) -> Image:
        """The image in the size of all."""
        height, width = image.shape[:2]
        self._size = self._size or (width, height)
        self._now = self._now or self._size
        if (width, height) != self._now:
            self._now = width, height
            text = "%s: its images have %d x %d pixels now; they are scaled to %d x %d, in which boxes and lines stay."
            log.warning(text, self._name, width, height, *self._size)
        if (width, height) == self._size:
            return image
        smaller = width > self._size[0] and height > self._size[1]
        fitted = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        fitted.flags.writeable = False
        return fitted


class OneSize(WrappedSource):
    """A live source whose frames all have the size of its first."""

    live = True

    def __init__(self, source: FrameSource) -> None:
        super().__init__(source)
        self._fit = SizeFitter(source.name)

    @property
    def damage(self) -> int:  # type: ignore[override]
        """Places where decoding failed."""
        return self._source.damage

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            yield replace(frame, image=self._fit(frame.image))
