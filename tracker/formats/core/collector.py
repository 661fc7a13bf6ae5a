"""Rows of a file, checked one by one so that an error names its line, and finished to Annotations."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from tracker.errors import FormatError
from tracker.formats.core.annotations import Annotations, Frames, Objects
from tracker.formats.core.content import Segmentation
from tracker.formats.core.image_names import is_elsewhere, relative_names, relative_parts
from tracker.formats.core.rle import Rle, text_to_runs

__all__ = ["MOST_FRAMES", "Collector"]

log = logging.getLogger(__name__)

LARGEST_IMAGE = 2**28
"""Pixels; four times what the largest video has. A mask of an image is laid out in memory."""
FARTHEST = 1e7
"""Pixels from the corner of the image."""
MOST_FILLED, MOST_FRAMES = 1_000_000, 5_000_000


class Collector:
    """Takes rows in any order, refuses those no format may hold, and gives Annotations.

    Track ids may count from 0: all are raised by one then. An id 0 that stands twice in a frame means no track.
    Errors name the file and the `where` given with each row, such as "line 12".
    """

    def __init__(self, path: Path | str, *, source: str = "", labels: Sequence[str] | None = None) -> None:
        self.path = path
        self.source = source
        self._fixed_labels = False
        self._labels: dict[str, int] = {}
        for name in labels or ():
            if name in self._labels:
                self.refuse("labels", f"class {name!r} stands twice")
            self.class_id(name, "labels")
        self._fixed_labels = labels is not None
        self._filled = 0
        self._frames: dict[int, tuple[float, int, int, str]] = {}
        self._rows: list[tuple[int, int, int, tuple[float, float, float, float], float, bool, bool, bool]] = []
        self._segmentations: list[Segmentation | None] = []
        self._taken: set[tuple[int, int]] = set()
        self._zero_is_none = False

    def refuse(self, where: str, reason: str) -> NoReturn:
        """Raise the error for that place."""
        raise FormatError(f"{self.path}: {where}: {reason}" if where else f"{self.path}: {reason}")

    def fill(self, count: int, where: str) -> None:
        """Tell that so many boxes will be put between others; refuses more than a file can mean."""
        self._filled += count
        if self._filled > MOST_FILLED:
            self.refuse(where, f"more than {MOST_FILLED:,} boxes would have to be filled in; is a frame number wrong?")

    def class_id(self, name: str, where: str) -> int:
        """The number of a class; a new one only where the file declares no list of them."""
        known = self._labels.get(name)
        if known is not None:
            return known
        if not name or any(character < " " for character in name) or not _is_text(name):
            self.refuse(where, f"the class name {name!r} is empty or holds control characters")
        if self._fixed_labels:
            some = ", ".join(list(self._labels)[:8]) or "none"
            self.refuse(where, f"unknown class {name!r}; the file declares: {some}")
        self._labels[name] = len(self._labels)
        return self._labels[name]

    def check_class_id(self, class_id: int, where: str) -> int:
        """The number itself when the declared labels reach that far."""
        if not 0 <= class_id < len(self._labels):
            self.refuse(where, f"unknown class number {class_id}; the file declares {len(self._labels)} classes")
        return class_id

    def frame(
        self, index: int, where: str, *, time: float = math.nan, width: int = 0, height: int = 0, name: str = ""
    ) -> None:
        """Add an image; a second time to add what was unknown the first time."""
        if not 0 <= index < 2**53:
            self.refuse(where, f"frame number {index} is out of range")
        if math.isinf(time):
            self.refuse(where, f"time {time} is not finite")
        if min(width, height) < 0 or (width > 0) != (height > 0) or width * height > LARGEST_IMAGE:
            self.refuse(where, f"image size {width} x {height} is out of range")
        if name and ("\0" in name or not _is_text(name) or not relative_parts(name)):
            self.refuse(where, f"file name {name!r} is no text, or none of a file")
        old_time, old_width, old_height, old_name = self._frames.get(index, (math.nan, 0, 0, ""))
        if width and old_width and (width, height) != (old_width, old_height):
            self.refuse(where, f"frame {index} is {width} x {height} here and {old_width} x {old_height} before")
        time = old_time if math.isnan(time) else time
        self._frames[index] = (time, width or old_width, height or old_height, name or old_name)

    def size_of(self, frame: int) -> tuple[int, int]:
        """Width and height of an added image, zeros where unknown."""
        _, width, height, _ = self._frames.get(frame, (math.nan, 0, 0, ""))
        return width, height

    def frames(self, first: int, last: int, where: str, *, width: int, height: int, step: int = 1) -> None:
        """Add all frames from `first` to `last`, or of every so many of them, before any other."""
        if not 0 <= last - first < MOST_FRAMES:
            self.refuse(where, f"frames {first} to {last} are out of range")
        self.frame(first, where, width=width, height=height)
        self._frames = dict.fromkeys(range(first, last + 1, step), self._frames[first])

    def add(
        self,
        frame: int,
        box: Sequence[float],
        where: str,
        *,
        class_id: int,
        track_id: int | None = None,
        score: float = math.nan,
        segmentation: Segmentation | Rle | None = None,
        occluded: bool = False,
        keyframe: bool = True,
        crowd: bool = False,
    ) -> None:
        """Take one object of a frame; the frame need not have been added before."""
        if frame not in self._frames:
            self.frame(frame, where)
        x1, y1, x2, y2 = box
        if not all(map(math.isfinite, box)):
            self.refuse(where, f"the box {tuple(box)} is not finite")
        if max(map(abs, box)) > FARTHEST:
            self.refuse(where, f"the box {tuple(box)} is out of range")
        if x2 < x1 or y2 < y1:
            self.refuse(where, f"the box {tuple(box)} has a negative size")
        if math.isinf(score):
            self.refuse(where, f"the score {score} is not finite")
        if track_id is not None:
            if not 0 <= track_id < 2**53:
                self.refuse(where, f"track id {track_id} is out of range")
            if (frame, track_id) in self._taken:
                if track_id:
                    self.refuse(where, f"track {track_id} stands twice in frame {frame}")
                self._zero_is_none = True
            self._taken.add((frame, track_id))
        if segmentation is not None:
            segmentation = self._checked(frame, segmentation, where)
        corners = (float(x1), float(y1), float(x2), float(y2))
        track = -1 if track_id is None else track_id
        self._rows.append((frame, track, class_id, corners, score, occluded, keyframe, crowd))
        self._segmentations.append(segmentation)

    def _checked(self, frame: int, segmentation: Segmentation | Rle, where: str) -> Segmentation | None:
        if isinstance(segmentation, dict):
            height, width = segmentation["size"]
            self.frame(frame, where, width=width, height=height)
            segmentation = segmentation["counts"]
        if isinstance(segmentation, str):
            _, width, height, _ = self._frames[frame]
            try:
                runs = text_to_runs(segmentation)
            except FormatError as error:
                self.refuse(where, str(error))
            if (runs < 0).any() or runs.sum() != width * height:
                self.refuse(where, f"mask: the run lengths cover {runs.sum()} pixels, expected {width} x {height}")
            return segmentation
        for outline in segmentation:
            if len(outline) < 6 or len(outline) % 2 or not all(abs(edge) <= FARTHEST for edge in outline):
                self.refuse(where, "an outline needs three or more points near the image")
        return segmentation or None

    def finish(self) -> Annotations:
        """The rows in order, with every frame that was added."""
        if not _is_text(self.source):
            self.refuse("", f"the video's name {self.source!r} is no text")
        indices = sorted(self._frames)
        position = {index: row for row, index in enumerate(indices)}
        order = sorted(range(len(self._rows)), key=lambda row: self._rows[row][:2])
        rows = [self._rows[row] for row in order]
        entries = [self._frames[index] for index in indices]
        raised = not self._zero_is_none and any(row[1] == 0 for row in rows)
        frames = Frames(
            indices=np.array(indices, np.int64),
            times=np.array([time for time, _, _, _ in entries], np.float64),
            widths=np.array([width for _, width, _, _ in entries], np.int32),
            heights=np.array([height for _, _, height, _ in entries], np.int32),
            names=self._names([name for _, _, _, name in entries]),
        )
        objects = Objects(
            frames=np.array([position[row[0]] for row in rows], np.int64),
            track_ids=np.array([max(row[1] + raised, 0) for row in rows], np.int64),
            class_ids=np.array([row[2] for row in rows], np.int32),
            boxes=np.array([row[3] for row in rows], np.float64).reshape(-1, 4),
            scores=np.array([row[4] for row in rows], np.float64),
            segmentations=tuple(self._segmentations[row] for row in order),
            occluded=np.array([row[5] for row in rows], bool),
            keyframes=np.array([row[6] for row in rows], bool),
            crowds=np.array([row[7] for row in rows], bool),
        )
        return Annotations(self.source, tuple(self._labels), frames, objects)

    def _names(self, names: list[str]) -> tuple[str, ...]:
        """The names of images, all relative; reports where that changes which folder they are in."""
        outside = [name for name in names if is_elsewhere(name)]
        relative = relative_names(names)
        if outside:
            first = f"{outside[0]} is taken for {relative[names.index(outside[0])]}"
            log.warning("%s: %d images are named in folders elsewhere: %s", self.path, len(outside), first)
        return tuple(relative)


def _is_text(text: str) -> bool:
    """Whether it can be written: JSON's escapes can make halves of characters."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
