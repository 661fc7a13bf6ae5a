"""`convert`: annotations from one format to another."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tracker.commands.outputs import spare_inputs
from tracker.errors import ConfigError, SinkError, SourceError
from tracker.formats import FORMATS, find_format
from tracker.formats.annotations import Annotations, Known
from tracker.formats.folder import inside
from tracker.video import open_source

__all__ = ["add_parsers"]

DATASETS = {"yolo": "images", "voc": "JPEGImages"}
"""Formats whose folder has a place for the pictures."""


def add_parsers(subparsers: Any) -> None:
    """Add `convert`."""
    known = ", ".join(f"{name} ({form.title})" for name, form in FORMATS.items())
    parser = subparsers.add_parser(
        "convert", help="annotations from one format to another", description=f"{__doc__} Formats: {known}."
    )
    parser.add_argument("input", type=Path, help="file or folder to read")
    parser.add_argument("--from", dest="from_format", required=True, metavar="FORMAT", help="what the input is")
    parser.add_argument("--to", dest="to_format", required=True, metavar="FORMAT", help="what to write")
    parser.add_argument("--out", type=Path, required=True, help="file or new folder to write")
    parser.add_argument("--size", default="", metavar="WxH", help="the pictures' size where the input does not tell it")
    parser.add_argument("--classes", default="", metavar="A,B", help="names of the classes where the input has numbers")
    parser.add_argument(
        "--video", metavar="FILE", help="the video: gives size and time stamps, and the pictures of datasets"
    )
    parser.add_argument("--track-ids", action="store_true", help="yolo: put the track id behind each row")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    reader, writer = find_format(options.from_format), find_format(options.to_format)
    if options.track_ids and options.to_format != "yolo":
        raise ConfigError("--track-ids is for --to yolo only")
    spare_inputs(options.out, options.input, *([Path(options.video)] if options.video else []))
    known = Known(*_size(options.size), tuple(name.strip() for name in options.classes.split(",") if name.strip()))
    timed: dict[int, float] = {}
    if options.video:
        known, timed = _look_at_video(options.video, known)
    annotations = _with_times(reader.load().read(options.input, known), timed, known)
    extra = {"track_ids": True} if options.track_ids else {}
    writer.load().write(options.out, annotations, **extra)
    pictures = 0
    if options.video and options.to_format in DATASETS:
        pictures = _save_pictures(options.video, annotations, options.out / DATASETS[options.to_format])
    objects, tracks = len(annotations.objects), len(annotations.rows_by_track())
    saved = f", {pictures} pictures" if pictures else ""
    sys.stdout.write(f"{len(annotations.frames)} frames, {objects} objects, {tracks} tracks{saved}: {options.out}\n")
    return 0


def _size(text: str) -> tuple[int, int]:
    """Width and height of `1920x1080`, zeros for an empty text."""
    if not text:
        return 0, 0
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        raise ConfigError(f"--size {text}: expected WxH such as 1920x1080")
    width, height = sides
    return int(width), int(height)


def _look_at_video(path: str, known: Known) -> tuple[Known, dict[int, float]]:
    """What the video tells: its size and name, and the time stamp of each frame."""
    source = open_source(path)
    try:
        if source.live:
            raise SourceError(f"{source.name}: --video needs a file")
        times = {frame.index: frame.time for frame in source}
        name = Path(source.name).name
        width, height, count = source.info.width, source.info.height, max(times, default=-1) + 1
        return replace(known, width=width, height=height, source=name, frames=count), times
    finally:
        source.close()


def _with_times(annotations: Annotations, timed: dict[int, float], known: Known) -> Annotations:
    """The annotations with the user's size and the video's time stamps where they have none of their own."""
    frames = annotations.frames
    own = frames.times.tolist()
    times = [
        timed.get(index, math.nan) if math.isnan(time) else time
        for index, time in zip(frames.indices.tolist(), own, strict=True)
    ]
    widths = np.where(frames.widths == 0, known.width, frames.widths).astype(np.int32)
    heights = np.where(frames.heights == 0, known.height, frames.heights).astype(np.int32)
    frames = replace(frames, times=np.array(times, np.float64), widths=widths, heights=heights)
    return replace(annotations, frames=frames)


def _save_pictures(path: str, annotations: Annotations, folder: Path) -> int:
    """Write the video's annotated frames as JPEG files of the names that the annotations use."""
    names = dict(zip(annotations.frames.indices.tolist(), annotations.file_names(".jpg"), strict=True))
    source = open_source(path)
    count = 0
    try:
        for frame in source:
            if frame.index not in names:
                continue
            target = inside(folder, names[frame.index])
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                _, encoded = cv2.imencode(".jpg", frame.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
                target.write_bytes(encoded.tobytes())
            except OSError as error:
                raise SinkError(f"{target}: cannot be written: {error.strerror}. Choose another folder.") from error
            count += 1
    finally:
        source.close()
    return count
