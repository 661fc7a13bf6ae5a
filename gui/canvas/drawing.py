"""How shapes, selected boxes and messages look over a frame."""

from __future__ import annotations

import math

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from gui.canvas.hit_testing import HANDLES, Box, Shape, View

__all__ = ["COLOURS", "paint_box", "paint_message", "paint_shape"]

COLOURS = {"line": "#f0e442", "zone": "#56b4e9", "blur": "#e69f00", "area": "#009e73"}
"""Okabe and Ito: apart for every eye."""
HANDLE = 4.5


def paint_shape(painter: QPainter, shape: Shape, view: View, *, touched: bool) -> None:
    """A line with the arrow of its direction, a polygon or a hidden rectangle, with handles and its name."""
    colour = QColor(COLOURS[shape.kind])
    points = QPolygonF([QPointF(*view.to_view(point)) for point in shape.corners])
    outline = QPen(QColor(0, 0, 0, 150), 4.5)
    for pen in (outline, QPen(colour, 2.2 if touched else 1.8)):
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        if shape.kind == "blur":
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if shape.kind == "line":
            painter.drawPolyline(points)
        else:
            filled = QColor(colour)
            filled.setAlpha(36 if touched else 22)
            painter.setBrush(filled if pen is not outline and shape.kind == "zone" else Qt.BrushStyle.NoBrush)
            painter.drawPolygon(points)
    if shape.kind == "line" and len(shape.points) >= 2:
        _paint_arrow(painter, points, colour)
    painter.setPen(QPen(QColor(0, 0, 0, 170), 1))
    painter.setBrush(colour if touched else QColor("#ffffff"))
    for point in shape.points:
        x, y = view.to_view(point)
        painter.drawEllipse(QPointF(x, y), HANDLE, HANDLE)
    if shape.name:
        x, y = view.to_view(shape.points[0])
        _paint_label(painter, QPointF(x + 8, y - 8), shape.name, colour)


def _paint_arrow(painter: QPainter, points: QPolygonF, colour: QColor) -> None:
    """A tick at the line's middle towards its left, looking from start to end: the way that counts as "in"."""
    middle = points.count() // 2
    start, end = points.at(middle - 1), points.at(middle)
    dx, dy = end.x() - start.x(), end.y() - start.y()
    length = math.hypot(dx, dy)
    if length < 1:
        return
    centre = QPointF((start.x() + end.x()) / 2, (start.y() + end.y()) / 2)
    along, across = QPointF(dx / length, dy / length), QPointF(dy / length, -dx / length)
    tip = centre + across * 18
    painter.setPen(QPen(colour, 2))
    painter.drawLine(centre, tip)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([tip + across * 5, tip + along * 4.5, tip - along * 4.5]))


def _paint_label(painter: QPainter, at: QPointF, text: str, colour: QColor) -> None:
    font = QFont(painter.font())
    font.setPointSizeF(9)
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    box = QRectF(at.x() - 4, at.y() - metrics.ascent() - 2, metrics.horizontalAdvance(text) + 8, metrics.height() + 4)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 170))
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(colour)
    painter.drawText(at, text)


def paint_box(painter: QPainter, box: Box, view: View, *, handles: bool, dashed: bool = False) -> None:
    """A selected or, dashed, a pointed out box: white in black, so that it shows on everything."""
    x1, y1 = view.to_view(box[:2])
    x2, y2 = view.to_view(box[2:])
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(QColor(0, 0, 0, 190), 4), QPen(QColor("#ffffff"), 2)):
        if dashed:
            pen.setWidthF(pen.widthF() / 2)
            pen.setDashPattern([4.0, 4.0])
        painter.setPen(pen)
        painter.drawRect(QRectF(QPointF(x1, y1), QPointF(x2, y2)))
    if handles:
        xs, ys = (x1, (x1 + x2) / 2, x2), (y1, (y1 + y2) / 2, y2)
        painter.setPen(QPen(QColor(0, 0, 0, 190), 1))
        painter.setBrush(QColor("#ffffff"))
        for column, row in HANDLES:
            painter.drawRect(QRectF(xs[column] - 3.5, ys[row] - 3.5, 7, 7))


def paint_message(painter: QPainter, area: QRectF, text: str) -> None:
    """Words in the middle on a dark ground."""
    font = QFont(painter.font())
    font.setPointSizeF(10.5)
    painter.setFont(font)
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    room = area.adjusted(16, 12, -16, -12)
    bounds = painter.boundingRect(room, int(flags.value), text).adjusted(-14, -10, 14, 10)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 190))
    painter.drawRoundedRect(bounds, 6, 6)
    painter.setPen(QColor("#f0f2f4"))
    painter.drawText(room, int(flags.value), text)
