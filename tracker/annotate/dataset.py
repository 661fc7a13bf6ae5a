"""A recording as a data set with its images, to train on: in YOLO's, COCO's or Pascal VOC's layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from tracker.annotate.export_source import RecordedParts
from tracker.annotate.media_info import recorded_source
from tracker.errors import ConfigError, SinkError, SourceError
from tracker.formats import find_format
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.folder import inside
from tracker.formats.core.selection import SelectedFrames
from tracker.formats.core.write_options import WriteOptions
from tracker.overlay import Overlay, OverlayConfig
from tracker.store import Recording
from tracker.types import Detections, Frame, FrameResult, Image, Tracks
from tracker.video import open_source

__all__ = ["ImageOptions", "check_split", "hiding", "save_images", "write_dataset"]

JPEG_QUALITY = 95

Hide: TypeAlias = Callable[[Frame], Image]


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """Which frames of a recording become images."""

    every: int = 1
    """Each so manyth frame."""
    split: float | None = None
    """Fraction of them to train on, the first ones; the rest is to judge by. None: all in one."""
    hidden: OverlayConfig = field(default_factory=OverlayConfig)
    """What of it is to be unrecognisable: `blur_regions` are, and with `blur_classes` no image is written."""


def write_dataset(
    recording: Recording, name: str, folder: Path, options: WriteOptions, images: ImageOptions, *, video: Path | None
) -> int:
    """Write annotations and images of the chosen frames into a new folder; returns how many images.

    The split is by time, as neighbouring frames show nearly the same. Raises ConfigError where a part would be empty
    or classes are to be hidden, SourceError where the video is missing or is not the recorded one.
    """
    hide = hiding(images.hidden)
    count = check_split(recording, images)
    source = recorded_source(recording, video)
    indices = np.concatenate([frames for frames, _ in recording.frame_chunks(4096)] or [np.empty(0, np.int64)])[
        :: images.every
    ]
    parts = RecordedParts(recording, clip_masks=True)
    subsets: dict[str, AnnotationParts] = {"": SelectedFrames(parts, indices)}
    if images.split is not None:
        subsets = {"train": SelectedFrames(parts, indices[:count]), "val": SelectedFrames(parts, indices[count:])}
    form = find_format(name)
    folders = form.load().write_dataset(folder, subsets, *([options] if form.options else []))
    targets = dict(item for subset, chosen in subsets.items() for item in _targets(folders[subset], chosen))
    saved = save_images(source, targets, hide)
    if saved < len(targets):
        missing = next(index for index in indices.tolist() if not targets[index].exists())
        raise SourceError(f"{source}: frame {{0}} is recorded, but does not decode any more", frames=(missing,))
    return saved


def check_split(recording: Recording, images: ImageOptions) -> int:
    """How many images are to train on. Raises ConfigError where a part would be empty."""
    taken = len(range(0, recording.frame_count(), images.every))
    if images.split is None:
        return taken
    count = round(taken * images.split)
    if not 0 < count < taken:
        raise ConfigError(
            f"split {images.split:g}: {taken} {'image' if taken == 1 else 'images'} would be {count} to train on and "
            f"{taken - count} to judge by; take more than one frame in {images.every}, or split otherwise or not at all"
        )
    return count


def _targets(folder: Path, annotations: AnnotationParts) -> Iterator[tuple[int, Path]]:
    """The image file of each frame."""
    for part in annotations.by_frames(objects=False):
        for index, name in zip(part.frames.indices.tolist(), part.file_names(".jpg"), strict=True):
            yield index, inside(folder, name)


def hiding(config: OverlayConfig) -> Hide:
    """What gives a frame's image with its hidden regions unrecognisable.

    Raises ConfigError for hidden classes: a recording leaves out what the tracker was not sure of, and other people's
    annotations may leave out anybody.
    """
    if config.blur_classes:
        raise ConfigError(
            f"images with overlay.blur_classes ({', '.join(config.blur_classes)}): who is not among the annotations "
            "would stay visible in them. Export without images, or hide no classes; overlay.blur_regions are hidden."
        )
    overlay = Overlay(OverlayConfig(blur_regions=config.blur_regions))
    return lambda frame: overlay(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))


def save_images(source_path: Path | str, targets: Mapping[int, Path], hide: Hide) -> int:
    """Write frames of a video, or images of a folder, as JPEG files; returns how many of them there were."""
    source = open_source(source_path)
    count, last = 0, max(targets, default=-1)
    try:
        for frame in source:
            if frame.index > last:
                break
            if frame.index in targets:
                _save(hide(frame), targets[frame.index])
                count += 1
    finally:
        source.close()
    return count


def _save(image: Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _, encoded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror}. Free space or choose another folder.") from error
