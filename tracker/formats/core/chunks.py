"""What a writer needs to know of annotations, however long they are: a summary, and the rest part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tracker.formats.core.annotations import Annotations, Segmentation

__all__ = ["AnnotationParts", "Capability", "Summary", "TrackRow"]


class Capability(Flag):
    """What a format has a place for, beside frame numbers and boxes."""

    TRACKS = auto()
    CLASSES = auto()
    SCORES = auto()
    MASKS = auto()
    POLYGONS = auto()
    TIMES = auto()
    OCCLUSION = auto()
    KEYFRAMES = auto()
    UNTRACKED = auto()
    """Objects without a track beside tracked ones."""
    CROWDS = auto()
    """Regions of many objects that are not told apart."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of all pictures and objects together."""

    first_frame: int
    """Number of the first picture, 0 where there is none."""
    last_frame: int
    """-1 where there is none."""
    last_time: float
    """The last known time stamp in seconds, NaN without any."""
    first_size: tuple[int, int]
    """Width and height of the first picture, zeros where unknown."""
    sizes: tuple[tuple[int, int], ...]
    """All sizes that occur, in order."""
    are_images: bool
    """Whether pictures have file names of their own, as frames of a video have not."""
    content: Capability
    """What is made use of."""


class TrackRow(NamedTuple):
    """One object in one picture."""

    frame: int
    """Number of the picture."""
    time: float
    """In seconds, NaN where unknown."""
    size: tuple[int, int]
    """Width and height of the picture, zeros where unknown."""
    class_id: int
    box: list[float]
    segmentation: Segmentation | None
    occluded: bool
    keyframe: bool


class AnnotationParts(Protocol):
    """Annotations that can be gone through in parts, as often as needed; none of them is held after its turn."""

    @property
    def source(self) -> str:
        """Name of the video or folder, empty where unknown."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""

    def summary(self) -> Summary:
        """What is known of the whole."""

    def by_frames(self, *, objects: bool = True) -> Iterator[Annotations]:
        """Some successive pictures at a time with their objects, or without any."""

    def by_tracks(self) -> Iterator[tuple[int, Iterator[TrackRow]]]:
        """Each track's id and rows in the pictures' order, by ascending id.

        Objects without a track come last, as tracks of one row with ids of their own. The rows of a track are to be
        gone through before the next is asked for.
        """

    def track_classes(self) -> Iterator[tuple[int, int]]:
        """Each track's id and the class of its first row, by ascending id; objects without a track are left out."""

    def outlined_tracks(self) -> frozenset[int]:
        """The ids of the tracks with a mask or outline in any picture; objects without a track are left out."""
