"""Sequences as MOTChallenge lays them out: <group>/<sequence>/{gt/gt.txt, det/det.txt, seqinfo.ini}, result rows."""

from __future__ import annotations

import configparser
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from tracker.errors import FormatError, SourceError
from tracker.formats import mot
from tracker.observations import Observations
from tracker.types import Detections, Tracks

__all__ = [
    "MotRows",
    "Sequence",
    "detections_by_frame",
    "find_sequences",
    "observation_lines",
    "read_rows",
    "result_lines",
    "warn_of_assumed_rates",
]

log = logging.getLogger(__name__)

FRAME_RATE = 30.0
"""Frames per second where no seqinfo.ini says."""
NO_COLUMNS = 9
"""Of a file without rows, as ground truth has them."""


@dataclass(frozen=True, slots=True, eq=False)
class MotRows:
    """The rows of one MOT file in the order of their frames, boxes as xyxy."""

    frames: Int64[ndarray, " n"]
    ids: Int64[ndarray, " n"]
    boxes: Float64[ndarray, "n 4"]
    scores: Float64[ndarray, " n"]
    """Column 7: a detection's score, or 0 for ground truth to be ignored."""
    class_ids: Int64[ndarray, " n"]
    """Column 8 of eight or nine, else 1: in MOT15 files, which have ten columns, it is no class."""
    columns: int

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence on disk."""

    name: str
    """Path below the folder searched, such as MOT15/TUD-Campus."""
    folder: Path
    frame_rate: float
    """Frames per second, of seqinfo.ini where it says."""
    length: int | None
    """Number of frames, where seqinfo.ini says."""
    assumed_rate: bool = False
    """Whether nothing says how many frames a second there are."""

    @property
    def group(self) -> str:
        """The folder the sequence stands in, '' for the one searched."""
        return self.name.rpartition("/")[0]


def find_sequences(folder: Path, inner: str) -> list[Sequence]:
    """Every sequence below `folder` with the file `inner` (det/det.txt or gt/gt.txt), by name.

    Raises SourceError when there is none.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; expected one holding <sequence>/{inner}")
    found = []
    for path in sorted(folder.rglob(inner)):
        sequence = path.parents[1]
        given, length = _read_info(sequence / "seqinfo.ini")
        rate = FRAME_RATE if given is None else given
        name = sequence.relative_to(folder).as_posix()
        found.append(Sequence(sequence.name if name == "." else name, sequence, rate, length, given is None))
    if not found:
        raise SourceError(f"{folder}: found no <sequence>/{inner} below it")
    return found


def warn_of_assumed_rates(sequences: Iterable[Sequence]) -> None:
    """Log one warning where sequences do not say how many frames a second they have."""
    assumed = [sequence.name for sequence in sequences if sequence.assumed_rate]
    if assumed:
        log.warning(
            "%s%s: no frameRate in a seqinfo.ini; %g frames a second are assumed, by which times of the tracker go",
            assumed[0],
            f" and {len(assumed) - 1} more" if len(assumed) > 1 else "",
            FRAME_RATE,
        )


def _read_info(path: Path) -> tuple[float | None, int | None]:
    if not path.is_file():
        return None, None
    parser = configparser.ConfigParser()
    try:
        parser.read(path, encoding="utf-8-sig")
        rate = parser.getfloat("Sequence", "frameRate", fallback=None)
        length = parser.getint("Sequence", "seqLength", fallback=0)
    except (configparser.Error, ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a seqinfo.ini: {error}") from error
    if rate is not None and not 0 < rate < float("inf"):
        raise FormatError(f"{path}: frameRate: expected more than 0, found {rate}")
    return rate, length or None


def read_rows(path: Path) -> MotRows:
    """The rows of a MOT file, by the rules of `convert`. Raises FormatError when it is missing or malformed."""
    rows = sorted(mot.read_rows(path), key=lambda row: row.frame)
    left, top, width, height = np.array([row.box for row in rows], np.float64).reshape(-1, 4).T
    return MotRows(
        frames=np.array([row.frame for row in rows], np.int64),
        ids=np.array([row.track_id for row in rows], np.int64),
        boxes=np.stack([left, top, left + width, top + height], axis=1),
        scores=np.array([1.0 if math.isnan(row.score) else row.score for row in rows], np.float64),
        class_ids=np.array([1 if row.class_number is None else row.class_number for row in rows], np.int64),
        columns=max((row.columns for row in rows), default=NO_COLUMNS),
    )


def detections_by_frame(
    rows: MotRows, length: int | None, embeddings: Float32[ndarray, "n d"] | None = None
) -> list[Detections]:
    """Each frame's detections from 1 to `length`, or to the last one with any; `embeddings` go with the rows."""
    count = max(length or 0, int(rows.frames[-1]) if len(rows) else 0)
    cuts = rows.frames.searchsorted(np.arange(1, count + 2))
    boxes, scores = rows.boxes.astype(np.float32), rows.scores.astype(np.float32)
    # Detection files carry no class a tracker could use: column 8 is a world coordinate or -1.
    classes = np.zeros(len(rows), np.int32)
    return [
        Detections(
            boxes[first:last],
            scores[first:last],
            classes[first:last],
            embeddings=None if embeddings is None else embeddings[first:last],
        )
        for first, last in pairwise(cuts)
    ]


def observation_lines(rows: Observations) -> Iterable[str]:
    """One MOT result row per observation, boxes to three decimals; frames count from 1 there."""
    columns = rows.frames.tolist(), rows.tracks.tolist(), rows.boxes.tolist(), rows.scores.tolist()
    for frame, track, (x1, y1, x2, y2), score in zip(*columns, strict=True):
        yield f"{frame + 1},{track},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{score:.4f},-1,-1,-1\n"


def result_lines(frame: int, tracks: Tracks) -> Iterable[str]:
    """One MOT result row per track, boxes to three decimals."""
    for track_id, (x1, y1, x2, y2), score in zip(
        tracks.ids.tolist(), tracks.boxes.astype(np.float64).tolist(), tracks.scores.tolist(), strict=True
    ):
        yield f"{frame},{track_id},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{score:.4f},-1,-1,-1\n"
