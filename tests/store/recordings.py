"""Recordings made up for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.observations import Observations
from tracker.store import RecordingInfo, RecordingWriter
from tracker.types import Event

INFO = RecordingInfo(
    source={"path": "/videos/street.mp4", "name": "street.mp4", "size": 12, "digest": "00"},
    width=640,
    height=480,
    labels=("person", "car", "bus"),
    settings={"detector": {"conf": 0.5}},
)


def objects(frame: int, *tracks: int, class_id: int = 0, score: float = 0.5, masks: bool = False) -> Observations:
    """Boxes of 20 x 40 that walk 2 pixels a frame, one below the other."""
    count = len(tracks)
    left = 10.0 + 2 * frame + np.zeros(count)
    top = 50.0 * np.array(tracks, np.float64)
    return Observations.rounded(
        frame,
        tracks=np.array(tracks, np.int64),
        class_ids=np.full(count, class_id),
        scores=np.full(count, score),
        boxes=np.stack([left, top, left + 20, top + 40], axis=1),
        masks=[f"mask{frame}-{track}" for track in tracks] if masks else None,
    )


def finished(path: Path, frames: int = 10, tracks: tuple[int, ...] = (1, 2, 3), *, masks: bool = False) -> Path:
    """A finished recording of tracks that are seen in every frame, 0.5 s apart, with one event each."""
    writer = RecordingWriter.create(path, INFO)
    for frame in range(frames):
        events = [Event("line", "gate", frame * 0.5, tracks[0], 0)] if frame == 4 else []
        writer.add(frame, frame * 0.5, objects(frame, *tracks, masks=masks), events)
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    return path
