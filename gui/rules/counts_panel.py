"""Counts at lines, people in zones and how long they stay, and where they spend their time."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PyQt6.QtCore import QRect, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from gui.canvas.zoom_view import to_pixmap
from gui.qt.background import Background
from gui.rules.counting import CountRow
from tracker.analytics.heat import HeatMap
from tracker.types import Image

__all__ = ["Counted", "CountsPanel"]

REFRESH_MS = 500
HEAT_WIDTH = 320
HEAT_HEIGHT = 300
"""The most that the map asks for: one of an upright video is shown smaller."""
LEAST_HEAT = QSize(120, 90)
GREY = 60


class Counted(Protocol):
    """A live source or a recording."""

    def count_rows(self) -> list[CountRow]: ...
    def heat(self) -> HeatMap | None: ...
    def still(self) -> Image | None: ...


class CountsPanel(QWidget):
    """A table of the rules of a source or a recording, and its heat map."""

    renamed = pyqtSignal(str, str)
    """A line or zone of this name is to be called so."""

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._counted: Counted | None = None
        self._rows: list[CountRow] = []
        self._painted: tuple[HeatMap | None, Image | None] = (None, None)
        self._table = QTableWidget(0, 4)
        self._table.setAccessibleName(self.tr("Counts"))
        self._table.setHorizontalHeaderLabels(
            [self.tr("Line or zone"), self.tr("In"), self.tr("Out"), self.tr("Now / stay")]
        )
        edits = QAbstractItemView.EditTrigger
        self._table.setEditTriggers(edits.DoubleClicked | edits.EditKeyPressed)
        self._table.itemChanged.connect(self._changed)
        self._table.setTabKeyNavigation(False)
        self._table.setShowGrid(False)
        vertical, horizontal = self._table.verticalHeader(), self._table.horizontalHeader()
        assert vertical is not None
        assert horizontal is not None
        vertical.hide()
        horizontal.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2, 3):
            horizontal.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._heat = _HeatImage()
        self._heat.setProperty("role", "quiet")
        self._heat.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._heat.setAccessibleName(self.tr("Heat map"))
        self._heat.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self._table, 1)
        layout.addWidget(self._heat)
        self._paint_heat(None, None)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(REFRESH_MS)

    @property
    def rows(self) -> list[CountRow]:
        """What is shown."""
        return list(self._rows)

    @property
    def shows_heat(self) -> bool:
        """Whether a heat map is painted."""
        return not self._heat.pixmap().isNull()

    def show_counted(self, counted: Counted | None) -> None:
        """Be about this source or recording."""
        self._counted = counted
        self.refresh()

    def refresh(self) -> None:
        """Read all anew."""
        counted = self._counted
        rows = counted.count_rows() if counted is not None else []
        if rows != self._rows:
            self._rows = rows
            self._fill(rows)
        if self.isVisible() or counted is None:
            heat = counted.heat() if counted is not None else None
            image = counted.still() if counted is not None and heat is not None else None
            if heat is not self._painted[0] or image is not self._painted[1]:
                self._paint_heat(heat, image)

    def _look(self) -> None:
        if self.isVisible():
            self.refresh()

    def _fill(self, rows: list[CountRow]) -> None:
        if self._table.state() == QAbstractItemView.State.EditingState:
            self._rows = []  # after somebody has written the name
            return
        self._table.blockSignals(True)
        self._table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            more = f"{row.inside} / {row.mean_dwell_s:.0f} s" if row.kind == "zone" else ""
            for column, text in enumerate((row.name, str(row.inward), str(row.outward), more)):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                else:
                    item.setToolTip(self.tr("Double-click or F2 gives it another name"))
                self._table.setItem(number, column, item)
        self._table.blockSignals(False)

    def _changed(self, item: QTableWidgetItem) -> None:
        """Somebody wrote another name; it is shown once it is taken."""
        if not item.column() and item.row() < len(self._rows):
            before = self._rows[item.row()].name
            self._rows = []
            self.renamed.emit(before, item.text())

    def _paint_heat(self, heat: HeatMap | None, image: Image | None) -> None:
        self._painted = heat, image
        if heat is None:
            self._heat.setText(self.tr("Where objects spend their time is painted here."))
            return
        self._background.run(
            lambda: _painted(heat, image), lambda pixels: self._show_heat(pixels, heat), lane="heat layer", owner=self
        )

    def _show_heat(self, pixels: np.ndarray, heat: HeatMap) -> None:
        if heat is self._painted[0]:
            self._heat.setPixmap(to_pixmap(pixels))


class _HeatImage(QLabel):
    """An image that is shown as large as there is room for, else words; it never asks the window to grow."""

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Enough to see where it is hot."""
        return LEAST_HEAT

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """The whole image."""
        wanted = QSize(HEAT_WIDTH, HEAT_HEIGHT // 2)
        return wanted if self.pixmap().isNull() else self.pixmap().size().boundedTo(QSize(HEAT_WIDTH, HEAT_HEIGHT))

    def hasHeightForWidth(self) -> bool:  # noqa: N802 - Qt's name
        """It fits into any room."""
        return False

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """The image in its own proportions."""
        pixmap = self.pixmap()
        if pixmap.isNull():
            super().paintEvent(event)
            return
        size = pixmap.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        corner = self.rect().center() - QRect(0, 0, size.width(), size.height()).center()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(QRect(corner, size), pixmap)
        painter.end()


def _painted(heat: HeatMap, image: Image | None) -> UInt8[ndarray, "h w 4"]:
    """The map over the image, or on grey where the image must not be shown, as Qt paints it."""
    if image is None:
        rows, columns = heat.seconds.shape
        small = np.full((max(1, round(rows * HEAT_WIDTH / columns)), HEAT_WIDTH, 3), GREY, np.uint8)
    else:
        height = max(1, round(image.shape[0] * HEAT_WIDTH / image.shape[1]))
        small = cv2.resize(image, (HEAT_WIDTH, height), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(heat.paint(small), cv2.COLOR_RGB2BGRA)
