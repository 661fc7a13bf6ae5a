"""What an event looked like, small: the surroundings of its object, or all of the frame where there is none."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.overlay import Overlay, OverlayConfig
from tracker.types import Event, FrameResult

__all__ = ["THUMBNAIL", "surroundings", "thumbnails_of"]

THUMBNAIL = (112, 84)
"""Width and height."""
AROUND = 1.3
"""Height of what is shown, in heights of the box."""
LEAST_HEIGHT = 24
JPEG_QUALITY = 80


def thumbnails_of(result: FrameResult, config: OverlayConfig) -> list[bytes]:
    """A JPEG of 112 x 84 pixels for each event of a frame, drawn on and hidden as `config` says."""
    if not result.events:
        return []
    pixels = cv2.cvtColor(Overlay(config)(result), cv2.COLOR_RGB2BGR)
    packed = []
    for event in result.events:
        _, jpeg = cv2.imencode(
            ".jpg", surroundings(pixels, box_of(result, event)), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        packed.append(jpeg.tobytes())
    return packed


def box_of(result: FrameResult, event: Event) -> Float32[ndarray, " 4"] | None:
    """Where the event's object is in this frame; None where it is not seen, or not in a place."""
    boxes = result.tracks.boxes[result.tracks.ids == event.track_id]
    return boxes[0] if len(boxes) and np.isfinite(boxes[0]).all() else None


def surroundings(pixels: UInt8[ndarray, "h w c"], box: Float32[ndarray, " 4"] | None) -> UInt8[ndarray, "84 112 c"]:
    """The surroundings of a box in the shape of a thumbnail, or all of the frame without one."""
    height, width = pixels.shape[:2]
    if box is not None:
        x1, y1, x2, y2 = box.tolist()
        high = max((y2 - y1) * AROUND, (x2 - x1) * AROUND * THUMBNAIL[1] / THUMBNAIL[0], LEAST_HEIGHT)
        wide = high * THUMBNAIL[0] / THUMBNAIL[1]
        left = min(max((x1 + x2 - wide) / 2, 0), max(width - wide, 0))
        top = min(max((y1 + y2 - high) / 2, 0), max(height - high, 0))
        pixels = pixels[int(top) : int(top + high) + 1, int(left) : int(left + wide) + 1]
    return cv2.resize(np.ascontiguousarray(pixels), THUMBNAIL, interpolation=cv2.INTER_AREA)
