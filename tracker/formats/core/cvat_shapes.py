"""Shapes of a CVAT file: boxes, turned ones too, polygons and masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Segmentation
from tracker.formats.core.decimals import tidy
from tracker.formats.core.parsing import to_float, to_int
from tracker.formats.core.polygons import around, is_box, turned_box
from tracker.formats.core.rle import Rle, window_to_rle
from tracker.formats.core.xml_tree import Node

__all__ = ["KINDS", "OTHER_KINDS", "CvatShape", "read_shape"]

KINDS = ("box", "polygon", "mask")
OTHER_KINDS = ("points", "polyline", "ellipse", "cuboid", "skeleton")


@dataclass(frozen=True, slots=True)
class CvatShape:
    """One object in one frame."""

    frame: int
    outside: bool
    occluded: bool
    keyframe: bool
    place: tuple[float, float, float, float]
    """The box before it is turned."""
    angle: float
    """By how much, clockwise about the centre, in degrees."""
    outline: Segmentation | Rle | None
    """That of a polygon or mask."""
    line: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright box around it."""
        return around(turned_box(self.place, self.angle)) if self.angle else self.place

    @property
    def segmentation(self) -> Segmentation | Rle | None:
        """Its outline or mask, None for an upright box."""
        return (turned_box(self.place, self.angle),) if self.angle else self.outline

    def towards(self, other: CvatShape, fraction: float) -> CvatShape:
        """The box that CVAT shows so far between this shape and the next; polygons and masks become their boxes."""
        place = tuple(tidy(a + (b - a) * fraction) for a, b in zip(self.place, other.place, strict=True))
        turn = (other.angle - self.angle + 180) % 360 - 180  # the shorter way round
        angle = tidy(self.angle + turn * fraction)
        x1, y1, x2, y2 = place
        return CvatShape(self.frame, False, self.occluded, False, (x1, y1, x2, y2), angle % 360, None, self.line)


def read_shape(node: Node, rows: Collector, size: tuple[int, int], frame: int) -> CvatShape:
    """A shape in an image of that size. Raises FormatError with its line."""
    path, where = rows.path, f"line {node.line}"

    def value(name: str) -> float:
        if name not in node.attributes:
            rows.refuse(where, f"<{node.tag}> without {name}")
        return to_float(node.attributes[name], name, path, where)

    def flag(name: str, default: str) -> bool:
        text = node.attributes.get(name, default)
        if text not in ("0", "1"):
            rows.refuse(where, f"{name}: expected 0 or 1, found {text!r}")
        return text == "1"

    outline: Segmentation | Rle | None = None
    angle = 0.0
    if node.tag == "box":
        place = (value("xtl"), value("ytl"), value("xbr"), value("ybr"))
        angle = to_float(node.attributes.get("rotation", "0"), "rotation", path, where) % 360
    elif node.tag == "polygon":
        pairs = [pair.split(",") for pair in node.attributes.get("points", "").split(";")]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            rows.refuse(where, "points: expected three or more pairs x,y with ; between")
        points = [to_float(cell, "points", path, where) for pair in pairs for cell in pair]
        place = around(points)
        outline = None if is_box((tuple(points),), place) else (tuple(points),)
    else:
        left, top, wide, tall = (
            to_int(node.attributes.get(n, ""), n, path, where) for n in ("left", "top", "width", "height")
        )
        place = (left, top, left + wide, top + tall)
        if not flag("outside", "0"):
            outline = _read_mask(node, (left, top, wide, tall), rows, size)
    keyframe = flag("keyframe", "1") and not flag("interpolated", "0")
    return CvatShape(frame, flag("outside", "0"), flag("occluded", "0"), keyframe, place, angle, outline, node.line)


def _read_mask(node: Node, place: tuple[int, int, int, int], rows: Collector, size: tuple[int, int]) -> Rle:
    where, (left, top, wide, tall), (width, height) = f"line {node.line}", place, size
    runs = [to_int(cell, "rle", rows.path, where) for cell in node.attributes.get("rle", "").split(",")]
    inside_image = left >= 0 and top >= 0 and wide >= 0 and tall >= 0 and left + wide <= width and top + tall <= height
    if not inside_image or min(runs) < 0 or sum(runs) != wide * tall:
        rows.refuse(
            where, f"rle: the run lengths do not fill {wide} x {tall} pixels inside the {width} x {height} image"
        )
    values = np.arange(len(runs)) % 2 == 1
    covered = np.repeat(values, runs).reshape(tall, wide)
    return window_to_rle(covered, left=left, top=top, width=width, height=height)
