"""What people corrected in a recording: keyframes and every correction; a double click goes to its frame."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from gui.recording.edit_commands import describe_edit
from gui.recording.store_reader import Overview
from gui.recording.timeline_layout import clock

__all__ = ["CorrectionsPanel"]

MOST_LISTED = 2000


class CorrectionsPanel(QWidget):
    """The keyframes by track and frame, and the corrections, the newest first; those undone are struck out."""

    jumped = pyqtSignal(int, int)
    """To a frame, with the track that is concerned, 0 for none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keyframes, self._edits = QListWidget(), QListWidget()
        self._shown: tuple[object, ...] = ()
        layout = QVBoxLayout(self)
        for words, listed in (
            (self.tr("Keyframes: boxes set by hand"), self._keyframes),
            (self.tr("Corrections"), self._edits),
        ):
            listed.setAccessibleName(words)
            listed.setUniformItemSizes(True)
            listed.itemActivated.connect(self._activated)
            title = QLabel(words)
            title.setProperty("role", "quiet")
            layout.addWidget(title)
            layout.addWidget(listed, 1)

    @property
    def keyframes(self) -> list[str]:
        """What is listed of keyframes."""
        return _texts(self._keyframes)

    @property
    def corrections(self) -> list[str]:
        """What is listed of corrections."""
        return _texts(self._edits)

    def show_overview(self, overview: Overview | None, time_of: Callable[[int], float]) -> None:
        """The corrections of a recording as it stands now."""
        keyframes = overview.keyframes[:MOST_LISTED] if overview is not None else ()
        texts = [
            self.tr("{0}, frame {1} ({2})").format(track, frame + 1, clock(time_of(frame), parts=2))
            for track, frame in keyframes
        ]  # compared too: the times are known later than the recording
        shown = (overview.keyframes, overview.edits, texts) if overview is not None else ()
        if shown == self._shown:
            return
        self._shown = shown
        self._keyframes.clear()
        self._edits.clear()
        if overview is None:
            return
        for words, (track, frame) in zip(texts, keyframes, strict=True):
            self._keyframes.addItem(_item(words, frame, track))
        for edit in reversed(overview.edits[-MOST_LISTED:]):
            frame = edit.details.get("frame", edit.details.get("first", -1))
            item = _item(describe_edit(edit), frame, edit.details.get("track") or 0)
            font = item.font()
            font.setStrikeOut(edit.undone)
            item.setFont(font)
            self._edits.addItem(item)

    def _activated(self, item: QListWidgetItem) -> None:
        frame, track = item.data(Qt.ItemDataRole.UserRole)
        if frame >= 0:
            self.jumped.emit(frame, track)


def _item(words: str, frame: int, track: int) -> QListWidgetItem:
    item = QListWidgetItem(words)
    item.setData(Qt.ItemDataRole.UserRole, (frame, track))
    return item


def _texts(listed: QListWidget) -> list[str]:
    items = (listed.item(row) for row in range(listed.count()))
    return [item.text() for item in items if item is not None]
