"""The images of a folder by their names; a click goes to one, and the one shown is marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QLabel, QListWidget, QVBoxLayout, QWidget

from tracker.errors import TrackerError
from tracker.video.image_source import ImageSource

__all__ = ["ImageList", "images_of"]


def images_of(source: Path) -> list[str]:
    """Names of a folder's images, frame by frame; empty for a video or what cannot be read."""
    if not source.is_dir():
        return []
    try:
        images = ImageSource(source)
    except TrackerError:
        return []
    return [path.name for path in images.paths]


class ImageList(QWidget):
    """The images of the folder that is open."""

    chosen = pyqtSignal(int)
    """The frame of an image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = QListWidget()
        self._list.setAccessibleName(self.tr("Images"))
        self._list.setUniformItemSizes(True)
        self._list.currentRowChanged.connect(self._choose)
        self._none = QLabel(self.tr("The images of a folder are listed here."))
        self._none.setProperty("role", "quiet")
        self._none.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self._none)
        layout.addWidget(self._list, 1)

    @property
    def names(self) -> list[str]:
        """What is listed."""
        items = (self._list.item(row) for row in range(self._list.count()))
        return [item.text() for item in items if item is not None]

    @property
    def current(self) -> int:
        """The frame that is marked, -1 for none."""
        return self._list.currentRow()

    def show_images(self, names: Sequence[str]) -> None:
        """List these images, frame by frame."""
        self._list.blockSignals(True)
        self._list.clear()
        self._list.addItems(list(names))
        self._list.blockSignals(False)
        self._none.setVisible(not names)

    def mark(self, frame: int) -> None:
        """This image is shown."""
        if 0 <= frame < self._list.count() and frame != self._list.currentRow():
            self._list.blockSignals(True)
            self._list.setCurrentRow(frame)
            self._list.blockSignals(False)

    def _choose(self, row: int) -> None:
        if row >= 0:
            self.chosen.emit(row)
