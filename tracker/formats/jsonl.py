"""JSON Lines: a header, then one JSON object per frame; the project's own exchange text, which loses nothing.

    {"format": "sightline-jsonl", "version": 1, "source": "street.mp4", "width": 1920, "height": 1080,
     "labels": ["person", ...], "bbox": "x1 y1 x2 y2"}
    {"frame": 0, "time": 0.033367, "objects": [{"id": 1, "class": "person", "class_id": 0,
     "bbox": [x1, y1, x2, y2], "score": 0.87, "state": "confirmed",
     "segmentation": {"size": [1080, 1920], "counts": "..."}}], "events": [...]}

(each on one line). `frame` counts decoded frames from 0. `time` is the container's time stamp in seconds with all
its digits. `segmentation` is a COCO run-length code and present where the network gives masks. An event is
`{"kind", "name", "time", "id", "class_id", "value"}`; `events` is left out where nothing happened. Frames without
objects have their line too, so the time stamps are complete. Equal input gives equal bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tracker.formats.atomic import AtomicText
from tracker.formats.live import LiveObject, class_name, live_objects
from tracker.types import Event, FrameResult

__all__ = ["JsonlSink"]

FORMAT_NAME = "sightline-jsonl"
VERSION = 1


class JsonlSink:
    """Writes a run as JSON Lines; the file gets its name on `close`.

    Tracks that are tentative are left out, and those not seen in the frame unless `coasting` is set.
    """

    def __init__(self, path: Path | str, *, coasting: bool = False) -> None:
        self._file = AtomicText(path)
        self._coasting = coasting
        self._started = False

    def write(self, result: FrameResult) -> None:
        """Add the line of one frame."""
        frame = result.frame
        if not self._started:
            height, width = frame.image.shape[:2]
            self._write_line(header(frame.source, width, height, result.labels))
            self._started = True
        objects = [_object(item, result.labels) for item in live_objects(result, coasting=self._coasting)]
        line: dict[str, Any] = {"frame": frame.index, "time": float(frame.time), "objects": objects}
        if result.events:
            line["events"] = [event_to_mapping(event) for event in result.events]
        self._write_line(line)

    def close(self) -> None:
        """Give the file its name."""
        if not self._started and not self._file.closed:
            self._write_line(header("", 0, 0, ()))
        self._file.close()

    def discard(self) -> None:
        """Throw the file away."""
        self._file.discard()

    def _write_line(self, line: dict[str, Any]) -> None:
        self._file.write(dump_line(line))


def header(source: str, width: int, height: int, labels: tuple[str, ...]) -> dict[str, Any]:
    """The first line."""
    return {
        "format": FORMAT_NAME,
        "version": VERSION,
        "source": source,
        "width": width,
        "height": height,
        "labels": list(labels),
        "bbox": "x1 y1 x2 y2",
    }


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
