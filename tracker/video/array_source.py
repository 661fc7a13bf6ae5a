"""Images that are in memory already, or are made while they are asked for, as Frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sized
from fractions import Fraction

import numpy as np
from numpy import ndarray

from tracker.errors import SourceError
from tracker.protocols import FrameSource
from tracker.types import Frame, Image, SourceInfo

__all__ = ["ArraySource"]

MAX_RATE_DENOMINATOR = 100_000


class ArraySource(FrameSource):
    """RGB arrays (h, w, 3) of bytes, or grey ones (h, w), in the order they come; they may differ in size.

    Frame i is given the time i / `rate`. What is iterated over is read once and no further than it is asked for; the
    first image is taken on opening. Raises SourceError for another kind of array, or where there is none at all.
    """

    live = False

    def __init__(
        self,
        images: Iterable[ndarray],
        *,
        rate: Fraction | float = Fraction(30),
        vid_stride: int = 1,
        name: str = "arrays",
    ) -> None:
        self.name = name
        self.damage = 0
        self._rate = Fraction(rate).limit_denominator(MAX_RATE_DENOMINATOR)
        self._stride = max(1, vid_stride)
        self._closed = False
        arrays = iter(images)
        try:
            first = next(arrays)
        except StopIteration:
            raise SourceError(f"{name}: there is not one image") from None
        self._images = enumerate(itertools.chain([first], arrays))
        height, width = _as_image(first, 0, name).shape[:2]
        count = len(images) if isinstance(images, Sized) else None
        self.info = SourceInfo(
            width=width,
            height=height,
            rate=self._rate,
            frame_count=count,
            duration_s=None if count is None else float(count / self._rate),
            time_base=1 / self._rate,
        )

    def __iter__(self) -> Iterator[Frame]:
        for index, image in self._images:
            if self._closed:
                return
            if index % self._stride == 0:
                yield Frame(_as_image(image, index, self.name), index, float(index / self._rate), self.name)

    def close(self) -> None:
        self._closed = True


def _as_image(array: ndarray, index: int, name: str) -> Image:
    """A read-only RGB view of an array; a copy where it is grey."""
    array = np.asarray(array)
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise SourceError(
            f"{name}: image {index}: expected RGB bytes, uint8 (height, width, 3), found {array.dtype} {array.shape}"
        )
    image = np.ascontiguousarray(array).view()
    image.flags.writeable = False
    return image
