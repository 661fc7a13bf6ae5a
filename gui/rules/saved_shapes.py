"""Lines, zones and hidden regions remembered between starts: those of a recording, and those of a live source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gui.canvas.hit_testing import Shape
from gui.qt.preferences import Preferences
from gui.rules.counting import shapes_from_mapping, shapes_to_mapping, size_from_mapping
from tracker.annotate.recordings import RecordingJob
from tracker.paths import typed_path
from tracker.video.address import is_address, redact

__all__ = ["keep_live_shapes", "keep_recorded_shapes", "live_shapes", "recorded_shapes"]


def recorded_shapes(preferences: Preferences, job: RecordingJob) -> list[Shape]:
    """What was drawn on this recording, and regions hidden in its video wherever that was opened."""
    shapes = shapes_from_mapping(preferences.rules_of(_recording(preferences, job)))
    known = {shape.points for shape in shapes if shape.kind == "blur"}
    of_video = shapes_from_mapping(preferences.rules_of(str(job.source)))
    return shapes + [shape for shape in of_video if shape.kind == "blur" and shape.points not in known]


def keep_recorded_shapes(preferences: Preferences, job: RecordingJob, shapes: Sequence[Shape]) -> None:
    """Remember what is drawn on this recording."""
    preferences.keep_rules(_recording(preferences, job), shapes_to_mapping(shapes))


def live_shapes(preferences: Preferences, spec: str) -> tuple[list[Shape], tuple[int, int] | None]:
    """What was drawn on this live source, and on frames of what size, where that is known."""
    tree = preferences.rules_of(_live(spec))
    return shapes_from_mapping(tree), size_from_mapping(tree)


def keep_live_shapes(
    preferences: Preferences, spec: str, shapes: Sequence[Shape], size: tuple[int, int] | None
) -> None:
    """Remember what is drawn on this live source, whose frames have this width and height."""
    preferences.keep_rules(_live(spec), shapes_to_mapping(shapes, size))


def _recording(preferences: Preferences, job: RecordingJob) -> str:
    """A video as the window annotates it goes by the video; a store made elsewhere by itself: it has its own rules."""
    own = typed_path(preferences.folder() / "annotations").resolve() in job.store.resolve().parents
    return str(job.source if own else job.store.resolve())


def _live(spec: str) -> str:
    """A file goes by its whole path: others may have its name. Before a source is open, only this much is known."""
    if is_address(spec):
        shown = redact(spec)
        mark = hashlib.sha256(spec.encode()).hexdigest()[:8] if "***" in shown else ""
        return f"live {shown} {mark}".rstrip()  # cameras may differ in what is starred only
    path = typed_path(spec)
    return f"live {path.resolve() if path.exists() else spec}"
