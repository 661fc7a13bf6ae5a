"""Small drawn scenes whose overlay is kept as a golden frame.

python -m tests.overlay.scenes        writes the golden frames anew; look at them before committing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tracker.overlay import Overlay, OverlayConfig
from tracker.types import Detections, Frame, FrameResult, Image, Tracks, TrackState

GOLDEN = Path(__file__).parent / "golden"
LABELS = ("person", "bicycle", "автомобиль", "人")


def street(width: int, height: int) -> Image:
    """A sky, a road and a few bright and dark things."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    image = np.stack([90 + 100 * down, 120 + 60 * across, 200 - 120 * down], axis=2).astype(np.uint8)
    cv2.rectangle(image, (0, height * 2 // 3), (width, height), (70, 70, 72), cv2.FILLED)
    cv2.circle(image, (width * 4 // 5, height // 5), height // 9, (250, 240, 180), cv2.FILLED, cv2.LINE_AA)
    cv2.rectangle(image, (width // 3, height // 4), (width // 2, height * 2 // 3), (20, 22, 30), cv2.FILLED)
    return image


def body_mask(size: int = 28) -> np.ndarray:
    """Coverage of a head and a body."""
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 5), size // 6, 255, cv2.FILLED)
    cv2.ellipse(mask, (size // 2, size * 2 // 3), (size // 3, size // 3), 0, 0, 360, 255, cv2.FILLED)
    return mask


def make_tracks(boxes: np.ndarray, **columns: np.ndarray | list[float]) -> Tracks:
    """Confirmed, seen tracks 1, 2, ... with those boxes, one detection each; columns replace the defaults."""
    count = len(boxes)
    values = {
        "ids": np.arange(1, count + 1),
        "boxes": boxes,
        "velocities": np.zeros((count, 2)),
        "scores": np.full(count, 0.9),
        "class_ids": np.zeros(count),
        "states": np.full(count, TrackState.CONFIRMED),
        "ages": np.ones(count),
        "unseen": np.zeros(count),
        "detection_rows": np.arange(count),
        **columns,
    }
    empty = Tracks.empty()
    return Tracks(**{name: np.asarray(value, getattr(empty, name).dtype) for name, value in values.items()})


def make_result(
    tracks: Tracks, image: Image, *, masks: np.ndarray | None = None, index: int = 0, time: float = 0.0
) -> FrameResult:
    """A result in which every seen track has the detection of its own box."""
    seen = tracks[tracks.detection_rows >= 0]
    order = np.argsort(seen.detection_rows)
    detections = Detections(seen.boxes[order], seen.scores[order], seen.class_ids[order], masks)
    return FrameResult(Frame(image, index, time, "street.mp4"), detections, tracks, LABELS)


def crowd(width: int, height: int, *, time: float = 0.0) -> FrameResult:
    """Six objects: overlapping, cut by the border, tiny, unseen, tentative; with masks."""
    boxes = np.array(
        [
            [0.08, 0.35, 0.18, 0.85],
            [0.16, 0.40, 0.27, 0.90],
            [0.86, 0.50, 1.04, 0.95],
            [0.40, 0.02, 0.43, 0.07],
            [0.55, 0.45, 0.68, 0.80],
            [0.30, 0.60, 0.36, 0.88],
        ]
    ) * [width, height, width, height]
    boxes = boxes + np.array([time * 0.25 * width, 0, time * 0.25 * width, 0])
    tracks = make_tracks(
        boxes,
        ids=[1, 2, 5, 7, 11, 12],
        scores=[0.91, 0.55, 0.7, 0.38, 0.6, 0.5],
        class_ids=[0, 1, 2, 3, 0, 0],
        states=[1, 1, 1, 1, 2, 0],
        unseen=[0, 0, 0, 0, 0.2, 0],
        detection_rows=[0, 1, 2, 3, -1, 4],
    )
    masks = np.repeat(body_mask()[None], 5, axis=0)
    return make_result(tracks, street(width, height), masks=masks, index=round(time * 25), time=time)


def draw_masks() -> Image:
    """Boxes, tags and masks."""
    return Overlay()(crowd(480, 270))


def draw_trails() -> Image:
    """A second of walking, trails on, masks off, coloured by class."""
    overlay = Overlay(OverlayConfig(trails=True, masks=False, colour_by="class", trail_s=1.0))
    canvas = street(480, 270)
    for step in range(26):
        canvas = overlay(crowd(480, 270, time=step / 25))
    return canvas


def draw_detections() -> Image:
    """Raw detections, tentative ones too, at a small size."""
    return Overlay(OverlayConfig(show="detections"))(crowd(240, 136))


def draw_hidden() -> Image:
    """Persons and one corner made unrecognisable, nothing else drawn."""
    config = OverlayConfig(
        boxes=False,
        masks=False,
        class_names=False,
        ids=False,
        scores=False,
        blur_classes=("person",),
        blur_regions=((0.7, 0.0, 1.0, 0.4),),
    )
    result = crowd(480, 270)
    rows, columns = np.indices(result.frame.image.shape[:2])
    textured = result.frame.image // 2 + (((rows // 3 + columns // 3) % 2) * 100).astype(np.uint8)[:, :, None]
    return Overlay(config)(replace(result, frame=replace(result.frame, image=textured)))


def draw_figures() -> Image:
    """A line and a zone with their numbers under the boxes."""
    line = (((60.0, 240.0), (430.0, 190.0)), False, "gate  in 3  out 1")
    zone = (((250.0, 20.0), (470.0, 30.0), (440.0, 170.0), (260.0, 160.0)), True, "платформа  2")
    return Overlay(OverlayConfig(masks=False), figures=lambda: [line, zone])(crowd(480, 270))


SCENES: dict[str, Callable[[], Image]] = {
    "masks": draw_masks,
    "trails": draw_trails,
    "detections": draw_detections,
    "hidden": draw_hidden,
    "figures": draw_figures,
}

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, draw in SCENES.items():
        cv2.imwrite(str(GOLDEN / f"{name}.png"), draw()[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
