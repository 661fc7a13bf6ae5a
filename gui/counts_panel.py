"""Counts at lines, people in zones and how long they stay, and where they spend their time, live."""

from __future__ import annotations

import cv2
import numpy as np
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from gui.counting import CountRow
from gui.picture_view import to_pixmap
from gui.session import Session

__all__ = ["CountsPanel"]

REFRESH_MS = 500
HEAT_WIDTH = 320


class CountsPanel(QWidget):
    """A table of the chosen source's rules and its heat map."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session: Session | None = None
        self._rows: list[CountRow] = []
        self._table = QTableWidget(0, 4)
        self._table.setAccessibleName(self.tr("Counts"))
        self._table.setHorizontalHeaderLabels(
            [self.tr("Line or zone"), self.tr("In"), self.tr("Out"), self.tr("Now / stay")]
        )
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setShowGrid(False)
        vertical, horizontal = self._table.verticalHeader(), self._table.horizontalHeader()
        assert vertical is not None
        assert horizontal is not None
        vertical.hide()
        horizontal.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2, 3):
            horizontal.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._heat = QLabel(self.tr("Where objects spend their time is painted here."))
        self._heat.setProperty("role", "quiet")
        self._heat.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._heat.setAccessibleName(self.tr("Heat map"))
        self._heat.setMinimumHeight(120)
        layout = QVBoxLayout(self)
        layout.addWidget(self._table, 1)
        layout.addWidget(self._heat)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(REFRESH_MS)

    @property
    def rows(self) -> list[CountRow]:
        """What is shown."""
        return list(self._rows)

    def show_session(self, session: Session | None) -> None:
        """Be about this source."""
        self._session = session
        self.refresh()

    def show_rows(self, rows: list[CountRow]) -> None:
        """Be about a recording with these counts."""
        self._heat.hide()
        if rows != self._rows:
            self._rows = rows
            self._fill(rows)

    def refresh(self) -> None:
        """Read a live source's counts anew while somebody looks."""
        if not self.isVisible() or self._heat.isHidden():
            return
        rows = self._session.counts.rows() if self._session is not None else []
        if rows != self._rows:
            self._rows = rows
            self._fill(rows)
        self._paint_heat()

    def _fill(self, rows: list[CountRow]) -> None:
        self._table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            more = f"{row.inside} / {row.mean_dwell_s:.0f} s" if row.kind == "zone" else ""
            for column, text in enumerate((row.name, str(row.inward), str(row.outward), more)):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self._table.setItem(number, column, item)

    def _paint_heat(self) -> None:
        session = self._session
        latest = session.latest if session is not None else None
        if session is None or latest is None:
            return
        image = latest.frame.image
        height = max(1, round(image.shape[0] * HEAT_WIDTH / image.shape[1]))
        small = cv2.resize(image, (HEAT_WIDTH, height), interpolation=cv2.INTER_AREA)
        if "person" in session.overlay_config().blur_classes:
            small = np.full_like(small, 60)
        painted = session.counts.paint_heat(small)
        if painted is not None:
            pixels = cv2.cvtColor(painted, cv2.COLOR_RGB2BGRA)
            self._heat.setPixmap(to_pixmap(pixels))
