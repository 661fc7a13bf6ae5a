"""What the rules notice live, newest first, each with a thumbnail, and beside it what a set of cameras has kept."""

from __future__ import annotations

import time

from PyQt6.QtCore import QSize, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QIcon, QPixmap
from PyQt6.QtWidgets import QDialog, QLabel, QListWidget, QListWidgetItem, QPushButton, QTabWidget, QVBoxLayout, QWidget

from gui.canvas.zoom_view import to_pixmap
from gui.live.notices import Notice
from gui.live.stored_events import StoredEvents
from gui.qt.background import Background
from gui.rules.event_text import describe_event
from tracker.watch.event_store import EventStore
from tracker.watch.thumbnails import THUMBNAIL

__all__ = ["EventsPanel"]

MOST_KEPT = 200
"""Events in the list; older ones leave it, so that a window open for weeks does not grow."""


class EventsPanel(QWidget):
    """A list of events since the start, and those kept in a store where a set of cameras is open."""

    said = pyqtSignal(str)

    def __init__(self, background: Background, parent: QWidget | None = None, *, above: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kept = StoredEvents(background)
        self.kept.said.connect(self.said)
        self._list = QListWidget()
        self._list.setAccessibleName(self.tr("Events"))
        self._list.setIconSize(QSize(*THUMBNAIL) * 0.6)
        self._list.setUniformItemSizes(True)
        self._list.setWordWrap(True)
        self._list.itemActivated.connect(self._activated)
        self._none = QLabel(self.tr("Draw a line or a zone; what happens at it is listed here."))
        self._none.setProperty("role", "quiet")
        self._none.setWordWrap(True)
        self._notices: dict[int, Notice] = {}
        self._count = 0
        layout = QVBoxLayout(self)
        if above is not None:
            layout.addWidget(above)
        now = QWidget()
        column = QVBoxLayout(now)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._none)
        column.addWidget(self._list, 1)
        self._tabs = QTabWidget()
        self._tabs.setTabBarAutoHide(True)
        self._tabs.setDocumentMode(True)
        self._tabs.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # of one tab the bar is hidden, and the Tab key ends in it
        self._tabs.addTab(now, self.tr("&Now"))
        layout.addWidget(self._tabs, 1)

    def show_kept(self, store: EventStore) -> None:
        """List what this store holds beside what is noticed now."""
        self.kept.use_store(store)
        if self._tabs.count() == 1:
            self._tabs.addTab(self.kept, self.tr("&Kept"))
            self._tabs.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def add(self, notice: Notice) -> None:
        """Put a live event on top."""
        self._none.hide()
        self._count += 1
        clock = time.strftime("%H:%M:%S", time.localtime(notice.at))
        item = QListWidgetItem(f"{describe_event(notice.event, notice.label)}\n{clock}  {notice.source}")
        item.setIcon(QIcon(to_pixmap(notice.thumbnail)))
        item.setData(Qt.ItemDataRole.UserRole, self._count)
        self._notices[self._count] = notice
        self._list.insertItem(0, item)
        while self._list.count() > MOST_KEPT:
            last = self._list.takeItem(self._list.count() - 1)
            if last is not None:
                self._notices.pop(last.data(Qt.ItemDataRole.UserRole), None)

    def clear(self) -> None:
        """Forget all."""
        self._list.clear()
        self._notices.clear()
        self._none.show()

    @property
    def count(self) -> int:
        """Number of events listed."""
        return self._list.count()

    def _activated(self, item: QListWidgetItem) -> None:
        key = item.data(Qt.ItemDataRole.UserRole)
        if key in self._notices:
            _Moment(self._notices[key], item.text(), self).show()


class _Moment(QDialog):
    """A live event as it looked, and the clip of it where one was saved."""

    def __init__(self, notice: Notice, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(text.replace("\n", "  "))
        thumbnail = QLabel()
        thumbnail.setAccessibleName(text)
        pixels = QPixmap()
        pixels.loadFromData(notice.still)
        thumbnail.setPixmap(pixels)
        layout = QVBoxLayout(self)
        layout.addWidget(thumbnail)
        clip = notice.clip
        if clip is not None:
            button = QPushButton(self.tr("Play the clip"))
            button.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(clip))))
            layout.addWidget(button)
