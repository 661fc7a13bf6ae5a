"""`demo`: make a clip from two real photographs, run the whole program on it, leave everything to look at.

With --datasets it writes digits and shapes drawn by itself, to train every kind of network on.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from tracker.commands import demo_clip
from tracker.commands.demo_data import SHAPES, write_datasets
from tracker.commands.options import add_settings_options, settings_from
from tracker.commands.outputs import Tally, own_folder, table, write_settings
from tracker.commands.progress import LastLine
from tracker.commands.track import Outputs, exit_code, open_sinks, track_source
from tracker.errors import ConfigError, SinkError
from tracker.factory import make_pipeline, make_runner
from tracker.protocols import Sink
from tracker.types import Detections, FrameResult, Tracks
from tracker.video import VideoSink, open_source

__all__ = ["add_parsers", "make_clip"]

PREVIEW_FRAME = 270


def add_parsers(subparsers: Any) -> None:
    """Add `demo`."""
    parser = subparsers.add_parser("demo", help="see the whole program at work", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/demo"), metavar="DIR", help="where results go")
    text = "write data sets drawn by the program there instead, for every kind of network: nothing is downloaded"
    parser.add_argument("--datasets", type=Path, metavar="DIR", help=text)
    text = "with --datasets: images to train on in each (default 400)"
    parser.add_argument("--images", type=int, default=400, metavar="N", help=text)
    add_settings_options(parser)
    parser.set_defaults(run=_run)


def make_clip(path: Path) -> None:
    """Write the clip of demo_clip as a video file."""
    sink = VideoSink(path, rate=Fraction(demo_clip.RATE), time_base=Fraction(1, demo_clip.RATE * 512))
    for frame in demo_clip.frames():
        sink.write(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))
    sink.close()


def _run(options: argparse.Namespace) -> int:
    if options.datasets is not None:
        if options.images < len(SHAPES):
            raise ConfigError(f"--images {options.images}: must be {len(SHAPES)} or more, the number of classes")
        ready = write_datasets(options.datasets, images=options.images)
        sys.stdout.write("\n".join(str(path) for path in ready) + "\n")
        return 0
    with LastLine(options, source="clip.mp4", frames=0) as last:
        return _demo(options, last)


def _demo(options: argparse.Namespace, last: LastLine) -> int:
    settings = settings_from(options, overlay__trails=True)
    last.style = settings.output.progress
    folder = own_folder(options.folder)
    clip = folder / "clip.mp4"
    make_clip(clip)
    source = open_source(str(clip))
    built = make_pipeline(settings, live=False, draw=True)
    write_settings(folder, "demo", source.name, settings)
    outputs = Outputs(
        video=folder / "annotated.mp4", annotations={"mot": folder / "tracks.txt", "jsonl": folder / "tracks.jsonl"}
    )
    tally, preview = Tally(built.pipeline.labels), _Preview(folder / "preview.png")
    runner = make_runner(source, built, [*open_sinks(source, outputs), tally, preview], settings)
    last.reported = True
    ended = track_source(runner, source, settings)
    if settings.output.progress != "json":
        sys.stdout.write(table(ended.progress, tally, built.engine, [*outputs.files, preview.path]) + "\n")
    if ended.interrupt is not None:
        raise ended.interrupt
    return exit_code(ended.progress, source)


class _Preview(Sink):
    """One annotated frame as an image."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, result: FrameResult) -> None:
        if result.frame.index != PREVIEW_FRAME or result.canvas is None:
            return
        if not cv2.imwrite(str(self.path), cv2.cvtColor(result.canvas, cv2.COLOR_RGB2BGR)):
            raise SinkError(f"{self.path}: cannot write the image; check the folder's rights and free space")

    def close(self) -> None:
        """The image is whole already."""

    discard = close
