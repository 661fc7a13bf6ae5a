"""Every setting in a window of its own; what fits is used at once, also by sources that run."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QFileDialog, QLabel, QVBoxLayout, QWidget

from gui.engine.live_network import Engine
from gui.qt.keyboard import order_buttons
from gui.settings.form import ConfigForm
from tracker.commands.options import ABOUT_THE_RUN
from tracker.config import read_settings, to_toml
from tracker.errors import ConfigError

__all__ = ["SettingsDialog", "open_settings"]


class SettingsDialog(QDialog):
    """Edits the engine's settings, loads and saves them as TOML."""

    def __init__(self, engine: Engine, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Settings"))
        self._engine = engine
        self._applied = engine.tree
        self.form = ConfigForm(engine.tree)
        self._words = QLabel()
        self._words.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        for text, slot in (
            (self.tr("&Defaults"), self.form.reset),
            (self.tr("&Load\N{HORIZONTAL ELLIPSIS}"), self._load),
            (self.tr("&Save\N{HORIZONTAL ELLIPSIS}"), self._save),
        ):
            button = buttons.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
            assert button is not None
            button.setAutoDefault(False)
            button.clicked.connect(slot)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form, 1)
        layout.addWidget(self._words)
        layout.addWidget(buttons)
        order_buttons(buttons)
        self.form.changed.connect(self._apply)
        engine.changed.connect(self._follow)
        self.resize(620, 640)

    def _follow(self) -> None:
        """Show what was changed elsewhere, such as beside the frame."""
        if self._engine.tree != self._applied:
            self._applied = self._engine.tree
            self.form.load(self._applied)
        self._report(self._engine.problem, wrong=True)

    def _apply(self) -> None:
        self._applied = self.form.tree()
        try:
            self._engine.replace_all(self._applied)
        except ConfigError as error:
            key, _, why = str(error).partition(": ")
            marked = self.form.mark(key, why)
            self._report("" if marked else str(error), wrong=True)
            return
        self._report(self._engine.problem, wrong=True)

    def _load(self) -> None:
        kinds = self.tr("Settings (*.toml *.yaml *.yml)")
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Load settings"), "", kinds)
        if not path:
            return
        try:
            read = read_settings(Path(path))
            tree = {name: value for name, value in read.items() if name not in ABOUT_THE_RUN}
            self._engine.replace_all(tree)
        except ConfigError as error:
            self._report(str(error), wrong=True)
            return
        self.form.load(tree)

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Save settings"), "settings.toml", "TOML (*.toml)")
        if not path:
            return
        try:
            Path(path).write_text(to_toml(self._engine.settings), encoding="utf-8")
        except OSError as error:
            self._report(self.tr("{0} cannot be written: {1}").format(path, error.strerror), wrong=True)
            return
        self._report(self.tr("Saved {0}").format(path), wrong=False)

    def _report(self, text: str, *, wrong: bool) -> None:
        self._words.setText(text)
        self._words.setProperty("role", "wrong" if wrong else "quiet")
        style = self._words.style()
        if style is not None:
            style.polish(self._words)


def open_settings(engine: Engine, window: QWidget) -> None:
    """Every setting in a window of its own, of which there is one."""
    open_already = window.findChildren(SettingsDialog)
    dialog = open_already[0] if open_already else SettingsDialog(engine, window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()
