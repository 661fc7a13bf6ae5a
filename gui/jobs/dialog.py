"""Asks what a job is to do: its kind, its few questions, and a line for all other options."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.jobs.kinds import JobKind, Question, arguments_of, job_kinds, results_of
from gui.jobs.queue import Jobs
from gui.qt.keyboard import order_buttons, order_tabs
from gui.qt.preferences import Preferences
from tracker.errors import ConfigError

__all__ = ["JobDialog"]


class JobDialog(QDialog):
    """Queues a job when it is accepted."""

    def __init__(self, jobs: Jobs, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("New job"))
        self._jobs = jobs
        self._preferences = preferences
        self._kinds = job_kinds()
        self._fields: dict[str, QLineEdit | QCheckBox] = {}
        self._kind = QComboBox()
        self._kind.setAccessibleName(self.tr("Kind of job"))
        for kind in self._kinds:
            self._kind.addItem(kind.title)
        self._holder = QVBoxLayout()
        self._form: QWidget | None = None
        self._options = QLineEdit()
        self._options.setAccessibleName(self.tr("More options"))
        self._command = QLabel()
        self._command.setProperty("role", "quiet")
        self._command.setWordWrap(True)
        self._problem = QLabel()
        self._problem.setProperty("role", "wrong")
        self._problem.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        start = QPushButton(self.tr("&Queue"))
        start.setDefault(True)
        buttons.addButton(start, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        more = QFormLayout()
        more.addRow(self.tr("More options"), self._options)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addWidget(self._kind)
        layout.addLayout(self._holder)
        layout.addLayout(more)
        layout.addWidget(self._command)
        layout.addWidget(self._problem)
        layout.addStretch(1)
        layout.addWidget(buttons)
        order_buttons(buttons)
        self._kind.currentIndexChanged.connect(self._fill)
        self._options.textChanged.connect(self._preview)
        self.resize(560, 460)
        self._fill()

    def choose(self, title: str, answers: Mapping[str, str]) -> None:
        """Begin with this kind and these answers, by option."""
        self._kind.setCurrentIndex(max(self._kind.findText(title), 0))
        for option, answer in answers.items():
            field = self._fields[option]
            if isinstance(field, QLineEdit):
                field.setText(answer)
            else:
                field.setChecked(answer == "true")

    def accept(self) -> None:
        """Queue the job, or say what is missing."""
        kind, answers = self._chosen(), self._answers()
        folder = self._preferences.folder()
        try:
            arguments = arguments_of(kind, answers, self._options.text())
        except ConfigError as error:
            self._problem.setText(str(error))
            return
        self._jobs.add(f"{kind.title}: {_brief(kind, answers)}", arguments, results_of(answers, folder))
        super().accept()

    def _chosen(self) -> JobKind:
        return self._kinds[self._kind.currentIndex()]

    def _answers(self) -> dict[str, str]:
        answers = {}
        for option, field in self._fields.items():
            answers[option] = field.text() if isinstance(field, QLineEdit) else ("true" if field.isChecked() else "")
        return answers

    def _fill(self) -> None:
        if self._form is not None:
            self._holder.removeWidget(self._form)
            self._form.hide()
            self._form.deleteLater()
        self._form = QWidget()
        form = QFormLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._fields = {}
        self._options.setPlaceholderText(self._chosen().example)
        for question in self._chosen().questions:
            if question.asked == "flag":
                box = QCheckBox(question.title)
                box.toggled.connect(self._preview)
                self._fields[question.option] = box
                form.addRow("", box)
            else:
                form.addRow(question.title, self._line(question))
        self._holder.addWidget(self._form)
        controls = self._form.findChildren(QWidget)
        order_tabs(self._kind, *(one for one in controls if isinstance(one, QLineEdit | QCheckBox | QPushButton)),
                   self._options)  # fmt: skip
        self._preview()

    def _line(self, question: Question) -> QWidget:
        edit = QLineEdit(question.default)
        edit.setAccessibleName(question.title)
        edit.setPlaceholderText(question.help)
        edit.setToolTip(question.help)
        edit.textChanged.connect(self._preview)
        self._fields[question.option] = edit
        if question.asked in ("text", "count", "number"):
            return edit
        browse = QPushButton(self.tr("Browse\N{HORIZONTAL ELLIPSIS}"))
        browse.setAutoDefault(False)
        browse.setAccessibleName(self.tr("Browse for {0}").format(question.title))
        browse.clicked.connect(lambda: self._browse(question, edit))
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(edit, 1)
        layout.addWidget(browse)
        return row

    def _browse(self, question: Question, edit: QLineEdit) -> None:
        start = self._preferences.text("last_folder")
        if question.asked == "folder":
            chosen = QFileDialog.getExistingDirectory(self, question.title, start)
            paths = [chosen] if chosen else []
        elif question.asked == "file":
            chosen, _ = QFileDialog.getOpenFileName(self, question.title, start)
            paths = [chosen] if chosen else []
        else:
            paths, _ = QFileDialog.getOpenFileNames(self, question.title, start)
        if paths:
            self._preferences.keep("last_folder", str(Path(paths[0]).parent))
            edit.setText(shlex.join(paths) if question.asked == "paths" else paths[0])

    def _preview(self) -> None:
        self._problem.setText("")
        try:
            arguments = arguments_of(self._chosen(), self._answers(), self._options.text())
        except ConfigError:
            self._command.setText("")
            return
        self._command.setText(f"sightline {shlex.join(arguments)}")
        self._make_room()

    def _make_room(self) -> None:
        """The command's lines never take the fields' room: the dialog grows instead."""
        layout = self.layout()
        if layout is not None:
            self.resize(self.width(), max(self.height(), layout.totalHeightForWidth(self.width())))


def _brief(kind: JobKind, answers: Mapping[str, str]) -> str:
    first = answers.get(kind.questions[0].option, "")
    parts = shlex.split(first) if kind.questions[0].asked == "paths" else [first]
    more = f" +{len(parts) - 1}" if len(parts) > 1 else ""
    return f"{Path(parts[0]).name}{more}" if parts else ""
