"""`train localizer`: a network that says what the one object of an image is, and where."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from tracker.commands.train_options import add_fit_options, add_training_settings, training_settings, write_line
from tracker.embedded import trainable_file
from tracker.nets.localizer import load_localizer
from tracker.train.data.detection import load_data
from tracker.train.data.region_crops import cut_regions
from tracker.train.localizer import LocalizerTraining, load_single_objects, train_localizer
from tracker.train.run_folder import training_into

__all__ = ["add_parser"]

DEFAULTS = LocalizerTraining()
KEYS = {
    "backbone": "network.backbone",
    "dropout": "network.dropout",
    "pretrained": "pretrained",
    "batch": "batch",
    "box_loss": "box_loss",
    "box_weight": "box_weight",
    "image_size": "image_size",
}
"""Options and their settings."""


def add_parser(train_subparsers: Any) -> None:
    """Add `localizer`."""
    parser = train_subparsers.add_parser(
        "localizer", help="a network that says what an image's one object is, and where"
    )
    text = "data.yaml or COCO JSON, as for detectors; images with one object are used"
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help=text)
    text = "cspdarknet_nano, resnet18, ..., timm:NAME (default cspdarknet_nano)"
    parser.add_argument("--backbone", metavar="NAME", help=text)
    parser.add_argument("--dropout", type=float, help="before the two heads (default 0)")
    text = "start of the backbone: sightline-anchors or another network of ours, or torchvision's or timm's weights"
    parser.add_argument("--pretrained", type=trainable_file, metavar="FILE", help=text)
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="images are stretched to this (default 96)")
    text = "distance of the box's edges: smooth_l1 or mse (default smooth_l1)"
    parser.add_argument("--box-loss", choices=("smooth_l1", "mse"), help=text)
    text = "what the box's loss counts beside the class's (default 20)"
    parser.add_argument("--box-weight", type=float, metavar="FACTOR", help=text)
    parser.add_argument("--batch", type=int, metavar="N", help="images per step (default 32)")
    text = (
        "learn from crops about proposals and objects instead, of images with any number of them, with a class for the "
        "background: what `evaluate rcnn` takes"
    )
    parser.add_argument("--regions", action="store_true", help=text)
    add_fit_options(parser, DEFAULTS.fit, out="runs/localizer")
    add_training_settings(parser, KEYS, kind="localizer")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    config = training_settings(options, DEFAULTS, KEYS)
    splits, _ = load_data(options.data)
    load = partial(cut_regions, seed=config.fit.seed) if options.regions else load_single_objects
    train = load(splits["train"], config.image_size)
    val = load(splits["val"], config.image_size) if "val" in splits else None
    if options.regions:
        objects = int((train.labels < len(train.names) - 1).sum())
        write_line(f"{len(train)} crops, {objects} of them of an object of {len(train.names) - 1} classes")
    else:
        write_line(
            f"{len(train)} images with one object of {len(train.names)} classes, {train.skipped} others left out"
        )
    with training_into(options.out):
        result = train_localizer(config, train, val, options.out, report=write_line)
    _, description = load_localizer(result.best)
    figures = description["accuracy"]
    accuracy = "(the last: nothing to judge by; give val)"
    if figures:
        accuracy = (
            f"accuracy {figures['accuracy']:.3f}  mean IoU {figures['mean_iou']:.3f}  "
            f"right class and IoU of 0.5 or more: {figures['localized']:.3f}"
        )
    write_line(f"best of {result.epochs} epochs: {result.best}  {accuracy}")
    return 0
