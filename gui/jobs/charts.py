"""Curves over epochs, painted plainly: losses in one chart, measures in another."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui.jobs.queue import Curves

__all__ = ["CurveChart", "choose_curves"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#888888")
"""Okabe and Ito's palette."""
MOST_CURVES = 6
LEFT, RIGHT, TOP, BOTTOM = 42.0, 10.0, 22.0, 20.0
LINE = 14.0
"""Height of a line of names."""


def choose_curves(curves: Curves, *, losses: bool) -> dict[str, list[tuple[float, float]]]:
    """Losses, or the measures worth a look: the score first, then what is not a part of something else."""
    names = [name for name in curves if name.startswith("loss") == losses]
    if not losses:
        names.sort(key=lambda name: (name != "score", name.startswith(("mask_", "ap50", "ap75"))))
    return {name.removeprefix("loss_"): list(curves[name]) for name in names[:MOST_CURVES]}


class CurveChart(QWidget):
    """Some curves in one frame with their names."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._curves: dict[str, list[tuple[float, float]]] = {}
        self.setAccessibleName(title)
        font = self.font()
        font.setPointSizeF(8)
        self.setFont(font)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(80)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """A wide rectangle."""
        return QSize(300, 150)

    def show_curves(self, curves: dict[str, list[tuple[float, float]]]) -> None:
        """These from now on."""
        if curves != self._curves:
            self._curves = curves
            last = ", ".join(f"{name} {points[-1][1]:.3g}" for name, points in curves.items() if points)
            self.setAccessibleDescription(last)
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Axes, curves, names."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        names = self._places_of_names()
        lowest = max((place.y() for place in names), default=0.0)
        area = QRectF(self.rect()).adjusted(LEFT, TOP + lowest, -RIGHT, -BOTTOM)
        points = [point for curve in self._curves.values() for point in curve]
        if not points:
            painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
            painter.drawText(QRectF(self.rect()), int(Qt.AlignmentFlag.AlignCenter), self._title)
            painter.end()
            return
        first, last = min(x for x, _ in points), max(x for x, _ in points)
        top = max(max(y for _, y in points) * 1.05, 1e-6)
        last = last if last > first else first + 1
        self._paint_axes(painter, palette, area, (first, last, top))
        for number, curve in enumerate(self._curves.values()):
            painter.setPen(QPen(QColor(COLOURS[number % len(COLOURS)]), 1.8))
            places = [
                QPointF(
                    area.left() + (x - first) / (last - first) * area.width(), area.bottom() - y / top * area.height()
                )
                for x, y in curve
            ]
            painter.drawPolyline(QPolygonF(places))
            painter.setBrush(QColor(COLOURS[number % len(COLOURS)]))
            painter.drawEllipse(places[-1], 2.2, 2.2)
        self._paint_names(painter, palette, names)
        painter.end()

    def _paint_axes(self, painter: QPainter, palette: QPalette, area: QRectF, ends: tuple[float, float, float]) -> None:
        first, last, top = ends
        painter.setPen(palette.color(QPalette.ColorRole.Mid))
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - share * area.height()
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
        for share in (0.0, 0.5, 1.0):
            y = area.bottom() - share * area.height()
            room = QRectF(0, y - 8, LEFT - 6, 16)
            painter.drawText(
                room, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), f"{share * top:.3g}"
            )
        for x, seconds, flag in (
            (area.left(), first, Qt.AlignmentFlag.AlignLeft),
            (area.right() - 80, last, Qt.AlignmentFlag.AlignRight),
        ):
            painter.drawText(QRectF(x, area.bottom() + 3, 80, 14), int(flag), f"{seconds:g}")

    def _places_of_names(self) -> list[QPointF]:
        """Where each curve's name begins, beside the title and on as many lines below it as they need."""
        metrics = QFontMetricsF(self.font(), self)
        begin = max(LEFT, metrics.horizontalAdvance(self._title) + 16)
        places, x, y = [], begin, 0.0
        for name in self._curves:
            width = metrics.horizontalAdvance(name) + 14
            if x > begin and x + width > self.width():
                x, y = begin, y + LINE
            places.append(QPointF(x, y))
            x += width + 10
        return places

    def _paint_names(self, painter: QPainter, palette: QPalette, places: Sequence[QPointF]) -> None:
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        painter.drawText(QPointF(4, 13), self._title)
        for number, (name, place) in enumerate(zip(self._curves, places, strict=True)):
            painter.setPen(QPen(QColor(COLOURS[number % len(COLOURS)]), 3))
            painter.drawLine(place + QPointF(0, 9), place + QPointF(8, 9))
            painter.setPen(palette.color(QPalette.ColorRole.Text))
            painter.drawText(place + QPointF(11, 13), name)
