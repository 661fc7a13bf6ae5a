"""What a format cannot hold, said once per file in one warning."""

from __future__ import annotations

import logging
from enum import Flag, auto

import numpy as np

from tracker.formats.annotations import Annotations

__all__ = ["Holds", "warn_of_losses"]

log = logging.getLogger(__name__)


class Holds(Flag):
    """What a format has a place for, beside frame numbers and boxes."""

    TRACKS = auto()
    CLASSES = auto()
    SCORES = auto()
    MASKS = auto()
    POLYGONS = auto()
    TIMES = auto()
    OCCLUSION = auto()
    KEYFRAMES = auto()
    UNTRACKED = auto()
    """Objects without a track beside tracked ones."""


_NAMES = {
    Holds.TRACKS: "track ids",
    Holds.CLASSES: "classes",
    Holds.SCORES: "scores",
    Holds.MASKS: "masks",
    Holds.POLYGONS: "outlines",
    Holds.TIMES: "time stamps",
    Holds.OCCLUSION: "whether an object is hidden",
    Holds.KEYFRAMES: "which boxes are interpolated",
    Holds.UNTRACKED: "objects without a track (each gets an id of its own)",
}


def content_of(annotations: Annotations) -> Holds:
    """What these annotations make use of."""
    objects = annotations.objects
    found = Holds(0)
    facts = {
        Holds.TRACKS: bool((objects.track_ids > 0).any()),
        Holds.CLASSES: len(np.unique(objects.class_ids)) > 1,
        Holds.SCORES: bool(np.isfinite(objects.scores).any()),
        Holds.MASKS: any(isinstance(item, str) for item in objects.segmentations),
        Holds.POLYGONS: any(isinstance(item, tuple) for item in objects.segmentations),
        Holds.TIMES: bool(np.isfinite(annotations.frames.times).any()),
        Holds.OCCLUSION: bool(objects.occluded.any()),
        Holds.KEYFRAMES: not objects.keyframes.all(),
        Holds.UNTRACKED: bool((objects.track_ids == 0).any()),
    }
    for fact, holds in facts.items():
        if holds:
            found |= fact
    return found


def warn_of_losses(annotations: Annotations, format_name: str, holds: Holds) -> None:
    """Log one warning that lists what will be missing from the file, where anything is."""
    lost = content_of(annotations) & ~holds
    if lost:
        names = ", ".join(_NAMES[fact] for fact in lost)
        log.warning("%s cannot hold: %s", format_name, names)
