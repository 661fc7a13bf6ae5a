"""What a recording holds, as Python sees it; boxes and scores with the digits that every export writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Float64, Int32, Int64, Integer, UInt8
from numpy import ndarray

from tracker.errors import FormatError
from tracker.types import Event

__all__ = ["Edit", "ImageEntry", "Observations", "Origin", "RecordedEvent", "RecordingInfo"]

BOX_PARTS = 100
"""Boxes are kept in hundredths of a pixel."""
SCORE_PARTS = 10000
LARGEST_SIDE = 2**16
"""Pixels."""


class Origin(IntEnum):
    """Where an observation comes from."""

    DETECTED = 0
    INTERPOLATED = 1
    """Between others, by refinement or between two boxes set by a person."""
    MANUAL = 2
    """By a person."""


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """What a recording is of, and how it was made."""

    source: Mapping[str, Any]
    """`path`, `name`, `size` in bytes, `digest` of head and tail, and what is known of the stream."""
    width: int
    height: int
    labels: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that results depend on; another value makes another recording."""
    network: Mapping[str, Any] = field(default_factory=dict)
    rules: str = ""
    """The analytics rules as TOML text."""

    def to_json(self) -> dict[str, str]:
        """A JSON text per key, as it stands in the info table."""
        values = {
            "source": dict(self.source),
            "size": [self.width, self.height],
            "labels": list(self.labels),
            "settings": dict(self.settings),
            "network": dict(self.network),
            "rules": self.rules,
        }
        return {key: json.dumps(value, ensure_ascii=False, sort_keys=True) for key, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> Self:
        """The opposite of `to_json`. Raises KeyError, TypeError or ValueError for values that it did not make."""
        kinds = {"source": dict, "size": list, "labels": list, "settings": dict, "network": dict, "rules": str}
        tree = {key: parse_stored(values[key]) for key in kinds}
        for key, kind in kinds.items():
            if not isinstance(tree[key], kind):
                raise ValueError(f"{key} is {str(tree[key])[:40]!r}")
        width, height = tree.pop("size")
        if not all(isinstance(side, int) and 0 < side <= LARGEST_SIDE for side in (width, height)):
            raise ValueError(f"the pictures are {width} x {height}")
        labels = tuple(tree.pop("labels"))
        if not all(isinstance(name, str) for name in labels):
            raise ValueError(f"labels are {str(labels)[:40]}")
        return cls(width=width, height=height, labels=labels, **tree)


class ImageEntry(NamedTuple):
    """One image of a folder: its file's name, and its size, which need not be that of the others."""

    name: str
    width: int
    height: int


def parse_stored(text: str) -> Any:
    """A JSON value of a recording. Raises ValueError for what is none, or is nested deeper than any was written."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """Something a rule noticed, and the frame it was noticed in."""

    frame: int
    event: Event


@dataclass(frozen=True, slots=True)
class Edit:
    """One correction."""

    number: int
    kind: str
    """merge, split, relabel, delete, class, box, interpolate or rules."""
    details: Mapping[str, Any]
    undone: bool


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Objects in frames, one row each, ordered by frame, then track."""

    frames: Int64[ndarray, " n"]
    tracks: Int64[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    scores: Float64[ndarray, " n"]
    """0 to 1 with four decimals."""
    boxes: Float64[ndarray, "n 4"]
    """xyxy pixels with two decimals."""
    origins: UInt8[ndarray, " n"]
    """Values of Origin."""
    masks: tuple[str | None, ...] | None = None
    """COCO compressed run lengths over the whole picture; None where masks were not asked for."""

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
        """Observations with values rounded to the digits that are kept; one frame or origin may stand for all."""
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
    def from_stored(cls, rows: Sequence[Sequence[int]], masks: Sequence[str | None] | None = None) -> Observations:
        """From rows of the observations table. Raises FormatError where a value is no whole number."""
        try:
            table = np.array(rows, np.int64).reshape(-1, 9)
        except (OverflowError, TypeError, ValueError) as error:
            raise FormatError(f"the recording is damaged: {error}. Restore it from a copy.") from error
        frames, tracks, classes, scores, x1, y1, x2, y2, origins = table.T
        boxes = np.stack([x1, y1, x2, y2], axis=1) / BOX_PARTS
        return cls(
            frames,
            tracks,
            classes.astype(np.int32),
            scores / SCORE_PARTS,
            boxes,
            origins.astype(np.uint8),
            None if masks is None else tuple(masks),
        )

    def to_stored(self) -> Iterator[tuple[int, ...]]:
        """Rows of the observations table."""
        boxes = np.rint(self.boxes * BOX_PARTS).astype(np.int64).T.tolist()
        scores = np.rint(self.scores * SCORE_PARTS).astype(np.int64).tolist()
        columns = (self.frames.tolist(), self.tracks.tolist(), self.class_ids.tolist(), scores)
        return zip(*columns, *boxes, self.origins.tolist(), strict=True)

    def stored_masks(self) -> Iterable[tuple[int, int, str]]:
        """Rows of the masks table."""
        if self.masks is None:
            return ()
        keys = zip(self.frames.tolist(), self.tracks.tolist(), self.masks, strict=True)
        return [(frame, track, counts) for frame, track, counts in keys if counts is not None]
