"""`train segmentation`: a network that labels every pixel."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracker.commands.train_options import add_fit_options, add_training_settings, training_settings, write_line
from tracker.config import LARGEST_IMAGE
from tracker.embedded import trainable_file
from tracker.errors import ConfigError
from tracker.nets.segmenter import load_segmentation
from tracker.train.data.classification import AugmentImages
from tracker.train.data.segmentation import load_pixel_labels
from tracker.train.run_folder import training_into
from tracker.train.segmenter import SegmentationTraining, train_segmentation
from tracker.train.trainer import FitConfig

__all__ = ["add_parser", "image_size", "name_list", "number_list"]


DEFAULTS = SegmentationTraining(
    augment=AugmentImages(rotate=5.0, scale=0.4, shift=0.15, flip=True, colour=0.2),
    fit=FitConfig(epochs=100, learning_rate=2e-3),
)
KEYS = {
    "ignore": "ignore",
    "architecture": "network.architecture",
    "width": "network.width",
    "backbone": "network.backbone",
    "finest": "network.finest",
    "hidden": "network.hidden",
    "padded": "network.padded",
    "pretrained": "pretrained",
    "batch": "batch",
    "crop": "crop",
    "overlap": "overlap",
    "balance": "balance",
    "elastic": "augment.elastic",
}
"""Options and their settings."""


def add_parser(train_subparsers: Any) -> None:
    """Add `segmentation`."""
    parser = train_subparsers.add_parser("segmentation", help="a network that labels every pixel (U-Net, FCN)")
    text = "folder or .tar with train/images, train/labels, val/images, val/labels; labels are PNGs of class numbers"
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=text)
    text = "class names in the order of their numbers, separated by commas"
    parser.add_argument("--names", type=name_list, required=True, metavar="A,B", help=text)
    text = "label numbers that count neither way, besides 255"
    parser.add_argument("--ignore", type=number_list, metavar="N,N", help=text)
    parser.add_argument("--architecture", choices=("unet", "fcn"), help="(default unet)")
    text = "U-Net: channels of the first level (default 32; the paper: 64)"
    parser.add_argument("--width", type=int, metavar="N", help=text)
    text = "vgg16, resnet18, yolo26_nano, ...; a U-Net without one is the paper's (default of an FCN: resnet18)"
    parser.add_argument("--backbone", metavar="NAME", help=text)
    text = "FCN-8s, 16s or 32s (default 8)"
    parser.add_argument("--finest", type=int, choices=(8, 16, 32), help=text)
    text = "FCN: channels of the two wide layers (default 0, none; the paper: 4096 on vgg16)"
    parser.add_argument("--hidden", type=int, metavar="N", help=text)
    text = "start: a segmentation network of ours, or a backbone: sightline-small, torchvision's or timm's weights"
    parser.add_argument("--pretrained", type=trainable_file, metavar="FILE", help=text)
    text = "images are scaled to this (default 480x360)"
    parser.add_argument("--image-size", type=image_size, default=(360, 480), metavar="WxH", help=text)
    parser.add_argument("--batch", type=int, metavar="N", help="images per step (default 8)")
    text = "U-Net without a backbone: --no-padded takes the paper's valid convolutions (default padded)"
    parser.add_argument("--padded", action=argparse.BooleanOptionalAction, default=None, help=text)
    text = "pixels that images are bent by, as in U-Net's paper, where it is 10 (default 0)"
    parser.add_argument("--elastic", type=float, metavar="PIXELS", help=text)
    text = "side of the squares cut out of training images (default 0, none)"
    parser.add_argument("--crop", type=int, metavar="PIXELS", help=text)
    text = "weight of 1 - IoU beside the cross-entropy (default 0)"
    parser.add_argument("--overlap", type=float, metavar="WEIGHT", help=text)
    text = "0 counts pixels, 1 makes every class weigh the same (default 0.5)"
    parser.add_argument("--balance", type=float, metavar="POWER", help=text)
    add_fit_options(parser, DEFAULTS.fit, out="runs/segmentation")
    add_training_settings(parser, KEYS, kind="segmentation")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    config = training_settings(options, DEFAULTS, KEYS)
    if config.network.architecture == "fcn" and not config.network.backbone:
        config = replace(config, network=replace(config.network, backbone="resnet18"))
    form: dict[str, Any] = {"classes": len(options.names), "size": options.image_size, "ignore": config.ignore}
    train = load_pixel_labels(options.data, "train", **form)
    val = load_pixel_labels(options.data, "val", **form)
    skipped = len(train.skipped) + len(val.skipped)
    write_line(f"{len(train)} images to train on, {len(val)} to judge by, {skipped} pairs skipped")
    with training_into(options.out):
        result = train_segmentation(config, options.names, train, val, options.out, report=write_line)
    accuracy = load_segmentation(result.best)[1]["accuracy"]
    figures = f"mean IoU {accuracy['mean_iou']:.3f}, class-average accuracy {accuracy['class_accuracy']:.3f}"
    write_line(f"best of {result.epochs} epochs: {result.best}  {figures}")
    return 0


def name_list(text: str) -> tuple[str, ...]:
    """The parts of `a,b,c`."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def image_size(text: str) -> tuple[int, int]:
    """(height, width) of `WIDTHxHEIGHT`."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise ConfigError(f"--image-size {text}: expected WIDTHxHEIGHT, such as 480x360") from error
    if not (1 <= width <= LARGEST_IMAGE and 1 <= height <= LARGEST_IMAGE):
        raise ConfigError(f"--image-size {text}: expected sides from 1 to {LARGEST_IMAGE}, such as 480x360")
    return height, width


def number_list(text: str) -> tuple[int, ...]:
    """The numbers of `1,2,3`."""
    try:
        return tuple(int(part) for part in name_list(text))
    except ValueError as error:
        raise ConfigError(f"--ignore {text}: expected numbers separated by commas, such as 11") from error
