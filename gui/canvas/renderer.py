"""Results as images of the size they are shown in: drawn small rather than drawn large and shrunk.

Text and lines stay sharp in a small tile, and a 1080p frame costs one resize instead of a copy, a drawing, a
conversion and a resize of six megabytes. Runs on a Runner's thread, never on the window's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from gui.canvas.hit_testing import Box, Shape
from tracker.overlay import Overlay, OverlayConfig
from tracker.types import Detections, FrameResult, Image, Tracks

__all__ = ["FrameRenderer", "RenderedFrame", "resized", "with_hidden"]


@dataclass(frozen=True, slots=True, eq=False)
class RenderedFrame:
    """What a view paints, and the result that it shows."""

    pixels: UInt8[ndarray, "h w 4"]
    """Blue, green, red, 255: the layout Qt paints without converting."""
    result: FrameResult
    read_at: float | None
    """The monotonic() reading when the frame arrived."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the whole frame."""
        height, width = self.result.frame.image.shape[:2]
        return width, height

    def box_of(self, track_id: int) -> Box | None:
        """Where a track is in the frame."""
        tracks = self.result.tracks
        rows = np.flatnonzero(tracks.ids == track_id)
        if not len(rows):
            return None
        x1, y1, x2, y2 = tracks.boxes[rows[0]].tolist()
        return x1, y1, x2, y2

    def age_s(self) -> float | None:
        """Seconds since the frame was read."""
        return None if self.read_at is None else time.monotonic() - self.read_at


class FrameRenderer:
    """Draws results with the overlay settings of the moment, into the size asked for."""

    def __init__(self, config: OverlayConfig, read_at: Callable[[int], float | None] = lambda _: None) -> None:
        self._overlay = Overlay(config)
        self._read_at = read_at
        self._scale = 0.0
        self._view: tuple[tuple[int, int], float] | None = None
        self._lock = threading.Lock()

    @property
    def config(self) -> OverlayConfig:
        """What is drawn now."""
        return self._overlay.config

    def configure(self, config: OverlayConfig) -> None:
        """Draw differently from the next frame on."""
        with self._lock:
            if config != self._overlay.config:
                self._overlay = Overlay(config, density=self._overlay.density)

    def fit(self, room: tuple[int, int] | None, density: float = 1.0) -> None:
        """Frames need not be larger than this, with `density` pixels of the screen for one of its window's units.

        None asks for none at all.
        """
        self._view = None if room is None else (room, density)

    def __call__(self, result: FrameResult) -> RenderedFrame | None:
        """The frame, or None while nobody looks."""
        view = self._view
        if view is None:
            return None
        room, density = view
        height, width = result.frame.image.shape[:2]
        shown = min(room[0] / width, room[1] / height)
        scale = min(1.0, shown)
        density = max(1.0, density * scale / shown)  # a small frame is enlarged when it is painted
        small = resized(result, scale)
        with self._lock:
            if density != self._overlay.density:
                self._overlay = Overlay(self._overlay.config, density=density)
            overlay = self._overlay
            if scale != self._scale:
                overlay.reset()
                self._scale = scale
            canvas = overlay(small) if scale == 1.0 else _draw_over(overlay, small)
        pixels = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGRA)
        return RenderedFrame(pixels, result, self._read_at(result.frame.index))


def with_hidden(config: OverlayConfig, shapes: Sequence[Shape], size: tuple[int, int] | None) -> OverlayConfig:
    """The settings with the hidden regions among the shapes, drawn on frames of that width and height."""
    hidden = [shape.points for shape in shapes if shape.kind == "blur"]
    if not hidden or size is None:
        return config
    width, height = size
    regions = [(x1 / width, y1 / height, x2 / width, y2 / height) for (x1, y1), (x2, y2) in hidden]
    return replace(config, blur_regions=(*config.blur_regions, *regions))


def resized(result: FrameResult, scale: float) -> FrameResult:
    """The same result on a smaller frame."""
    if scale >= 1.0:
        return result
    image = result.frame.image
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR)
    factor = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    detections, tracks = result.detections, result.tracks
    semantic = result.semantic
    if semantic is not None:
        semantic = cv2.resize(semantic, size, interpolation=cv2.INTER_NEAREST)
    return replace(
        result,
        frame=replace(result.frame, image=small),
        detections=Detections(
            detections.boxes * factor, detections.scores, detections.class_ids, detections.masks, detections.embeddings
        ),
        tracks=Tracks(
            tracks.ids,
            tracks.boxes * factor,
            tracks.velocities * factor[:2],
            tracks.scores,
            tracks.class_ids,
            tracks.states,
            tracks.ages,
            tracks.unseen,
            tracks.detection_rows,
        ),
        semantic=semantic,
        canvas=None,
    )


def _draw_over(overlay: Overlay, small: FrameResult) -> Image:
    """Onto the resized copy itself: nobody else has it."""
    overlay.draw(small, small.frame.image)
    return small.frame.image
