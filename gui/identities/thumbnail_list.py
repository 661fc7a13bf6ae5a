"""A list of small images with words below, as results and identities are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QIcon, QPixmap
from PyQt6.QtWidgets import QListView, QListWidget, QListWidgetItem, QWidget

from tracker.annotate.identities import Member

__all__ = ["Shown", "ThumbnailList"]

SIZE = QSize(96, 128)


@dataclass(frozen=True, slots=True)
class Shown:
    """A track to be shown."""

    member: Member
    words: str
    thumbnail: bytes
    """JPEG; empty where nothing may be shown."""


class ThumbnailList(QListWidget):
    """Images in rows that wrap; several can be selected."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setIconSize(SIZE)
        self.setGridSize(QSize(SIZE.width() + 16, SIZE.height() + 64))
        self.setWordWrap(True)
        self.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)

    def show_all(self, shown: Sequence[Shown]) -> None:
        """These, in their order."""
        self.clear()
        for each in shown:
            item = QListWidgetItem(each.words)
            item.setData(Qt.ItemDataRole.UserRole, each.member)
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            pixmap = QPixmap()
            if not each.thumbnail or not pixmap.loadFromData(each.thumbnail):
                pixmap = QPixmap(SIZE)
                pixmap.fill(Qt.GlobalColor.gray)
            item.setIcon(QIcon(pixmap))
            self.addItem(item)

    @property
    def members(self) -> list[Member]:
        """What is listed, in order."""
        items = (self.item(row) for row in range(self.count()))
        return [_member(item) for item in items if item is not None]

    @property
    def chosen(self) -> list[Member]:
        """What is selected."""
        return [_member(item) for item in self.selectedItems()]


def _member(item: QListWidgetItem) -> Member:
    return Member(*item.data(Qt.ItemDataRole.UserRole))
