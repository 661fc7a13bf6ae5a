"""Annotations made elsewhere as a recording of their video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.batch.jobs import fingerprint, printable
from tracker.errors import FormatError, SourceError
from tracker.formats import find_format
from tracker.formats.annotations import Annotations, Known
from tracker.formats.outlines import to_window
from tracker.formats.rle import window_to_rle
from tracker.store import Observations, Origin, RecordingInfo, RecordingWriter
from tracker.store.schema import refuse_write, remove
from tracker.video import FileSource, open_source

__all__ = ["ImportCounts", "import_annotations"]

COMMIT_EVERY = 1000


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What came in."""

    frames: int
    objects: int
    tracks: int


def import_annotations(path: Path, name: str, *, video: Path, out: Path, labels: tuple[str, ...] = ()) -> ImportCounts:
    """Write a finished recording with the video's frames and time stamps, and the file's objects; it appears whole.

    Objects without a track get one each. Raises FormatError for a malformed file, or one that tells of frames the
    video does not have.
    """
    source = open_source(video)
    try:
        if source.live:
            raise SourceError(f"{video}: expected a file or a folder of images, found live input")
        info = source.info
        times = _times(source)
        known = Known(info.width, info.height, labels, source=source.name, frames=max(times, default=-1) + 1)
        annotations: Annotations = find_format(name).load().read(path, known)
        _check(annotations, path, video, times=times, width=info.width, height=info.height)
        size, digest = fingerprint(video.resolve())
        recording = RecordingInfo(
            source={
                "path": printable(str(video.resolve())),
                "name": printable(source.name),
                "size": size,
                "digest": digest,
            },
            width=info.width,
            height=info.height,
            labels=annotations.labels,
            settings={"imported": name},
        )
    finally:
        source.close()
    rows = _rows(annotations, info.width, info.height)
    partial = out.with_name(out.name + ".partial")
    try:
        _write(partial, recording, rows, times)
        remove(out)
        partial.replace(out)
    except OSError as error:
        raise refuse_write(out, error) from error
    finally:
        remove(partial)
    return ImportCounts(len(times), len(rows), len(np.unique(rows.tracks)))


def _write(path: Path, recording: RecordingInfo, rows: Observations, times: dict[int, float]) -> None:
    writer = RecordingWriter.create(path, recording)
    try:
        edges = np.searchsorted(rows.frames, list(times))
        ends = np.searchsorted(rows.frames, list(times), side="right")
        for done, (frame, start, end) in enumerate(zip(times, edges.tolist(), ends.tolist(), strict=True), start=1):
            writer.add(frame, times[frame], rows[start:end])
            if done % COMMIT_EVERY == 0:
                writer.commit({})
        writer.commit({})
        writer.complete_with(None)
    finally:
        writer.close()


def _times(source: object) -> dict[int, float]:
    """The time stamp of every frame of the source."""
    if isinstance(source, FileSource):
        return dict(enumerate(source.times().tolist()))
    return {frame.index: frame.time for frame in source}  # type: ignore[attr-defined]


def _check(
    annotations: Annotations, path: Path, video: Path, *, times: dict[int, float], width: int, height: int
) -> None:
    frames = annotations.frames
    strange = [index for index in frames.indices.tolist() if index not in times]
    if strange:
        raise FormatError(f"{path}: tells of frame {strange[0]}, but {video.name} has frames 0 to {max(times)}")
    sizes = {(w, h) for w, h in zip(frames.widths.tolist(), frames.heights.tolist(), strict=True) if w}
    if sizes - {(width, height)}:
        found = ", ".join(f"{w} x {h}" for w, h in sorted(sizes - {(width, height)})[:3])
        raise FormatError(f"{path}: is about pictures of {found}, but {video.name} is {width} x {height}")


def _rows(annotations: Annotations, width: int, height: int) -> Observations:
    objects = annotations.objects
    tracks = objects.track_ids.copy()
    loose = tracks == 0
    tracks[loose] = int(tracks.max(initial=0)) + 1 + np.arange(loose.sum())
    by_hand = np.isnan(objects.scores)
    origins = np.where(objects.keyframes, np.where(by_hand, Origin.SET, Origin.SEEN), Origin.FILLED)
    masks: list[str | None] = []
    for segmentation in objects.segmentations:
        if isinstance(segmentation, tuple):
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
