"""A recording in the formats others read: what a live run would have written, after all edits."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from tracker.annotate.dataset import ImageOptions, write_dataset
from tracker.annotate.export_source import FRAMES_AT_ONCE, RecordedParts
from tracker.annotate.sink import as_tracks
from tracker.errors import ConfigError, FormatError, SinkError
from tracker.formats import find_format
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.live_rows import class_name
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions
from tracker.formats.jsonl import dump_line, event_to_mapping, header, semantic_to_mapping
from tracker.formats.label_maps import LABEL_MAP_FORMATS, LabelledFrame
from tracker.formats.mot import MotSink, warn_of_mot_losses
from tracker.lock import alone
from tracker.observations import Observations, Origin
from tracker.store import ImageEntry, Recording
from tracker.types import Detections, Event, Frame, FrameResult

__all__ = ["export", "export_suffix", "labelled_frames", "to_results"]

log = logging.getLogger(__name__)

OUR_FOLDERS = ("labels", "Annotations", "ImageSets", "SegmentationClass", "SegmentationObject", "annotations")
"""Of data sets: nothing in them is anybody else's."""
ONE_SHAPE = frozenset({"mots", "coco", "yolo", "cvat", "cvatimages"})
"""Formats whose readers take box and mask for one object."""
PLAIN_SUFFIX = {"mot", "coco", "jsonl", "cvat", "csv", "parquet"}
"""Formats that need no more than the suffix to tell their files from those of other formats."""


def export_suffix(name: str, *, images: bool = False) -> str:
    """What a recording's file in that format is called behind the recording's name; a folder for some formats.

    With images it is a folder always.
    """
    if name in LABEL_MAP_FORMATS:
        return f".{name}"
    suffix = "" if images else find_format(name).suffix
    return suffix if name in PLAIN_SUFFIX and suffix else f".{name}{suffix}"


def export(
    recording: Recording,
    name: str,
    path: Path,
    options: WriteOptions = DEFAULT_OPTIONS,
    *,
    images: ImageOptions | None = None,
    video: Path | None = None,
) -> None:
    """Write the recording in the named format; file or folder appear whole, in place of older ones.

    MOT text and JSON Lines are to the byte what their live sinks write. Memory does not grow with the recording.
    Boxes are written where the format has to choose, unless `options` asks for outlines. `images` writes a data set
    with its images, for formats that have `Format.images`; `video` is where the recorded file is now. Raises
    ConfigError for a format of label maps where the recording has none.
    """
    if name in LABEL_MAP_FORMATS:
        _write_label_maps(recording, name, path)
        return
    options = replace(options, outlines=bool(options.outlines))
    if recording.semantic_labels and name != "jsonl":
        log.warning("%s cannot hold: a label per pixel (%s have them)", name, ", ".join(("jsonl", *LABEL_MAP_FORMATS)))
    with recording.snapshot():
        try:
            if images is not None:
                _write_folder(
                    recording, name, path, lambda new: write_dataset(recording, name, new, options, images, video=video)
                )
            else:
                _write(recording, name, path, options)
        except FormatError as error:
            if str(error).startswith(str(recording.path)):
                raise
            again = "Restore it from a copy, or annotate again."
            raise FormatError(f"{recording.path}: damaged: it cannot be written as {name}: {error}. {again}") from error


def _write(recording: Recording, name: str, path: Path, options: WriteOptions) -> None:
    form, parts = find_format(name), RecordedParts(recording, clip_masks=name in ONE_SHAPE)
    if name == "mot":
        _write_mot(recording, path, options)
    elif name == "jsonl":
        _write_jsonl(recording, path)
    elif form.suffix:
        form.write(path, parts, options)
    else:
        _write_folder(recording, name, path, lambda new: form.write(new, parts, options))


def _write_label_maps(recording: Recording, name: str, path: Path) -> None:
    labels = recording.semantic_labels
    if not labels:
        raise ConfigError(
            f"{recording.path}: has no label per pixel to write as {name}; annotate with --semantic gives them"
        )
    with recording.snapshot():
        _write_folder(
            recording, name, path, lambda new: LABEL_MAP_FORMATS[name].write(new, labels, labelled_frames(recording))
        )


def labelled_frames(recording: Recording) -> Iterator[LabelledFrame]:
    """Each frame's labels at its own size; a warning counts the frames that have none."""
    without = 0
    for part in RecordedParts(recording).by_frames(objects=False):
        widths, heights = part.frames.widths.tolist(), part.frames.heights.tolist()
        names = part.file_names(".jpg")
        for index, name, width, height in zip(part.frames.indices.tolist(), names, widths, heights, strict=True):
            labels = recording.semantic(index)
            if labels is None:
                without += 1
                continue
            whole = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
            yield LabelledFrame(name, index, np.asarray(whole, np.uint8))
    if without:
        log.warning("%s: %d frames have no label per pixel and are left out", recording.path, without)


def to_results(recording: Recording) -> Iterator[tuple[Observations, FrameResult]]:
    """Frame by frame the rows, and the result a live run would have given, with an empty image and no masks.

    The frame's `source` is the name of the image, or of the video.
    """
    info = recording.info
    video = ImageEntry(str(info.source.get("name", "")), info.width, info.height)
    semantic_labels = recording.semantic_labels
    dot = np.zeros((1, 1, 3), np.uint8)
    for stretch in recording.chunks(frames=FRAMES_AT_ONCE, masks=True):
        first, last = int(stretch.frames[0]), int(stretch.frames[-1])
        events, images = _events_by_frame(recording, first, last), recording.images(first, last)
        for index, time, rows in stretch.by_frame():
            tracks = as_tracks(rows)
            detections = Detections(tracks.boxes, tracks.scores, tracks.class_ids)
            name, width, height = images.get(index, video)
            frame = Frame(np.broadcast_to(dot, (height, width, 3)), index, time, name)
            semantic = recording.semantic(index) if semantic_labels else None
            result = FrameResult(frame, detections, tracks, info.labels, semantic, semantic_labels)
            yield rows, replace(result, events=tuple(events.get(index, ())))


def _events_by_frame(recording: Recording, first: int, last: int) -> dict[int, list[Event]]:
    events: dict[int, list[Event]] = {}
    for row in recording.events(first, last):
        events.setdefault(row.frame, []).append(row.event)
    return events


def _write_mot(recording: Recording, path: Path, options: WriteOptions) -> None:
    warn_of_mot_losses(RecordedParts(recording).summary().content, recording.info.labels, options)
    sink = MotSink(path, options, warn=False)
    try:
        for _, result in to_results(recording):
            sink.write(result)
        sink.close()
    finally:
        sink.discard()


def _write_jsonl(recording: Recording, path: Path) -> None:
    info = recording.info
    name = str(info.source.get("name", ""))
    are_images = bool(recording.images())
    with AtomicText(path) as file:
        file.write(dump_line(header(name, info.width, info.height, info.labels, recording.semantic_labels)))
        for rows, result in to_results(recording):
            line: dict[str, Any] = {"frame": result.frame.index, "time": result.frame.time}
            height, width = result.frame.image.shape[:2]
            if (width, height) != (info.width, info.height):
                line |= {"width": width, "height": height}
            if are_images:
                line["image"] = result.frame.source
            line["objects"] = list(_jsonl_objects(rows, info.labels, [height, width]))
            if result.semantic is not None:
                line["semantic"] = semantic_to_mapping(result.semantic)
            if result.events:
                line["events"] = [event_to_mapping(event) for event in result.events]
            file.write(dump_line(line))


def _jsonl_objects(rows: Observations, labels: tuple[str, ...], size: list[int]) -> Iterator[dict[str, Any]]:
    columns = zip(
        rows.tracks.tolist(),
        rows.class_ids.tolist(),
        rows.boxes.tolist(),
        rows.scores.tolist(),
        rows.origins.tolist(),
        rows.masks or [None] * len(rows),
        strict=True,
    )
    for track_id, class_id, box, score, origin, counts in columns:
        entry: dict[str, Any] = {
            "id": track_id,
            "class": class_name(labels, class_id),
            "class_id": class_id,
            "bbox": box,
            "score": score,
            "state": "confirmed",
        }
        if origin == Origin.INTERPOLATED:
            entry["keyframe"] = False
        if counts is not None:
            entry["segmentation"] = {"size": size, "counts": counts}
        yield entry


def _replace_old(old: Path, path: Path) -> None:
    """Take the older folder away, but for what people put beside its annotations, such as the images."""
    if not old.is_dir() or old.is_symlink():
        return
    if not path.exists():  # a run was killed between the two
        old.replace(path)
        return
    _keep_others(old, path)
    shutil.rmtree(old)


def _keep_others(old: Path, new: Path) -> None:
    """Move what only the older folder has into the new one, but for annotations of ours."""
    for entry in old.iterdir():
        target = new / entry.name
        if not target.exists():
            if entry.suffix != ".xml" and entry.name not in OUR_FOLDERS:
                entry.replace(target)
        elif entry.is_dir() and target.is_dir() and entry.name not in OUR_FOLDERS:
            _keep_others(entry, target)


def _refuse_twins(recording: Recording, name: str) -> None:
    """Raise FormatError where two images would share one file: the later one's would take the earlier one's place."""
    images: dict[str, str] = {}
    for entry in recording.images().values():
        stem = PurePosixPath(entry.name).stem
        if stem in images:
            raise FormatError(
                f"{recording.path}: cannot be written as {name}: {images[stem]} and {entry.name} would share one "
                "file. Rename one of them and annotate again, or choose a format that is one file, such as coco."
            )
        images[stem] = entry.name


def _write_folder(recording: Recording, name: str, path: Path, write: Callable[[Path], object]) -> None:
    with alone(path.with_name(path.name + ".lock"), str(path)):
        _write_folder_alone(recording, name, path, write)


def _write_folder_alone(recording: Recording, name: str, path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(path.name + ".partial")
    old = path.with_name(path.name + ".old")
    try:
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial)
        _replace_old(old, path)
        _refuse_twins(recording, name)
        whole = partial / path.name  # its name stands in some formats' files
        write(whole)
        if path.exists():
            path.replace(old)
        whole.replace(path)
        partial.rmdir()
        _replace_old(old, path)
    except OSError as error:
        raise SinkError(
            f"{path}: cannot be written: {error.strerror}. Free some space or choose another --out."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
