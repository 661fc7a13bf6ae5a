"""How the image moved as a whole between two frames, seen on a small grey copy.

Corners are followed by sparse optical flow (Lucas-Kanade) and a similarity map is fitted by RANSAC, as BoT-SORT
(Aharon et al., 2022) does on the full image. Where we differ: the image is made small first, and while the grey
values under the corners stay the same nothing is estimated at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from tracker.types import Image

__all__ = ["CameraMotion"]

SMALL_WIDTH = 320
CORNERS = 120
CORNER_QUALITY = 0.01
"""A corner's least strength, as a fraction of the strongest one's (Shi and Tomasi): weak ones slide along edges."""
CORNERS_APART = 7
"""Pixels of the small image between two corners, so that they do not all lie on one object."""
FLOW_WINDOW, FLOW_LEVELS = (15, 15), 3
"""Lucas-Kanade's window, and the halvings above it: at the third 15 px are 120, a third of the small image."""
RANSAC_PIXELS, RANSAC_ROUNDS, RANSAC_REFINEMENTS = 1.0, 200, 3
"""Corners within a pixel agree; with half of them agreeing 200 draws of two miss once in 10^25."""
FEWEST = 12
"""With fewer corners that agree no motion is given."""
AGREEING_SHARE = 0.5
"""At least this share of the followed corners has to move alike: else it is the objects that move."""
STILL_LEVELS = 6.0
"""Grey values under corners that change less than this, in the median, mean that the camera stands still."""
STILL_PIXELS = 0.1
"""Motion below this, in pixels of the small image, is none."""
RENEW_AFTER = 30
"""Frames after which corners are chosen anew while the camera stands still."""


class CameraMotion:
    """Call with each frame in turn: the map from the last frame's pixels to this one's, None while still.

    The first frame, a change of size and an image without enough texture give None as well.
    """

    def __init__(self) -> None:
        self._last: UInt8[ndarray, "h w"] | None = None
        self._corners: Float32[ndarray, "k 1 2"] = np.empty((0, 1, 2), np.float32)
        self._age = 0

    def __call__(self, image: Image) -> Float64[ndarray, "2 3"] | None:
        step = max(1, round(image.shape[1] / SMALL_WIDTH))
        small = _shrink(image, step)
        last, self._last = self._last, small
        if last is None or last.shape != small.shape:
            self._choose_corners(small)
            return None
        if self._stands_still(last, small):
            self._age += 1
            if self._age > RENEW_AFTER:
                self._choose_corners(small)
            return None
        motion = self._follow(last, small)
        self._choose_corners(small)
        if motion is None:
            return None
        motion[:, 2] *= step
        return motion

    def state(self) -> dict[str, Any]:
        """What is remembered of the last frame, to go on after a restart as if there had been none."""
        return {"last": self._last, "corners": self._corners.copy(), "age": self._age}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._last = None if state["last"] is None else np.array(state["last"], np.uint8)
        self._corners = np.array(state["corners"], np.float32)
        self._age = int(state["age"])

    def _choose_corners(self, small: UInt8[ndarray, "h w"]) -> None:
        self._age = 0
        found = cv2.goodFeaturesToTrack(small, CORNERS, CORNER_QUALITY, CORNERS_APART)
        self._corners = np.empty((0, 1, 2), np.float32) if found is None else np.asarray(found, np.float32)

    def _stands_still(self, last: UInt8[ndarray, "h w"], small: UInt8[ndarray, "h w"]) -> bool:
        if len(self._corners) < FEWEST:
            return False
        x, y = self._corners[:, 0].astype(np.int64).T
        change = np.abs(small[y, x].astype(np.int16) - last[y, x])
        return float(np.median(change)) < STILL_LEVELS

    def _follow(self, last: UInt8[ndarray, "h w"], small: UInt8[ndarray, "h w"]) -> Float64[ndarray, "2 3"] | None:
        if len(self._corners) < FEWEST:
            return None
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            last, small, self._corners, np.empty_like(self._corners), winSize=FLOW_WINDOW, maxLevel=FLOW_LEVELS
        )
        followed = status[:, 0] == 1
        if followed.sum() < FEWEST:
            return None
        before, after = self._corners[followed], moved[followed]
        affine, agreeing = cv2.estimateAffinePartial2D(
            before,
            after,
            method=cv2.RANSAC,
            ransacReprojThreshold=RANSAC_PIXELS,
            maxIters=RANSAC_ROUNDS,
            refineIters=RANSAC_REFINEMENTS,
        )
        if affine is None or agreeing.sum() < max(FEWEST, AGREEING_SHARE * len(before)):
            return None
        affine = np.asarray(affine, np.float64)
        height, width = small.shape
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64).T
        if np.abs(affine @ corners - corners[:2]).max() < STILL_PIXELS:
            return None
        return affine


def _shrink(image: Image, step: int) -> UInt8[ndarray, "h w"]:
    """The green channel at 1 / step of the size, with what lies between averaged where that is cheap."""
    skip = max(1, step // 2)
    green = np.ascontiguousarray(image[::skip, ::skip, 1])
    if step == skip:
        return green
    width, height = image.shape[1] // step, image.shape[0] // step
    small: ndarray = cv2.resize(green[: height * step // skip, : width * step // skip], (width, height))
    return small
