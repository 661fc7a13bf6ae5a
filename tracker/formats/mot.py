"""MOTChallenge text: one row per object and frame, `frame,id,left,top,width,height,score,-1,-1,-1`.

Frames and ids count from 1; ids from 0, as some trackers write them, are raised by one. Classes, masks and time stamps
have no place in a result file. Ground truth (`frame,id,left,top,width,height,counts,class,visibility`) and detection
files (id -1) are read too; the class numbers of MOT16 to MOT20 get their names, or those the user gives. A row of
ground truth that does not count stays, with the score 0.
"""

from __future__ import annotations

import math
from pathlib import Path

from tracker.formats.annotations import NOTHING_KNOWN, Annotations, Collector, Known, number, tidy
from tracker.formats.atomic import AtomicText
from tracker.formats.files import read_text, to_float, to_int
from tracker.formats.live import live_objects, rounded
from tracker.formats.losses import warn_of_losses
from tracker.formats.parts import AnnotationParts, Holds
from tracker.types import FrameResult

__all__ = ["MotSink", "read", "write"]

CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non-motorised vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
)


def read(path: Path | str, known: Known = NOTHING_KNOWN) -> Annotations:
    """The rows of a result, ground truth or detection file. Raises FormatError for a row that breaks the format."""
    labels = known.labels or CLASSES
    rows = Collector(path, source=known.source, labels=known.labels or None)
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        where = f"line {line}"
        cells = text.replace(";", ",").split(",") if "," in text or ";" in text else text.split()
        if not 6 <= len(cells) <= 10:
            rows.refuse(where, f"expected 6 to 10 columns, found {len(cells)}")
        frame = to_int(cells[0], "frame", path, where)
        track_id = to_int(cells[1], "id", path, where)
        names = ("left", "top", "width", "height")
        left, top, width, height = (
            to_float(cell, name, path, where) for cell, name in zip(cells[2:6], names, strict=True)
        )
        if frame < 1:
            rows.refuse(where, f"frames count from 1, found {frame}")
        if width < 0 or height < 0:
            rows.refuse(where, f"expected a size of 0 or more, found {width} x {height}")
        name = "object" if not known.labels else known.labels[0]
        if len(cells) in (8, 9):
            class_number = to_int(cells[7], "class", path, where)
            if class_number != -1:
                if not 1 <= class_number <= len(labels):
                    rows.refuse(where, f"unknown class {class_number}, expected 1 to {len(labels)}")
                name = labels[class_number - 1]
        rows.frame(frame - 1, where, width=known.width, height=known.height)
        rows.add(
            frame - 1,
            (left, top, tidy(left + width), tidy(top + height)),
            where,
            class_id=rows.class_id(name, where),
            track_id=track_id if track_id >= 0 else None,
            score=to_float(cells[6], "score", path, where) if len(cells) > 6 else math.nan,
        )
    return rows.finish()


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """A result file; a warning lists what it cannot hold. An object without a score gets 1, without a track id -1."""
    warn_of_losses(annotations.summary().content, "MOT text", Holds.TRACKS | Holds.SCORES | Holds.UNTRACKED)
    with AtomicText(path) as file:
        for part in annotations.by_frames():
            objects = part.objects
            columns = zip(
                part.frames.indices[objects.frames].tolist(),
                objects.track_ids.tolist(),
                objects.boxes.tolist(),
                objects.scores.tolist(),
                strict=True,
            )
            for index, track_id, (x1, y1, x2, y2), score in columns:
                confidence = "1" if math.isnan(score) else number(score, 4)
                size = f"{number(x2 - x1)},{number(y2 - y1)}"
                file.write(f"{index + 1},{track_id or -1},{number(x1)},{number(y1)},{size},{confidence},-1,-1,-1\n")


class MotSink:
    """Writes the tracks of a run as MOTChallenge rows; the file gets its name on `close`.

    Tracks that are tentative are left out, and those not seen in the frame unless `coasting` is set.
    """

    def __init__(self, path: Path | str, *, coasting: bool = False) -> None:
        self._file = AtomicText(path)
        self._coasting = coasting

    def write(self, result: FrameResult) -> None:
        """Add the rows of one frame."""
        rows = []
        for item in live_objects(result, coasting=self._coasting, masks=False):
            x1, y1, x2, y2 = item.box
            width, height = rounded(x2 - x1, 2), rounded(y2 - y1, 2)
            rows.append(
                f"{result.frame.index + 1},{item.track_id},{x1:.2f},{y1:.2f},{width:.2f},{height:.2f},"
                f"{item.score:.4f},-1,-1,-1\n"
            )
        self._file.write("".join(rows))

    def close(self) -> None:
        """Give the file its name."""
        self._file.close()

    def discard(self) -> None:
        """Throw the file away."""
        self._file.discard()
