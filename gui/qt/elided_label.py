"""A label whose text gives way, with an ellipsis, where there is little room."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QLabel, QWidget

__all__ = ["ElidedLabel"]

LEAST_LETTERS = 6


class ElidedLabel(QLabel):
    """Shows as much of its text as there is room for, and never pushes a window wider; `text()` is all of it."""

    def __init__(self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mode = mode
        self._whole = ""

    def text(self) -> str:
        """All of it."""
        return self._whole

    def setText(self, text: str | None) -> None:  # noqa: N802 - Qt's name
        """Replace the text; the tooltip and the accessible name are the caller's."""
        self._whole = text or ""
        self._fit()
        self.updateGeometry()

    @property
    def shown(self) -> str:
        """What is to be read at this width."""
        return super().text()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """A few letters."""
        metrics = self.fontMetrics()
        least = metrics.averageCharWidth() * LEAST_LETTERS
        return QSize(min(least, self._width()), metrics.height())

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """All of it."""
        return QSize(self._width(), self.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """More or less of it."""
        super().resizeEvent(event)
        self._fit()

    def _width(self) -> int:
        return self.fontMetrics().horizontalAdvance(self._whole) + 2

    def _fit(self) -> None:
        super().setText(self.fontMetrics().elidedText(self._whole, self._mode, self.width()))
