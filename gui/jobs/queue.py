"""Jobs: commands of our own command line as processes, one after the other, with progress, curves, log and cancel."""

from __future__ import annotations

import csv
import json
import math
import os
import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, pyqtSignal

from gui.qt.background import NICENESS
from tracker.overlay import OverlayConfig

__all__ = ["Curves", "Job", "JobState", "Jobs", "hiding_variables", "read_curves"]

PROGRAM = ("-m", "tracker")
HOME = Path(__file__).parents[2]
"""Where the packages lie."""
LOG_LINES = 2000
KILL_MS = 1500
CURVES_MS = 2000
DAMAGED = 3
"""Exit code of a command that came to its end though its input was damaged."""
ENDINGS = {2: "refused", DAMAGED: "done, but the input was damaged", 130: "interrupted"}

Curves = Mapping[str, list[tuple[float, float]]]
"""Points (epoch, value) by the name of the column."""


class JobState(Enum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    PARTLY = "partly"
    """Done, but some files failed or were damaged."""
    FAILED = "failed"
    KILLED = "killed"
    """By the system or somebody else, not from this window."""
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Reading:
    """How far a job is."""

    words: str = ""
    done: int = 0
    total: int = 0
    """0 while unknown."""
    seconds_left: float | None = None


class Job(QObject):
    """One command. `results` is the file or folder that it writes; training keeps its table there."""

    changed = pyqtSignal()
    logged = pyqtSignal(str)

    def __init__(self, title: str, arguments: Sequence[str], results: Path | None, parent: QObject | None) -> None:
        super().__init__(parent)
        self.title = title
        self.arguments = list(arguments)
        self.results = results
        self.state = JobState.WAITING
        self.reading = Reading()
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.curves: Curves = {}
        self.ending = ""
        """How it ended, in words."""
        self.files_ended = self.files_failed = 0
        self._began = 0.0
        self._marks: deque[tuple[float, float]] = deque(maxlen=20)
        self._partial = {"out": "", "err": ""}
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(lambda: self._read("out"))
        self._process.readyReadStandardError.connect(lambda: self._read("err"))
        self._process.started.connect(self._step_back)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._broke)
        self._curves_timer = QTimer(self)
        self._curves_timer.timeout.connect(self._read_curves)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began if self._began else 0.0

    def start(self, folder: Path, variables: Mapping[str, str]) -> None:
        """Begin, with `folder` as the place that relative paths are meant from, and variables for the command."""
        self.state = JobState.RUNNING
        self._began = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.state = JobState.FAILED
            self.ending = self.tr("{0}: {1}; choose another folder for recordings").format(folder, error.strerror)
            self.changed.emit()
            return
        self._process.setWorkingDirectory(str(folder))
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONPATH", os.pathsep.join(filter(None, [str(HOME), environment.value("PYTHONPATH")])))
        for name, value in variables.items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._say(f"$ sightline {shlex.join(self.arguments)}")
        for name, value in variables.items():
            self._say(f"with {name}={value}")
        self._process.start(sys.executable, [*PROGRAM, *self.arguments])
        if self.results is not None:
            self._curves_timer.start(CURVES_MS)
        self.changed.emit()

    def cancel(self) -> None:
        """Interrupt it as Ctrl-C would; what it has written stays whole."""
        if self.state is JobState.WAITING:
            self.state = JobState.CANCELLED
            self.changed.emit()
        elif self.state is JobState.RUNNING:
            self.state = JobState.CANCELLED
            self.reading.words = self.tr("ending")
            pid = self._process.processId()
            if pid and hasattr(os, "killpg"):
                os.kill(pid, signal.SIGINT)
            else:
                self._process.kill()
            QTimer.singleShot(KILL_MS, self._process.kill)
            self.changed.emit()

    def kill(self, timeout_ms: int) -> None:
        """End it now: the window closes."""
        if self._process.state() != QProcess.ProcessState.NotRunning:
            self.state = JobState.CANCELLED
            self._process.blockSignals(True)
            self._process.kill()
            self._process.waitForFinished(timeout_ms)

    @property
    def pid(self) -> int:
        """Of its process, 0 where there is none."""
        return int(self._process.processId() or 0)

    @property
    def active(self) -> bool:
        """Whether its process is there."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def _step_back(self) -> None:
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, self._process.processId(), NICENESS)

    def _read(self, stream: str) -> None:
        raw = self._process.readAllStandardOutput() if stream == "out" else self._process.readAllStandardError()
        text = self._partial[stream] + bytes(raw.data()).decode(errors="replace")
        *lines, self._partial[stream] = text.replace("\r", "\n").split("\n")
        for line in lines:
            self._take(line)

    def _take(self, line: str) -> None:
        if not line.strip():
            return
        if line.startswith("{"):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, dict):
                self._take_progress(row)
                return
        self._say(line)

    def _take_progress(self, row: Mapping[str, Any]) -> None:
        reading = self.reading
        name = str(row.get("file") or row.get("source") or "")
        frames, total = row.get("frames"), row.get("total")
        if "status" in row:
            note = f": {row['note']}" if row.get("note") else ""
            self.files_ended += 1
            self.files_failed += row["status"] == "failed"
            self._say(f"{name}  {row['status']}{note}")
            reading.words = self.tr("{0} files left").format(row.get("files_left", 0))
            self._marks.clear()
        elif isinstance(frames, int):
            reading.words = f"{name}  {row.get('stage', '')}".strip()
            reading.done, reading.total = frames, total if isinstance(total, int) else 0
            left = row.get("seconds_left")
            reading.seconds_left = float(left) if isinstance(left, int | float) else self._left(frames, reading.total)
        self.changed.emit()

    def _left(self, done: int, total: int) -> float | None:
        now = time.monotonic()
        if self._marks and self._marks[-1][1] > done:
            self._marks.clear()
        self._marks.append((now, float(done)))
        span, steps = now - self._marks[0][0], done - self._marks[0][1]
        return (total - done) * span / steps if total and steps > 0 and span > 0.5 else None

    def _say(self, line: str) -> None:
        self.log.append(line)
        self.logged.emit(line)

    def _read_curves(self) -> None:
        if self.results is None:
            return
        curves = read_curves(self.results / "results.csv")
        if curves and curves != self.curves:
            self.curves = curves
            self._count_epochs()
            self.changed.emit()

    def _count_epochs(self) -> None:
        """Progress of a training, whose command line says how many epochs there will be."""
        if "--epochs" not in self.arguments[:-1]:
            return
        total = self.arguments[self.arguments.index("--epochs") + 1]
        done = max((points[-1][0] for points in self.curves.values()), default=0.0)
        if total.isdecimal() and done:
            self.reading.done, self.reading.total = int(done), int(total)
            self.reading.words = self.tr("epoch {0} of {1}").format(int(done), total)
            self.reading.seconds_left = max(0.0, (int(total) - done) * self.seconds / done)

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        for stream in ("out", "err"):
            self._read(stream)
            self._take(self._partial[stream])
            self._partial[stream] = ""
        self._curves_timer.stop()
        self._read_curves()
        if self.state is not JobState.CANCELLED:
            crashed = status == QProcess.ExitStatus.CrashExit
            if crashed:
                self.state, self.ending = JobState.KILLED, self.tr("killed by signal {0}").format(code)
            else:
                failed = JobState.PARTLY if code == DAMAGED or self.files_failed < self.files_ended else JobState.FAILED
                self.state = JobState.DONE if code == 0 and not self.files_failed else failed
                known = ENDINGS.get(code, self.tr("exit code {0}").format(code)) if code else ""
                self.ending = known if code in (0, DAMAGED) or not self.log else self.log[-1]
            if self.files_failed:
                words = self.tr("{0} of {1} files failed; the log says why")
                self.ending = words.format(self.files_failed, self.files_ended)
        self.reading.words, self.reading.seconds_left = "", None
        self.changed.emit()

    def _broke(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.state = JobState.FAILED
            self.ending = self._process.errorString()
            self.changed.emit()


class Jobs(QObject):
    """All jobs of this window; one runs, the others wait their turn.

    `variables` are those of the environment that a job begins with, beside the window's own.
    """

    added = pyqtSignal(object)
    changed = pyqtSignal(object)

    def __init__(
        self,
        folder: Callable[[], Path],
        parent: QObject | None = None,
        *,
        variables: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        super().__init__(parent)
        self._folder = folder
        self._variables = variables
        self.all: list[Job] = []

    def add(self, title: str, arguments: Sequence[str], results: Path | None = None) -> Job:
        """Queue a command; it begins when those before it have ended."""
        job = Job(title, arguments, results, self)
        self.all.append(job)
        job.changed.connect(lambda: self._changed(job))
        self.added.emit(job)
        self._next()
        return job

    def again(self, job: Job, *, resume: bool = False) -> Job:
        """Queue the same command once more; with `resume` it goes on from where the training stood."""
        more = ["--resume"] if resume and "--resume" not in job.arguments else []
        return self.add(job.title, [*job.arguments, *more], job.results)

    def remove_ended(self) -> None:
        """Forget jobs that are over."""
        for job in [
            job for job in self.all if job.state not in (JobState.WAITING, JobState.RUNNING) and not job.active
        ]:
            self.all.remove(job)
            job.deleteLater()

    @property
    def busy(self) -> bool:
        """Whether any job runs or waits."""
        return any(job.active or job.state is JobState.WAITING for job in self.all)

    def close(self, timeout_s: float) -> None:
        """End all now."""
        deadline = time.monotonic() + timeout_s
        for job in self.all:
            if job.state is JobState.WAITING:
                job.state = JobState.CANCELLED
        for job in self.all:
            job.kill(max(1, round(1000 * (deadline - time.monotonic()))))

    def _changed(self, job: Job) -> None:
        self.changed.emit(job)
        self._next()

    def _next(self) -> None:
        if any(job.active or job.state is JobState.RUNNING for job in self.all):
            return
        waiting = next((job for job in self.all if job.state is JobState.WAITING), None)
        if waiting is not None:
            waiting.start(self._folder(), self._variables())


def hiding_variables(overlay: OverlayConfig) -> dict[str, str]:
    """The variables by which a command hides what the window's settings hide, or refuses where it cannot.

    >>> hiding_variables(OverlayConfig(blur_classes=("person",)))
    {'SIGHTLINE_OVERLAY_BLUR_CLASSES': '["person"]'}
    """
    hidden = {"CLASSES": overlay.blur_classes, "REGIONS": overlay.blur_regions}
    return {
        f"SIGHTLINE_OVERLAY_BLUR_{name}": json.dumps(value, ensure_ascii=False)
        for name, value in hidden.items()
        if value
    }


def read_curves(path: Path) -> Curves:
    """The columns of a training's table; empty where there is none yet. Lines cut short are left out.

    Where a folder was trained into again, these are the curves of the last time.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, csv.Error, UnicodeDecodeError):
        return {}
    curves: dict[str, list[tuple[float, float]]] = {}
    last = (-1.0, 0.0)
    for row in rows:
        numbers = {name: _number(text) for name, text in row.items() if name is not None}
        epoch = numbers.pop("epoch", None)
        if epoch is None:
            continue
        place = (epoch, numbers.pop("step", None) or 0.0)
        if place <= last:  # the same folder was trained into anew
            curves.clear()
        last = place
        for name, value in numbers.items():
            if value is not None and name != "minutes":
                curves.setdefault(name, []).append((epoch, value))
    return curves


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
