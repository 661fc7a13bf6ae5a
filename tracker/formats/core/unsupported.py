"""What a format cannot hold, said once per file in one warning."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from tracker.formats.core.content import Capability

__all__ = ["warn_unsupported"]

log = logging.getLogger(__name__)


_NAMES = {
    Capability.TRACKS: "track ids",
    Capability.CLASSES: "classes",
    Capability.SCORES: "scores",
    Capability.MASKS: "masks",
    Capability.POLYGONS: "outlines",
    Capability.TIMES: "time stamps",
    Capability.OCCLUSION: "whether an object is hidden",
    Capability.KEYFRAMES: "which boxes are interpolated",
    Capability.UNTRACKED: "objects without a track (each gets an id of its own)",
    Capability.CROWDS: "which objects are crowds (each becomes an ordinary object)",
}


_BOXES = "boxes of objects with a mask or an outline (the extent of that stands for them)"


def warn_unsupported(
    content: Capability,
    format_name: str,
    holds: Capability,
    *,
    instead: Mapping[Capability, str] | None = None,
    shapes_for_boxes: bool = False,
) -> None:
    """Log one warning that lists what of the content will be missing from the file, where anything is.

    `instead` says of some of it what stands there in its place, or how to have it; `shapes_for_boxes` that an object's
    mask or outline is written in place of its box.
    """
    lost = content & ~holds
    notes = {fact: f" ({note})" for fact, note in (instead or {}).items()}
    names = [_NAMES[fact] + notes.get(fact, "") for fact in lost]
    if shapes_for_boxes and content & (Capability.MASKS | Capability.POLYGONS):
        names.append(_BOXES)
    if names:
        log.warning("%s cannot hold: %s", format_name, ", ".join(names))
