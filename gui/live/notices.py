"""What the rules noticed, with what it looked like: as it is shown, and nothing that is to be hidden."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from gui.canvas.renderer import RenderedFrame
from tracker.overlay import Overlay, OverlayConfig
from tracker.types import Event, FrameResult
from tracker.watch.thumbnails import surroundings

__all__ = ["Notice", "notices_of"]

STILL_WIDTH = 960
"""Pixels that the image of an event is wide at most: it is kept in memory as long as the event is listed."""


@dataclass(frozen=True, slots=True, eq=False)
class Notice:
    """An event with what it looked like."""

    source: str
    event: Event
    label: str
    at: float
    """Clock time in seconds since the epoch."""
    thumbnail: UInt8[ndarray, "h w 4"]
    still: bytes
    """All of the frame as JPEG, since hundreds of events are kept."""
    clip: Path | None


def notices_of(
    result: FrameResult, rendered: RenderedFrame | None, config: OverlayConfig, *, source: str, clip: Path | None
) -> list[Notice]:
    """The events of a frame. Without a rendered one, as nobody looks, one is drawn by `config`."""
    pixels = cv2.cvtColor(Overlay(config)(result), cv2.COLOR_RGB2BGRA) if rendered is None else rendered.pixels
    height, width = pixels.shape[:2]
    if width > STILL_WIDTH:
        pixels = cv2.resize(pixels, (STILL_WIDTH, round(height * STILL_WIDTH / width)))
    scale = pixels.shape[1] / max(1, result.frame.image.shape[1])
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR))
    still, now, notices = packed.tobytes(), time.time(), []
    for event in result.events:
        boxes = result.tracks.boxes[result.tracks.ids == event.track_id] * np.float32(scale)
        label = result.labels[event.class_id] if 0 <= event.class_id < len(result.labels) else ""
        box = boxes[0] if len(boxes) and np.isfinite(boxes[0]).all() else None
        crop = surroundings(pixels, box)
        notices.append(Notice(source, event, label, now, crop, still, clip))
    return notices
