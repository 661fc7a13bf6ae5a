"""What flows: Frame -> Detections -> Tracks -> FrameResult.

Conventions, stated once. Images are RGB uint8 (h, w, 3), read-only. Boxes are xyxy float32 pixels of the
original frame with continuous edges (a box one pixel wide has x2 - x1 == 1). Times are seconds from the
container's time stamps, never index / fps. Track ids start at 1 and are never reused. Arrays are
struct-of-arrays: one row per object, one attribute per column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, Integer, UInt8
from numpy import ndarray

__all__ = [
    "Detections",
    "Event",
    "EventKind",
    "Frame",
    "FrameResult",
    "Image",
    "Rows",
    "SourceInfo",
    "TrackState",
    "Tracks",
    "Warp",
]

Image: TypeAlias = UInt8[ndarray, "h w 3"]
"""RGB, read-only."""
Warp: TypeAlias = Float64[ndarray, "2 3"]
"""Maps last frame's pixels to this one's."""
Rows: TypeAlias = Bool[ndarray, " n"] | Integer[ndarray, " k"] | slice


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a source.

    `index` counts decoded frames of the source from 0, `time` is the presentation time in seconds.
    """

    image: Image
    index: int
    time: float
    source: str
    arrival: float | None = None
    """When live input brought its data, by `time.monotonic()`; None where nobody waited for it."""


Clock: TypeAlias = Literal["container", "arrival"]
"""Where times come from: the source's own stamps, or the moment each frame arrived."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before reading it; None where the container does not tell."""

    width: int
    height: int
    rate: Fraction | None = None
    """Average frames per second, for display and as the encoder's hint; never used to make time stamps."""
    frame_count: int | None = None
    duration_s: float | None = None
    time_base: Fraction | None = None
    """Seconds per tick of the container's clock, so that a copy can keep the stamps exactly."""
    has_audio: bool = False
    clock: Clock = "container"
    pixel_aspect: Fraction | None = None
    """Width to height of one pixel, upright; None where square or unknown."""
    path: Path | None = None
    """The file, where it is one: what audio is copied from."""


class LinkState(StrEnum):
    """Where a live source stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One reading of a live source's state."""

    state: LinkState
    since: float
    """Seconds on the watchdog's clock."""
    reason: str = ""
    attempts: int = 0
    """Failed tries since the last frame."""
    returns: int = 0
    """Times it was lost and came back."""


KINDS = {"f": "fiu", "i": "iu", "u": "iu"}
"""Kinds of numbers that are taken for one of another kind."""
_FLOAT32, _INT32, _INT64, _UINT8 = (np.dtype(name) for name in ("float32", "int32", "int64", "uint8"))


class _Columns:
    """Row access shared by the struct-of-arrays types."""

    __slots__ = ()

    def __getitem__(self, rows: Rows) -> Self:
        """The chosen rows, every attribute sliced alike."""
        chosen = {}
        for column in fields(self):  # type: ignore[arg-type]
            values = getattr(self, column.name)
            chosen[column.name] = None if values is None else values[rows]
        return type(self)(**chosen)


def _check_rows(
    owner: object, count: int, **columns: tuple[ndarray | None, tuple[int | None, ...], np.dtype[Any]]
) -> None:
    """Raise ValueError for columns of another shape or kind; other widths of a kind, and lists, are converted."""
    for name, (values, row_shape, dtype) in columns.items():
        if type(values) is ndarray and values.shape == (count, *row_shape) and values.dtype == dtype:
            continue
        if values is None:
            continue
        values = np.asarray(values)
        if not values.size and count == 0 and (not row_shape or values.ndim != 1 + len(row_shape)):
            values = np.empty((0, *(size or 0 for size in row_shape)), dtype)
        if values.dtype.kind in KINDS[dtype.kind]:
            values = values.astype(dtype, copy=False)
        object.__setattr__(owner, name, values)
        fits = len(values) == count and values.ndim == 1 + len(row_shape)
        fits = fits and all(size in (None, found) for size, found in zip(row_shape, values.shape[1:], strict=True))
        if not fits or values.dtype != dtype:
            expected = (count, *("?" if size is None else size for size in row_shape))
            raise ValueError(
                f"{type(owner).__name__}.{name}: expected {dtype.name} {expected}, found {values.dtype} {values.shape}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Detections(_Columns):
    """What a detector saw in one frame, one row per object."""

    boxes: Float32[ndarray, "n 4"]
    scores: Float32[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    masks: UInt8[ndarray, "n m m"] | None = None
    """Coverage 0..255 stretched over the box, at the network's own resolution or better."""
    embeddings: Float32[ndarray, "n d"] | None = None
    """Unit rows; cosine similarity says how alike two objects look."""

    def __post_init__(self) -> None:
        _check_rows(
            self,
            len(self.boxes),
            boxes=(self.boxes, (4,), _FLOAT32),
            scores=(self.scores, (), _FLOAT32),
            class_ids=(self.class_ids, (), _INT32),
            masks=(self.masks, (None, None), _UINT8),
            embeddings=(self.embeddings, (None,), _FLOAT32),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls) -> Detections:
        """No objects at all."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))


class TrackState(IntEnum):
    """Where a track stands in its life."""

    TENTATIVE = 0
    CONFIRMED = 1
    COASTING = 2


@dataclass(frozen=True, slots=True, eq=False)
class Tracks(_Columns):
    """Who is in one frame, one row per track, ordered by id."""

    ids: Int64[ndarray, " n"]
    boxes: Float32[ndarray, "n 4"]
    velocities: Float32[ndarray, "n 2"]
    """Pixels per second of the box centre, x then y."""
    scores: Float32[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    states: UInt8[ndarray, " n"]
    """Values of TrackState."""
    ages: Float32[ndarray, " n"]
    """Seconds since the first detection."""
    unseen: Float32[ndarray, " n"]
    """Seconds since the last detection, 0 when seen in this frame."""
    detection_rows: Int32[ndarray, " n"]
    """Row in this frame's Detections, -1 when coasting."""

    def __post_init__(self) -> None:
        _check_rows(
            self,
            len(self.ids),
            ids=(self.ids, (), _INT64),
            boxes=(self.boxes, (4,), _FLOAT32),
            velocities=(self.velocities, (2,), _FLOAT32),
            scores=(self.scores, (), _FLOAT32),
            class_ids=(self.class_ids, (), _INT32),
            states=(self.states, (), _UINT8),
            ages=(self.ages, (), _FLOAT32),
            unseen=(self.unseen, (), _FLOAT32),
            detection_rows=(self.detection_rows, (), _INT32),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls) -> Tracks:
        """Nobody at all."""
        return cls(
            ids=np.empty(0, np.int64),
            boxes=np.empty((0, 4), np.float32),
            velocities=np.empty((0, 2), np.float32),
            scores=np.empty(0, np.float32),
            class_ids=np.empty(0, np.int32),
            states=np.empty(0, np.uint8),
            ages=np.empty(0, np.float32),
            unseen=np.empty(0, np.float32),
            detection_rows=np.empty(0, np.int32),
        )


class EventKind(StrEnum):
    """What a rule can notice, by the names that files hold."""

    LINE = "line"
    """A line was crossed; the value is 1 inwards, -1 outwards."""
    ZONE_ENTER = "zone-enter"
    ZONE_LEAVE = "zone-leave"
    """The value is the time inside, in seconds."""
    ZONE_DWELL = "zone-dwell"
    """Somebody stays too long; the value is the time inside so far, in seconds."""
    SPEED = "speed"
    """Somebody is too fast; the value is the speed in km/h."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a rule noticed; `name` is the rule's own name."""

    kind: EventKind
    name: str
    time: float
    track_id: int
    class_id: int
    value: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """All that is known about one frame once the pipeline is done with it."""

    frame: Frame
    detections: Detections
    tracks: Tracks
    labels: tuple[str, ...]
    semantic: UInt8[ndarray, "i j"] | None = None
    """What each pixel shows, as numbers of `semantic_labels`; of the frame at any size, where that is computed."""
    semantic_labels: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds spent per stage."""
    rejected: int = 0
    """NaN, infinite or empty boxes the model gave, dropped before tracking."""
    canvas: Image | None = None
    """The frame with its overlay, where something was drawn."""
    tracked: bool = True
    """False where no tracker was asked: then `detections` are what there is."""
    explain: Callable[[int], str] | None = None
    """Why a row of `detections` is no confirmed track, or which one it is; None where the tracker cannot say."""

    def counts(self) -> dict[str, int]:
        """How many objects of each class are seen in this frame, most first.

        Tracks, or detections where nothing is tracked. A track counts in frames where it is confirmed and detected.
        """
        class_ids = self.detections.class_ids
        if self.tracked:
            tracks = self.tracks
            class_ids = tracks.class_ids[(tracks.states == TrackState.CONFIRMED) & (tracks.detection_rows >= 0)]
        numbers = Counter(class_ids.tolist())
        labels = self.labels
        return {
            labels[class_id] if 0 <= class_id < len(labels) else f"class {class_id}": count
            for class_id, count in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
        }

    def masks(self) -> Bool[ndarray, "n h w"]:
        """The pixels of each row of `tracks`, or of `detections` where nothing is tracked; made when asked.

        All False where the network gave no mask, or the object is not seen in this frame.
        """
        from tracker.geometry import paste_mask

        found, rows = self.detections, self._detection_rows()
        height, width = self.frame.image.shape[:2]
        pixels = np.zeros((len(rows), height, width), bool)
        if found.masks is not None:
            for place, row in enumerate(rows.tolist()):
                if row >= 0:
                    window, covered = paste_mask(found.masks[row], found.boxes[row], width, height)
                    pixels[place][window] = covered
        return pixels

    def to_supervision(self) -> Any:
        """A `supervision.Detections` of the rows of `tracks`, or of `detections`; needs the package supervision."""
        import supervision

        rows = self.tracks if self.tracked else self.detections
        return supervision.Detections(
            xyxy=rows.boxes,
            mask=self.masks() if self.detections.masks is not None else None,
            confidence=rows.scores,
            class_id=rows.class_ids.astype(int),
            tracker_id=self.tracks.ids.astype(int) if self.tracked else None,
            data={"class_name": np.array([self.labels[class_id] for class_id in rows.class_ids.tolist()], str)},
        )

    def _detection_rows(self) -> Int32[ndarray, " n"]:
        return self.tracks.detection_rows if self.tracked else np.arange(len(self.detections), dtype=np.int32)
