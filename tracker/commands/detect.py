"""`detect`: boxes and masks of single images as one JSON list, no tracking."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from tracker.commands.options import add_detector_options, add_settings_options, add_source_options, settings_from
from tracker.commands.outputs import frame_names, output_file, own_folder, spare_images
from tracker.commands.progress import LastLine, follow_run
from tracker.errors import SinkError, SourceError
from tracker.factory import make_detection_pipeline, make_runner
from tracker.formats.detections_json import DetectionsJson
from tracker.image_file import is_image
from tracker.paths import typed_path
from tracker.protocols import FrameSource, Sink
from tracker.types import Frame, FrameResult
from tracker.video import ImageSource, open_source

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `detect`."""
    parser = subparsers.add_parser("detect", help="boxes and masks of single images", description=__doc__)
    parser.add_argument("sources", nargs="+", metavar="PATH", help="images, folders, 'globs', or one video")
    json = output_file(".json")
    parser.add_argument("--out", type=json, default=Path("detections.json"), metavar="FILE.json", help="the JSON list")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="also write each image with its boxes drawn")
    add_source_options(parser)
    add_detector_options(parser)
    add_settings_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with LastLine(options, source=options.sources[0], frames=0) as last:
        return _detect(options, last)


def _detect(options: argparse.Namespace, last: LastLine) -> int:
    settings = settings_from(options, overlay__show="detections", overlay__colour_by="class")
    last.style = settings.output.progress
    source = _open(options.sources, settings.source.vid_stride)
    try:
        if source.live:
            raise SourceError(f"{source.name}: detect takes images and files; use `track` for live input")
        if options.draw is not None:
            spare_images("--draw", options.draw, source)
        built = make_detection_pipeline(settings, draw=options.draw is not None)
        own_folder(options.out.parent)
        rows = _Rows(DetectionsJson(options.out), frame_names(source))
        sinks: list[Sink] = [rows]
        if options.draw is not None:
            sinks.append(_DrawnImages(own_folder(options.draw), frame_names(source)))
        runner = make_runner(source, built, sinks, settings)
    except BaseException:
        source.close()
        raise
    last.reported = True
    runner.start()
    ended = follow_run(runner, source, style=settings.output.progress, total=source.info.frame_count)
    progress = ended.progress
    if settings.output.progress != "json":
        damaged = f", {progress.damage} damaged or unreadable" if progress.damage else ""
        sys.stdout.write(f"{progress.frames} images{damaged}, {rows.count} objects: {options.out}\n")
    if ended.interrupt is not None:
        raise ended.interrupt
    return 3 if progress.damage else 0


def _open(specs: Sequence[str], vid_stride: int) -> FrameSource:
    """The source, or all images of several as one. Raises SourceError where a video is among several."""
    if len(specs) == 1:
        return open_source(specs[0], vid_stride=vid_stride)
    paths: dict[Path, None] = {}
    for spec in specs:
        path = typed_path(spec)
        if path.is_file() and is_image(path):  # one that is broken is reported when it is read, as in a folder
            paths[path.absolute()] = None
            continue
        with open_source(spec) as source:
            if not source.paths:
                raise SourceError(f"{spec}: no image; of several sources all must be. Read a video by itself.")
            paths.update(dict.fromkeys(inside.absolute() for inside in source.paths))
    return ImageSource(list(paths), vid_stride=vid_stride)


class _Rows(Sink):
    """The JSON rows of every image."""

    def __init__(self, file: DetectionsJson, name: Callable[[Frame], str]) -> None:
        self._file = file
        self._name = name
        self.count = 0

    def write(self, result: FrameResult) -> None:
        height, width = result.frame.image.shape[:2]
        self._file.add(self._name(result.frame), result.detections, result.labels, width=width, height=height)
        self.count += len(result.detections)

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self._file.discard()


class _DrawnImages(Sink):
    """Every image with its boxes drawn, as JPEG."""

    def __init__(self, folder: Path, name: Callable[[Frame], str]) -> None:
        self._folder = folder
        self._name = name

    def write(self, result: FrameResult) -> None:
        if result.canvas is None:
            return
        path = self._folder / f"{self._name(result.frame)}.jpg"
        own_folder(path.parent)
        if not cv2.imwrite(str(path), cv2.cvtColor(result.canvas, cv2.COLOR_RGB2BGR)):
            raise SinkError(f"{path}: cannot write the image; check the folder's rights and free space")

    def close(self) -> None:
        """Every image is whole already."""

    discard = close
