"""JSON Lines: a header, then one JSON object per frame; the project's own exchange text, which loses nothing.

    {"format": "sightline-jsonl", "version": 1, "source": "street.mp4", "width": 1920, "height": 1080,
     "labels": ["person", ...], "bbox": "x1 y1 x2 y2"}
    {"frame": 0, "time": 0.033367, "objects": [{"id": 1, "class": "person", "class_id": 0,
     "bbox": [x1, y1, x2, y2], "score": 0.87, "state": "confirmed",
     "segmentation": {"size": [1080, 1920], "counts": "..."}}], "events": [...]}

(each on one line). `frame` counts decoded frames from 0. `time` is the container's time stamp in seconds with all
its digits. `segmentation` is a COCO run-length code, or a list of outlines `[x1, y1, x2, y2, ...]`, and present where
there is one. An event is `{"kind", "name", "time", "id", "class_id", "value"}`; `events` is left out where nothing
happened. Frames without objects have their line too, so the time stamps are complete. Equal input gives equal bytes.

Where a network labels every pixel, the header has `"semantic_labels": [...]` and a line `"semantic": {"size": [h, w],
"png": "..."}`: a grey PNG in base64 whose values are numbers of those labels. Reading passes over it, as over events.

Single images have `"width"`, `"height"` and `"image"` (the file name) in their line. An object outside any track has
no `id`, one marked by hand no `score`; `"occluded": true`, `"keyframe": false` and `"crowd": true` (a
region of many objects) stand where they apply.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Segmentation
from tracker.formats.core.live_rows import LiveObject, class_name, live_objects
from tracker.formats.core.parsing import as_int, as_list, as_mapping, as_number, as_text, parse_json, read_text
from tracker.label_map import pack_label_map
from tracker.protocols import Sink
from tracker.types import Event, FrameResult

__all__ = ["JsonlSink", "read", "write"]

FORMAT_NAME = "sightline-jsonl"
VERSION = 1
FLUSH_S = 1.0


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """All frames and objects; events belong to a run and are passed over. Raises FormatError with the line."""
    texts = read_text(path).split("\n")
    head = as_mapping(parse_json(texts[0], path), "line 1", path)
    if head.get("format") != FORMAT_NAME:
        Collector(path).refuse("line 1", f'expected {{"format": "{FORMAT_NAME}", ...}}, found {texts[0][:60]!r}')
    version = as_int(head.get("version"), "line 1: version", path)
    if version > VERSION:
        Collector(path).refuse("line 1", f"version {version} is newer than {VERSION}; update the program")
    labels = [as_text(name, "line 1: labels", path) for name in as_list(head.get("labels"), "line 1: labels", path)]
    source = known.source or as_text(head.get("source", ""), "line 1: source", path)
    rows = Collector(path, source=source, labels=labels)
    width = as_int(head.get("width", 0), "line 1: width", path)
    height = as_int(head.get("height", 0), "line 1: height", path)
    seen: set[int] = set()
    for line, text in enumerate(texts[1:], start=2):
        if not text.strip():
            continue
        where = f"line {line}"
        entry = as_mapping(parse_json(text, path, line=line), where, path)
        index = as_int(entry.get("frame"), f"{where}: frame", path)
        if index in seen:
            rows.refuse(where, f"frame {index} stands twice")
        seen.add(index)
        time = entry.get("time")
        rows.frame(
            index,
            where,
            time=math.nan if time is None else as_number(time, f"{where}: time", path),
            width=as_int(entry.get("width", width), f"{where}: width", path),
            height=as_int(entry.get("height", height), f"{where}: height", path),
            name=as_text(entry.get("image", ""), f"{where}: image", path),
        )
        for item in as_list(entry.get("objects"), f"{where}: objects", path):
            _read_object(as_mapping(item, f"{where}: objects", path), rows, index, where)
    return rows.finish()


def _read_object(item: dict[str, Any], rows: Collector, frame: int, where: str) -> None:
    path = rows.path
    x1, y1, x2, y2 = (
        as_number(edge, f"{where}: bbox", path) for edge in as_list(item.get("bbox"), f"{where}: bbox", path, length=4)
    )
    rows.add(
        frame,
        (x1, y1, x2, y2),
        where,
        class_id=rows.check_class_id(as_int(item.get("class_id"), f"{where}: class_id", path), where),
        track_id=as_int(item["id"], f"{where}: id", path) if "id" in item else None,
        score=as_number(item["score"], f"{where}: score", path) if "score" in item else math.nan,
        segmentation=segmentation_from_json(item.get("segmentation"), rows, where),
        occluded=item.get("occluded") is True or item.get("state") == "coasting",
        keyframe=item.get("keyframe") is not False,
        crowd=item.get("crowd") is True,
    )


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """The whole of the annotations."""
    sizes = annotations.summary().sizes
    size = sizes[0] if len(sizes) == 1 else (0, 0)
    with AtomicText(path) as file:
        file.write(dump_line(header(annotations.source, *size, annotations.labels)))
        for part in annotations.by_frames():
            for frame, rows in enumerate(part.rows_by_frame()):
                file.write(dump_line(_line(part, frame, rows, size)))


def _line(annotations: Annotations, frame: int, rows: range, size: tuple[int, int]) -> dict[str, Any]:
    """One frame; its size stands in it where it is another than the header's."""
    frames, objects, labels = annotations.frames, annotations.objects, annotations.labels
    line: dict[str, Any] = {"frame": int(frames.indices[frame])}
    if not math.isnan(frames.times[frame]):
        line["time"] = float(frames.times[frame])
    own_size = int(frames.widths[frame]), int(frames.heights[frame])
    if own_size != size:
        line["width"], line["height"] = own_size
    if frames.names[frame]:
        line["image"] = frames.names[frame]
    line["objects"] = []
    for row in rows:
        class_id = int(objects.class_ids[row])
        entry: dict[str, Any] = {"id": int(objects.track_ids[row])} if objects.track_ids[row] else {}
        entry |= {"class": class_name(labels, class_id), "class_id": class_id}
        entry["bbox"] = objects.boxes[row].tolist()
        if not math.isnan(objects.scores[row]):
            entry["score"] = float(objects.scores[row])
        if objects.occluded[row]:
            entry["occluded"] = True
        if not objects.keyframes[row]:
            entry["keyframe"] = False
        if objects.crowds[row]:
            entry["crowd"] = True
        segmentation = objects.segmentations[row]
        if segmentation is not None:
            entry["segmentation"] = segmentation_to_json(segmentation, own_size)
        line["objects"].append(entry)
    return line


def segmentation_to_json(segmentation: Segmentation, size: tuple[int, int]) -> Any:
    """A code with the image's size (width, height), or a list of outlines."""
    if isinstance(segmentation, str):
        width, height = size
        return {"size": [height, width], "counts": segmentation}
    return [list(outline) for outline in segmentation]


def segmentation_from_json(value: Any, rows: Collector, where: str) -> Any:
    """What `segmentation_to_json` made."""
    path, where = rows.path, f"{where}: segmentation"
    if value is None:
        return None
    if isinstance(value, list):
        return tuple(tuple(as_number(edge, where, path) for edge in as_list(one, where, path)) for one in value)
    code = as_mapping(value, where, path)
    size = [as_int(side, where, path) for side in as_list(code.get("size"), where, path, length=2)]
    return {"size": size, "counts": as_text(code.get("counts"), where, path)}


class JsonlSink(Sink):
    """Writes a run as JSON Lines; the file gets its name on `close`.

    Tracks that are tentative are left out, and those not seen in the frame unless `coasting` is set.
    """

    def __init__(self, path: Path | str, *, coasting: bool = False) -> None:
        self._file = AtomicText(path, flush_s=FLUSH_S)
        self._coasting = coasting
        self._started = False

    def write(self, result: FrameResult) -> None:
        """Add the line of one frame."""
        frame = result.frame
        if not self._started:
            height, width = frame.image.shape[:2]
            self._size = width, height
            self._file.write(dump_line(header(frame.source, width, height, result.labels, result.semantic_labels)))
            self._started = True
        objects = [_object(item, result.labels) for item in live_objects(result, coasting=self._coasting)]
        line: dict[str, Any] = {"frame": frame.index, "time": float(frame.time)}
        height, width = frame.image.shape[:2]
        if (width, height) != self._size:
            line |= {"width": width, "height": height}
        line["objects"] = objects
        if result.semantic is not None:
            line["semantic"] = semantic_to_mapping(result.semantic)
        if result.events:
            line["events"] = [event_to_mapping(event) for event in result.events]
        self._file.write(dump_line(line))

    def close(self) -> None:
        """Give the file its name."""
        if not self._started and not self._file.closed:
            self._file.write(dump_line(header("", 0, 0, ())))
        self._file.close()

    def discard(self) -> None:
        """Leave what was written so far under its partial name."""
        self._file.keep()


def header(
    source: str, width: int, height: int, labels: tuple[str, ...], semantic_labels: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The first line."""
    semantic = {"semantic_labels": list(semantic_labels)} if semantic_labels else {}
    return {
        "format": FORMAT_NAME,
        "version": VERSION,
        "source": source,
        "width": width,
        "height": height,
        "labels": list(labels),
        "bbox": "x1 y1 x2 y2",
        **semantic,
    }


def semantic_to_mapping(labels: UInt8[ndarray, "h w"]) -> dict[str, Any]:
    """A label per pixel as it stands in a line."""
    return {"size": list(labels.shape), "png": base64.b64encode(pack_label_map(labels)).decode()}


def event_to_mapping(event: Event) -> dict[str, Any]:
    """An event as it stands in a line."""
    return {
        "kind": event.kind,
        "name": event.name,
        "time": float(event.time),
        "id": int(event.track_id),
        "class_id": int(event.class_id),
        "value": float(event.value),
    }


def dump_line(line: dict[str, Any]) -> str:
    """One line of text with its end; NaN and infinity are refused since they are not JSON."""
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _object(item: LiveObject, labels: tuple[str, ...]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": item.track_id,
        "class": class_name(labels, item.class_id),
        "class_id": item.class_id,
        "bbox": list(item.box),
        "score": item.score,
        "state": item.state.name.lower(),
    }
    if item.segmentation is not None:
        entry["segmentation"] = item.segmentation
    return entry
