"""Who was where, one row per object and frame: what the store keeps, refinement goes over and exports write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64, Integer, UInt8
from numpy import ndarray

from tracker.types import Detections, Tracks, TrackState

__all__ = ["BOX_PARTS", "SCORE_PARTS", "Observations", "Origin"]

BOX_PARTS = 100
"""Recorded boxes are in hundredths of a pixel: what a detector is sure of is coarser, and every export writes them."""
SCORE_PARTS = 10000


class Origin(IntEnum):
    """Where an observation comes from."""

    DETECTED = 0
    INTERPOLATED = 1
    """Between others, by refinement or between two boxes set by a person."""
    MANUAL = 2
    """By a person."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Objects in frames, one row each, ordered by frame, then track, unless it is said otherwise."""

    frames: Int64[ndarray, " n"]
    """Number of the frame in the recording, from 0."""
    tracks: Int64[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    scores: Float64[ndarray, " n"]
    """0 to 1; with four decimals where they are recorded."""
    boxes: Float64[ndarray, "n 4"]
    """xyxy pixels; with two decimals where they are recorded."""
    origins: UInt8[ndarray, " n"]
    """Values of Origin."""
    masks: tuple[str | None, ...] | None = None
    """COCO compressed run lengths over the whole frame; None where masks were not asked for."""
    embeddings: Float32[ndarray, "n d"] | None = None
    """Unit rows; None where appearance is not known, as in a recording."""
    confirmed: Bool[ndarray, " n"] | None = None
    """Rows of tracks that were confirmed by then, which the tracker reported; None for all."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: Bool[ndarray, " n"] | Integer[ndarray, " k"] | slice) -> Observations:
        """The chosen rows."""
        masks = self.masks
        if masks is not None:
            masks = tuple(masks[row] for row in np.arange(len(self))[rows].tolist())
        return Observations(
            self.frames[rows],
            self.tracks[rows],
            self.class_ids[rows],
            self.scores[rows],
            self.boxes[rows],
            self.origins[rows],
            masks,
            None if self.embeddings is None else self.embeddings[rows],
            None if self.confirmed is None else self.confirmed[rows],
        )

    @classmethod
    def rounded(
        cls,
        frames: Integer[ndarray, " n"] | int,
        *,
        tracks: Integer[ndarray, " n"],
        class_ids: Integer[ndarray, " n"],
        scores: Float[ndarray, " n"],
        boxes: Float[ndarray, "n 4"],
        origins: Integer[ndarray, " n"] | int = Origin.DETECTED,
        masks: Sequence[str | None] | None = None,
    ) -> Observations:
        """Observations with values rounded to the digits that are recorded; one frame or origin may stand for all."""
        count = len(tracks)
        return cls(
            np.broadcast_to(np.asarray(frames, np.int64), (count,)),
            np.asarray(tracks, np.int64),
            np.asarray(class_ids, np.int32),
            np.rint(np.asarray(scores, np.float64) * SCORE_PARTS) / SCORE_PARTS,
            # + 0.0 turns -0.0 into 0.0
            np.rint(np.asarray(boxes, np.float64).reshape(count, 4) * BOX_PARTS) / BOX_PARTS + 0.0,
            np.broadcast_to(np.asarray(origins, np.uint8), (count,)),
            None if masks is None else tuple(masks),
        )

    @classmethod
    def empty(cls) -> Observations:
        """None at all."""
        nothing = np.empty(0)
        return cls.rounded(0, tracks=nothing, class_ids=nothing, scores=nothing, boxes=np.empty((0, 4)))

    @classmethod
    def joined(cls, parts: Sequence[Observations]) -> Observations:
        """The rows of all parts in their order, without embeddings and `confirmed`; masks are there if any has some."""
        if not parts:
            return cls.empty()
        masks: list[str | None] | None = None
        if any(part.masks is not None for part in parts):
            masks = [mask for part in parts for mask in part.masks or [None] * len(part)]
        return cls(
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.tracks for part in parts]),
            np.concatenate([part.class_ids for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.origins for part in parts]),
            None if masks is None else tuple(masks),
        )

    @classmethod
    def from_tracks(cls, tracks: Sequence[Tracks], detections: Sequence[Detections] | None = None) -> Observations:
        """What a tracker gave, frame by frame: every row detected in its frame, tentative ones too; nothing rounded.

        Tentative rows matter: refinement keeps the first moments of an object that was confirmed later. With
        `detections` the boxes are the detections themselves, which smooth better than what a filter made of them,
        and their embeddings come along where all have some.
        """
        detected = [one[one.detection_rows >= 0] for one in tracks]
        counts = [len(one) for one in detected]
        boxes, embeddings = [one.boxes for one in detected], None
        if detections is not None:
            pairs = list(zip(detections, detected, strict=True))
            boxes = [each.boxes[one.detection_rows] for each, one in pairs]
            vectors = [each.embeddings[one.detection_rows] for each, one in pairs if each.embeddings is not None]
            if vectors and all(each.embeddings is not None for each in detections if len(each)):
                embeddings = np.concatenate(vectors)
        return cls(
            np.repeat(np.arange(len(counts)), counts),
            np.concatenate([np.empty(0, np.int64), *(one.ids for one in detected)]),
            np.concatenate([np.empty(0, np.int32), *(one.class_ids for one in detected)]),
            np.concatenate([np.empty(0), *(one.scores for one in detected)]),
            np.concatenate([np.empty((0, 4)), *boxes]),
            np.full(sum(counts), Origin.DETECTED, np.uint8),
            embeddings=embeddings,
            confirmed=np.concatenate([np.empty(0, bool), *(one.states == TrackState.CONFIRMED for one in detected)]),
        )
