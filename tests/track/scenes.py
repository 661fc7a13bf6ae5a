"""Synthetic scenes: boxes that walk across the frame, with misses, jitter and clutter."""

from __future__ import annotations

import numpy as np

from tracker.types import Detections


def detections(boxes: object, scores: object = None, classes: object = None, embeddings: object = None) -> Detections:
    """Detections from plain lists."""
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    count = len(corners)
    return Detections(
        corners,
        np.full(count, 0.9, np.float32) if scores is None else np.asarray(scores, np.float32),
        np.zeros(count, np.int32) if classes is None else np.asarray(classes, np.int32),
        embeddings=None if embeddings is None else np.asarray(embeddings, np.float32),
    )


NOTHING = detections([])


def walk(
    objects: int, frames: int, *, misses: float = 0.05, clutter: float = 0.05, seed: int = 0
) -> tuple[list[Detections], np.ndarray]:
    """The detections of each frame, and the true boxes (frames, objects, 4)."""
    rng = np.random.default_rng(seed)
    side = 120 * np.sqrt(objects)
    start, speed = rng.uniform(0, side, (objects, 2)), rng.normal(0, 2, (objects, 2))
    size = rng.uniform(30, 60, (objects, 2))
    centres = start + np.arange(frames)[:, None, None] * speed
    ground_truth = np.concatenate([centres - size / 2, centres + size / 2], axis=2)
    found = []
    for boxes in ground_truth:
        last_seen = boxes[rng.random(objects) >= misses] + rng.normal(0, 1, 4)
        spare = rng.uniform(0, side, (rng.binomial(objects, clutter), 2))
        spare = np.concatenate([spare, spare + rng.uniform(30, 60, spare.shape)], axis=1)
        boxes = np.concatenate([last_seen, spare])
        found.append(detections(boxes, rng.uniform(0.5, 1.0, len(boxes))))
    return found, ground_truth
