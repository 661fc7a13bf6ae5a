"""What is wrong with a damaged recording, whole, and what can be done about it, where it is shown."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

__all__ = ["RepairBar"]


class RepairBar(QWidget):
    """Words over two buttons; hidden while nothing is damaged."""

    again = pyqtSignal(Path)
    """Annotate this store's video again."""
    copy_chosen = pyqtSignal(Path, Path)
    """Put in place of this store that copy of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = Path()
        self._words = QLabel()
        self._words.setProperty("role", "wrong")
        self._words.setWordWrap(True)
        self._words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.annotate_again = QPushButton(self.tr("Annotate &again"))
        self.annotate_again.setToolTip(self.tr("Begins anew; the damaged file is kept beside it, as .damaged"))
        self.annotate_again.clicked.connect(lambda: self.again.emit(self._store))
        self.restore = QPushButton(self.tr("&Restore copy") + "\N{HORIZONTAL ELLIPSIS}")
        self.restore.setToolTip(self.tr("Puts a sound copy in its place; the damaged file is kept, as .damaged"))
        self.restore.clicked.connect(self._choose)
        row = QHBoxLayout()
        for button in (self.annotate_again, self.restore):
            row.addWidget(button)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 4, 10, 4)
        layout.addWidget(self._words)
        layout.addLayout(row)
        self.hide()

    @property
    def words(self) -> str:
        """What is reported."""
        return self._words.text()

    def show_damage(self, words: str, store: Path) -> None:
        """Tell what is wrong with a store."""
        self._store = store
        self._words.setText(words)
        self.show()

    def _choose(self) -> None:
        copy, _ = QFileDialog.getOpenFileName(
            self, self.tr("A copy of the recording"), str(self._store.parent), self.tr("Recordings (*.sqlite*)")
        )
        if copy:
            self.copy_chosen.emit(self._store, Path(copy))
