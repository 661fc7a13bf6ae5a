"""Annotations made elsewhere as a recording of their video."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.annotate.media_info import Footage, look_at
from tracker.annotate.recordings import fingerprint, printable
from tracker.formats import find_format
from tracker.formats.core.annotations import Annotations
from tracker.formats.core.polygons import to_window
from tracker.formats.core.rle import window_to_rle
from tracker.lock import alone
from tracker.observations import Observations, Origin
from tracker.store import RecordingInfo, RecordingWriter
from tracker.store.schema import refuse_write, remove

__all__ = ["ImportCounts", "import_annotations"]

log = logging.getLogger(__name__)

COMMIT_EVERY = 1000


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What came in."""

    frames: int
    objects: int
    tracks: int


def import_annotations(path: Path, name: str, *, video: Path, out: Path, labels: tuple[str, ...] = ()) -> ImportCounts:
    """Write a finished recording with the video's frames and time stamps, and the file's objects; it appears whole.

    Objects without a track get one each. Raises FormatError for a malformed file, or one that mentions frames the
    video does not have.
    """
    footage = look_at(video)
    read: Annotations = find_format(name).read(path, footage.known(labels))
    annotations = footage.place(read, path, name)
    footage.check(annotations, path)
    crowds = int(annotations.objects.crowds.sum())
    if crowds:
        log.warning("%s: a recording has no crowds: %d of them become ordinary objects", path, crowds)
    size, digest = fingerprint(video.resolve())
    recording = RecordingInfo(
        source={
            "path": printable(str(video.resolve())),
            "name": printable(footage.name),
            "size": size,
            "digest": digest,
        },
        width=footage.width,
        height=footage.height,
        labels=annotations.labels,
        settings={"imported": name},
    )
    rows = _rows(annotations)
    partial = out.with_name(out.name + ".partial")
    with alone(out.with_name(out.name + ".lock"), str(out)):
        try:
            _write(partial, recording, rows, footage)
            remove(out)
            partial.replace(out)
        except OSError as error:
            raise refuse_write(out, error) from error
        finally:
            remove(partial)
    return ImportCounts(len(footage.times), len(rows), len(np.unique(rows.tracks)))


def _write(path: Path, recording: RecordingInfo, rows: Observations, footage: Footage) -> None:
    times = footage.times
    writer = RecordingWriter.create(path, recording)
    try:
        edges = np.searchsorted(rows.frames, list(times))
        ends = np.searchsorted(rows.frames, list(times), side="right")
        for done, (frame, start, end) in enumerate(zip(times, edges.tolist(), ends.tolist(), strict=True), start=1):
            writer.add(frame, times[frame], rows[start:end], image_entry=footage.images.get(frame))
            if done % COMMIT_EVERY == 0:
                writer.commit({})
        writer.commit({})
        writer.complete_with(None)
    finally:
        writer.close()


def _rows(annotations: Annotations) -> Observations:
    frames, objects = annotations.frames, annotations.objects
    tracks = objects.track_ids.copy()
    loose = tracks == 0
    tracks[loose] = int(tracks.max(initial=0)) + 1 + np.arange(loose.sum())
    by_hand = np.isnan(objects.scores)
    origins = np.where(objects.keyframes, np.where(by_hand, Origin.MANUAL, Origin.DETECTED), Origin.INTERPOLATED)
    masks: list[str | None] = []
    for frame, segmentation in zip(objects.frames.tolist(), objects.segmentations, strict=True):
        if isinstance(segmentation, tuple):
            width, height = int(frames.widths[frame]), int(frames.heights[frame])
            (rows, columns), covered = to_window(segmentation, width=width, height=height)
            code = window_to_rle(covered, left=columns.start, top=rows.start, width=width, height=height)
            masks.append(code["counts"])
        else:
            masks.append(segmentation)
    kept = Observations.rounded(
        annotations.frames.indices[objects.frames],
        tracks=tracks,
        class_ids=objects.class_ids,
        scores=np.where(by_hand, 1.0, objects.scores),
        boxes=objects.boxes,
        origins=origins,
        masks=masks if any(masks) else None,
    )
    return kept[np.lexsort((kept.tracks, kept.frames))]
