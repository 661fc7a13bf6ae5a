"""Rows of YOLO text: what the numbers of a row are.

Behind the class stand a box (4 values: centre, width, height) or an outline (6 or more: x, y, x, y ...), as fractions
of the image's size. Programs put more behind them: ultralytics a score (`save_conf`) and then a track id, both or one,
and the points of a pose, whose number `kpt_shape` in data.yaml says. A row alone may be read in two ways, 0.85 1 at
the end of seven columns for one, so all rows of a file, or of a data set, tell together which is meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracker.errors import FormatError

__all__ = ["RowError", "RowLayout", "YoloRow", "keypoint_values", "layout_of", "looks_like_row", "take_apart"]

WHOLE = re.compile(r"[0-9]{1,15}")
SLACK = 0.01
"""By how much rounding may bring a box over the image's edge."""


class RowError(FormatError):
    """A row that cannot be read; `kind` says why without naming values."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class RowLayout:
    """What stands behind box or outline in the rows of a file or data set."""

    keypoints: int = 0
    """Values of the points behind a box."""
    scores: bool = False
    """A single value more is a score, also where it is written as 0 or 1."""
    scores_and_ids: bool = False
    """Two values more are a score and a track id."""


class YoloRow(NamedTuple):
    """One object, as fractions of the image's size."""

    class_id: int
    box: tuple[float, float, float, float] | None
    """Centre, width and height; None where an outline is given."""
    outline: tuple[float, ...] | None
    score: float
    """NaN where there is none."""
    track_id: int | None
    keypoints: bool
    """Whether the row has points that were passed over."""


def looks_like_row(cells: Sequence[str]) -> bool:
    """Whether a line may be meant as a row, even a wrong one: text files of other kinds lie among the labels."""
    return len(cells) >= 4 and all(map(_is_float, cells[1:]))


def keypoint_values(kpt_shape: Any) -> int:
    """Values of the points in a row, of data.yaml's `kpt_shape: [points, 2 or 3]`; 0 for anything that is none."""
    match kpt_shape:
        case [count, dimensions] if WHOLE.fullmatch(str(count)) and str(dimensions) in ("2", "3"):
            return int(count) * int(dimensions)
    return 0


def layout_of(rows: Iterable[Sequence[str]], *, keypoints: int = 0) -> RowLayout:
    """What the rows of a file, or of all files of a data set, have behind box or outline."""
    if keypoints:
        lasts = [cells[-1] for cells in rows if len(cells) == 1 + 4 + keypoints + 1]
        return RowLayout(keypoints, scores=any(not WHOLE.fullmatch(last) for last in lasts))
    longer = [cells for cells in rows if len(cells) >= 6]
    odd = [cells for cells in longer if len(cells) % 2 == 0]
    even = [cells for cells in longer if len(cells) % 2]
    scores = any(not WHOLE.fullmatch(cells[-1]) for cells in odd)
    whole = bool(even) and all(WHOLE.fullmatch(cells[-1]) for cells in even)
    numbered = whole and any(int(cells[-1]) > 1 for cells in even)
    boxes = whole and all(len(cells) == 7 and _is_inside(cells[1:5]) for cells in even)
    return RowLayout(0, scores=scores or numbered or boxes, scores_and_ids=numbered or boxes)


def _is_inside(cells: Sequence[str]) -> bool:
    """Whether the four values are a box in the image."""
    if not all(map(_is_float, cells)):
        return False
    cx, cy, width, height = map(float, cells)
    edges = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
    return min(width, height) > 0 and all(-SLACK <= edge <= 1 + SLACK for edge in edges)


def take_apart(cells: Sequence[str], layout: RowLayout) -> YoloRow:
    """The parts of a row. Raises RowError where it is none."""
    numbers = [float(cell) if _is_float(cell) else math.nan for cell in cells]
    for column, (cell, value) in enumerate(zip(cells, numbers, strict=True), start=1):
        if not math.isfinite(value):
            raise RowError("that is not numbers", f"column {column}: expected a number, found {cell[:40]!r}")
    if numbers[0] != int(numbers[0]):
        raise RowError("with a wrong class number", f"class: expected a whole number, found {cells[0][:40]!r}")
    values, texts, score, track_id = numbers[1:], cells[1:], math.nan, None
    length = 4 + layout.keypoints if layout.keypoints and len(values) > 4 else 0
    more = len(values) - length if length else _values_more(len(values), layout)
    if more == 2:
        score, track_id = values[-2], _track_id(texts[-1])
    elif more == 1 and (not WHOLE.fullmatch(texts[-1]) or (layout.scores and values[-1] in (0, 1))):
        score = values[-1]
    elif more == 1:
        track_id = _track_id(texts[-1])
    elif more:
        wanted = f"5 columns and {layout.keypoints} of keypoints" if length else "5 columns or an outline"
        raise RowError("of a wrong length", f"expected {wanted}, found {len(cells)}")
    if not (math.isnan(score) or 0 <= score <= 1):
        raise RowError("with a wrong score", f"expected a score from 0 to 1, found {score:g}")
    values = values[: len(values) - more]
    class_id = int(numbers[0])
    if length or len(values) == 4:
        cx, cy, width, height = values[:4]
        return YoloRow(class_id, (cx, cy, width, height), None, score, track_id, bool(length))
    return YoloRow(class_id, None, tuple(values), score, track_id, False)


def _values_more(count: int, layout: RowLayout) -> int:
    """How many of so many values stand behind box or outline; -1 for a count that is no row's."""
    if count < 4:
        return -1
    if count == 4:
        return 0
    return 1 if count % 2 else 2 * layout.scores_and_ids


def _track_id(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise RowError("with a wrong track id", f"track id: expected a whole number, found {text[:40]!r}")
    return int(text)


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
