"""What a recording holds beside observations, as Python sees it, and how observations stand in its tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tracker.errors import FormatError
from tracker.observations import BOX_PARTS, SCORE_PARTS, Observations
from tracker.types import Event

__all__ = [
    "Edit",
    "ImageEntry",
    "RecordedEvent",
    "RecordingInfo",
    "SemanticMap",
    "from_stored",
    "parse_stored",
    "stored_masks",
    "to_stored",
]

LARGEST_SIDE = 2**16
"""Pixels."""


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
            raise ValueError(f"the images are {width} x {height}")
        labels = tuple(tree.pop("labels"))
        if not all(isinstance(name, str) for name in labels):
            raise ValueError(f"labels are {str(labels)[:40]}")
        return cls(width=width, height=height, labels=labels, **tree)


class ImageEntry(NamedTuple):
    """One image of a folder: its file's name, and its size, which need not be that of the others."""

    name: str
    width: int
    height: int


class SemanticMap(NamedTuple):
    """What every pixel of a frame shows."""

    pixels: UInt8[ndarray, "h w"]
    """Numbers of `labels`, of the frame at any size."""
    labels: tuple[str, ...]


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


def from_stored(rows: Sequence[Sequence[int]], masks: Sequence[str | None] | None = None) -> Observations:
    """From rows of the observations table. Raises FormatError where a value is no whole number."""
    try:
        table = np.array(rows, np.int64).reshape(-1, 9)
    except (OverflowError, TypeError, ValueError) as error:
        raise FormatError(f"the recording is damaged: {error}. Restore it from a copy.") from error
    frames, tracks, classes, scores, x1, y1, x2, y2, origins = table.T
    boxes = np.stack([x1, y1, x2, y2], axis=1) / BOX_PARTS
    return Observations(
        frames,
        tracks,
        classes.astype(np.int32),
        scores / SCORE_PARTS,
        boxes,
        origins.astype(np.uint8),
        None if masks is None else tuple(masks),
    )


def to_stored(rows: Observations) -> Iterator[tuple[int, ...]]:
    """Rows of the observations table."""
    boxes = np.rint(rows.boxes * BOX_PARTS).astype(np.int64).T.tolist()
    scores = np.rint(rows.scores * SCORE_PARTS).astype(np.int64).tolist()
    columns = (rows.frames.tolist(), rows.tracks.tolist(), rows.class_ids.tolist(), scores)
    return zip(*columns, *boxes, rows.origins.tolist(), strict=True)


def stored_masks(rows: Observations) -> Iterable[tuple[int, int, str]]:
    """Rows of the masks table."""
    if rows.masks is None:
        return ()
    keys = zip(rows.frames.tolist(), rows.tracks.tolist(), rows.masks, strict=True)
    return [(frame, track, counts) for frame, track, counts in keys if counts is not None]
