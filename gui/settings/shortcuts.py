"""All keys in one table: what they do, where, and another key where one is wanted. Keys taken twice are marked."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.qt.commands import Commands

__all__ = ["ShortcutsEditor"]


class ShortcutsEditor(QDialog):
    """Lists and changes keys."""

    def __init__(self, commands: Commands, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keys"))
        self._commands = commands
        self._filter = QLineEdit()
        self._filter.setPlaceholderText(self.tr("Filter"))
        self._filter.setAccessibleName(self.tr("Filter"))
        self._filter.textChanged.connect(self._fill)
        self._table = QTableWidget(0, 3)
        self._table.setAccessibleName(self.tr("Keys"))
        self._table.setHorizontalHeaderLabels([self.tr("Action"), self.tr("Where"), self.tr("Keys")])
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setTabKeyNavigation(False)
        self._table.setShowGrid(False)
        header, rows = self._table.horizontalHeader(), self._table.verticalHeader()
        assert header is not None
        assert rows is not None
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        rows.hide()
        self._table.itemSelectionChanged.connect(self._selected)
        self._edit = QKeySequenceEdit()
        self._edit.setAccessibleName(self.tr("New key"))
        self._edit.setMaximumSequenceLength(1)
        self._use = QPushButton(self.tr("&Use this key"))
        self._use.clicked.connect(self._apply)
        self._reset = QPushButton(self.tr("&Default"))
        self._reset.clicked.connect(self._default)
        self._warning = QLabel()
        self._warning.setProperty("role", "wrong")
        self._warning.setWordWrap(True)
        row = QHBoxLayout()
        for widget in (self._edit, self._use, self._reset):
            row.addWidget(widget)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self._filter)
        layout.addWidget(self._table, 1)
        layout.addLayout(row)
        layout.addWidget(self._warning)
        layout.addWidget(buttons)
        self.resize(560, 560)
        self._fill()

    @property
    def warning(self) -> str:
        """What is taken twice, in words."""
        return self._warning.text()

    def change(self, name: str, key: str) -> None:
        """Give a command another key."""
        self._commands.change_keys(name, [key] if key else [])
        self._fill()

    def _fill(self) -> None:
        wanted = self._filter.text().casefold()
        twice = self._commands.conflicts()
        names = {name for users in twice.values() for name in users}
        chosen = self._name()
        shown = [
            command for command in self._commands.all() if wanted in command.action.text().replace("&", "").casefold()
        ]
        places = {"window": self.tr("everywhere"), "live": self.tr("live"), "recording": self.tr("recording")}
        self._table.setRowCount(len(shown))
        for row, command in enumerate(shown):
            keys = ", ".join(
                QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
                for key in self._commands.keys_of(command.name)
            )
            where = places.get(command.scope, command.scope)
            for column, text in enumerate((command.action.text().replace("&", ""), where, keys)):
                item = QTableWidgetItem(text)
                item.setData(Qt.ItemDataRole.UserRole, command.name)
                if column == 2 and command.name in names:
                    item.setForeground(self.palette().color(self.palette().ColorRole.BrightText))
                self._table.setItem(row, column, item)
            if command.name == chosen:
                self._table.selectRow(row)
        texts = {command.name: command.action.text().replace("&", "") for command in self._commands.all()}
        self._warning.setText(
            "\n".join(
                self.tr("{0} is taken by: {1}").format(key, ", ".join(texts[name] for name in users))
                for key, users in twice.items()
            )
        )

    def _name(self) -> str:
        items = self._table.selectedItems()
        return str(items[0].data(Qt.ItemDataRole.UserRole)) if items else ""

    def _selected(self) -> None:
        name = self._name()
        if name:
            keys = self._commands.keys_of(name)
            self._edit.setKeySequence(QKeySequence(keys[0]) if keys else QKeySequence())

    def _apply(self) -> None:
        name = self._name()
        if name:
            self.change(name, self._edit.keySequence().toString())

    def _default(self) -> None:
        name = self._name()
        if name:
            self._commands.change_keys(name, None)
            self._fill()
