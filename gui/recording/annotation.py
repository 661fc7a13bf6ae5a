"""Annotates one recording behind the player, in a process of its own: the window stays quick, a kill loses nothing."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import re
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gui.qt.background import NICENESS
from gui.recording.image_list import images_of
from tracker.annotate.plan import AnnotateRequest
from tracker.annotate.recordings import RecordingJob, find_jobs
from tracker.annotate.run import FileReport
from tracker.annotate.workers import WorkerProgress, annotate_all
from tracker.config import build
from tracker.errors import ConfigError
from tracker.factory import Settings
from tracker.paths import safe_name, typed_path
from tracker.store import Recording
from tracker.video.image_source import ImageSource

__all__ = ["STORE_SUFFIX", "Annotation", "job_of", "request_of_settings", "request_of_store", "stand_alone"]

STORE_SUFFIX = ".sqlite"
NUMBER = re.compile(r"\d+(?=\D*$)")
"""The last one in a name."""
MOST_MISSING = 100
"""Frames that may be left out of a film's between two."""
COMPARED = 6
"""About so many pairs of neighbours are compared: a folder opens at once, also one of large photographs."""
THUMBNAIL = 16
"""Pixels a side: the scene's layout is left, its details are not."""
LEAST_CORRELATION = 0.3
"""Between 0.22, photographs of one street, and 0.40, one frame in a hundred from a driving car."""
RATE_SPAN_S = 5.0


def job_of(path: Path, folder: Path) -> RecordingJob:
    """The recording of a video or a folder of images; of a store the recording that it is.

    Raises ConfigError where there is nothing to play, FormatError for a store that is none.
    """
    path = typed_path(path).resolve()
    if path.suffix == STORE_SUFFIX and path.is_file():
        with Recording(path) as recording:
            source = Path(str(recording.info.source.get("path", "")))
        if not source.exists():
            raise ConfigError(f"{path}: its video {source} is no longer there; put it back, then open this file again")
        return RecordingJob(source, source.name, path.with_suffix(""), path.parent)
    mark = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    out = folder / "annotations" / f"{safe_name(path.stem)}-{mark}"
    return find_jobs([path], out, recursive=False)[0]


def request_of_settings(settings: Settings, *, refine: bool, rules: str = "") -> AnnotateRequest:
    """Annotate with these settings, the store alone."""
    output = replace(settings.output, format=(), save=False)
    return AnnotateRequest(replace(settings, output=output), refine=refine, rules=rules)


def request_of_store(store: Path, settings: Settings) -> AnnotateRequest:
    """Go on with a store as it was begun, whatever the settings are by now."""
    with Recording(store) as recording:
        tree: dict[str, Any] = dict(recording.info.settings)
    refine, rules = bool(tree.pop("refine", False)), str(tree.pop("rules", ""))
    first, last = tree.pop("frames", (0, None))
    track = bool(tree.pop("track", True))
    begun = replace(build(Settings, tree, str(store)), overlay=settings.overlay)
    request = request_of_settings(begun, refine=refine, rules=rules)
    return replace(request, track=track, first_frame=first, last_frame=last)


def stand_alone(source: Path) -> bool:
    """Whether the images of a folder have nothing to do with one another.

    Frames of a film are called alike but for a number, and each resembles the one before; photographs of a collection
    have names of their own, or numbers far apart, or nothing in common with their neighbours.
    """
    names = [Path(name).stem for name in images_of(source)]
    if len(names) < 2:
        return bool(names)
    words = {NUMBER.sub("", name, count=1) for name in names}
    numbers = [int(found[-1]) for name in names if (found := NUMBER.findall(name))]
    if len(words) > 1 or len(numbers) < len(names):
        return True
    steps = {after - before for before, after in pairwise(sorted(numbers))}
    return (len(steps) > 1 and max(steps) > MOST_MISSING) or not _resemble(source)


def _resemble(folder: Path) -> bool:
    """Whether neighbours among the images show the same scene, by the correlation of a few pairs' thumbnails.

    Half of a film's neighbours correlate at 0.4 or more, also where it keeps one frame in a hundred; photographs
    numbered through at 0.2 or less.
    """
    paths = ImageSource(folder).paths
    step = max((len(paths) - 1) // COMPARED, 1)
    found = [_correlation(paths[at], paths[at + 1]) for at in range(0, len(paths) - 1, step)]
    known = [correlation for correlation in found if correlation is not None]
    return not known or float(np.median(known)) >= LEAST_CORRELATION


def _correlation(first: Path, second: Path) -> float | None:
    """Of two images' grey thumbnails; None where one cannot be read or is plain."""
    rows = []
    for path in (first, second):
        grey = _grey(path)
        if grey is None:
            return None
        rows.append(cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel().astype(np.float64))
    deviations = [row - row.mean() for row in rows]
    norms = [float(np.linalg.norm(row)) for row in deviations]
    return None if min(norms) < 1 else float(deviations[0] @ deviations[1]) / (norms[0] * norms[1])


def _grey(path: Path) -> NDArray[np.uint8] | None:
    """An image without colour, an eighth as large where the format can be decoded so; None where it cannot be read."""
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    except (OSError, cv2.error):
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


class _StopRequest(Exception):  # noqa: N818 - a signal to the thread, not a failure
    """Somebody asked for the end."""


class Annotation:
    """A run over one recording. Its fields are written by its thread and read by the window's."""

    def __init__(self, job: RecordingJob, request: AnnotateRequest) -> None:
        self.job = job
        self.stage = ""
        self.done = 0
        self.total: int | None = None
        self.report: FileReport | None = None
        self.problem = ""
        self._request = request
        self._stop = False
        self._moments: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._main, name="sightline-annotation", daemon=True)

    def start(self) -> None:
        """Begin, or go on behind the last checkpoint."""
        self._thread.start()

    def stop(self) -> None:
        """End within a second; what has been committed stays, a later run goes on from there."""
        self._stop = True

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended by then."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it is at work for the last moment."""
        return self._stop and self.running

    @property
    def rate(self) -> float:
        """Frames per second over the last seconds, 0 while unknown."""
        moments = list(self._moments)
        if len(moments) < 2 or moments[-1][0] <= moments[0][0]:
            return 0.0
        return (moments[-1][1] - moments[0][1]) / (moments[-1][0] - moments[0][0])

    @property
    def seconds_left(self) -> float | None:
        """Until all frames are read; None while nobody knows."""
        if not self.total or self.rate <= 0 or self.stage != "reading":
            return None
        return max(0.0, (self.total - self.done) / self.rate)

    def _main(self) -> None:
        try:
            (self.report,) = annotate_all([self.job], self._request, workers=1, listen=self._hear)
        except _StopRequest:
            return
        except Exception as error:  # noqa: BLE001 - a thread's main, shown to the user
            self.problem = str(error)
            return
        if self.report.status == "failed":
            with contextlib.suppress(OSError):
                self.job.base.parent.rmdir()  # where nothing was written at all
            self.problem = self.report.note

    def _hear(self, message: WorkerProgress | FileReport | None) -> None:
        if self._stop:
            raise _StopRequest
        if not isinstance(message, WorkerProgress):
            return
        if not self.stage:
            _step_back()
        self.stage, self.done, self.total = message.stage, message.done, message.total
        now = time.monotonic()
        self._moments.append((now, message.done))
        while now - self._moments[0][0] > RATE_SPAN_S:
            self._moments.pop(0)


def _step_back() -> None:
    """Let the window's own process go first where the system can do so."""
    if hasattr(os, "setpriority"):
        for child in multiprocessing.active_children():
            if child.pid is not None and child.name.startswith("sightline-worker"):
                os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
