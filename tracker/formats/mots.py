"""MOTS text: one mask per row, `frame id class height width run-lengths`, blanks between.

Frames count from 1 as in MOTSChallenge, or from 0 as in KITTI MOTS: a file with a frame 0 is taken to be the latter.
Class numbers are the ones of both benchmarks (1 car, 2 pedestrian or person, 10 ignored region); other classes get the
numbers from 3 on that are free, in the order of the labels. The box of an object is that of its mask. Masks of one
frame may not share a pixel: where they do, the object with the better score keeps it.
"""

from __future__ import annotations

import logging
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Capability, Segmentation
from tracker.formats.core.parsing import read_text, to_int
from tracker.formats.core.polygons import box_outline, to_window
from tracker.formats.core.rle import Rle, rle_to_window, window_to_rle
from tracker.formats.core.unsupported import warn_unsupported

__all__ = ["read", "write"]

log = logging.getLogger(__name__)

CLASSES = {1: "car", 2: "pedestrian", 10: "ignored region"}
_NUMBERS = {"car": 1, "pedestrian": 2, "person": 2, "ignored region": 10}


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The masks with their boxes. Raises FormatError for a row that breaks the format."""
    rows = Collector(path, source=known.source, labels=known.labels or None)
    classes = dict(zip(_class_numbers(known.labels), known.labels, strict=True)) if known.labels else CLASSES
    table = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        cells = text.split()
        if not cells:
            continue
        if len(cells) != 6:
            rows.refuse(f"line {line}", f"expected 6 columns, found {len(cells)}")
        names = ("frame", "id", "class", "height", "width")
        where = f"line {line}"
        table.append((where, [to_int(c, n, path, where) for c, n in zip(cells[:5], names, strict=True)], cells[5]))
    first = 0 if any(values[0] == 0 for _, values, _ in table) else 1
    for where, (frame, track_id, class_number, height, width), counts in table:
        if class_number not in classes:
            hint = "" if known.labels else "; --classes A,B gives names to numbers from 1"
            rows.refuse(where, f"unknown class {class_number}, expected one of {sorted(classes)}{hint}")
        code: Rle = {"size": [height, width], "counts": counts}
        index = frame - first
        rows.frame(index, where, width=width, height=height)
        rows.add(
            index,
            (0, 0, 0, 0),
            where,
            class_id=rows.class_id(classes[class_number], where),
            track_id=track_id,
            segmentation=code,
        )
    found = rows.finish()
    for row, segmentation in enumerate(found.objects.segmentations):
        assert isinstance(segmentation, str)
        frame_row = found.objects.frames[row]
        size = [int(found.frames.heights[frame_row]), int(found.frames.widths[frame_row])]
        (down, across), _ = rle_to_window({"size": size, "counts": segmentation})
        found.objects.boxes[row] = (across.start, down.start, across.stop, down.stop)
    return found


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """The masks of tracked objects; warnings list what it cannot hold, and how many rows are boxes or left out.

    Where there are masks at all, an object without one gets the pixels of its box that no mask has.
    """
    content = annotations.summary().content
    holds = Capability.TRACKS | Capability.CLASSES | Capability.MASKS
    warn_unsupported(content, "MOTS text", holds, shapes_for_boxes=True)
    numbers = _class_numbers(annotations.labels)
    if any(name not in CLASSES.values() for name in annotations.labels):
        numbered = ", ".join(f"{number} {name}" for number, name in zip(numbers, annotations.labels, strict=True))
        names = ",".join(annotations.labels)
        log.warning("MOTS text: the classes are numbered %s; to read it again give --classes %s", numbered, names)
    boxes = bool(content & (Capability.MASKS | Capability.POLYGONS))
    filled = without = 0
    with AtomicText(path) as file:
        for part in annotations.by_frames():
            for frame, rows in enumerate(part.rows_by_frame()):
                lines = _lines(part, frame, rows, numbers, boxes=boxes)
                without += len(rows) - len(lines)
                filled += sum(line.is_box for line in lines)
                file.write("".join(line.text for line in lines))
    if filled:
        log.warning("MOTS text: %d objects have no mask; the pixels of their boxes stand for it", filled)
    if without:
        log.warning("MOTS text: %d objects have no visible mask or no track id and are left out", without)


class _Line(NamedTuple):
    track_id: int
    text: str
    is_box: bool


def _lines(annotations: Annotations, frame: int, rows: range, numbers: list[int], *, boxes: bool) -> list[_Line]:
    """The rows of one frame that have something to show, ordered by track."""
    objects, frames = annotations.objects, annotations.frames
    width, height = int(frames.widths[frame]), int(frames.heights[frame])
    taken = np.zeros((height, width), bool)
    lines = []
    scores = np.nan_to_num(objects.scores, nan=1.0)
    for row in sorted(rows, key=lambda row: (objects.segmentations[row] is None, -scores[row], row)):
        segmentation, track_id = objects.segmentations[row], int(objects.track_ids[row])
        is_box = segmentation is None
        if track_id == 0 or not width or (is_box and not boxes):
            continue
        outline: Segmentation = (box_outline(objects.boxes[row].tolist()),) if segmentation is None else segmentation
        window, covered = to_window(outline, width=width, height=height)
        own = covered & ~taken[window]
        taken[window] |= covered
        if not own.any():
            continue
        down, across = window
        code = window_to_rle(own, left=across.start, top=down.start, width=width, height=height)
        class_number = numbers[int(objects.class_ids[row])]
        index = int(frames.indices[frame]) + 1
        text = f"{index} {track_id} {class_number} {height} {width} {code['counts']}\n"
        lines.append(_Line(track_id, text, is_box))
    return sorted(lines)


def _class_numbers(labels: tuple[str, ...]) -> list[int]:
    """The benchmarks' number for the first label that means each of their classes, other numbers for the rest."""
    numbers: list[int] = []
    free = (number for number in count(3) if number not in CLASSES)
    for name in labels:
        theirs = _NUMBERS.get(name.casefold())
        numbers.append(theirs if theirs is not None and theirs not in numbers else next(free))
    return numbers
