"""Paints the newest frame with zoom and pan."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFocusEvent,
    QHelpEvent,
    QImage,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QToolTip, QWidget

from gui.canvas.drawing import paint_message
from gui.canvas.hit_testing import Box, Point, View
from gui.canvas.renderer import RenderedFrame

__all__ = ["FrameView", "to_image", "to_pixmap"]

BACKGROUND = "#0d0f11"
WHEEL_NOTCH = 120
"""Qt's eighths of a degree in one step of a mouse wheel."""
ZOOM_STEP = 1.2
"""By a step of the wheel."""
NO_SIZE = (16.0, 9.0)
FOLLOW_SHARE = 0.45
"""How much of the view's height a followed object may fill before it is shown farther away."""
MOST_FOLLOW_ZOOM = 3.0


def to_image(pixels: np.ndarray) -> QImage:
    """A Qt image over the same memory; the array must outlive it."""
    height, width = pixels.shape[:2]
    memory = cast(bytes, pixels.data)  # Qt takes any buffer
    return QImage(memory, width, height, pixels.strides[0], QImage.Format.Format_RGB32)


def to_pixmap(pixels: np.ndarray) -> QPixmap:
    """A pixmap of its own memory; `fromImage` alone may go on using the array's."""
    return QPixmap.fromImage(to_image(pixels).copy())


class FrameView(QWidget):
    """One frame, seen whole or near; what lies over it is painted by `paint_over`."""

    resized = pyqtSignal()
    """Frames of another size are wanted."""
    focused = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(QSize(120, 68))
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(self.tr("Frame"))
        self._rendered: RenderedFrame | None = None
        self._image: QImage | None = None
        self._frame_size: tuple[float, float] = NO_SIZE
        self._zoom, self._centre = 1.0, (0.5, 0.5)
        self._layer: QImage | None = None
        self._message = ""
        self.explain: Callable[[Point], str] = lambda _point: ""
        """Words about what lies at a point of the frame."""

    @property
    def rendered(self) -> RenderedFrame | None:
        """What is painted now."""
        return self._rendered

    def show_frame(self, rendered: RenderedFrame | None) -> None:
        """Paint this from now on."""
        self._rendered = rendered
        self._image = None if rendered is None else to_image(rendered.pixels)
        if rendered is not None:
            self._frame_size = rendered.frame_size
        self.update()

    @property
    def layer(self) -> QImage | None:
        """What is laid over the whole frame, such as a heat map."""
        return self._layer

    def show_layer(self, layer: QImage | None) -> None:
        """Lay this over the whole frame, at any size."""
        if layer is not self._layer:
            self._layer = layer
            self.update()

    def show_message(self, text: str) -> None:
        """Words over the frame, such as why there is none."""
        if text != self._message:
            self._message = text
            self.update()

    def view(self) -> View:
        """How the frame lies in this widget."""
        return View(self.width(), self.height(), *self._frame_size, self._zoom, self._centre)

    def wanted_size(self) -> tuple[int, int]:
        """Pixels a frame needs to be sharp here."""
        ratio = self.devicePixelRatioF() * self._zoom
        return round(self.width() * ratio), round(self.height() * ratio)

    def reset_zoom(self) -> None:
        """Show the whole frame."""
        self._zoom, self._centre = 1.0, (0.5, 0.5)
        self.resized.emit()
        self.update()

    def follow(self, box: Box) -> None:
        """Bring this box into the middle, near enough to be seen well."""
        x1, y1, x2, y2 = box
        width, height = self._frame_size
        self._centre = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
        fitting = FOLLOW_SHARE * min(height / max(y2 - y1, 1.0), width / max(x2 - x1, 1.0))
        zoom = min(max(fitting, 1.0), MOST_FOLLOW_ZOOM)
        if self._zoom <= 1.0 or self._zoom > 2 * zoom:
            self._zoom = zoom
            self.resized.emit()
        self.keep_view(self.view().held())

    def keep_view(self, view: View) -> None:
        """Show the frame like this from now on."""
        self._zoom, self._centre = view.zoom, view.centre
        self.update()

    def paint_over(self, painter: QPainter, view: View) -> None:
        """Paint what lies over the frame."""

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """The frame, then what is drawn over it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(BACKGROUND))
        view = self.view()
        if self._image is not None:
            target = QRectF(*view.target)
            ratio = self.devicePixelRatioF()
            same = abs(target.width() * ratio - self._image.width()) < 1.5
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not same and self._zoom < 6)
            if same and ratio == 1:
                painter.drawImage(QPointF(round(target.left()), round(target.top())), self._image)
            else:
                painter.drawImage(target, self._image)
        if self._layer is not None and self._image is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(QRectF(*view.target), self._layer)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.paint_over(painter, view)
        if self._message:
            paint_message(painter, QRectF(self.rect()), self._message)
        painter.end()

    def focusInEvent(self, event: QFocusEvent | None) -> None:  # noqa: N802 - Qt's name
        """Keys are meant for this frame now."""
        super().focusInEvent(event)
        self.focused.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Ask for frames of the new size."""
        super().resizeEvent(event)
        self.resized.emit()

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 - Qt's name
        """Zoom at the pointer."""
        if event is None or self._rendered is None:
            return
        at = event.position()
        self.keep_view(self.view().zoomed(ZOOM_STEP ** (event.angleDelta().y() / WHEEL_NOTCH), (at.x(), at.y())))
        self.resized.emit()
        event.accept()

    def event(self, event: QEvent | None) -> bool:
        """Explain what the pointer rests on."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.explain(self.view().to_frame((event.pos().x(), event.pos().y())))
            if text:
                QToolTip.showText(event.globalPos(), text, self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)
