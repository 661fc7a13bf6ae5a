"""What annotations can hold: a format's capabilities, the summary of a whole, and one row of a track."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from typing import NamedTuple, TypeAlias

__all__ = ["Capability", "Polygons", "Segmentation", "Summary", "TrackRow"]

Polygons: TypeAlias = tuple[tuple[float, ...], ...]
"""Outlines in pixels, each x1, y1, x2, y2, ...; a pixel is covered when an odd number of outlines is around it."""

Segmentation: TypeAlias = str | Polygons
"""COCO's compressed run lengths over the whole image, or outlines."""


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
    """What is known of all images and objects together."""

    first_frame: int
    """Number of the first image, 0 where there is none."""
    last_frame: int
    """-1 where there is none."""
    last_time: float
    """The last known time stamp in seconds, NaN without any."""
    first_size: tuple[int, int]
    """Width and height of the first image, zeros where unknown."""
    sizes: tuple[tuple[int, int], ...]
    """All sizes that occur, in order."""
    are_images: bool
    """Whether images have file names of their own, as frames of a video have not."""
    content: Capability
    """What is made use of."""


class TrackRow(NamedTuple):
    """One object in one image."""

    frame: int
    """Number of the image."""
    time: float
    """In seconds, NaN where unknown."""
    size: tuple[int, int]
    """Width and height of the image, zeros where unknown."""
    class_id: int
    box: list[float]
    segmentation: Segmentation | None
    occluded: bool
    keyframe: bool
