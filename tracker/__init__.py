"""Sightline as a library: see, follow and annotate what moves in a video.

    import tracker

    for result in tracker.track("street.mp4", classes=["person", "car"]):
        print(result.frame.time, result.tracks.ids, result.tracks.boxes)

    recording = tracker.annotate("street.mp4", refine=True)
    table = recording.to_pandas()

Every name below is loaded when it is first used. The packages inside are for those who change the program.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracker.errors import (
        CheckpointError,
        ConfigError,
        DamagedStoreError,
        FeaturesError,
        FormatError,
        SinkError,
        SourceError,
        TrackerError,
        UnreachableError,
    )
    from tracker.formats.core.annotations import Annotations
    from tracker.interchange import (
        from_pandas,
        from_pycocotools,
        from_supervision,
        from_ultralytics,
        to_pandas,
        to_pycocotools,
        to_ultralytics,
    )
    from tracker.library import (
        Recording,
        annotate,
        detect,
        load_detector,
        load_tracker,
        read_annotations,
        track,
        write_annotations,
    )
    from tracker.pipeline import Pipeline
    from tracker.protocols import Detector, FrameSource, Sink, Tracker
    from tracker.types import Detections, Event, Frame, FrameResult, Image, SourceInfo, Tracks, TrackState
    from tracker.video import VideoSink, open_source

# ONNX Runtime's official builds report to their maker; it looks once, when it is imported, here and in child processes.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

_HOMES = {
    "tracker.errors": (
        "CheckpointError",
        "ConfigError",
        "DamagedStoreError",
        "FeaturesError",
        "FormatError",
        "SinkError",
        "SourceError",
        "TrackerError",
        "UnreachableError",
    ),
    "tracker.formats.core.annotations": ("Annotations",),
    "tracker.interchange": (
        "from_pandas",
        "from_pycocotools",
        "from_supervision",
        "from_ultralytics",
        "to_pandas",
        "to_pycocotools",
        "to_ultralytics",
    ),
    "tracker.library": (
        "Recording",
        "annotate",
        "detect",
        "load_detector",
        "load_tracker",
        "read_annotations",
        "track",
        "write_annotations",
    ),
    "tracker.pipeline": ("Pipeline",),
    "tracker.protocols": ("Detector", "FrameSource", "Sink", "Tracker"),
    "tracker.types": (
        "Detections",
        "Event",
        "Frame",
        "FrameResult",
        "Image",
        "SourceInfo",
        "TrackState",
        "Tracks",
    ),
    "tracker.video": ("VideoSink", "open_source"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Annotations",
    "CheckpointError",
    "ConfigError",
    "DamagedStoreError",
    "Detections",
    "Detector",
    "Event",
    "FeaturesError",
    "FormatError",
    "Frame",
    "FrameResult",
    "FrameSource",
    "Image",
    "Pipeline",
    "Recording",
    "Sink",
    "SinkError",
    "SourceError",
    "SourceInfo",
    "TrackState",
    "Tracker",
    "TrackerError",
    "Tracks",
    "UnreachableError",
    "VideoSink",
    "__version__",
    "annotate",
    "detect",
    "from_pandas",
    "from_pycocotools",
    "from_supervision",
    "from_ultralytics",
    "load_detector",
    "load_tracker",
    "open_source",
    "read_annotations",
    "to_pandas",
    "to_pycocotools",
    "to_ultralytics",
    "track",
    "write_annotations",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _FrontDoor(ModuleType):
    """Three public functions are called like packages inside; the names stay theirs when the packages are loaded."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _FrontDoor
