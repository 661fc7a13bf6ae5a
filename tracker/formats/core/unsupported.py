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


def warn_unsupported(
    content: Capability, format_name: str, holds: Capability, *, instead: Mapping[Capability, str] | None = None
) -> None:
    """Log one warning that lists what of the content will be missing from the file, where anything is.

    `instead` says of some of it what stands there in its place, or how to have it.
    """
    lost = content & ~holds
    if lost:
        notes = {fact: f" ({note})" for fact, note in (instead or {}).items()}
        names = ", ".join(_NAMES[fact] + notes.get(fact, "") for fact in lost)
        log.warning("%s cannot hold: %s", format_name, names)
