"""From and to the objects of other packages: supervision, ultralytics, pandas, pycocotools.

None of these packages is needed until a function here is called that makes its objects; what comes from them is read
through its attributes.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray

from tracker.annotate.export import export
from tracker.errors import ConfigError, FormatError
from tracker.formats import coco
from tracker.formats.core.annotations import Annotations
from tracker.formats.core.collector import Collector
from tracker.observations import Origin
from tracker.store import Recording
from tracker.types import Detections, FrameResult

__all__ = [
    "from_pandas",
    "from_pycocotools",
    "from_supervision",
    "from_ultralytics",
    "to_pandas",
    "to_pycocotools",
    "to_ultralytics",
]

LEAST_CELLS, MOST_CELLS = 28, 256
"""Bounds of a mask's cells per side where full images are cut down to boxes."""
COLUMNS = ("frame", "track_id", "class", "x1", "y1", "x2", "y2")
"""What a table must have to be read; time and score may be missing."""


def from_supervision(detections: Any) -> Detections:
    """The Detections of a `supervision.Detections`; full masks become masks of their boxes. Missing scores are 1."""
    count = len(detections.xyxy)
    boxes = np.asarray(detections.xyxy, np.float32).reshape(count, 4)
    scores, classes, masks = detections.confidence, detections.class_id, detections.mask
    return Detections(
        boxes,
        np.ones(count, np.float32) if scores is None else scores,
        np.zeros(count, np.int32) if classes is None else classes,
        None if masks is None else _cut_masks(np.asarray(masks, bool), boxes),
    )


def from_ultralytics(results: Any) -> Detections:
    """The Detections of one `ultralytics` Results with boxes, and masks where it has some."""
    if results.boxes is None:
        raise ConfigError("Results without boxes (classification, or turned boxes) hold no detections")
    boxes = _array(results.boxes.xyxy)
    masks = None
    if results.masks is not None:
        height, width = results.orig_shape
        full = np.stack([_fill(outline, width=width, height=height) for outline in results.masks.xy])
        masks = _cut_masks(full, boxes)
    return Detections(boxes, _array(results.boxes.conf), _array(results.boxes.cls).astype(np.int32), masks)


def to_ultralytics(result: FrameResult) -> Any:
    """The `ultralytics` Results of a frame: tracks with their ids, or detections where nothing is tracked."""
    import torch
    from ultralytics.engine.results import Results

    rows = result.tracks if result.tracked else result.detections
    ids = [result.tracks.ids[:, None].astype(np.float32)] if result.tracked else []
    table = np.concatenate([rows.boxes, *ids, rows.scores[:, None], rows.class_ids[:, None]], axis=1)
    masks = torch.from_numpy(result.masks()) if result.detections.masks is not None and len(rows) else None
    return Results(
        orig_img=np.ascontiguousarray(result.frame.image[..., ::-1]),
        path=result.frame.source,
        names=dict(enumerate(result.labels)),
        boxes=torch.from_numpy(table.astype(np.float32)),
        masks=masks,
    )


def to_pandas(annotations: Annotations | Recording) -> Any:
    """The rows of a recording, or of what a file says, as a `pandas.DataFrame`, ordered by frame, then track.

    Columns: frame, time in seconds, track_id, class, score, x1, y1, x2, y2 in pixels, origin (how the row came about;
    of a file only "interpolated" is known). What a file does not say is missing.
    """
    if isinstance(annotations, Annotations):
        table, labels = _table_of(annotations), annotations.labels
    else:
        table, labels = _recorded_table(annotations), annotations.info.labels
    table["class"] = table["class"].map(dict(enumerate(labels)))
    return table


def _table_of(annotations: Annotations) -> Any:
    import pandas

    frames, objects = annotations.frames, annotations.objects
    x1, y1, x2, y2 = objects.boxes.T
    columns = {"frame": frames.indices[objects.frames], "time": frames.times[objects.frames]}
    columns |= {"track_id": objects.track_ids, "class": objects.class_ids, "score": objects.scores}
    columns |= {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    columns["origin"] = [None if keyframe else Origin.INTERPOLATED.name.lower() for keyframe in objects.keyframes]
    return pandas.DataFrame(columns)


def _recorded_table(recording: Recording) -> Any:
    import pandas

    parts = []
    for stretch in recording.chunks():
        rows = stretch.observations
        x1, y1, x2, y2 = rows.boxes.T
        columns = {"frame": rows.frames, "time": stretch.times[np.searchsorted(stretch.frames, rows.frames)]}
        columns |= {"track_id": rows.tracks, "class": rows.class_ids, "score": rows.scores}
        columns |= {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "origin": rows.origins}
        parts.append(pandas.DataFrame(columns))
    if not parts:
        return pandas.DataFrame(
            columns=["frame", "time", "track_id", "class", "score", "x1", "y1", "x2", "y2", "origin"]
        )
    table = pandas.concat(parts, ignore_index=True)
    table["origin"] = table["origin"].map({int(origin): origin.name.lower() for origin in Origin})
    return table


def from_pandas(table: Any, *, size: tuple[int, int], source: str = "") -> Annotations:
    """The annotations of a `pandas.DataFrame` with the columns that `to_pandas` gives; time, score and origin may lack.

    `size` is the frames' width and height, `source` the video's name. Raises FormatError for a missing column, or a row
    that makes no sense.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise FormatError(
            f"the table lacks the columns {', '.join(missing)}; it has {', '.join(map(str, table.columns))}"
        )
    rows = Collector("the table", source=source)
    ordered = table.sort_values(["frame", "track_id"], kind="stable")
    for row in ordered.to_dict("records"):
        where = f"frame {row['frame']}, track {row['track_id']}"
        frame, track = (_whole(row[name], name, where) for name in ("frame", "track_id"))
        time, score = (_number(row.get(name, np.nan), name, where) for name in ("time", "score"))
        box = [_number(row[name], name, where) for name in ("x1", "y1", "x2", "y2")]
        if row["class"] is None or row["class"] != row["class"]:
            raise FormatError(f"the table, {where}: no class")
        rows.frame(frame, where, time=time, width=size[0], height=size[1])
        class_id = rows.class_id(str(row["class"]), where)
        keyframe = row.get("origin") != Origin.INTERPOLATED.name.lower()
        rows.add(frame, box, where, class_id=class_id, track_id=track or None, score=score, keyframe=keyframe)
    return rows.finish()


def _number(value: Any, name: str, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FormatError(f"the table, {where}: {name} is no number: {value!r}") from None


def _whole(value: Any, name: str, where: str) -> int:
    number = _number(value, name, where)
    if not number.is_integer():
        raise FormatError(f"the table, {where}: {name} is no whole number: {value!r}")
    return int(number)


def to_pycocotools(annotations: Annotations | Recording) -> Any:
    """The `pycocotools.coco.COCO` of annotations or a recording, without a file."""
    with tempfile.TemporaryDirectory(prefix="sightline-") as folder:
        path = Path(folder) / "instances.json"
        if isinstance(annotations, Recording):
            export(annotations, "coco", path)
        else:
            coco.write(path, annotations)
        return _coco_of(json.loads(path.read_text(encoding="utf-8")))


def from_pycocotools(dataset: Any) -> Annotations:
    """The annotations of a `pycocotools.coco.COCO`."""
    with tempfile.TemporaryDirectory(prefix="sightline-") as folder:
        path = Path(folder) / "instances.json"
        path.write_text(json.dumps(dataset.dataset), encoding="utf-8")
        return coco.read(path)


def _coco_of(content: Mapping[str, Any]) -> Any:
    from pycocotools.coco import COCO

    dataset = COCO()
    dataset.dataset = dict(content)
    with contextlib.redirect_stdout(io.StringIO()):  # it says how long its index took
        dataset.createIndex()
    return dataset


def _array(values: Any) -> Float32[ndarray, ...]:
    """A tensor of any device, or an array, as float32."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, np.float32)


def _fill(outline: Any, *, width: int, height: int) -> Bool[ndarray, "h w"]:
    """The pixels inside an outline."""
    pixels = np.zeros((height, width), np.uint8)
    if len(outline):
        cv2.fillPoly(pixels, [np.round(outline).astype(np.int32)], 1)
    return pixels.astype(bool)


def _cut_masks(masks: Bool[ndarray, "n h w"], boxes: Float32[ndarray, "n 4"]) -> UInt8[ndarray, "n m m"]:
    """Masks stretched over their boxes, of so many cells that the largest box loses nothing, within bounds."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(initial=0)
    cells = int(np.clip(np.ceil(sides), LEAST_CELLS, MOST_CELLS))
    cut = np.zeros((len(boxes), cells, cells), np.uint8)
    for row, (mask, (x1, y1, x2, y2)) in enumerate(zip(masks, boxes.tolist(), strict=True)):
        if x2 <= x1 or y2 <= y1:
            continue
        step_x, step_y = (x2 - x1) / cells, (y2 - y1) / cells
        to_box = np.array([[step_x, 0, x1 + step_x / 2 - 0.5], [0, step_y, y1 + step_y / 2 - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut[row] = cv2.warpAffine(mask.astype(np.uint8) * 255, to_box, (cells, cells), flags=flags)
    return cut
