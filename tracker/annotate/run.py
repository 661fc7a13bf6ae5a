"""One recording from its first frame, or from where it stopped, to its exports."""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tracker.annotate.export import export
from tracker.annotate.plan import (
    AnnotateRequest,
    Plan,
    Progressing,
    make_plan,
    network_identity,
    output_path,
    settings_identity,
    settled,
)
from tracker.annotate.recordings import RecordingJob, fingerprint, printable
from tracker.annotate.recount import make_analytics, recount, recount_all
from tracker.annotate.refine_recording import RefinedRows
from tracker.annotate.render import render_video
from tracker.annotate.sink import CheckpointingPipeline, RecordingSink, last_events
from tracker.ending import raise_if_interrupted
from tracker.errors import FormatError, SinkError, SourceError
from tracker.factory import Built, make_pipeline
from tracker.formats import FORMATS
from tracker.lock import alone
from tracker.protocols import FrameSource
from tracker.runner import Runner
from tracker.store import RecordedEvent, Recording, RecordingInfo, RecordingWriter
from tracker.track.untracked import Untracked
from tracker.types import Frame
from tracker.video import open_source

__all__ = ["FileReport", "Reading", "RecordingRun", "annotate_recording", "finish_recording"]

log = logging.getLogger(__name__)

REPORT_EVERY_S = 0.5
NOT_WRITTEN = -1
"""Stands for the revision of an export that was begun."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one recording."""

    name: str
    status: Literal["done", "skipped", "failed"]
    note: str = ""
    """How it was begun, or why it failed."""
    frames: int = 0
    """In the whole recording."""
    frames_now: int = 0
    """Read in this run."""
    seconds: float = 0.0
    tracks: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    events: int = 0
    damage: int = 0
    """Places of the source that could not be decoded."""
    rejected: int = 0
    outputs: tuple[str, ...] = ()


class RecordingRun:
    """A source on its way through a pipeline into a recording, from the recording's last checkpoint on."""

    def __init__(self, source: FrameSource, built: Built, writer: RecordingWriter, request: AnnotateRequest) -> None:
        checkpoint = writer.checkpoint
        state = checkpoint.state
        self.source, self.request = source, request
        self._workers, self._writer = built.workers, writer
        self._batch = request.settings.detector.batch
        self.pipeline = CheckpointingPipeline(built.pipeline, batch=self._batch)
        analyse = make_analytics(writer.info)
        self.sink = RecordingSink(
            writer,
            self.pipeline,
            damage=self.damage,
            analyse=analyse,
            refine=request.refine,
            images=bool(source.paths),
        )
        if checkpoint.frame >= 0:
            self.sink.restore(state)
        # Behind damage a decoder that begins at a key frame may give other images than one that came through it.
        after = max(checkpoint.frame, request.first_frame - 1)
        self.rest = RemainingFrames(source, after, seek=not state.get("damage"), last=request.last_frame)

    def damage(self) -> int:
        """Places of the source that could not be decoded: a run that goes on behind such a place meets it once more."""
        return self.source.damage

    def read_all(self, report: Progressing) -> int:
        """Everything that is left of the source, on the threads of a Runner; frames read in this run."""
        before = self.sink.frames
        total = frames_wanted(self.request, self.source.info.frame_count)
        runner = Runner(self.rest, self.pipeline, [self.sink], batch=self._batch, workers=self._workers)
        runner.start()
        try:
            while True:
                progress = runner.wait(timeout_s=REPORT_EVERY_S)
                raise_if_interrupted()
                report("reading", before + progress.frames, total)
                if not runner.running:
                    runner.wait()
                    break
        except BaseException:
            runner.stop()
            runner.wait(timeout_s=10)
            raise
        return self.finish_reading(before)

    def finish_reading(self, before: int) -> int:
        """Write the last rows; frames read in this run. Raises SourceError where the source gave none at all."""
        if not self.sink.frames:
            raise SourceError(f"{self.source.name}: no frame could be decoded; the file is empty, damaged or encrypted")
        self.sink.finish()
        return self.sink.frames - before

    def complete(self) -> None:
        """Make the rows final, refined where that is wanted; tracks that people corrected stay as they are."""
        notes = {"damage": self.damage(), "rejected": self.sink.rejected}
        _complete(self._writer, refine=self.request.refine, last_events=self.sink.last_events, notes=notes)


def _complete(
    writer: RecordingWriter, *, refine: bool, last_events: Callable[[], list[RecordedEvent]], notes: dict[str, Any]
) -> None:
    while not _try_to_complete(writer, refine=refine, last_events=last_events, notes=notes):
        log.info("%s: corrected while it was being finished; once more", writer.path)


def _try_to_complete(
    writer: RecordingWriter, *, refine: bool, last_events: Callable[[], list[RecordedEvent]], notes: dict[str, Any]
) -> bool:
    """Whether nobody corrected anything meanwhile."""
    with Recording(writer.path) as recording:
        revision = int(recording.note("revision") or 0)
        if refine:
            with RefinedRows(recording, untouched=recording.corrected_tracks()) as rows:
                events, _ = recount_all(recording, rows)
                return writer.complete_with(rows, events, revision=revision, refined=rows.account, **notes)
        if not recording.edits():
            return writer.complete_with(None, last_events(), revision=revision, **notes)
        events = recount(recording, None)
    return writer.complete_with(None, events, recounted=True, revision=revision, **notes)


def finish_recording(job: RecordingJob) -> int:
    """Make what was annotated so far the whole recording; its last frame.

    Raises FormatError where there is nothing yet.
    """
    with alone(job.beside(".sqlite.lock"), job.name, lambda: None):
        writer = RecordingWriter.resume(job.store)
        try:
            checkpoint = writer.checkpoint
            if checkpoint.frame < 0:
                raise FormatError(f"{job.store}: nothing is annotated yet. Let annotate run for some seconds.")
            if not writer.complete:
                analyse = make_analytics(writer.info)
                if analyse is not None:
                    analyse.restore(checkpoint.state["analyse"])
                notes = {"damage": checkpoint.state["damage"], "rejected": checkpoint.state["rejected"], "ended": True}
                _complete(
                    writer,
                    refine=bool(writer.info.settings.get("refine")),
                    last_events=lambda: last_events(analyse, checkpoint.frame),
                    notes=notes,
                )
            return checkpoint.frame
        finally:
            writer.close()


class RemainingFrames(FrameSource):
    """The frames of a source behind a given one, to a last one or its end; sought where possible and wanted."""

    def __init__(self, source: FrameSource, after: int, *, seek: bool, last: int | None = None) -> None:
        self.name, self.live, self.info = source.name, source.live, source.info
        self.damage = 0
        self._source = source
        self.after = after
        self._seek = seek
        self._last = last

    def __iter__(self) -> Iterator[Frame]:
        if self._seek and self.after >= 0 and self._source.seekable:
            if self.after + 1 >= len(self._source.times()):
                return
            self._source.seek(self.after + 1)
        for frame in self._source:
            self.damage = self._source.damage
            if self._last is not None and frame.index > self._last:
                return
            if frame.index > self.after:
                yield frame
        self.damage = self._source.damage

    def close(self) -> None:
        self._source.close()


def frames_wanted(request: AnnotateRequest, count: int | None) -> int | None:
    """How many of so many frames are to be annotated; None while nobody knows."""
    if request.last_frame is not None:
        count = request.last_frame + 1 if count is None else min(count, request.last_frame + 1)
    return None if count is None else max(count - request.first_frame, 0)


Reading = Callable[[RecordingRun, Progressing], int]
"""Reads all that is left of a run's source into its sink; frames read."""


def annotate_recording(
    job: RecordingJob, request: AnnotateRequest, progressing: Progressing | None = None, *, read: Reading | None = None
) -> FileReport:
    """Do what is left to do about one recording; `read` is another way of reading it than on threads of this process.

    Raises a TrackerError for what cannot be done.
    """
    report = progressing or (lambda *_: None)
    job.prepare()
    with alone(job.beside(".sqlite.lock"), job.name, lambda: report("waiting for another run", 0, None)):
        return _annotate_alone(job, request, report, read)


def _annotate_alone(
    job: RecordingJob, request: AnnotateRequest, report: Progressing, read: Reading | None
) -> FileReport:
    started = time.perf_counter()
    request = settled(job, request)
    network = network_identity(request.settings.detector)
    plan = make_plan(job, request, network)
    frames_now = 0
    if plan.action == "anew" and not request.overwrite:
        log.warning("%s: begins anew: %s", job.name, plan.reason)
    if plan.action in ("new", "anew", "resume"):
        frames_now = _record(job, request, plan, network, report, read or RecordingRun.read_all)
    _write_outputs(job, request, plan, report)
    seconds = time.perf_counter() - started
    return _report(job, plan, frames_now, seconds)


def _info_of(
    source: FrameSource, job: RecordingJob, request: AnnotateRequest, network: dict[str, Any], labels: tuple[str, ...]
) -> RecordingInfo:
    """What a recording says of itself."""
    size, digest = fingerprint(job.source)
    facts = source.info
    return RecordingInfo(
        source={
            "path": printable(str(job.source)),
            "name": printable(source.name),
            "size": size,
            "digest": digest,
            "rate": str(facts.rate) if facts.rate else None,
            "time_base": str(facts.time_base) if facts.time_base else None,
            "duration_s": facts.duration_s,
            "has_audio": facts.has_audio,
        },
        width=facts.width,
        height=facts.height,
        labels=labels,
        settings=settings_identity(request),
        network=network,
        rules=request.rules,
    )


def _record(
    job: RecordingJob, request: AnnotateRequest, plan: Plan, network: dict[str, Any], report: Progressing, read: Reading
) -> int:
    """Read the source to its end into the store; frames read in this run."""
    settings = request.settings
    source = open_source(job.source, vid_stride=settings.source.vid_stride)
    try:
        built = _make_pipeline(request)
        writer = _open_writer(source, job, request, plan, network, built)
    except BaseException:
        source.close()
        raise
    try:
        try:
            run = RecordingRun(source, built, writer, request)
        except (KeyError, ValueError, TypeError, FormatError) as error:
            _refuse_to_lose_corrections(job, error)
            log.warning("%s: begins anew: its checkpoint is another version's (%r)", job.name, error)
            writer.close()
            built = _make_pipeline(request)
            writer = _open_writer(source, job, request, replace(plan, action="anew"), network, built)
            run = RecordingRun(source, built, writer, request)
        frames = read(run, report)
        run.complete()
        return frames
    finally:
        source.close()
        writer.close()


def _make_pipeline(request: AnnotateRequest) -> Built:
    return make_pipeline(request.settings, live=False, draw=False, tracker=None if request.track else Untracked())


def _open_writer(
    source: FrameSource, job: RecordingJob, request: AnnotateRequest, plan: Plan, network: dict[str, Any], built: Built
) -> RecordingWriter:
    if plan.action == "resume":
        return RecordingWriter.resume(job.store)
    if plan.action == "anew":
        _remove_outputs(job)
    labels = built.pipeline.labels
    return RecordingWriter.create(job.store, _info_of(source, job, request, network=network, labels=labels))


def _refuse_to_lose_corrections(job: RecordingJob, error: Exception) -> None:
    with Recording(job.store) as recording:
        count = recording.edit_count()
    if count:
        raise SinkError(
            f"{job.store}: its checkpoint is another version's ({error!r}), and it holds {count} corrections made by "
            "hand. Move it away to keep them, or use --overwrite."
        )


def _remove_outputs(job: RecordingJob) -> None:
    """Take away what was exported of a recording that begins anew: it would tell of another one."""
    try:
        with Recording(job.store) as recording:
            noted = dict(recording.note("outputs") or {})
    except FormatError:  # what stands in the recording's place was never exported
        return
    for name in noted.keys() & {*FORMATS, "video"}:
        path = output_path(job, name)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(
                f"{path}: cannot be removed: {error.strerror}. Remove it, or choose another --out."
            ) from error


def _write_outputs(job: RecordingJob, request: AnnotateRequest, plan: Plan, report: Progressing) -> None:
    if not plan.outputs:
        return
    with Recording(job.store) as recording:
        revision = recording.note("revision") or 0
        written: dict[str, int] = recording.note("outputs") or {}
        # Noted before they are written: a run that is killed here must not leave files that nobody knows of.
        _note_outputs(job, {**dict.fromkeys(plan.outputs, NOT_WRITTEN), **written})
        for name in plan.outputs:
            path = output_path(job, name)
            report(f"writing {name}", recording.frame_count(), recording.frame_count())
            if name == "video":
                render_video(recording, job.source, path, request.settings, report)
            else:
                export(recording, name, path)
            written = {**written, name: revision}
    _note_outputs(job, written)


def _note_outputs(job: RecordingJob, revisions: dict[str, int]) -> None:
    """Keep with the recording what was exported of it, each with the revision of the corrections it shows."""
    writer = RecordingWriter.resume(job.store)
    try:
        writer.complete_with(None, outputs=revisions)
    finally:
        writer.close()


def _report(job: RecordingJob, plan: Plan, frames_now: int, seconds: float) -> FileReport:
    with Recording(job.store) as recording:
        labels = recording.info.labels
        classes: Counter[str] = Counter()
        for class_id, count in recording.track_counts().items():
            classes[labels[class_id]] += count
        kept: dict[str, int] = recording.note("outputs") or {}
        outputs = [job.store, *(path for name in kept if (path := output_path(job, name)).exists())]
        return FileReport(
            name=job.name,
            status="skipped" if plan.action == "skip" else "done",
            note=plan.reason if plan.action != "new" else "",
            frames=recording.frame_count(),
            frames_now=frames_now,
            seconds=round(seconds, 3),
            tracks=classes.total(),
            classes=dict(sorted(classes.items(), key=lambda item: (-item[1], item[0]))),
            events=recording.event_count(),
            damage=int(recording.note("damage") or 0),
            rejected=int(recording.note("rejected") or 0),
            outputs=tuple(str(path.relative_to(job.out)) for path in outputs),
        )
