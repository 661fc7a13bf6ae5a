"""Frames of one size, whatever the source sends: boxes, lines, zones and the video that is written stay in its pixels.

A camera may come back with another resolution, and a file may change it in the middle.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import cv2

from tracker.protocols import FrameSource
from tracker.types import Clock, Frame, Image, LinkStatus

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


class OneSize(FrameSource):
    """A live source whose frames all have the size of its first."""

    live = True

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._fit = SizeFitter(source.name)
        self.name, self.info = source.name, source.info

    @property
    def damage(self) -> int:  # type: ignore[override]
        """Places where decoding failed."""
        return self._source.damage

    @property
    def link(self) -> LinkStatus | None:
        """Where the connection stands."""
        return self._source.link

    @property
    def reconnects(self) -> int:
        """How often the source was lost and came back."""
        return self._source.reconnects

    @property
    def dropped(self) -> int:
        """Frames left out because decoding fell behind."""
        return self._source.dropped

    @property
    def decoder(self) -> str:
        """What decodes by now."""
        return self._source.decoder

    @property
    def clock(self) -> Clock:
        """Where times come from by now."""
        return self._source.clock

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            yield replace(frame, image=self._fit(frame.image))

    def close(self) -> None:
        self._source.close()
