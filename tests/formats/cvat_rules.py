"""How CVAT imports its own XML: what it keeps, what it drops and what it cannot take, as its server's code has it.

Shapes that are no keyframes are dropped. Of a track whose first shape is a mask that shape is kept, as a single one.
Between keyframes, and behind the last that is not outside, shapes are filled in; two kinds in one track are an error.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tracker.formats.core.rle import window_to_rle

__all__ = ["CvatObject", "import_cvat"]

KINDS = ("box", "polygon", "mask")


class CvatObject(NamedTuple):
    """One shape of a frame as the task holds it after the import."""

    frame: int
    track: int
    """Place of the track in the file, -1 for a single shape."""
    label: str
    kind: str
    box: tuple[float, float, float, float]
    """Around the shape."""
    points: tuple[float, ...]
    """Of a polygon, else none."""
    counts: str
    """COCO's code of a mask in the image, else empty."""


def import_cvat(path: Path, *, frames: int, size: tuple[int, int] = (0, 0)) -> list[CvatObject]:
    """What a task with that many frames holds after importing the file."""
    root = ElementTree.parse(path).getroot()
    objects: list[CvatObject] = []
    for place, track in enumerate(root.iter("track")):
        label = track.attrib["label"]
        shapes = [(shape.tag, shape.attrib) for shape in track if shape.tag in KINDS]
        shapes = [(tag, values) for tag, values in shapes if values["keyframe"] == "1"]
        if shapes[0][0] == "mask":
            tag, values = shapes[0]
            objects.append(_object(int(values["frame"]), -1, label, tag, values, size))
            continue
        shapes.sort(key=lambda shape: int(shape[1]["frame"]))
        for (tag, values), (next_tag, next_values) in pairwise(shapes):
            start, end = int(values["frame"]), int(next_values["frame"])
            assert end > start, f"track {place}: two shapes in frame {end}"
            if values["outside"] == "1":
                continue
            assert tag == next_tag, f"track {place}: a {tag} and a {next_tag}: CVAT cannot interpolate"
            objects += [_object(frame, place, label, tag, values, size) for frame in range(start, end)]
        tag, values = shapes[-1]
        if values["outside"] != "1":
            last = range(int(values["frame"]), frames)
            objects += [_object(frame, place, label, tag, values, size) for frame in last]
    for image in root.iter("image"):
        for shape in image:
            if shape.tag in KINDS:
                label = shape.attrib["label"]
                objects.append(_object(int(image.attrib["id"]), -1, label, shape.tag, shape.attrib, size))
    return [item for item in objects if item.frame < frames]


def _object(frame: int, track: int, label: str, tag: str, values: dict[str, str], size: tuple[int, int]) -> CvatObject:
    if tag == "box":
        x1, y1, x2, y2 = (float(values[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        return CvatObject(frame, track, label, tag, (x1, y1, x2, y2), (), "")
    if tag == "polygon":
        points = tuple(float(cell) for pair in values["points"].split(";") for cell in pair.split(","))
        box = (min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2]))
        return CvatObject(frame, track, label, tag, box, points, "")
    left, top, width, height = (int(values[name]) for name in ("left", "top", "width", "height"))
    runs = [int(run) for run in values["rle"].split(",")]
    covered = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    code = window_to_rle(covered, left=left, top=top, width=size[0], height=size[1])
    return CvatObject(frame, track, label, tag, (left, top, left + width, top + height), (), code["counts"])
