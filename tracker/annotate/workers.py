"""Recordings spread over processes: one that breaks, or takes its process down, does not stop the others."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from tracker.annotate.plan import AnnotateRequest, Progressing
from tracker.annotate.recordings import RecordingJob, legible
from tracker.annotate.run import FileReport, Reading, annotate_recording
from tracker.ending import HeldSignals, raise_if_interrupted
from tracker.errors import CheckpointError, ConfigError, TrackerError
from tracker.video.address import redact_within

__all__ = [
    "Listener",
    "PipeLogHandler",
    "WorkerLog",
    "WorkerProgress",
    "annotate_all",
    "attempt",
    "failure",
    "log_once",
]

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""How often a recording may take its process down; the second attempt goes on where the first one died."""
PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class WorkerProgress:
    """What one worker is at."""

    worker: int
    name: str
    stage: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class WorkerLog:
    """A line a worker would have logged."""

    level: int
    text: str


Listener = Callable[[WorkerProgress | FileReport | None], None]
"""Hears what workers do and what became of recordings; None now and then when there is nothing to tell."""


def annotate_all(
    jobs: Sequence[RecordingJob], request: AnnotateRequest, *, workers: int, listen: Listener
) -> list[FileReport]:
    """What became of every recording, in the order of the jobs.

    Raises CheckpointError or ConfigError when the network or the settings are at fault, which no recording survives.
    """
    crew = _WorkerPool(jobs, request, min(workers, len(jobs)))
    reports: dict[int, FileReport] = {}
    try:
        for row, message in crew.run():
            if isinstance(message, FileReport):
                reports[row] = message
            listen(message)
    finally:
        crew.terminate()
    return [reports[row] for row in range(len(jobs))]


def attempt(
    job: RecordingJob, request: AnnotateRequest, report: Progressing, *, read: Reading | None = None
) -> FileReport:
    """What became of one recording; only errors that every recording would meet are raised."""
    try:
        return annotate_recording(job, request, report, read=read)
    except (CheckpointError, ConfigError):
        raise
    except TrackerError as error:
        return failure(job, str(error))
    except Exception as error:  # noqa: BLE001 - the worker's main: an unforeseen fault must not stop the others
        log.error("%s: %s", job.name, traceback.format_exc())
        return failure(job, f"unforeseen {type(error).__name__}: {error}")


def failure(job: RecordingJob, reason: str) -> FileReport:
    """The report of a recording that could not be annotated."""
    return FileReport(job.name, "failed", redact_within(legible(" ".join(reason.split()))))


class PipeLogHandler(logging.Handler):
    """Hands what a worker logs, and whatever else it has to report, to the one who asked; from any thread."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        super().__init__()
        self._send = send

    def send(self, message: Any) -> None:
        """Send it; two threads never at once."""
        self.acquire()
        try:
            self._send(message)
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        self.send(WorkerLog(record.levelno, self.format(record)))


def log_once(message: WorkerLog, said: set[str]) -> None:
    """Log a worker's line unless it is among those `said` already: a thousand recordings lose the same things."""
    if message.text not in said:
        said.add(message.text)
        log.log(message.level, "%s", message.text)


@dataclass(slots=True)
class _Worker:
    number: int
    process: BaseProcess
    pipe: Connection
    row: int | None = None
    """The job it is at."""


class _WorkerPool:
    """The worker processes and what they are at."""

    def __init__(self, jobs: Sequence[RecordingJob], request: AnnotateRequest, count: int) -> None:
        self._jobs, self._orders = jobs, request
        self._context = multiprocessing.get_context("spawn")
        self._waiting = deque(range(len(jobs)))
        self._attempts = [0] * len(jobs)
        self._said: set[str] = set()
        self._workers = [self._hire(number) for number in range(count)]

    def run(self) -> Iterator[tuple[int, WorkerProgress | FileReport | None]]:
        """Each job's row with what is reported of it, until all are done."""
        for worker in self._workers:
            self._send_next(worker)
        while busy := [worker for worker in self._workers if worker.row is not None]:
            ready = wait([item for worker in busy for item in (worker.pipe, worker.process.sentinel)], PATIENCE_S)
            raise_if_interrupted()
            if not ready:
                yield 0, None
            for worker in busy:
                if worker.pipe in ready or worker.process.sentinel in ready:
                    yield from self._hear(worker)

    def terminate(self) -> None:
        """End all workers now; what they have written stays whole."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def _hear(self, worker: _Worker) -> Iterator[tuple[int, WorkerProgress | FileReport | None]]:
        assert worker.row is not None
        try:
            message = worker.pipe.recv() if worker.pipe.poll() else None
        except (EOFError, OSError):
            message = None
        if isinstance(message, TrackerError):
            raise message
        if isinstance(message, FileReport):
            row = worker.row
            self._send_next(worker)
            yield row, message
        elif isinstance(message, WorkerLog):
            log_once(message, self._said)
        elif message is not None:
            stage, done, total = message
            yield worker.row, WorkerProgress(worker.number, self._jobs[worker.row].name, stage, done, total)
        elif not worker.process.is_alive():
            yield from self._replace(worker)

    def _replace(self, worker: _Worker) -> Iterator[tuple[int, FileReport]]:
        """A new process in the place of one that died, for the same job where it may be tried again."""
        worker.process.join()
        row, code = worker.row, worker.process.exitcode
        assert row is not None
        worker.pipe.close()
        fresh = self._hire(worker.number)
        worker.process, worker.pipe = fresh.process, fresh.pipe
        if self._attempts[row] < ATTEMPTS:
            log.warning("%s: its process died (%s); trying once more", self._jobs[row].name, _cause(code))
            self._waiting.appendleft(row)
            self._send_next(worker)
            return
        self._send_next(worker)
        yield row, failure(self._jobs[row], f"its process died ({_cause(code)}), twice")

    def _send_next(self, worker: _Worker) -> None:
        worker.row = self._waiting.popleft() if self._waiting else None
        if worker.row is not None:
            self._attempts[worker.row] += 1
            try:
                worker.pipe.send(self._jobs[worker.row])
            except OSError:
                log.debug("worker %d is gone already", worker.number)

    def _hire(self, number: int) -> _Worker:
        own, theirs = self._context.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        process = self._context.Process(
            target=_work, args=(theirs, self._orders, level), name=f"sightline-worker-{number}", daemon=True
        )
        held = HeldSignals()  # a child whose parent goes while it starts says so at length
        try:
            process.start()
            theirs.close()
        finally:
            held.release()
        return _Worker(number, process, own)


def _cause(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _work(pipe: Connection, request: AnnotateRequest, log_level: int) -> None:
    """A worker's main: jobs come in through the pipe, what is being done and became of them goes out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the one who asked decides
    handler = PipeLogHandler(pipe.send)
    logging.basicConfig(level=log_level, handlers=[handler], format="%(message)s")
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(stage: str, done: int, total: int | None) -> None:
        handler.send((stage, done, total))

    while True:
        try:
            job: Any = pipe.recv()
        except EOFError:
            return
        try:
            handler.send(attempt(job, request, report))
        except TrackerError as error:
            handler.send(error)


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on writing beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
