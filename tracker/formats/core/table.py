"""One row per object as plain values: what CSV and Parquet have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from tracker.formats.core.annotations import Annotations
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Segmentation
from tracker.formats.core.parsing import parse_json
from tracker.formats.jsonl import segmentation_from_json, segmentation_to_json

__all__ = ["COLUMNS", "ROWS_AT_ONCE", "add_row", "table_rows"]

COLUMNS = (
    "frame",
    "time",
    "width",
    "height",
    "image",
    "track_id",
    "class_id",
    "class",
    "x1",
    "y1",
    "x2",
    "y2",
    "score",
    "occluded",
    "keyframe",
    "segmentation",
    "crowd",
)
ROWS_AT_ONCE = 4096


def table_rows(annotations: AnnotationParts) -> Iterator[tuple[Any, ...]]:
    """The values of COLUMNS for each object; None where there is none."""
    for part in annotations.by_frames():
        yield from _rows_of(part)


def _rows_of(annotations: Annotations) -> Iterator[tuple[Any, ...]]:
    objects = annotations.objects
    for start in range(0, len(objects), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        columns = zip(
            objects.frames[part].tolist(),
            objects.track_ids[part].tolist(),
            objects.class_ids[part].tolist(),
            objects.boxes[part].tolist(),
            objects.scores[part].tolist(),
            objects.occluded[part].tolist(),
            objects.keyframes[part].tolist(),
            objects.segmentations[part],
            objects.crowds[part].tolist(),
            strict=True,
        )
        for values in columns:
            yield _row(annotations, *values)


def _row(
    annotations: Annotations,
    frame: int,
    track_id: int,
    class_id: int,
    box: list[float],
    score: float,
    occluded: bool,
    keyframe: bool,
    segmentation: Segmentation | None,
    crowd: bool,
) -> tuple[Any, ...]:
    frames = annotations.frames
    time, size = float(frames.times[frame]), (int(frames.widths[frame]), int(frames.heights[frame]))
    mask = None if segmentation is None else json.dumps(segmentation_to_json(segmentation, size))
    return (
        int(frames.indices[frame]),
        None if math.isnan(time) else time,
        *size,
        frames.names[frame] or None,
        track_id or None,
        class_id,
        annotations.labels[class_id],
        *box,
        None if math.isnan(score) else score,
        occluded,
        keyframe,
        mask,
        crowd,
    )


def add_row(rows: Collector, values: tuple[Any, ...], where: str) -> None:
    """Take one such row; the class is looked up by its name."""
    frame, time, width, height, image, track_id, _, name, *box, score, occluded, keyframe, mask, crowd = values
    rows.frame(
        frame,
        where,
        time=math.nan if time is None else time,
        width=width or 0,
        height=height or 0,
        name=image or "",
    )
    segmentation = None if not mask else segmentation_from_json(parse_json(mask, rows.path), rows, where)
    rows.add(
        frame,
        box,
        where,
        class_id=rows.class_id(name, where),
        track_id=track_id,
        score=math.nan if score is None else score,
        segmentation=segmentation,
        occluded=bool(occluded),
        keyframe=keyframe is not False,
        crowd=bool(crowd),
    )
