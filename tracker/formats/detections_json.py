"""Detections of single images as one JSON list, as `detect` writes them.

    [{"image": "street_001", "class": "person", "bbox": [left, top, width, height], "score": 0.91,
      "segmentation": {"size": [height, width], "counts": "..."}}, ...]

`image` is the file name without folder and suffix, or with as much of them as tells the files apart. `bbox` is in
pixels of the image, `segmentation` a COCO run-length code, present where the network gives masks. One row a line, in
the order the images came.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.live_rows import class_name, rounded
from tracker.formats.core.rle import masks_to_rle
from tracker.protocols import Finishing
from tracker.types import Detections

__all__ = ["DetectionsJson", "detection_rows"]


class DetectionsJson(Finishing):
    """Collects the detections of images in one file, which gets its name on `close`."""

    def __init__(self, path: Path | str) -> None:
        self._file = AtomicText(path)
        self._rows = 0

    def add(self, image: str, detections: Detections, labels: tuple[str, ...], *, width: int, height: int) -> None:
        """Write the rows of one image, which is width x height pixels."""
        for row in detection_rows(image, detections, labels, width=width, height=height):
            text = json.dumps(row, ensure_ascii=False, allow_nan=False)
            self._file.write(("[\n" if self._rows == 0 else ",\n") + text)
            self._rows += 1

    def close(self) -> None:
        """Finish the list and give the file its name; safe to call twice."""
        if not self._file.closed:
            self._file.write("\n]\n" if self._rows else "[]\n")
        self._file.close()

    def discard(self) -> None:
        """Throw the file away."""
        self._file.discard()


def detection_rows(
    image: str, detections: Detections, labels: tuple[str, ...], *, width: int, height: int
) -> list[dict[str, Any]]:
    """One JSON-ready row per detection, in the detector's order."""
    codes = None
    if detections.masks is not None:
        codes = masks_to_rle(detections.masks, detections.boxes, width=width, height=height)
    rows = []
    for number in range(len(detections)):
        x1, y1, x2, y2 = (rounded(edge, 2) for edge in detections.boxes[number].tolist())
        row: dict[str, Any] = {
            "image": image,
            "class": class_name(labels, int(detections.class_ids[number])),
            "bbox": [x1, y1, rounded(x2 - x1, 2), rounded(y2 - y1, 2)],
            "score": rounded(float(detections.scores[number]), 4),
        }
        if codes is not None:
            row["segmentation"] = codes[number]
        rows.append(row)
    return rows
