"""`convert`: annotations from one format to another."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tracker.annotate.dataset import hiding, save_images
from tracker.annotate.media_info import look_at
from tracker.commands.annotation_options import add_write_options, write_options
from tracker.commands.command_parser import comma_list
from tracker.commands.options import hidden_by_user
from tracker.commands.outputs import spare_inputs
from tracker.errors import ConfigError
from tracker.formats import FORMATS, find_format
from tracker.formats.core.annotations import Annotations, ExternalInfo
from tracker.formats.core.folder import inside
from tracker.formats.core.frame_matching import are_gapless
from tracker.overlay import OverlayConfig

__all__ = ["add_parsers"]

log = logging.getLogger(__name__)

DATASETS = {"yolo": "images", "voc": "JPEGImages"}
"""Formats whose folder has a place for the images."""
NAMELESS = ("mot", "mots", "kitti", "cvat", "labelstudio")
"""Formats that know images by their numbers only."""
GAP_ADVICE = "they are numbered without gaps; --video FILE gives each the number of its frame"


def add_parsers(subparsers: Any) -> None:
    """Add `convert`."""
    known = ", ".join(f"{name} ({form.title})" for name, form in FORMATS.items())
    parser = subparsers.add_parser(
        "convert", help="annotations from one format to another", description=f"{__doc__} Formats: {known}."
    )
    parser.add_argument("input", type=Path, help="file, folder or zip archive to read")
    parser.add_argument("--from", dest="from_format", required=True, metavar="FORMAT", help="what the input is")
    parser.add_argument("--to", dest="to_format", required=True, metavar="FORMAT", help="what to write")
    parser.add_argument("--out", type=Path, required=True, help="file or new folder to write")
    parser.add_argument("--size", default="", metavar="WxH", help="the images' size where the input does not say")
    parser.add_argument(
        "--classes", type=comma_list, default=(), metavar="A,B", help="names of the classes where the input has numbers"
    )
    parser.add_argument(
        "--video", metavar="FILE", help="the video: gives size and time stamps, and the images of datasets"
    )
    add_write_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    reader, writer = find_format(options.from_format), find_format(options.to_format)
    chosen = write_options(options, [options.to_format])
    spare_inputs(options.out, options.input, *([Path(options.video)] if options.video else []))
    if options.out.is_file() and options.out.suffix.lower() != writer.suffix:
        kind = f"expected a name ending in {writer.suffix}" if writer.suffix else "the format is a folder of files"
        raise ConfigError(f"--out {options.out}: a file of another kind is called so; {kind}")
    with_images = bool(options.video) and options.to_format in DATASETS
    hide = hiding(hidden_by_user() if with_images else OverlayConfig())
    known = ExternalInfo(*_size(options.size), options.classes)
    footage = look_at(options.video) if options.video else None
    if footage is not None:
        known = footage.known(known.labels)
    annotations = reader.read(options.input, known)
    if footage is not None:
        annotations = footage.place(annotations, options.input, options.from_format)
        footage.check(annotations, options.input)
    else:
        annotations = _with_size(annotations, known)
        if options.to_format in NAMELESS and not are_gapless(annotations):
            log.warning("%s: images are missing between others; %s", options.input, GAP_ADVICE)
    writer.write(options.out, annotations, chosen)
    images = 0
    if with_images:
        folder = options.out / DATASETS[options.to_format]
        names = annotations.file_names(".jpg")
        targets = {
            index: inside(folder, name) for index, name in zip(annotations.frames.indices.tolist(), names, strict=True)
        }
        images = save_images(options.video, targets, hide)
    objects, tracks = len(annotations.objects), len(annotations.rows_by_track())
    saved = f", {images} images" if images else ""
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


def _with_size(annotations: Annotations, known: ExternalInfo) -> Annotations:
    """The annotations with the user's size where they have none of their own."""
    frames = annotations.frames
    widths = np.where(frames.widths == 0, known.width, frames.widths).astype(np.int32)
    heights = np.where(frames.heights == 0, known.height, frames.heights).astype(np.int32)
    return replace(annotations, frames=replace(frames, widths=widths, heights=heights))
