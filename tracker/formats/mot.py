"""MOTChallenge text: one row per object and frame, `frame,id,left,top,width,height,score,-1,-1,-1`.

Frames and ids count from 1; ids from 0, as some trackers write them, are raised by one. Classes, masks and time stamps
have no place in a result file; by choice the number of the class, from 1 in the order of the labels, stands in the
eighth column of nine, as in ground truth. Ground truth (`frame,id,left,top,width,height,counts,class,visibility`) and
detection files (id -1) are read too; class numbers get the names the user gives, those of a labels.txt beside the file,
or those of MOT16 to MOT20. A row of ground truth that does not count stays, with the score 0.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tracker.errors import FormatError
from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.class_names import names_in
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Capability
from tracker.formats.core.decimals import number, tidy
from tracker.formats.core.live_rows import class_name, live_objects, rounded
from tracker.formats.core.parsing import read_text, to_float, to_int
from tracker.formats.core.unsupported import warn_unsupported
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions
from tracker.protocols import Sink
from tracker.types import FrameResult

__all__ = ["MotRow", "MotSink", "read", "read_rows", "warn_of_mot_losses", "write"]

log = logging.getLogger(__name__)

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

FLUSH_S = 1.0


class MotRow(NamedTuple):
    """One line of a MOT file as it stands there."""

    line: int
    frame: int
    """From 1."""
    track_id: int
    """Below 0 where there is none; 0 as well where it stands twice in a frame."""
    box: tuple[float, float, float, float]
    """Left, top, width, height."""
    score: float
    """NaN where there is no seventh column."""
    class_number: int | None
    """The eighth column of eight or nine; in files of ten it is a world coordinate."""
    columns: int


def read_rows(path: Path | str) -> list[MotRow]:
    """The lines of any MOT file, in their order: commas, semicolons or blanks between 6 to 10 numbers.

    Raises FormatError with the line of what breaks the format: frames and ids that are no whole numbers, frames below
    1, sizes below 0, a track twice in a frame.
    """
    rows, taken = [], set()
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        where = f"line {line}"
        cells = _cells(text)
        if not cells:
            continue
        if not 6 <= len(cells) <= 10:
            raise FormatError(f"{path}: {where}: expected 6 to 10 columns, found {len(cells)}")
        frame = to_int(cells[0], "frame", path, where)
        track_id = to_int(cells[1], "id", path, where)
        left, top, width, height = (
            to_float(cell, name, path, where)
            for cell, name in zip(cells[2:6], ("left", "top", "width", "height"), strict=True)
        )
        if frame < 1:
            raise FormatError(f"{path}: {where}: frames count from 1, found {frame}")
        if width < 0 or height < 0:
            raise FormatError(f"{path}: {where}: expected a size of 0 or more, found {width} x {height}")
        if track_id > 0:
            if (frame, track_id) in taken:
                raise FormatError(f"{path}: {where}: track {track_id} stands twice in frame {frame}")
            taken.add((frame, track_id))
        score = to_float(cells[6], "score", path, where) if len(cells) > 6 else math.nan
        class_number = to_int(cells[7], "class", path, where) if len(cells) in (8, 9) else None
        rows.append(MotRow(line, frame, track_id, (left, top, width, height), score, class_number, len(cells)))
    return rows


def _cells(text: str) -> list[str]:
    """The values of a line; a separator behind the last one is none of them."""
    if "," not in text and ";" not in text:
        return text.split()
    cells = text.replace(";", ",").split(",")
    return cells if cells[-1].strip() else cells[:-1]


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The rows of a result, ground truth or detection file. Raises FormatError for a row that breaks the format."""
    own = Path(path).with_name("labels.txt")  # as CVAT and Datumaro put it there
    labels_known = known.labels or (names_in(own) if own.is_file() and own != Path(path) else ())
    labels = labels_known or CLASSES
    rows = Collector(path, source=known.source, labels=labels_known or None)
    for row in read_rows(path):
        where = f"line {row.line}"
        name = labels_known[0] if labels_known else "object"
        if row.class_number not in (None, -1):
            if not 1 <= row.class_number <= len(labels):
                rows.refuse(where, f"unknown class {row.class_number}, expected 1 to {len(labels)}")
            name = labels[row.class_number - 1]
        left, top, width, height = row.box
        rows.frame(row.frame - 1, where, width=known.width, height=known.height)
        rows.add(
            row.frame - 1,
            (left, top, tidy(left + width), tidy(top + height)),
            where,
            class_id=rows.class_id(name, where),
            track_id=row.track_id if row.track_id >= 0 else None,
            score=row.score,
        )
    return rows.finish()


def write(path: Path | str, annotations: AnnotationParts, options: WriteOptions = DEFAULT_OPTIONS) -> None:
    """A result file; a warning lists what it cannot hold. An object without a score gets 1, without a track id -1."""
    warn_of_mot_losses(annotations.summary().content, annotations.labels, options)
    with AtomicText(path) as file:
        for part in annotations.by_frames():
            objects = part.objects
            columns = zip(
                part.frames.indices[objects.frames].tolist(),
                objects.track_ids.tolist(),
                objects.boxes.tolist(),
                objects.scores.tolist(),
                objects.class_ids.tolist(),
                strict=True,
            )
            for index, track_id, (x1, y1, x2, y2), score, class_id in columns:
                confidence = "1" if math.isnan(score) else number(score, 4)
                size, last = f"{number(x2 - x1)},{number(y2 - y1)}", _last_columns(class_id, options)
                file.write(f"{index + 1},{track_id or -1},{number(x1)},{number(y1)},{size},{confidence},{last}\n")


def warn_of_mot_losses(content: Capability, labels: Sequence[str], options: WriteOptions) -> None:
    """Log what of the content a result file cannot hold, or how its classes are numbered."""
    holds = (
        Capability.TRACKS
        | Capability.SCORES
        | Capability.UNTRACKED
        | (Capability.CLASSES if options.class_column else Capability(0))
    )
    warn_unsupported(
        content, "MOT text", holds, instead={Capability.CLASSES: "all become one; --class-column numbers them"}
    )
    if options.class_column:
        numbered = ", ".join(f"{number} {name}" for number, name in enumerate(labels, start=1))
        log.warning(
            "MOT text: the classes are numbered %s; to read it again give --classes %s", numbered, ",".join(labels)
        )


def _last_columns(class_id: int, options: WriteOptions) -> str:
    return f"{class_id + 1},1" if options.class_column else "-1,-1,-1"


class MotSink(Sink):
    """Writes the tracks of a run as MOTChallenge rows; the file gets its name on `close`.

    Tracks that are tentative are left out, and those not seen in the frame unless `coasting` is set. At the end a
    warning says that several classes became one, where they did.
    """

    def __init__(
        self,
        path: Path | str,
        options: WriteOptions = DEFAULT_OPTIONS,
        *,
        coasting: bool = False,
        warn: bool = True,
    ) -> None:
        self._file = AtomicText(path, flush_s=FLUSH_S)
        self._options = options
        self._coasting = coasting
        self._warn = warn
        self._labels: tuple[str, ...] = ()
        self._classes: set[int] = set()

    def write(self, result: FrameResult) -> None:
        """Add the rows of one frame."""
        rows = []
        self._labels = result.labels
        for item in live_objects(result, coasting=self._coasting, masks=False):
            x1, y1, x2, y2 = item.box
            width, height = rounded(x2 - x1, 2), rounded(y2 - y1, 2)
            rows.append(
                f"{result.frame.index + 1},{item.track_id},{x1:.2f},{y1:.2f},{width:.2f},{height:.2f},"
                f"{item.score:.4f},{_last_columns(item.class_id, self._options)}\n"
            )
            self._classes.add(item.class_id)
        self._file.write("".join(rows))

    def close(self) -> None:
        """Give the file its name."""
        if self._warn and not self._file.closed and len(self._classes) > 1:
            names = tuple(class_name(self._labels, class_id) for class_id in sorted(self._classes))
            warn_of_mot_losses(Capability.CLASSES, names, self._options)
        self._file.close()

    def discard(self) -> None:
        """Leave what was written so far under its partial name."""
        self._file.keep()
