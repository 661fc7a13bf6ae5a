"""Options about how annotations are written, alike in `export-annotations` and `convert`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tracker.annotate.dataset import ImageOptions
from tracker.commands.options import hidden_by_user
from tracker.errors import ConfigError
from tracker.formats import FORMATS
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions

__all__ = ["add_image_options", "add_write_options", "image_options", "write_options"]

FLAGS = {
    "outlines": "--outlines",
    "track_ids": "--track-ids",
    "class_column": "--class-column",
    "guard_cells": "--guard-cells",
}


def add_write_options(parser: argparse.ArgumentParser) -> None:
    """Add the fields of WriteOptions."""
    shapes = parser.add_mutually_exclusive_group()
    shapes.add_argument(
        "--outlines",
        action="store_true",
        default=None,
        help="yolo, cvat: the outline of each object (of its box where it has no mask), true to half a pixel",
    )
    shapes.add_argument("--boxes", dest="outlines", action="store_false", help="yolo, cvat: the box of each object")
    parser.add_argument("--track-ids", action="store_true", help="yolo: put the track id behind each row")
    parser.add_argument("--class-column", action="store_true", help="mot: number the classes in the eighth column")
    parser.add_argument(
        "--guard-cells", action="store_true", help="csv: put ' before names that spreadsheets take for formulas"
    )


def write_options(options: argparse.Namespace, names: Sequence[str]) -> WriteOptions:
    """What was chosen for these formats. Raises ConfigError for an option that none of them has."""
    chosen = WriteOptions(options.outlines, options.track_ids, options.class_column, options.guard_cells)
    for field, flag in FLAGS.items():
        value = getattr(chosen, field)
        if value != getattr(DEFAULT_OPTIONS, field) and not any(field in FORMATS[name].options for name in names):
            having = [name for name, form in FORMATS.items() if field in form.options]
            raise ConfigError(f"{'--boxes' if value is False else flag}: for the format {' or '.join(having)} only")
    return chosen


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add the fields of ImageOptions."""
    parser.add_argument(
        "--images", action="store_true", help="yolo, coco, voc: a data set to train on, with its images as JPEG files"
    )
    parser.add_argument("--every", type=int, metavar="N", help="with --images: each Nth frame only (all)")
    parser.add_argument(
        "--split",
        type=float,
        metavar="SHARE",
        help="with --images: the first SHARE of the frames, such as 0.8, to train on, the rest to judge by",
    )


def image_options(options: argparse.Namespace, names: Sequence[str]) -> ImageOptions | None:
    """What was chosen, None where no images are wanted. Raises ConfigError for what does not go together."""
    if not options.images:
        for flag, value in (("--every", options.every), ("--split", options.split)):
            if value is not None:
                raise ConfigError(f"{flag}: goes with --images")
        return None
    without = [name for name in names if not FORMATS[name].images]
    if without:
        having = ", ".join(name for name, form in FORMATS.items() if form.images)
        raise ConfigError(f"--images: for the formats {having}, not for {', '.join(without)}; export these apart")
    if options.every is not None and options.every < 1:
        raise ConfigError(f"--every {options.every}: expected 1 or more")
    if options.split is not None and not 0 < options.split < 1:
        raise ConfigError(f"--split {options.split:g}: expected a fraction between 0 and 1, such as 0.8")
    return ImageOptions(options.every or 1, options.split, hidden_by_user())
