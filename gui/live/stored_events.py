"""The events that a set of cameras has kept, over restarts: searched, with what they looked like and their clips."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QIcon, QPixmap
from PyQt6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.qt.background import Background
from gui.rules.event_text import describe_event
from tracker.types import Event, EventKind
from tracker.watch.event_store import Column, EventSearch, EventStore, StoredEvent
from tracker.watch.thumbnails import THUMBNAIL

__all__ = ["StoredEvents"]

MOST_LISTED = 300
"""Events found at once, each with its image; more are found by narrowing the search."""
REFRESH_MS = 2000
"""Between two searches of the store for new events while the list is open."""
DAY_S = 86_400
COLUMNS: tuple[Column, ...] = ("camera", "kind", "name", "class")
LANE = "events"

Found = tuple[list[StoredEvent], dict[int, bytes], dict[Column, list[str]]]
"""Events, what they looked like, and the values that can be chosen of each column."""


class StoredEvents(QWidget):
    """A list of kept events, newest first, of the camera, kind, zone, class and time that are chosen."""

    said = pyqtSignal(str)

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._store: EventStore | None = None
        self._events: dict[int, StoredEvent] = {}
        self._choices: dict[Column, QComboBox] = {}
        texts: dict[Column, str] = {
            "camera": self.tr("&Camera"), "kind": self.tr("&Kind"), "name": self.tr("&Line or zone"),
            "class": self.tr("Cl&ass"),
        }  # fmt: skip
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        for column in COLUMNS:
            box = self._choices[column] = QComboBox()
            box.addItem(self.tr("all"), None)
            box.setAccessibleName(texts[column].replace("&", ""))
            box.currentIndexChanged.connect(self.search)
            form.addRow(texts[column], box)
        self._since = QComboBox()
        self._since.setAccessibleName(self.tr("Time"))
        for text, seconds in (
            (self.tr("last 24 hours"), DAY_S), (self.tr("last hour"), 3600), (self.tr("last 7 days"), 7 * DAY_S),
            (self.tr("all"), None),
        ):  # fmt: skip
            self._since.addItem(text, seconds)
        self._since.currentIndexChanged.connect(self.search)
        form.addRow(self.tr("&Time"), self._since)
        self._list = QListWidget()
        self._list.setAccessibleName(self.tr("Kept events"))
        self._list.setIconSize(QSize(*THUMBNAIL) * 0.6)
        self._list.setWordWrap(True)
        self._list.itemActivated.connect(self._activated)
        self._list.currentItemChanged.connect(lambda *_: self._update_buttons())
        self._none = QLabel(self.tr("Nothing of that was noticed."))
        self._none.setProperty("role", "quiet")
        self._play = QPushButton(self.tr("&Play the clip"))
        self._play.clicked.connect(self.play)
        self._keep = QPushButton(self.tr("Keep &for ever"))
        self._keep.setCheckable(True)
        self._keep.setToolTip(self.tr("Its recording is never deleted to make room"))
        self._keep.clicked.connect(self._mark)
        self._table = QPushButton(self.tr("Save as a &table"))
        self._table.clicked.connect(self._ask_for_table)
        buttons = QHBoxLayout()
        for button in (self._play, self._keep):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self._none)
        layout.addWidget(self._list, 1)
        layout.addLayout(buttons)
        layout.addWidget(self._table)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.search)
        self._busy = self._again = False
        self._update_buttons()

    def use_store(self, store: EventStore) -> None:
        """Search in this store from now on."""
        self._store = store
        self._timer.start(REFRESH_MS)
        self.search()

    @property
    def events(self) -> list[StoredEvent]:
        """Those listed, newest first."""
        return list(self._events.values())

    @property
    def wanted(self) -> EventSearch:
        """What is chosen."""
        camera, kind, name, label = (self._choices[column].currentData() for column in COLUMNS)
        seconds = self._since.currentData()
        since = None if seconds is None else time.time() - seconds
        return EventSearch(camera=camera, kind=kind, name=name, label=label, since=since)

    def choose(self, column: Column, value: str | None) -> None:
        """Have only events with this value listed; None for all."""
        box = self._choices[column]
        box.setCurrentIndex(max(0, box.findData(value)))

    def search(self) -> None:
        """List what is chosen, as it is now."""
        store, wanted = self._store, self.wanted
        if store is None or not self.isVisible():
            return
        if self._busy:
            self._again = True
            return
        self._busy = True
        self._background.run(lambda: _find(store, wanted), self._found, self._failed, owner=self, lane=LANE)

    def play(self) -> None:
        """Open the clip that shows the event."""
        event = self._current()
        if event is None or not event.clip:
            return
        if Path(event.clip).is_file():
            QDesktopServices.openUrl(QUrl.fromLocalFile(event.clip))
        else:
            self.said.emit(self.tr("{0} is no longer there").format(event.clip))

    def write_table(self, path: Path) -> None:
        """Write what is chosen as CSV, oldest first."""
        store, wanted = self._store, self.wanted
        if store is not None:
            self._background.run(
                lambda: store.write_csv(path, wanted),
                lambda count: self.said.emit(self.tr("{0} events saved in {1}").format(count, path)),
                lambda error: self.said.emit(str(error)),
                owner=self,
            )

    def showEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """List what came while nobody was looking."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.search()

    def _ask_for_table(self) -> None:
        folder = "" if self._store is None else str(self._store.path.with_name("events.csv"))
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Save as a table"), folder, "CSV (*.csv)")
        if path:
            self.write_table(Path(path))

    def _mark(self, on: bool) -> None:
        store, event = self._store, self._current()
        if store is not None and event is not None:
            self._background.run(
                lambda: store.mark(event.event, marked=on), lambda _: self.search(), self._failed, owner=self, lane=LANE
            )

    def _failed(self, error: Exception) -> None:
        self._busy = False
        self.said.emit(str(error))

    def _found(self, found: Found) -> None:
        self._busy = False
        events, thumbnails, values = found
        for column, box in self._choices.items():
            known = {box.itemData(row) for row in range(box.count())}
            for value in values[column]:
                if value not in known:
                    box.addItem(value, value)
        if list(self._events.values()) != events:
            self._list_events(events, thumbnails)
        if self._again:
            self._again = False
            self.search()

    def _list_events(self, events: Sequence[StoredEvent], thumbnails: dict[int, bytes]) -> None:
        current = self._current()
        place = self._list.verticalScrollBar()
        scrolled = place.value() if place is not None else 0
        self._events = {event.event: event for event in events}
        self._list.clear()
        for event in events:
            item = QListWidgetItem(_text_of(event))
            item.setData(Qt.ItemDataRole.UserRole, event.event)
            if event.event in thumbnails:
                pixels = QPixmap()
                pixels.loadFromData(thumbnails[event.event])
                item.setIcon(QIcon(pixels))
            self._list.addItem(item)
            if current is not None and current.event == event.event:
                self._list.setCurrentItem(item)
        if place is not None:
            place.setValue(scrolled)
        self._none.setVisible(not events)
        self._update_buttons()

    def _current(self) -> StoredEvent | None:
        item = self._list.currentItem()
        return None if item is None else self._events.get(item.data(Qt.ItemDataRole.UserRole))

    def _update_buttons(self) -> None:
        event = self._current()
        self._play.setEnabled(event is not None and bool(event.clip))
        self._keep.setEnabled(event is not None)
        self._keep.setChecked(event is not None and event.marked)
        self._table.setEnabled(self._store is not None)

    def _activated(self, _item: QListWidgetItem) -> None:
        self.play()


def _find(store: EventStore, wanted: EventSearch) -> Found:
    events = store.search(wanted, limit=MOST_LISTED)
    values = {column: sorted(store.values_of(column) - {""}) for column in COLUMNS}
    return events, store.thumbnails([event.event for event in events]), values


def _text_of(event: StoredEvent) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
    mark = "\N{BLACK STAR} " if event.marked else ""
    if event.kind in set(EventKind):
        rule = Event(EventKind(event.kind), event.name, 0.0, event.track, -1, event.value)
        text = describe_event(rule, event.label)
    else:
        text = f"{event.kind}: {event.name}" if event.name else event.kind
    return f"{mark}{text}\n{moment}  {event.camera}"
