"""What lines and zones noticed in a recording, in order, each with a thumbnail of it; a double click goes there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QIcon, QPixmap
from PyQt6.QtWidgets import QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from gui.canvas.zoom_view import to_pixmap
from gui.recording.session import PlayedRecording
from gui.recording.thumbnails import THUMBNAIL, Thumbnailer, Wish
from gui.recording.timeline_layout import clock
from gui.rules.event_text import describe_event
from tracker.errors import FormatError
from tracker.store import Recording
from tracker.types import Event

__all__ = ["RecordedEvents"]

THUMBNAILS_MS = 250
MOST_LISTED = 5000


class RecordedEvents(QWidget):
    """The events of the recording that is open. Thumbnails are made of those that somebody looks at."""

    jumped = pyqtSignal(float)
    """To this time of the recording."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = QListWidget()
        self._list.setAccessibleName(self.tr("Events"))
        self._list.setIconSize(QSize(*THUMBNAIL))
        self._list.setUniformItemSizes(True)
        self._list.itemActivated.connect(self._activated)
        self._none = QLabel(self.tr("Draw a line or a zone; what happens at it is listed here."))
        self._none.setProperty("role", "quiet")
        self._none.setWordWrap(True)
        self._events: list[Event] = []
        self._icons: dict[Event, QIcon] = {}
        self._asked: set[Event] = set()
        self._thumbnailer: Thumbnailer[Event] | None = None
        blank = QPixmap(*THUMBNAIL)
        blank.fill(Qt.GlobalColor.transparent)
        self._blank = QIcon(blank)
        layout = QVBoxLayout(self)
        layout.addWidget(self._none)
        layout.addWidget(self._list, 1)
        self._timer = QTimer(self)
        self._timer.setInterval(THUMBNAILS_MS)
        self._timer.timeout.connect(self._exchange)

    @property
    def count(self) -> int:
        """Number of events listed."""
        return self._list.count()

    @property
    def thumbnail_count(self) -> int:
        """Number of events with a thumbnail."""
        return len(self._icons)

    def begin(self, recording: PlayedRecording | None) -> None:
        """Be about this recording, or none."""
        if self._thumbnailer is not None:
            self._thumbnailer.close()
            self._thumbnailer = None
        self._timer.stop()
        self.show_events([], ())
        if recording is not None:
            self._thumbnailer = Thumbnailer(recording.open_video, lambda event: _find(recording, event))
            self._timer.start()
            recording.hiding_changed.connect(self._drop_thumbnails)
            recording.renumbered.connect(self._thumbnailer.reopen)
            recording.renumbered.connect(self._drop_thumbnails)

    def show_events(self, events: Sequence[Event], labels: Sequence[str]) -> None:
        """These events; where they are those listed and more, the list stays where it is."""
        wanted = list(events[:MOST_LISTED])
        if wanted == self._events:
            return
        if wanted[: len(self._events)] != self._events:
            self._list.clear()
            self._events = []
            self._asked.clear()
            living = set(wanted)
            self._icons = {event: icon for event, icon in self._icons.items() if event in living}
        self._none.setVisible(not wanted)
        for number, event in enumerate(wanted[len(self._events) :], start=len(self._events)):
            label = labels[event.class_id] if 0 <= event.class_id < len(labels) else ""
            item = QListWidgetItem(f"{clock(event.time, parts=1)}  {describe_event(event, label)}")
            item.setIcon(self._icons.get(event, self._blank))
            item.setData(Qt.ItemDataRole.UserRole, number)
            self._list.addItem(item)
        self._events = wanted

    def _activated(self, item: QListWidgetItem) -> None:
        self.jumped.emit(self._events[item.data(Qt.ItemDataRole.UserRole)].time)

    def _drop_thumbnails(self) -> None:
        """Something is to be hidden, or no longer: thumbnails are made anew."""
        self._icons.clear()
        self._asked.clear()
        for row in range(self._list.count()):
            item = self._list.item(row)
            if item is not None:
                item.setIcon(self._blank)

    def _exchange(self) -> None:
        """Take the thumbnails that are ready, ask for those of the rows in sight."""
        viewport = self._list.viewport()
        if self._thumbnailer is None or viewport is None or not self._list.isVisible():
            return
        ready = self._thumbnailer.take()
        self._icons |= {event: QIcon(to_pixmap(pixels)) for event, pixels in ready.items()}
        first = self._list.indexAt(viewport.rect().topLeft()).row()
        if first < 0:
            return
        last = self._list.indexAt(viewport.rect().bottomLeft()).row()
        for row in range(first, (last if last >= 0 else len(self._events) - 1) + 1):
            event, item = self._events[row], self._list.item(row)
            if item is not None and event in self._icons:
                item.setIcon(self._icons[event])
            elif event not in self._asked:
                self._asked.add(event)
                self._thumbnailer.ask(event)


def _find(recording: PlayedRecording, event: Event) -> Wish | None:
    """Where the track is at that moment, or nearest to it; None where something is to be hidden."""
    if recording.hides:
        return None
    try:
        with Recording(recording.store) as store:
            rows = store.observations_of(event.track_id)
            frame = store.frame_shown_at(event.time)
    except FormatError:
        return None
    if not len(rows):
        return None
    nearest = int(np.argmin(np.abs(rows.frames - frame)))
    left, top, right, bottom = rows.boxes[nearest].tolist()
    return Wish(int(rows.frames[nearest]), (left, top, right, bottom))
