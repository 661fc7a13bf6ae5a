"""The frame on which lines, zones, hidden regions and boxes are drawn and tracks are chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter
from PyQt6.QtWidgets import QApplication, QInputDialog, QLineEdit, QWidget

from gui.canvas.drawing import paint_box, paint_shape
from gui.canvas.hit_testing import (
    POLYGONS,
    Box,
    Hit,
    Point,
    Shape,
    ShapeKind,
    View,
    boxes_at,
    drag_box,
    drag_shape,
    edge_distance,
    handle_at,
    insert_point,
    remove_point,
    shape_at,
    tidy_box,
)
from gui.canvas.zoom_view import FrameView

__all__ = ["Tool", "VideoView"]

Tool: TypeAlias = Literal["look", "line", "zone", "blur", "area", "box"]
REACH = 9.0
LEAST_DRAG = 3.0
"""Pixels of the view below which a press that moves is a click."""


class VideoView(FrameView):
    """Emits what the user does with the pointer; changes nothing but shapes itself."""

    clicked_track = pyqtSignal(int)
    """The id below a click, 0 beside all."""
    activated = pyqtSignal()
    """A double click."""
    shapes_changed = pyqtSignal(list)
    box_begun = pyqtSignal(int)
    """A box begins to be drawn or dragged in the frame of that index."""
    box_drawn = pyqtSignal(tuple, int)
    """A box and the frame's index."""
    box_moved = pyqtSignal(int, tuple, int)
    """A track's box and the frame's index."""
    tool_done = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shapes: list[Shape] = []
        self._tool: Tool = "look"
        self._drawn: list[Point] = []
        self._pointer: Point = (0.0, 0.0)
        self._hovered = self._dragging = False
        self._pressed: Point = (0.0, 0.0)
        self._edited_frame = 0
        self._grip: tuple[Hit, Shape, Point] | None = None
        self._box_grip: tuple[int, int, Box, Point] | None = None
        self._dragged_box: Box | None = None
        self._pending_box: Box | None = None
        self._pan_from: QPointF | None = None
        self.selected: frozenset[int] = frozenset()
        self.editable = False
        """Whether boxes of the selected track can be moved."""
        self.draws_shapes = True
        self.marked: Sequence[Box] = ()
        """Boxes that are pointed out, such as those no track took."""

    # what is shown

    @property
    def shapes(self) -> list[Shape]:
        """Lines, zones and hidden regions."""
        return list(self._shapes)

    @property
    def tool(self) -> Tool:
        """What the pointer does."""
        return self._tool

    def show_shapes(self, shapes: Sequence[Shape]) -> None:
        """The shapes to draw and to edit; one that is being dragged stays in hand unless others are there now."""
        if self._grip is not None:
            hit, before, _ = self._grip
            if [*self._shapes[: hit.shape], before, *self._shapes[hit.shape + 1 :]] == list(shapes):
                return
        self._shapes = list(shapes)
        self._grip = None
        self.update()

    @property
    def pending(self) -> Box | None:
        """The box that was drawn or moved and is not yet part of the frame."""
        return self._pending_box

    def show_pending(self, box: Box | None) -> None:
        """A box that was drawn or moved and is not yet part of the frame."""
        self._pending_box = box
        self.update()

    def rename_shape(self, old: str, new: str) -> None:
        """Call a line, zone or hidden region otherwise; nothing happens where the name is empty or taken."""
        names = [shape.name for shape in self._shapes]
        new = new.strip()
        if new and new not in names and old in names:
            row = names.index(old)
            self._shapes[row] = replace(self._shapes[row], name=new)
            self.shapes_changed.emit(self.shapes)
            self.update()

    def use_tool(self, tool: Tool) -> None:
        """What the next clicks draw."""
        self._tool = tool
        self._drawn = []
        self.setCursor(Qt.CursorShape.ArrowCursor if tool == "look" else Qt.CursorShape.CrossCursor)
        self.update()

    def track_at(self, point: Point) -> int:
        """Id of the track below a point of the frame, 0 beside all."""
        return next(iter(self._tracks_at(point)), 0)

    def select(self, track_ids: Sequence[int]) -> None:
        """Mark these tracks."""
        self.selected = frozenset(track_ids)
        self._dragged_box = None
        self.update()

    # Qt

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Begin to draw, drag or pan."""
        if event is None:
            return
        self.setFocus()
        view = self.view()
        at = (event.position().x(), event.position().y())
        point = view.to_frame(at)
        self._pressed, self._dragging = at, False
        if event.button() == Qt.MouseButton.MiddleButton or (
            event.button() == Qt.MouseButton.LeftButton and event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        ):
            self._pan_from = event.position()
        elif event.button() == Qt.MouseButton.RightButton:
            self._press_right(point, view)
        elif event.button() == Qt.MouseButton.LeftButton:
            self._press_left(point, view)
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Drag, pan or hover."""
        if event is None:
            return
        at = event.position()
        self._pointer, self._hovered = (at.x(), at.y()), True
        view = self.view()
        point = view.to_frame(self._pointer)
        begins = not self._dragging and math.dist(self._pointer, self._pressed) >= LEAST_DRAG
        self._dragging = self._dragging or begins
        if self._pan_from is not None:
            self.keep_view(view.panned(at.x() - self._pan_from.x(), at.y() - self._pan_from.y()))
            self._pan_from = at
        elif self._grip is not None and self._dragging:
            hit, shape, start = self._grip
            moved = drag_shape(shape, hit, (point[0] - start[0], point[1] - start[1]), self._frame_size)
            self._shapes[hit.shape] = moved
        elif self._box_grip is not None and self._dragging:
            _, handle, box, start = self._box_grip
            if begins:
                self.box_begun.emit(self._edited_frame)
            self._dragged_box = drag_box(box, handle, (point[0] - start[0], point[1] - start[1]))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Finish what was dragged."""
        if event is None:
            return
        self._pan_from = None
        if self._grip is not None:
            hit, shape, _ = self._grip
            self._grip = None
            if self._shapes[hit.shape] != shape:
                self.shapes_changed.emit(self.shapes)
        elif self._box_grip is not None:
            track_id, _, box, start = self._box_grip
            moved, self._box_grip, self._dragged_box = self._dragged_box, None, None
            if not self._dragging:
                self._click_again(track_id, start)
            tidy = None if moved is None else tidy_box(moved, self._frame_size)
            if tidy is not None and tidy != box:
                self.box_moved.emit(track_id, tidy, self._edited_frame)
        elif self._tool in ("blur", "box") and len(self._drawn) == 1:
            self._finish_rectangle(self.view().to_frame((event.position().x(), event.position().y())))
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Close a zone, add a point to an edge, or ask for the large view."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        if self._tool in POLYGONS:
            self._finish_zone()
            return
        view = self.view()
        point = view.to_frame((event.position().x(), event.position().y()))
        hit = shape_at(self._shapes, point, reach=REACH / view.scale) if self.draws_shapes else None
        if self._tool == "look" and hit is not None and hit.point is None and self._shapes[hit.shape].kind in POLYGONS:
            self._grip = None
            self._shapes[hit.shape] = insert_point(self._shapes[hit.shape], point)
            self.shapes_changed.emit(self.shapes)
        elif self._tool == "look":
            self.activated.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Escape gives up a drawing, Return closes a zone, Delete removes the shape under the pointer, F2 names it."""
        if event is None:
            return
        if event.key() == Qt.Key.Key_Escape and self._tool != "look":
            self.use_tool("look")
            self.tool_done.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._tool in POLYGONS:
            self._finish_zone()
        elif event.key() == Qt.Key.Key_Delete and self._delete_touched():
            self.shapes_changed.emit(self.shapes)
        elif event.key() == Qt.Key.Key_F2 and (hit := self._touched(self.view())) is not None:
            self._ask_name(self._shapes[hit.shape].name)
        else:
            super().keyPressEvent(event)
            return
        self.update()

    def leaveEvent(self, event: QEvent | None) -> None:  # noqa: N802 - Qt's name
        """No shape is below the pointer any more."""
        super().leaveEvent(event)
        self._hovered = False
        self.update()

    def event(self, event: QEvent | None) -> bool:
        """Keep keys for what is drawn before they become commands."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and self._claims(event):
            event.accept()
            return True
        return super().event(event)

    # drawing and dragging

    def _press_left(self, point: Point, view: View) -> None:
        if self._tool == "line":
            self._drawn.append(point)
            if len(self._drawn) == 2:
                self._finish(Shape("line", self._free_name("line"), tuple(self._drawn)))
        elif self._tool in POLYGONS:
            closes = len(self._drawn) >= 3 and _near(self._drawn[0], point, REACH / view.scale)
            if closes:
                self._finish_zone()
            else:
                self._drawn.append(point)
        elif self._tool in ("blur", "box"):
            self._drawn = [point]
            if self._tool == "box" and self._rendered is not None:
                self._edited_frame = self._rendered.result.frame.index
                self.box_begun.emit(self._edited_frame)
        else:
            self._press_look(point, view)

    def _press_look(self, point: Point, view: View) -> None:
        hit = shape_at(self._shapes, point, reach=REACH / view.scale) if self.draws_shapes else None
        inside_only = (
            hit is not None and hit.point is None and self._shapes[hit.shape].kind in POLYGONS and self.track_at(point)
        )
        if hit is not None and not inside_only:
            self._grip = (hit, self._shapes[hit.shape], point)
            return
        if self.editable and self._take_box(point, view):
            return
        self.clicked_track.emit(self.track_at(point))

    def _press_right(self, point: Point, view: View) -> None:
        if self._tool in POLYGONS:
            self._finish_zone()
            return
        hit = shape_at(self._shapes, point, reach=REACH / view.scale) if self.draws_shapes else None
        if hit is not None and hit.point is not None:
            shorter = remove_point(self._shapes[hit.shape], hit.point)
            if shorter != self._shapes[hit.shape]:
                self._shapes[hit.shape] = shorter
                self.shapes_changed.emit(self.shapes)

    def _take_box(self, point: Point, view: View) -> bool:
        if self._rendered is None or len(self.selected) != 1:
            return False
        tracks = self._rendered.result.tracks
        for track_id, (x1, y1, x2, y2) in zip(tracks.ids.tolist(), tracks.boxes.tolist(), strict=True):
            if track_id in self.selected:
                handle = handle_at((x1, y1, x2, y2), point, reach=REACH / view.scale)
                if handle is not None:
                    self._box_grip = (track_id, handle, (x1, y1, x2, y2), point)
                    self._edited_frame = self._rendered.result.frame.index
                    return True
        return False

    def _click_again(self, track_id: int, point: Point) -> None:
        """A click at the selected track: of those that lie there the next one, with Ctrl the first not selected."""
        tracks = self._tracks_at(point) or [track_id]
        chosen = tracks[(tracks.index(track_id) + 1) % len(tracks)] if track_id in tracks else tracks[0]
        if QApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier:
            chosen = next((track for track in tracks if track not in self.selected), track_id)
        self.clicked_track.emit(chosen)

    def _tracks_at(self, point: Point) -> list[int]:
        """Ids of the tracks below a point, the smallest box first."""
        if self._rendered is None:
            return []
        tracks = self._rendered.result.tracks
        return [int(tracks.ids[row]) for row in boxes_at(tracks.boxes, point)]

    def _finish_zone(self) -> None:
        if len(self._drawn) >= 3:
            kind: Literal["zone", "area"] = "area" if self._tool == "area" else "zone"
            self._finish(Shape(kind, self._free_name(kind), tuple(self._drawn)))

    def _finish_rectangle(self, end: Point) -> None:
        (x1, y1), (x2, y2) = self._drawn[0], end
        tidy = tidy_box((x1, y1, x2, y2), self._frame_size, least=4)
        self._drawn = []
        if tidy is None:
            return
        if self._tool == "blur":
            left, top, right, bottom = tidy
            self._finish(Shape("blur", self._free_name("hidden"), ((left, top), (right, bottom))))
        else:
            self.use_tool("look")
            self.tool_done.emit()
            self.box_drawn.emit(tidy, self._edited_frame)

    def _finish(self, shape: Shape) -> None:
        self._shapes.append(shape)
        self.use_tool("look")
        self.tool_done.emit()
        self.shapes_changed.emit(self.shapes)

    def _ask_name(self, name: str) -> None:
        new, taken = QInputDialog.getText(
            self, self.tr("Rename"), self.tr("Name of {0}").format(name), QLineEdit.EchoMode.Normal, name
        )
        if taken:
            self.rename_shape(name, new)

    def _delete_touched(self) -> bool:
        hit = self._touched(self.view())
        if hit is None:
            return False
        del self._shapes[hit.shape]
        return True

    def _touched(self, view: View) -> Hit | None:
        """The shape below the pointer."""
        if not self._hovered or not self.draws_shapes:
            return None
        return shape_at(self._shapes, view.to_frame(self._pointer), reach=REACH / view.scale)

    def _claims(self, event: QKeyEvent) -> bool:
        """Whether a command's key is meant for what is drawn: Escape amid a drawing, Delete at a shape.

        With a track selected, Delete inside a zone means the track; at the zone's edge it means the zone.
        """
        if event.modifiers():
            return False
        if event.key() == Qt.Key.Key_Escape:
            return self._tool != "look"
        view = self.view()
        hit = self._touched(view) if event.key() == Qt.Key.Key_Delete else None
        if hit is None:
            return False
        reach, point = REACH / view.scale, view.to_frame(self._pointer)
        return not self.selected or hit.point is not None or edge_distance(self._shapes[hit.shape], point) <= reach

    def _free_name(self, word: str) -> str:
        taken = {shape.name for shape in self._shapes}
        return next(name for number in range(1, len(taken) + 2) if (name := f"{word} {number}") not in taken)

    def paint_over(self, painter: QPainter, view: View) -> None:
        """Boxes pointed out, the selection, shapes, and what is being drawn."""
        for box in self.marked:
            paint_box(painter, box, view, handles=False, dashed=True)
        self._paint_selection(painter, view)
        if self._pending_box is not None:
            paint_box(painter, self._pending_box, view, handles=False)
        if self.draws_shapes:
            touched = self._touched(view)
            for number, shape in enumerate(self._shapes):
                paint_shape(painter, shape, view, touched=touched is not None and touched.shape == number)
        self._paint_unfinished(painter, view)

    def _paint_selection(self, painter: QPainter, view: View) -> None:
        if self._rendered is None or not self.selected:
            return
        tracks = self._rendered.result.tracks
        for track_id, box in zip(tracks.ids.tolist(), tracks.boxes.tolist(), strict=True):
            if track_id in self.selected:
                shown = self._dragged_box if self._dragged_box is not None and self._box_grip is not None else box
                paint_box(painter, tuple(shown), view, handles=self.editable and len(self.selected) == 1)

    def _paint_unfinished(self, painter: QPainter, view: View) -> None:
        if not self._drawn:
            return
        end = view.to_frame(self._pointer)
        if self._tool in ("blur", "box"):
            (x1, y1), (x2, y2) = self._drawn[0], end
            paint_box(painter, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), view, handles=False)
        else:
            kind: ShapeKind = "line" if self._tool == "line" else "area" if self._tool == "area" else "zone"
            paint_shape(painter, Shape(kind, "", (*self._drawn, end)), view, touched=True)


def _near(first: Point, second: Point, reach: float) -> bool:
    return abs(first[0] - second[0]) <= reach and abs(first[1] - second[1]) <= reach
