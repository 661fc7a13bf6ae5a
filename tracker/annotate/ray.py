"""Annotation on many machines with Ray: files spread over the cluster, long files cut into chunks for detection.

Detection keeps no state, so chunks of a long file are looked at anywhere and in any order; association follows their
detections in the order of the frames, in one place, with the same code as on one machine. A chunk is a whole number of
batches, so the network sees the same batches, and the result is the same to the byte. Paths and settings travel to
the workers, detections come back; frames never travel, so every machine must see the files under the same paths.

A task whose worker dies is run again by Ray: a chunk from its start, a recording from its last checkpoint.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import logging
import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.annotate.plan import AnnotateRequest, Progressing
from tracker.annotate.recordings import RecordingJob
from tracker.annotate.run import FileReport, RecordingRun
from tracker.annotate.workers import Listener, PipeLogHandler, WorkerLog, WorkerProgress, attempt, failure, log_once
from tracker.errors import ConfigError, SourceError, TrackerError
from tracker.factory import Built, Settings, make_pipeline
from tracker.pipeline import StageDetections
from tracker.protocols import FrameSource
from tracker.types import Frame
from tracker.video import open_source

__all__ = ["annotate_on_cluster"]

log = logging.getLogger(__name__)

CHUNK_FRAMES = 256
"""About as many frames a task looks at; more waste less on seeking, fewer spread a file over more workers."""
RETRIES = 5
PATIENCE_S = 0.5
REACH_S = 10.0


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was seen in one frame of a chunk."""

    index: int
    time: float
    seen: StageDetections


def annotate_on_cluster(
    jobs: Sequence[RecordingJob],
    request: AnnotateRequest,
    *,
    workers: int,
    address: str | None,
    listen: Listener,
    chunk_frames: int = CHUNK_FRAMES,
) -> list[FileReport]:
    """What became of every recording, in the order of the jobs.

    Without an address a cluster of `workers` processes is started on this machine; with one, such as "auto", a running
    cluster is joined and `workers` recordings are in work at a time. Raises ConfigError without Ray, and for settings
    that no recording survives.
    """
    ray = _import_ray()
    _join(ray, address, workers)
    try:
        mailbox = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Mailbox).remote()
        annotate = ray.remote(num_cpus=0, max_retries=RETRIES)(_annotate)
        gpus = int(ray.cluster_resources().get("GPU", 0))
        waiting, running, reports = deque(enumerate(jobs)), dict[Any, tuple[int, int]](), dict[int, FileReport]()
        slots, said = deque(range(min(workers, len(jobs)))), set[str]()
        while waiting or running:
            while waiting and slots:
                row, job = waiting.popleft()
                slot = slots.popleft()
                task = annotate.remote(job, request, mailbox, slot, max(workers, gpus), gpus > 0, chunk_frames)
                running[task] = row, slot
            done, _ = ray.wait(list(running), timeout=PATIENCE_S)
            for message in ray.get(mailbox.take.remote()):
                log_once(message, said) if isinstance(message, WorkerLog) else listen(message)
            for task in done:
                row, slot = running.pop(task)
                slots.append(slot)
                reports[row] = _outcome(ray, task, jobs[row])
                listen(reports[row])
        return [reports[row] for row in range(len(jobs))]
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    if importlib.util.find_spec("ray") is None:
        raise ConfigError('--engine ray: Ray is not installed; pip install "sightline[ray]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return importlib.import_module("ray")


def _join(ray: Any, address: str | None, workers: int) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        host, _, port = (address or "").removeprefix("ray://").rpartition(":")
        if host and port.isdecimal():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=REACH_S).close()
        if address is None:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        where = "--engine ray" if address is None else f"--ray-address {address}"
        raise ConfigError(f"{where}: no cluster answers there: {reason}. Try --engine local.") from error


def _outcome(ray: Any, task: Any, job: RecordingJob) -> FileReport:
    try:
        message = ray.get(task)
    except ray.exceptions.RayError as error:
        return failure(job, f"its worker failed {RETRIES} times: {_reason(error)}")
    if isinstance(message, TrackerError):
        raise message
    report: FileReport = message
    return report


def _reason(error: Exception) -> str:
    """What went wrong, without the trace that Ray puts before it."""
    return str(error).strip().splitlines()[-1].strip()


class _Mailbox:
    """Where workers anywhere leave word of what they are at."""

    def __init__(self) -> None:
        self._doing: dict[int, WorkerProgress] = {}
        self._said: list[WorkerLog] = []

    def leave(self, message: WorkerProgress | WorkerLog) -> None:
        """Lines are kept in order; what a worker is at replaces what it was at before."""
        if isinstance(message, WorkerLog):
            self._said.append(message)
        else:
            self._doing[message.worker] = message

    def take(self) -> list[WorkerProgress | WorkerLog]:
        """What was reported since the last time."""
        message: list[WorkerProgress | WorkerLog] = [*self._said, *self._doing.values()]
        self._doing, self._said = {}, []
        return message


def _annotate(
    job: RecordingJob, request: AnnotateRequest, mailbox: Any, slot: int, width: int, on_gpus: bool, chunk_frames: int
) -> FileReport | TrackerError:
    """One recording, on whichever machine this runs; an error that all recordings would meet is given back."""

    handler = PipeLogHandler(mailbox.leave.remote)

    def report(stage: str, done: int, total: int | None) -> None:
        handler.send(WorkerProgress(slot, job.name, stage, done, total))

    chunks = _Chunks(job.source, request.settings, width=width, on_gpus=on_gpus, frames=chunk_frames)
    own = logging.getLogger("tracker")
    own.addHandler(handler)
    try:
        return attempt(job, request, report, read=chunks.read)
    except TrackerError as error:
        return error
    finally:
        own.removeHandler(handler)


class _Chunks:
    """Reads a run's source by having chunks of it looked at anywhere, some ahead of the association."""

    def __init__(self, path: Path, settings: Settings, *, width: int, on_gpus: bool, frames: int) -> None:
        self._ray = ray = _import_ray()
        self._path, self._settings = path, settings
        self._ahead = 2 * width
        batch = settings.detector.batch
        self._span = max(1, frames // batch) * batch * settings.source.vid_stride
        resources = {"num_gpus": 1} if on_gpus else {"num_cpus": 1}
        self._look = ray.remote(max_retries=RETRIES, retry_exceptions=True, **resources)(_look_at)

    def read(self, run: RecordingRun, report: Progressing) -> int:
        """Everything that is left of the run's source; frames read."""
        before = run.sink.frames
        total = run.source.info.frame_count
        for done, (looked, frame) in enumerate(self._frames(run), start=before + 1):
            run.sink.write(run.pipeline.follow(frame, looked.seen))
            if done % 16 == 0:
                report("reading", done, total)
        return run.finish_reading(before)

    def _frames(self, run: RecordingRun) -> Iterator[tuple[_Looked, Frame]]:
        """What was seen in each frame that is left, with the frame itself.

        It is decoded here once more, because motion of the camera is seen, and damage is counted, in order only.
        """
        looked = self._looked(run)
        for frame in run.rest:
            found = next((found for found in looked if found.index >= frame.index), None)
            if found is None or found.index != frame.index:
                raise SourceError(
                    f"{run.source.name}: frame {frame.index} decodes here, but not on the workers. Check that all "
                    "machines see the same file, or use --engine local."
                )
            yield found, frame

    def _looked(self, run: RecordingRun) -> Iterator[_Looked]:
        """What was seen in the frames that are left, in order, while later chunks are being looked at."""
        if not run.source.seekable:  # a folder of images is one chunk: it is read from its start
            yield from self._fetch(self._look.remote(self._path, self._settings, 0, None))
            return
        first = run.rest.after + 1
        first += -first % self._settings.source.vid_stride
        starts = iter(range(first, len(run.source.times()), self._span))
        ahead: deque[Any] = deque()
        while True:
            for start in itertools.islice(starts, self._ahead - len(ahead)):
                ahead.append(self._look.remote(self._path, self._settings, start, start + self._span))
            if not ahead:
                return
            yield from self._fetch(ahead.popleft())

    def _fetch(self, task: Any) -> list[_Looked]:
        try:
            looked: list[_Looked] | TrackerError = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            raise SourceError(f"{self._path}: its frames cannot be looked at: {_reason(error)}") from error
        if isinstance(looked, TrackerError):
            raise looked
        return looked


def _look_at(path: Path, settings: Settings, first: int, end: int | None) -> list[_Looked] | TrackerError:
    """What is seen in the frames from `first` to before `end`."""
    try:
        return list(_look(path, settings, first, end))
    except TrackerError as error:
        return error


def _look(path: Path, settings: Settings, first: int, end: int | None) -> Iterator[_Looked]:
    source, pipeline = _opened(path, settings.source.vid_stride), _built(settings).pipeline
    if source.seekable:
        source.seek(first)
    frames = itertools.takewhile(lambda frame: end is None or frame.index < end, source)
    while batch := list(itertools.islice(frames, settings.detector.batch)):
        found = pipeline.detect([frame.image for frame in batch])
        yield from (_Looked(frame.index, frame.time, seen) for frame, seen in zip(batch, found, strict=True))


@functools.lru_cache(maxsize=1)
def _built(settings: Settings) -> Built:
    """The network, kept by a worker from chunk to chunk."""
    return make_pipeline(settings, live=False, draw=False)


@functools.lru_cache(maxsize=1)
def _opened(path: Path, vid_stride: int) -> FrameSource:
    """The file, kept open by a worker with the index it seeks by."""
    return open_source(path, vid_stride=vid_stride)
