"""What a format cannot hold, said once per file in one warning."""

from __future__ import annotations

import logging

from tracker.formats.core.chunks import Holds

__all__ = ["warn_of_losses"]

log = logging.getLogger(__name__)


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


def warn_of_losses(content: Holds, format_name: str, holds: Holds) -> None:
    """Log one warning that lists what of the content will be missing from the file, where anything is."""
    lost = content & ~holds
    if lost:
        names = ", ".join(_NAMES[fact] for fact in lost)
        log.warning("%s cannot hold: %s", format_name, names)
