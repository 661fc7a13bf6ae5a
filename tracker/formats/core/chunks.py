"""Annotations however long they are, as a writer reads them: a summary, and the rest part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tracker.formats.core.annotations import Annotations
from tracker.formats.core.content import Summary, TrackRow

__all__ = ["AnnotationParts"]


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
        """Some successive images at a time with their objects, or without any."""

    def by_tracks(self) -> Iterator[tuple[int, Iterator[TrackRow]]]:
        """Each track's id and rows in the images' order, by ascending id.

        Objects without a track come last, as tracks of one row with ids of their own. The rows of a track are to be
        gone through before the next is asked for.
        """

    def track_classes(self) -> Iterator[tuple[int, int]]:
        """Each track's id and the class of its first row, by ascending id; objects without a track are left out."""

    def outlined_tracks(self) -> frozenset[int]:
        """The ids of the tracks with a mask or outline in any image; objects without a track are left out."""
