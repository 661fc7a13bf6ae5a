"""Why detections of a recorded frame are no tracks: the engine run again over what the recording holds before it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.config import TrackerConfig, build
from tracker.errors import ConfigError, FormatError
from tracker.geometry import iou
from tracker.observations import Observations, Origin
from tracker.protocols import Explain
from tracker.store import Recording
from tracker.track.engine import TrackingEngine
from tracker.types import Detections

__all__ = ["recorded_tracker", "replay", "replay_stored"]

log = logging.getLogger(__name__)

SETTLE_S = 1.0
"""So long a track's motion takes to be known, before the oldest detection that may still matter."""
SAME = 0.5
"""Overlap from which a detection and a recorded box of the frame are taken for the same object."""


def recorded_tracker(settings: Mapping[str, Any], conf: float) -> TrackerConfig:
    """The tracker's settings that a recording was made with, by a detector of that threshold. Raises ConfigError."""
    config = build(TrackerConfig, settings.get("tracker", {}), "tracker")
    return config if settings.get("own_scores") else config.for_threshold(conf)


def replay(recording: Recording, frame: int, detections: Detections, config: TrackerConfig) -> Explain:
    """What became of each of the `detections` of a recorded frame, in words that name the recording's tracks.

    The engine is given what the network detected in the seconds before, as far as it is recorded: rows of tracks,
    confirmed or not, without what was interpolated or set by a person. Appearance and the camera's motion are not
    recorded, so these take no part; a finished recording without refinement holds confirmed tracks only, so that one
    which is about to be confirmed begins anew in the frame asked for.
    """
    indices, times = recording.frame_times()
    here = int(np.searchsorted(indices, frame))
    start = int(np.searchsorted(times, times[here] - config.max_coast_s - SETTLE_S))
    rate = config.frame_rate or _rate(times)
    config = replace(config, frame_rate=rate, appearance="none", camera_motion=False)
    only_confirmed = recording.complete and recording.note("refined") is None
    engine = TrackingEngine(replace(config, confirm_hits=1) if only_confirmed else config)
    names: dict[int, int] = {}
    if start < here:
        first, last = int(indices[start]), int(indices[here - 1])
        rows = Observations.joined([recording.observations_in(first, last), recording.tentative(first, last)])
        rows = rows[rows.origins == Origin.DETECTED]
        rows = rows[np.argsort(rows.frames, kind="stable")]
        edges = np.searchsorted(rows.frames, indices[start : here + 1])
        for place, low, high in zip(range(start, here), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            seen = rows[low:high]
            given = Detections(seen.boxes.astype(np.float32), seen.scores.astype(np.float32), seen.class_ids)
            tracks = engine.update(given, float(times[place]))
            names |= _names(tracks.ids, seen.tracks, tracks.detection_rows)
    past, engine = engine, TrackingEngine(config)
    engine.restore(past.state())
    tracks = engine.update(replace(detections, embeddings=None), float(times[here]))
    recorded = Observations.joined([recording.observations_in(frame), recording.tentative(frame)])
    new = np.flatnonzero(~np.isin(tracks.ids, list(names)) & (tracks.detection_rows >= 0))
    if len(new) and len(recorded):
        overlap = iou(detections.boxes[tracks.detection_rows[new]], recorded.boxes.astype(np.float32))
        best = overlap.argmax(axis=1)
        same = overlap[np.arange(len(new)), best] >= SAME
        names |= _names(tracks.ids[new[same]], recorded.tracks, best[same])
    trace = engine.trace
    assert trace is not None  # there was a frame
    return trace.renamed(names).explain


def replay_stored(path: Path, frame: int, detections: Detections, conf: float) -> Explain | None:
    """`replay` by a recording's own settings; None where it does not hold the frame, or cannot be read."""
    try:
        with Recording(path) as recording:
            if not recording.first_frame <= frame <= recording.last_frame:
                return None
            return replay(recording, frame, detections, recorded_tracker(recording.info.settings, conf))
    except (ConfigError, FormatError) as error:
        log.info("%s: frame %d cannot be replayed: %s", path, frame, error)
        return None


def _names(ids: ndarray, tracks: Int64[ndarray, " n"], rows: ndarray) -> dict[int, int]:
    """The recorded track of each of the engine's that has a row."""
    detected = rows >= 0
    return dict(zip(ids[detected].tolist(), tracks[rows[detected]].tolist(), strict=True))


def _rate(times: ndarray) -> float:
    """Frames per second, 0 where they cannot be known."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return 1 / step if step > 0 else 0.0
