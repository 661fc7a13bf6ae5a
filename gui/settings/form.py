"""A form for every setting, made from the settings' classes: their docstrings are its tooltips.

A value that does not fit is marked at its field with the reason; what fits is reported at once. Only what differs from
the default is kept.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Literal

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.qt.icons import icon
from tracker.config import build, field_docs, parse_assignment
from tracker.errors import ConfigError
from tracker.factory import Settings, load_settings
from tracker.track.presets import PRESETS, tracker_config

__all__ = ["ConfigField", "ConfigForm"]

PRESET = "preset"
SETTLE_MS = 200


class ConfigField(QWidget):
    """One setting: its value, why it does not fit, and a way back to the default."""

    changed = pyqtSignal()

    def __init__(self, section: type[Any], name: str, hint: Any, default: Any, doc: str) -> None:
        super().__init__()
        self.name = name
        self._section = section
        self._hint = hint
        self._default = self._value = default
        self._problem = QLabel()
        self._problem.setProperty("role", "wrong")
        self._problem.setWordWrap(True)
        self._problem.hide()
        self._editor = self._make_editor()
        self._editor.setToolTip(doc)
        self._editor.setAccessibleName(name.replace("_", " "))
        self._editor.setAccessibleDescription(doc)
        self._back = QToolButton()
        self._back.setIcon(icon("undo"))
        self._back.setToolTip(self.tr("Back to the default: {0}").format(self._shown(default) or self.tr("none")))
        self._back.setAccessibleName(self.tr("Default of {0}").format(name.replace("_", " ")))
        self._back.clicked.connect(self.put_default)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._editor, 1)
        row.addWidget(self._back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addLayout(row)
        layout.addWidget(self._problem)
        self.put(default)

    @property
    def problem(self) -> str:
        """Why the value does not fit; empty where it does."""
        return self._problem.text()

    @property
    def editor(self) -> QWidget:
        """What is typed or chosen in."""
        return self._editor

    def value(self) -> Any:
        """What stands there, as plain values; None for nothing at all."""
        editor = self._editor
        if isinstance(editor, QCheckBox):
            return editor.isChecked()
        if isinstance(editor, QComboBox):
            return editor.currentData()
        assert isinstance(editor, QLineEdit)
        text = editor.text().strip()
        if not text and type(None) in typing.get_args(self._hint):
            return None
        origin = typing.get_origin(self._hint)
        if self._hint is str or (origin is tuple and not text.startswith("[")):
            return text
        return parse_assignment(f"value={text}")[1]

    def put(self, value: Any) -> None:
        """Show this value."""
        editor = self._editor
        editor.blockSignals(True)
        if isinstance(editor, QCheckBox):
            editor.setChecked(bool(value))
        elif isinstance(editor, QComboBox):
            editor.setCurrentIndex(max(editor.findData(value), 0))
        elif isinstance(editor, QLineEdit):
            editor.setText(self._shown(value))
        editor.blockSignals(False)
        self._edited()

    def put_default(self) -> None:
        """Show the default."""
        if self.differs():
            self.put(self._default)

    def change_default(self, default: Any) -> None:
        """Mean this by the default, and show it where the old one stood."""
        untouched, self._default = not self.differs(), default
        if untouched and self._value != default:
            self.put(default)
        self._back.setVisible(self.differs())

    def differs(self) -> bool:
        """Whether the value is another than the default."""
        return bool(self._value != self._default)

    def _make_editor(self) -> QWidget:
        if self._hint is bool:
            box = QCheckBox()
            box.toggled.connect(self._edited)
            return box
        if typing.get_origin(self._hint) is Literal:
            choice = QComboBox()
            for option in typing.get_args(self._hint):
                choice.addItem(str(option), option)
            choice.currentIndexChanged.connect(self._edited)
            return choice
        if set(typing.get_args(self._hint)) == {bool, type(None)}:
            choice = QComboBox()
            for words, chosen in ((self.tr("automatic"), None), (self.tr("yes"), True), (self.tr("no"), False)):
                choice.addItem(words, chosen)
            choice.currentIndexChanged.connect(self._edited)
            return choice
        line = QLineEdit()
        if type(None) in typing.get_args(self._hint):
            line.setPlaceholderText(self.tr("the network's own"))
        elif typing.get_origin(self._hint) is tuple:
            line.setPlaceholderText(self.tr("separated by commas"))
        line.textChanged.connect(self._edited)
        return line

    def _shown(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, tuple | list):
            if any(isinstance(item, tuple | list) for item in value):
                return str([list(item) for item in value])
            return ", ".join(map(str, value))
        short = f"{value:g}" if isinstance(value, float) else str(value)
        return short if not isinstance(value, float) or float(short) == value else repr(value)

    def _edited(self) -> None:
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        """Take the value as the settings do, or say why they refuse it."""
        plain = self.value()
        try:
            self._value, text = getattr(build(self._section, {self.name: plain}, ""), self.name), ""
        except ConfigError as error:
            self._value, text = plain, str(error).removeprefix(": ").removeprefix(f"{self.name}: ")
        self._back.setVisible(self.differs())
        self.mark(text)

    def mark(self, text: str) -> None:
        """Say why the value does not fit, or with nothing that it does."""
        if text == self._problem.text():
            return
        self._problem.setText(text)
        self._problem.setVisible(bool(text))
        self._editor.setProperty("invalid", "true" if text else "false")
        style = self._editor.style()
        if style is not None:
            style.unpolish(self._editor)
            style.polish(self._editor)


class ConfigForm(QWidget):
    """All settings in tabs, one for each section."""

    changed = pyqtSignal()
    """All values fit and some are new."""

    def __init__(self, tree: Mapping[str, Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields: dict[str, dict[str, ConfigField]] = {}
        self._marked: ConfigField | None = None
        self._preset = QComboBox()
        self._filter = QLineEdit()
        self._filter.setPlaceholderText(self.tr("Filter by name or meaning"))
        self._filter.setAccessibleName(self.tr("Filter by name or meaning"))
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._show_matching)
        self._problem = QLabel()
        self._problem.setProperty("role", "wrong")
        self._problem.setWordWrap(True)
        self._tabs = QTabWidget()
        self._tabs.setDocumentMode(True)
        self._forms: dict[str, QFormLayout] = {}
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._report)
        docs = field_docs(Settings)
        for name, section in typing.get_type_hints(Settings).items():
            if dataclasses.is_dataclass(section) and isinstance(section, type):
                self._add_section(name, section, docs.get(name, ""))
        layout = QVBoxLayout(self)
        layout.addWidget(self._filter)
        layout.addWidget(self._tabs, 1)
        layout.addWidget(self._problem)
        self.load(tree)

    def load(self, tree: Mapping[str, Any]) -> None:
        """Show these settings."""
        given = tree.get("tracker", {})
        tracker = {PRESET: given} if isinstance(given, str) else dict(given)
        self._preset.setCurrentIndex(max(self._preset.findData(tracker.pop(PRESET, "default")), 0))
        for section, fields in self.fields.items():
            values = tracker if section == "tracker" else tree.get(section, {})
            for name, field in fields.items():
                field.put_default()
                if name in values:
                    field.put(values[name])
        self._settle.stop()

    def tree(self) -> dict[str, Any]:
        """What differs from the defaults, as `load_settings` reads it."""
        tree: dict[str, Any] = {}
        for section, fields in self.fields.items():
            values = {name: field.value() for name, field in fields.items() if field.differs()}
            if section == "tracker" and self._preset.currentData() != "default":
                values = {PRESET: self._preset.currentData(), **values}
            if values:
                tree[section] = values
        return tree

    def problems(self) -> dict[str, str]:
        """Why values do not fit, by key such as `detector.conf`."""
        return {
            f"{section}.{name}": field.problem
            for section, fields in self.fields.items()
            for name, field in fields.items()
            if field.problem
        }

    def mark(self, key: str, text: str) -> bool:
        """Say at the field of that key, until something is changed, what is wrong; whether there is such a field."""
        section, _, name = key.partition(".")
        field = self.fields.get(section, {}).get(name)
        if field is not None:
            field.mark(text)
            self._marked = field
            self._tabs.setCurrentIndex(list(self.fields).index(section))
        return field is not None

    def reset(self) -> None:
        """All defaults."""
        self.load({})
        self._settle.start()

    def show_section(self, name: str) -> None:
        """Bring a section to the front."""
        if name in self.fields:
            self._tabs.setCurrentIndex(list(self.fields).index(name))

    def _add_section(self, name: str, section: type[Any], doc: str) -> None:
        body = QWidget()
        form = self._forms[name] = QFormLayout(body)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        if name == "tracker":
            for preset in PRESETS:
                self._preset.addItem(preset, preset)
            self._preset.setAccessibleName(self.tr("Preset"))
            self._preset.setToolTip(self.tr("The settings that all others below start from"))
            self._preset.currentIndexChanged.connect(self._preset_changed)
            form.addRow(self.tr("preset"), self._preset)
        hints, docs, defaults = typing.get_type_hints(section), field_docs(section), section()
        self.fields[name] = {}
        for item in dataclasses.fields(section):
            field = ConfigField(
                section, item.name, hints[item.name], getattr(defaults, item.name), docs.get(item.name, "")
            )
            field.changed.connect(self._settle.start)
            self.fields[name][item.name] = field
            label = QLabel(item.name.replace("_", " "))
            label.setToolTip(docs.get(item.name, ""))
            label.setBuddy(field.editor)
            form.addRow(label, field)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(body)
        number = self._tabs.addTab(area, name.capitalize())
        self._tabs.setTabToolTip(number, doc)

    def _preset_changed(self) -> None:
        config = tracker_config(self._preset.currentData() or "default", {})
        for name, field in self.fields.get("tracker", {}).items():
            field.change_default(getattr(config, name))
        self._settle.start()

    def _show_matching(self, text: str) -> None:
        words = text.casefold().strip()
        for number, (section, fields) in enumerate(self.fields.items()):
            any_shown = False
            for name, field in fields.items():
                meaning = f"{section}.{name} {name.replace('_', ' ')} {field.editor.toolTip()}".casefold()
                shown = words in meaning
                any_shown |= shown
                self._forms[section].setRowVisible(field, shown)
            self._tabs.setTabVisible(number, any_shown)

    def _report(self) -> None:
        self._problem.setText("")
        if self._marked is not None:
            self._marked.mark("")
            self._marked = None
        if self.problems():
            return
        try:
            load_settings(self.tree(), "settings")
        except ConfigError as error:
            self._problem.setText(str(error))
            return
        self.changed.emit()
