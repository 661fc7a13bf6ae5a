"""The program as a library: follow, detect and annotate in one call each, with the results as objects.

    for result in track("street.mp4", classes=["person", "car"]):
        print(result.frame.time, result.tracks.ids, result.tracks.boxes)

    recording = annotate("street.mp4", refine=True)
    table = recording.to_pandas()

The names here are those of the command line, and so are the results. `tracker` itself has them all.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

from numpy import ndarray

from tracker.analytics import Analytics, load_rules
from tracker.annotate.export import export
from tracker.annotate.plan import AnnotateRequest, Progressing
from tracker.annotate.recordings import find_jobs
from tracker.annotate.recount import edit_recording, read_rules
from tracker.annotate.run import annotate_recording
from tracker.config import assign
from tracker.errors import ConfigError, SourceError
from tracker.factory import (
    Built,
    Settings,
    load_settings,
    make_detection_pipeline,
    make_detector,
    make_pipeline,
    usable_cores,
)
from tracker.formats import find_format
from tracker.formats.core.annotations import Annotations, ExternalInfo
from tracker.formats.core.live_rows import recorded_rows
from tracker.interchange import to_pandas
from tracker.observations import Observations
from tracker.paths import typed_path
from tracker.protocols import Detector, FrameSource, Sink, Tracker
from tracker.runner import Channel, Closed, Runner
from tracker.store import Recording as StoredRecording
from tracker.store import RecordingEditor
from tracker.track.presets import make_tracker
from tracker.types import FrameResult
from tracker.video import OneSize, open_source

__all__ = [
    "Recording",
    "annotate",
    "detect",
    "load_detector",
    "load_tracker",
    "read_annotations",
    "track",
    "write_annotations",
]

log = logging.getLogger(__name__)

Source: TypeAlias = str | Path | int | Iterable[ndarray] | FrameSource
"""A file, folder, pattern, camera or address as `open_source` takes it; RGB arrays; or an open source."""
Classes: TypeAlias = str | int | Sequence[str | int] | None
"""Names or numbers of classes, of all where there are none; one text may have several, as in "person,car"."""
Confidence: TypeAlias = float | Mapping[str, float] | None
"""The least score of a detection, from 0 to 1, or that of single classes: {"person": 0.5}; None: the network's own."""


def track(
    source: Source,
    *,
    model: str | Path | Detector = "auto",
    tracker: str | Path | Tracker = "default",
    classes: Classes = (),
    conf: Confidence = None,
    iou: float | None = None,
    imgsz: int | None = None,
    device: str | int = "auto",
    masks: bool = True,
    vid_stride: int = 1,
    rules: str | Path | None = None,
    draw: bool = False,
    coasting: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[FrameResult]:
    """Follow objects through a source: one result per frame, in order, while the next ones are worked on.

    `model` is a network's name or file, or a detector of your own; `tracker` a preset, a settings file, or a tracker of
    your own. `rules` is a TOML file of lines and zones; what happens there comes in `events`. With `draw` each result
    has a `canvas`, its frame with everything drawn. `tracks` are those that are confirmed and seen in the frame, with
    `coasting` also those that are only expected there. `settings` takes any other setting by its key, as
    {"overlay.scale": 2}; the command `config` lists them.

    A file loses nothing; live input leaves out frames that come while you are busy. Raises a TrackerError for what
    cannot be done, when the first result is asked for at the latest.
    """
    own = _own_stage(model, Detector, "detect")
    own_tracker = _own_stage(tracker, Tracker, "update")
    chosen = _settings(
        model=model, tracker=tracker, classes=classes, conf=conf, iou=iou, imgsz=imgsz, device=device, masks=masks,
        vid_stride=vid_stride, other=settings,
    )  # fmt: skip
    found_rules = load_rules(_path(rules, "rules")) if rules is not None else None
    opened = _opened(source, vid_stride, chosen)

    def analyse(labels: Sequence[str]) -> Analytics | None:
        width, height = opened.info.width, opened.info.height
        return Analytics(found_rules, labels, width=width, height=height) if found_rules is not None else None

    try:
        built = make_pipeline(
            chosen, live=opened.live, draw=draw, detector=own, tracker=own_tracker, make_analyse=analyse
        )
    except BaseException:
        opened.close()
        raise
    results = _run(opened, built, batch=chosen.detector.batch)
    return (replace(each, tracks=each.tracks[recorded_rows(each.tracks, coasting=coasting)]) for each in results)


def detect(
    source: Source,
    *,
    model: str | Path | Detector = "auto",
    classes: Classes = (),
    conf: Confidence = None,
    iou: float | None = None,
    imgsz: int | None = None,
    device: str | int = "auto",
    masks: bool = True,
    vid_stride: int = 1,
    draw: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[FrameResult]:
    """Find objects in images or frames that stand alone: one result each, in order, with `detections` and no tracks.

    Of one image: `next(detect("photo.jpg"))`. Arguments are those of `track`.
    """
    own = _own_stage(model, Detector, "detect")
    chosen = _settings(
        model=model, classes=classes, conf=conf, iou=iou, imgsz=imgsz, device=device, masks=masks,
        vid_stride=vid_stride, other=settings, overlay__show="detections", overlay__colour_by="class",
    )  # fmt: skip
    opened = _opened(source, vid_stride, chosen)
    try:
        built = make_detection_pipeline(chosen, draw=draw, detector=own)
    except BaseException:
        opened.close()
        raise
    return _run(opened, built, batch=chosen.detector.batch)


def annotate(
    source: str | Path,
    out: str | Path = "runs/annotate",
    *,
    refine: bool = True,
    model: str | Path = "auto",
    tracker: str | Path = "default",
    classes: Classes = (),
    conf: Confidence = None,
    iou: float | None = None,
    imgsz: int | None = None,
    device: str | int = "auto",
    masks: bool = True,
    vid_stride: int = 1,
    rules: str | Path | None = None,
    overwrite: bool = False,
    progress: Callable[[str, int, int | None], None] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Recording:
    """The recording of a video, or of a folder of images: every object in every frame, kept in a file below `out`.

    A recording that is there already is returned as it stands, one that was stopped goes on with the same ids. `refine`
    goes over the finished recording once more: it links fragments, fills gaps and smooths. `progress` is called with
    what is being done, frames done and frames in all. Other arguments are those of `track`.

    Raises a TrackerError for what cannot be read or written, and where settings changed but people's corrections would
    be lost; `overwrite` begins anew all the same.
    """
    chosen = _settings(
        model=model, tracker=tracker, classes=classes, conf=conf, iou=iou, imgsz=imgsz, device=device, masks=masks,
        vid_stride=vid_stride, other=settings, output__format=(),
    )  # fmt: skip
    jobs = find_jobs([_path(source, "source")], _path(out, "out"), recursive=False)
    if len(jobs) > 1:
        raise ConfigError(f"{source}: {len(jobs)} recordings; annotate them one by one, or with the command annotate")
    rules_text = read_rules(_path(rules, "rules")) if rules is not None else ""
    request = AnnotateRequest(chosen, refine=refine, rules=rules_text, overwrite=overwrite)
    listen: Progressing | None = progress
    annotate_recording(jobs[0], request, listen)
    return Recording(jobs[0].store)


class Recording(StoredRecording):
    """A recording of `annotate`, open for reading: close it, or use it in a `with` statement.

    `info` gives its source, size, labels and settings; `tracks()`, `observations_in(first, last)`, `events()` and
    others read it, by the index of frames.
    """

    def rows_between(self, start_s: float, end_s: float, *, masks: bool = False) -> Observations:
        """What was seen from one time to another, both in seconds."""
        first, last = self.frame_shown_at(start_s), self.frame_shown_at(end_s)
        return self.observations_in(first + (self.time_of(first) < start_s), last, masks=masks)

    def edit(self) -> RecordingEditor:
        """The same recording open for corrections, each of them undoable; close it when done."""
        return edit_recording(self.path)

    def export(self, format: str, path: str | Path) -> None:  # noqa: A002 - what users know it by
        """Write it as it stands in the format of that name, such as "coco"; see `formats`."""
        export(self, format, _path(path, "path"))

    def to_pandas(self) -> Any:
        """All rows as a pandas.DataFrame: frame, time, track_id, class, score, x1, y1, x2, y2, origin."""
        return to_pandas(self)


def load_detector(
    model: str | Path = "auto",
    *,
    classes: Classes = (),
    conf: Confidence = None,
    iou: float | None = None,
    imgsz: int | None = None,
    max_det: int = 300,
    device: str | int = "auto",
    masks: bool = True,
) -> Detector:
    """A network ready to be asked: `load_detector().detect([image])` gives one Detections per RGB image."""
    chosen = _settings(
        model=model, classes=classes, conf=conf, iou=iou, imgsz=imgsz, device=device, masks=masks,
        other={"detector.max_det": max_det},
    )  # fmt: skip
    return make_detector(chosen.detector, threads=usable_cores())


def load_tracker(name: str | Path = "default", **settings: Any) -> Tracker:
    """A tracker by the name of its preset or settings file, adjusted by `settings` such as max_coast_s=3.

    `load_tracker("bytetrack").update(detections, time)` gives the tracks of the next frame.
    """
    return make_tracker(str(name), settings)


def read_annotations(
    path: str | Path,
    format: str,  # noqa: A002 - what users know it by
    *,
    labels: Sequence[str] = (),
    size: tuple[int, int] = (0, 0),
) -> Annotations:
    """What a file or folder says in the format of that name: frames and objects as columns.

    `labels` and `size`, width and height, are for formats that do not tell them. Raises FormatError for a file that
    breaks its format.
    """
    return find_format(format).read(_path(path, "path"), ExternalInfo(*size, tuple(labels)))


def write_annotations(
    path: str | Path,
    annotations: Annotations | StoredRecording,
    format: str,  # noqa: A002 - what users know it by
) -> None:
    """Write annotations, or a recording, in the format of that name; a warning lists what it cannot hold."""
    if isinstance(annotations, StoredRecording):
        export(annotations, format, _path(path, "path"))
    else:
        find_format(format).load().write(_path(path, "path"), annotations)


def _settings(
    *,
    model: str | Path | Detector,
    tracker: str | Path | Tracker = "default",
    classes: Classes,
    device: str | int,
    masks: bool,
    vid_stride: int = 1,
    other: Mapping[str, Any] | None,
    conf: Confidence,
    iou: float | None,
    imgsz: int | None,
    **defaults: Any,
) -> Settings:
    """Settings as the command line makes them: defaults, then arguments, then `other`."""
    wanted = _wanted_classes(classes)
    thresholds: dict[str, Any] = {"iou": iou, "imgsz": imgsz}
    if isinstance(conf, Mapping):
        thresholds["class_conf"] = [f"{name}={score}" for name, score in conf.items()]
    else:
        thresholds["conf"] = conf
    named: dict[str, Any] = {name: value for name, value in thresholds.items() if value is not None}
    if isinstance(model, Detector) and not isinstance(model, str | Path):
        if wanted or named:
            raise ConfigError("classes, conf, iou and imgsz are for networks given by name; set them on your detector")
    else:
        named["model"] = str(model)
    tree: dict[str, Any] = {}
    for key, value in defaults.items():
        assign(tree, key.split("__"), value)
    for name, value in {**named, "classes": wanted, "device": device, "masks": masks}.items():
        assign(tree, ["detector", name], value)
    assign(tree, ["source", "vid_stride"], vid_stride)
    if isinstance(tracker, str | Path):
        assign(tree, ["tracker", "preset"], str(tracker))
    if other is not None and not isinstance(other, Mapping):
        raise ConfigError(f"settings: expected a dictionary such as {{'overlay.scale': 2}}, found {other!r}")
    for key, value in (other or {}).items():
        if not isinstance(key, str):
            raise ConfigError(f"settings: expected names such as 'overlay.scale', found {key!r}")
        if isinstance(value, Mapping):
            for name, each in value.items():
                assign(tree, [key, name], each)
        else:
            assign(tree, key.split("."), value)
    return load_settings(tree, "settings")


def _wanted_classes(classes: Classes) -> list[str]:
    """The names and numbers asked for, as texts; none stands for all. Raises ConfigError for what is neither."""
    if classes is None:
        return []
    if isinstance(classes, str):
        return [name.strip() for name in classes.split(",") if name.strip()]
    several = classes if isinstance(classes, Iterable) else [classes]
    wanted: list[Any] = list(several)
    for name in wanted:
        if isinstance(name, bool) or not isinstance(name, str | Integral):
            raise ConfigError(f"classes: expected names or numbers of classes, found {name!r}")
    return [str(name) for name in wanted]


def _path(given: Any, argument: str) -> Path:
    """The path that was given. Raises ConfigError for what is none."""
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(f"{argument}: expected a path, found {given!r}")
    return typed_path(Path(given))


def _opened(source: Source, vid_stride: int, chosen: Settings) -> FrameSource:
    how = chosen.source
    opened = open_source(source, vid_stride=vid_stride, rtsp_transport=how.rtsp_transport, hwaccel=how.hwaccel)
    return OneSize(opened) if opened.live and not isinstance(source, FrameSource) else opened


def _own_stage(given: Any, protocol: Any, method: str) -> Any:
    """What was given where it is a stage; None where it is a name. Raises ConfigError for anything else."""
    if isinstance(given, str | Path):
        return None
    if not isinstance(given, protocol):
        lacks = [name for name in protocol.__annotations__ if not hasattr(given, name)]
        lacks += [] if hasattr(given, method) else [f"{method}()"]
        raise ConfigError(f"{type(given).__name__}: no {protocol.__name__.lower()}: it lacks {', '.join(lacks)}")
    return given


class _ChannelSink(Sink):
    """Hands results to whoever iterates; waits while two are waiting already."""

    def __init__(self) -> None:
        self.channel: Channel[FrameResult] = Channel(2)

    def write(self, result: FrameResult) -> None:
        with contextlib.suppress(Closed):  # nobody iterates any more: the run ends by itself
            self.channel.put(result)

    def close(self) -> None:
        self.channel.finish()

    discard = close


def _run(source: FrameSource, built: Built, *, batch: int) -> Iterator[FrameResult]:
    """The results of a run on threads of its own, which end with the iteration."""
    sink = _ChannelSink()
    runner = Runner(source, built.pipeline, [sink], batch=batch, workers=built.workers)
    runner.start()
    count = 0
    try:
        while True:
            try:
                result = sink.channel.get()
            except Closed:
                break
            count += 1
            yield result
        progress = runner.wait()
        if not count and not source.live:
            raise SourceError(f"{source.name}: no frame could be decoded; the file is empty, damaged or encrypted")
        if progress.damage:
            log.warning("%s: damaged in %d places; what lies there is missing", source.name, progress.damage)
    finally:
        sink.channel.cancel()
        runner.stop()
        with contextlib.suppress(Exception):
            runner.wait()
