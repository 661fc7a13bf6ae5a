"""Where the pointer is and what dragging does, as pure functions: no widget, no event, no state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from numpy import ndarray

__all__ = [
    "POLYGONS",
    "Box",
    "Hit",
    "Point",
    "Shape",
    "ShapeKind",
    "View",
    "box_at",
    "boxes_at",
    "drag_box",
    "drag_shape",
    "edge_distance",
    "handle_at",
    "insert_point",
    "remove_point",
    "shape_at",
    "tidy_box",
]

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]
ShapeKind: TypeAlias = Literal["line", "zone", "blur", "area"]
POLYGONS = ("zone", "area")
"""Kinds with as many corners as one likes."""
LEAST_POINTS = {"line": 2, "zone": 3, "blur": 2, "area": 3}
MOST_ZOOM = 40.0


@dataclass(frozen=True, slots=True)
class View:
    """How a frame lies in a view: `zoom` 1 shows all of it, `centre` is the frame's point in the view's middle."""

    width: float
    height: float
    frame_width: float
    frame_height: float
    zoom: float = 1.0
    centre: Point = (0.5, 0.5)
    """As shares of the frame."""

    @property
    def scale(self) -> float:
        """View pixels per frame pixel."""
        if self.frame_width <= 0 or self.frame_height <= 0:
            return 1.0
        return self.zoom * min(self.width / self.frame_width, self.height / self.frame_height)

    @property
    def target(self) -> Box:
        """Where the frame's corners lie in the view, as left, top, width, height."""
        width, height = self.frame_width * self.scale, self.frame_height * self.scale
        left = self.width / 2 - self.centre[0] * width
        top = self.height / 2 - self.centre[1] * height
        return left, top, width, height

    def to_view(self, point: Point) -> Point:
        """Frame pixels to view pixels."""
        left, top, _, _ = self.target
        return left + point[0] * self.scale, top + point[1] * self.scale

    def to_frame(self, point: Point) -> Point:
        """View pixels to frame pixels."""
        left, top, _, _ = self.target
        return (point[0] - left) / self.scale, (point[1] - top) / self.scale

    def zoomed(self, factor: float, at: Point) -> View:
        """Nearer or farther, the frame's point below `at` staying where it is."""
        zoom = min(max(self.zoom * factor, 1.0), MOST_ZOOM)
        x, y = self.to_frame(at)
        nearer = replace(self, zoom=zoom)
        width, height = self.frame_width * nearer.scale, self.frame_height * nearer.scale
        if not width or not height:
            return self
        centre_x = (x * nearer.scale - at[0] + self.width / 2) / width
        centre_y = (y * nearer.scale - at[1] + self.height / 2) / height
        return replace(nearer, centre=(centre_x, centre_y)).held()

    def panned(self, dx: float, dy: float) -> View:
        """Moved with the pointer by so many view pixels."""
        _, _, width, height = self.target
        if not width or not height:
            return self
        return replace(self, centre=(self.centre[0] - dx / width, self.centre[1] - dy / height)).held()

    def held(self) -> View:
        """The nearest view that shows no more emptiness than it must."""
        _, _, width, height = self.target
        return replace(
            self, centre=(_hold(self.centre[0], width, self.width), _hold(self.centre[1], height, self.height))
        )


def _hold(centre: float, size: float, room: float) -> float:
    if size <= room:
        return 0.5
    half = room / size / 2
    return min(max(centre, half), 1 - half)


@dataclass(frozen=True, slots=True)
class Shape:
    """A line, a zone, a hidden rectangle (two opposite corners) or an area that is detected in, in frame pixels."""

    kind: ShapeKind
    name: str
    points: tuple[Point, ...]

    @property
    def corners(self) -> tuple[Point, ...]:
        """The outline; a hidden rectangle has four corners though it is kept as two."""
        if self.kind != "blur":
            return self.points
        (x1, y1), (x2, y2) = self.points
        return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


@dataclass(frozen=True, slots=True)
class Hit:
    """What lies below the pointer: a shape, and one of its points where it is near one."""

    shape: int
    point: int | None


def shape_at(shapes: Sequence[Shape], position: Point, *, reach: float) -> Hit | None:
    """The shape below `position`, later ones first; points before edges, edges before insides."""
    order = range(len(shapes) - 1, -1, -1)
    for number in order:
        for index, point in enumerate(shapes[number].points):
            if math.dist(point, position) <= reach:
                return Hit(number, index)
    for number in order:
        if edge_distance(shapes[number], position) <= reach:
            return Hit(number, None)
    for number in order:
        if shapes[number].kind != "line" and is_inside(shapes[number].corners, position):
            return Hit(number, None)
    return None


def edge_distance(shape: Shape, position: Point) -> float:
    """From `position` to the nearest edge."""
    return min((_segment_distance(start, end, position) for start, end in _edges(shape)), default=math.inf)


def is_inside(polygon: Sequence[Point], position: Point) -> bool:
    """Whether `position` is inside, by the even-odd rule."""
    x, y = position
    inside = False
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def drag_shape(shape: Shape, hit: Hit, delta: Point, bounds: Point) -> Shape:
    """The shape with the touched point, or all of it, moved by `delta` and kept inside width and height."""
    dx, dy = delta
    width, height = bounds
    if hit.point is not None:
        x, y = shape.points[hit.point]
        moved = (min(max(x + dx, 0), width), min(max(y + dy, 0), height))
        return replace(shape, points=(*shape.points[: hit.point], moved, *shape.points[hit.point + 1 :]))
    xs, ys = zip(*shape.points, strict=True)
    dx = min(max(dx, -min(xs)), width - max(xs))
    dy = min(max(dy, -min(ys)), height - max(ys))
    return replace(shape, points=tuple((x + dx, y + dy) for x, y in shape.points))


def insert_point(shape: Shape, position: Point) -> Shape:
    """The shape with a point more, on the edge nearest to `position`; only polygons can have more than two."""
    edges = list(_edges(shape))
    if shape.kind not in POLYGONS or not edges:
        return shape
    nearest = min(range(len(edges)), key=lambda number: _segment_distance(*edges[number], position))
    return replace(shape, points=(*shape.points[: nearest + 1], position, *shape.points[nearest + 1 :]))


def remove_point(shape: Shape, point: int) -> Shape:
    """The shape without one of its points, unless it needs all it has."""
    if len(shape.points) <= LEAST_POINTS[shape.kind]:
        return shape
    return replace(shape, points=shape.points[:point] + shape.points[point + 1 :])


def box_at(boxes: Float[ndarray, "n 4"], position: Point) -> int | None:
    """Row of the smallest box around `position`, None outside all."""
    return next(iter(boxes_at(boxes, position)), None)


def boxes_at(boxes: Float[ndarray, "n 4"], position: Point) -> list[int]:
    """Rows of all boxes around `position`, the smallest first."""
    x, y = position
    x1, y1, x2, y2 = boxes.reshape(-1, 4).T
    (inside,) = np.nonzero((x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2))
    sizes = ((x2 - x1) * (y2 - y1))[inside]
    return [int(row) for row in inside[np.argsort(sizes, kind="stable")]]


HANDLES: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Column and row of each handle on a box: 0 left or top, 1 middle, 2 right or bottom."""
WHOLE_BOX = len(HANDLES)
"""What is dragged between the handles."""


def handle_at(box: Box, position: Point, *, reach: float) -> int | None:
    """The handle of a box below `position`; WHOLE_BOX is the box itself, None is outside."""
    x1, y1, x2, y2 = box
    xs, ys = (x1, (x1 + x2) / 2, x2), (y1, (y1 + y2) / 2, y2)
    distances = [math.dist((xs[column], ys[row]), position) for column, row in HANDLES]
    nearest = min(range(len(HANDLES)), key=distances.__getitem__)
    if distances[nearest] <= reach:
        return nearest
    return WHOLE_BOX if x1 <= position[0] <= x2 and y1 <= position[1] <= y2 else None


def drag_box(box: Box, handle: int, delta: Point) -> Box:
    """The box with one handle, or with WHOLE_BOX all of it, moved by `delta`."""
    x1, y1, x2, y2 = box
    dx, dy = delta
    if handle == WHOLE_BOX:
        return x1 + dx, y1 + dy, x2 + dx, y2 + dy
    column, row = HANDLES[handle]
    return (
        x1 + dx * (column == 0),
        y1 + dy * (row == 0),
        x2 + dx * (column == 2),
        y2 + dy * (row == 2),
    )


def tidy_box(box: Box, bounds: Point, *, least: float = 2.0) -> Box | None:
    """The box with its corners in order and inside the frame; None where too little of it is left."""
    x1, x2 = sorted((box[0], box[2]))
    y1, y2 = sorted((box[1], box[3]))
    x1, x2 = max(x1, 0.0), min(x2, bounds[0])
    y1, y2 = max(y1, 0.0), min(y2, bounds[1])
    return (x1, y1, x2, y2) if x2 - x1 >= least and y2 - y1 >= least else None


def _edges(shape: Shape) -> list[tuple[Point, Point]]:
    corners = shape.corners
    ends = corners[1:] if shape.kind == "line" else (*corners[1:], *corners[:1])
    return list(zip(corners, ends, strict=False))


def _segment_distance(start: Point, end: Point, position: Point) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = 0.0
    if length:
        along = min(max(((position[0] - start[0]) * dx + (position[1] - start[1]) * dy) / length, 0.0), 1.0)
    return math.dist(position, (start[0] + along * dx, start[1] + along * dy))
