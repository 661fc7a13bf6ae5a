"""The jobs dock: what runs and waits, how far it is, its log and its curves."""

from __future__ import annotations

import shlex

from PyQt6.QtCore import Qt, QTimer, QUrl
from PyQt6.QtGui import QDesktopServices, QFontDatabase
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSplitter,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.jobs.charts import CurveChart, choose_curves
from gui.jobs.dialog import JobDialog
from gui.jobs.queue import Job, Jobs, JobState
from gui.qt.icons import dot
from gui.qt.preferences import Preferences
from gui.recording.timeline_layout import clock

__all__ = ["JobsPanel"]

DOTS = {
    JobState.WAITING: "#8d97a1",
    JobState.RUNNING: "#56b4e9",
    JobState.DONE: "#009e73",
    JobState.PARTLY: "#e69f00",
    JobState.FAILED: "#d55e00",
    JobState.KILLED: "#d55e00",
    JobState.CANCELLED: "#8d97a1",
}
REFRESH_MS = 1000


class JobsPanel(QWidget):
    """Lists jobs and shows the chosen one."""

    def __init__(self, jobs: Jobs, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self._preferences = preferences
        self._shown: Job | None = None
        self._list = QListWidget()
        self._list.setAccessibleName(self.tr("Jobs"))
        self._list.currentRowChanged.connect(self._choose)
        self._new = QPushButton(self.tr("&New job\N{HORIZONTAL ELLIPSIS}"))
        self._new.clicked.connect(self.ask)
        self._cancel = QPushButton(self.tr("&Cancel"))
        self._cancel.clicked.connect(self._cancel_shown)
        self._clear = QPushButton(self.tr("Clear &ended"))
        self._clear.clicked.connect(self._clear_ended)
        self.results_button = QToolButton()
        self.results_button.setText(self.tr("Open &results"))
        self.results_button.clicked.connect(self._open_results)
        self.again_button = QToolButton()
        self.again_button.setText(self.tr("&Try again"))
        self.again_button.clicked.connect(lambda: self._repeat(resume=False))
        self.resume_button = QToolButton()
        self.resume_button.setText(self.tr("&Resume"))
        self.resume_button.setToolTip(self.tr("Goes on with the training from its last whole state"))
        self.resume_button.clicked.connect(lambda: self._repeat(resume=True))
        for button in (self._new, self._cancel, self._clear):
            button.setAutoDefault(False)
        self._words = QLabel(self.tr("Annotate archives, train, export and evaluate here, one job after the other."))
        self._words.setProperty("role", "quiet")
        self._words.setWordWrap(True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(self.tr("Progress"))
        self._log = QPlainTextEdit()
        self._log.setReadOnly(True)
        self._log.setAccessibleName(self.tr("Log"))
        self._log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._log.setMaximumBlockCount(2000)
        self._log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._losses, self._measures = CurveChart(self.tr("Losses")), CurveChart(self.tr("Measures"))
        self._build()
        jobs.added.connect(self._added)
        jobs.changed.connect(self._changed)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._refresh)
        self._timer.start(REFRESH_MS)
        self._refresh()

    @property
    def shown(self) -> Job | None:
        """The job whose log is shown."""
        return self._shown

    @property
    def words(self) -> str:
        """What is reported about the job that is shown."""
        return self._words.text()

    @property
    def tooltips(self) -> list[str]:
        """The whole command of each job, and where its results are."""
        items = (self._list.item(row) for row in range(self._list.count()))
        return [item.toolTip() for item in items if item is not None]

    def ask(self, kind: str = "", answers: dict[str, str] | None = None) -> None:
        """Ask what the next job is."""
        dialog = JobDialog(self._jobs, self._preferences, self)
        if kind:
            dialog.choose(kind, answers or {})
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def show_curves_tab(self) -> None:
        """Bring the curves to the front."""
        self._tabs.setCurrentIndex(1)

    def _build(self) -> None:
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self._new, self._cancel, self._clear):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column.addLayout(buttons)
        column.addWidget(self._list, 1)
        curves = QWidget()
        row = QHBoxLayout(curves)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._losses)
        row.addWidget(self._measures)
        self._tabs = QTabWidget()
        self._tabs.setDocumentMode(True)
        self._tabs.addTab(self._log, self.tr("Log"))
        self._tabs.addTab(curves, self.tr("Curves"))
        corner = QWidget()
        offers = QHBoxLayout(corner)
        offers.setContentsMargins(0, 0, 0, 0)
        for offer in (self.results_button, self.again_button, self.resume_button):
            offers.addWidget(offer)
        self._tabs.setCornerWidget(corner)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._words)
        column.addWidget(self._bar)
        column.addWidget(self._tabs, 1)
        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.addWidget(left)
        split.addWidget(right)
        split.setSizes([330, 700])
        layout = QHBoxLayout(self)
        layout.addWidget(split)

    def _added(self, job: Job) -> None:
        item = QListWidgetItem(job.title)
        item.setToolTip(_tooltip(job))
        self._list.addItem(item)
        self._list.setCurrentItem(item)
        job.logged.connect(lambda line: self._logged(job, line))
        self._refresh()

    def _changed(self, job: Job) -> None:
        if job is self._shown:
            if job.curves and not self._measures.accessibleDescription():
                self.show_curves_tab()
            self._show_curves(job)
        self._refresh()

    def _logged(self, job: Job, line: str) -> None:
        if job is self._shown:
            self._log.appendPlainText(line)

    def _choose(self, row: int) -> None:
        self._shown = self._jobs.all[row] if 0 <= row < len(self._jobs.all) else None
        self._log.setPlainText("\n".join(self._shown.log) if self._shown is not None else "")
        if self._shown is not None:
            self._show_curves(self._shown)
        self._refresh()

    def _show_curves(self, job: Job) -> None:
        self._losses.show_curves(choose_curves(job.curves, losses=True))
        self._measures.show_curves(choose_curves(job.curves, losses=False))

    def _cancel_shown(self) -> None:
        if self._shown is not None:
            self._shown.cancel()

    def _open_results(self) -> None:
        job = self._shown
        if job is not None and job.results is not None:
            folder = job.results if job.results.is_dir() else job.results.parent
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def _repeat(self, *, resume: bool) -> None:
        if self._shown is not None:
            self._jobs.again(self._shown, resume=resume)

    def _clear_ended(self) -> None:
        self._jobs.remove_ended()
        self._list.clear()
        for job in self._jobs.all:
            item = QListWidgetItem(job.title)
            item.setToolTip(_tooltip(job))
            self._list.addItem(item)
        self._list.setCurrentRow(self._list.count() - 1)

    def _refresh(self) -> None:
        for row, job in enumerate(self._jobs.all):
            item = self._list.item(row)
            if item is not None:
                text = f"{job.title}\n{self._state_words(job)}"
                if item.text() != text:
                    item.setText(text)
                    item.setIcon(dot(DOTS[job.state]))
        self._refresh_shown(self._shown)

    def _refresh_shown(self, job: Job | None) -> None:
        running = job is not None and job.state in (JobState.RUNNING, JobState.WAITING)
        self._cancel.setEnabled(running)
        self._clear.setEnabled(any(not one.active and one.state is not JobState.WAITING for one in self._jobs.all))
        self._bar.setVisible(job is not None and job.active)
        ended = job is not None and not running and not job.active
        self.results_button.setVisible(ended and job is not None and job.results is not None and job.results.exists())
        self.again_button.setVisible(ended and job is not None and job.state is not JobState.DONE)
        trained = job is not None and job.arguments[:1] == ["train"] and job.state is not JobState.DONE
        self.resume_button.setVisible(ended and trained and job is not None and job.results is not None)
        if job is None:
            return
        self._words.setText(self._long_words(job))
        self._bar.setRange(0, job.reading.total)
        self._bar.setValue(job.reading.done)

    def _state_words(self, job: Job) -> str:
        words = {
            JobState.WAITING: self.tr("waits"),
            JobState.RUNNING: self.tr("runs, {0}").format(clock(job.seconds)),
            JobState.DONE: self.tr("done"),
            JobState.PARTLY: self.tr("done in part"),
            JobState.KILLED: self.tr("killed"),
            JobState.FAILED: self.tr("failed"),
            JobState.CANCELLED: self.tr("cancelled"),
        }[job.state]
        reading = job.reading
        if job.state is JobState.RUNNING and reading.total:
            words = self.tr("{0} %").format(100 * reading.done // reading.total)
            if reading.seconds_left is not None:
                words += self.tr(", {0} left").format(clock(reading.seconds_left))
        return words

    def _long_words(self, job: Job) -> str:
        if job.state in (JobState.FAILED, JobState.KILLED, JobState.PARTLY, JobState.DONE):
            words = job.ending or self._state_words(job)
            there = job.results is not None and job.results.exists()
            return f"{words}\n{job.results}" if there else words
        if job.reading.words:
            return f"{job.reading.words}  {self._state_words(job)}"
        return self._state_words(job)


def _tooltip(job: Job) -> str:
    """The whole command, and where its results are."""
    command = f"sightline {shlex.join(job.arguments)}"
    return command if job.results is None else f"{command}\n{job.results}"
