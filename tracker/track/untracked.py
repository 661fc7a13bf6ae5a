"""A tracker for images that have nothing to do with one another: every detection is an object of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tracker.protocols import EmbedRows
from tracker.types import Detections, Tracks, TrackState, Warp

__all__ = ["Untracked"]


class Untracked:
    """Gives each detection an id that no other has; every track is in one frame."""

    def __init__(self) -> None:
        self._next_id = 1

    def update(
        self,
        detections: Detections,
        time: float,  # noqa: ARG002 - a tracker's interface
        camera_motion: Warp | None = None,  # noqa: ARG002 - a tracker's interface
        embed_rows: EmbedRows | None = None,  # noqa: ARG002 - a tracker's interface
    ) -> Tracks:
        """One confirmed track for each detection, in their order."""
        count = len(detections)
        first, self._next_id = self._next_id, self._next_id + count
        return Tracks(
            ids=np.arange(first, first + count, dtype=np.int64),
            boxes=detections.boxes,
            velocities=np.zeros((count, 2), np.float32),
            scores=detections.scores,
            class_ids=detections.class_ids,
            states=np.full(count, TrackState.CONFIRMED, np.uint8),
            ages=np.zeros(count, np.float32),
            unseen=np.zeros(count, np.float32),
            detection_rows=np.arange(count, dtype=np.int32),
        )

    def state(self) -> Mapping[str, Any]:
        """All that is needed to go on later."""
        return {"next_id": self._next_id}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with the ids after those of a state."""
        self._next_id = int(state["next_id"])

    def reset(self) -> None:
        """Nothing is remembered but the ids that were given."""
