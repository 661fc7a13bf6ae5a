"""`train classifier`: a network that says what one image shows."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracker.commands.train_options import add_fit_options, add_training_settings, training_settings, write_line
from tracker.config import LARGEST_IMAGE
from tracker.embedded import trainable_file
from tracker.errors import ConfigError
from tracker.evaluate.classification import report_classification
from tracker.nets.classifier import classify, load_classifier
from tracker.train.classifier import ClassifierTraining, train_classifier
from tracker.train.data.classification import AugmentImages, load_labelled_images
from tracker.train.run_folder import training_into
from tracker.train.trainer import FitConfig

__all__ = ["add_parser"]

AUGMENTATIONS = {
    "none": AugmentImages(),
    "digits": AugmentImages(rotate=10.0, scale=0.1, shift=0.07),
    "photos": AugmentImages(rotate=10.0, scale=0.25, shift=0.1, flip=True, colour=0.2),
}


DEFAULTS = ClassifierTraining(fit=FitConfig(epochs=14, learning_rate=3e-3))
KEYS = {
    "backbone": "network.backbone",
    "head": "network.head",
    "dropout": "network.dropout",
    "pretrained": "pretrained",
    "batch": "batch",
    "label_smoothing": "label_smoothing",
}
"""Options and their settings."""


def add_parser(train_subparsers: Any) -> None:
    """Add `classifier`."""
    parser = train_subparsers.add_parser("classifier", help="a network that says what one image shows")
    text = "an .npz with images and labels, or a folder with one folder per class"
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=text)
    text = "the same, to choose the best epoch by; without it a tenth of --data is set aside"
    parser.add_argument("--val", type=Path, metavar="PATH", help=text)
    text = "the same, measured once when all is done"
    parser.add_argument("--test", type=Path, metavar="PATH", help=text)
    parser.add_argument("--backbone", metavar="NAME", help="lenet5, resnet18, ..., timm:NAME (default resnet18)")
    parser.add_argument("--head", choices=("paper", "pooled"), help="dense layers (default paper)")
    parser.add_argument("--dropout", type=float, help="before the last dense layer (default 0)")
    text = "start of the backbone: sightline-anchors or another network of ours, or torchvision's or timm's weights"
    parser.add_argument("--pretrained", type=trainable_file, metavar="FILE", help=text)
    text = "side in pixels (default: the .npz's own, 224 for folders)"
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help=text)
    text = "how training images are varied (default: digits for grey images, photos for colour)"
    parser.add_argument("--augment", choices=tuple(AUGMENTATIONS), help=text)
    parser.add_argument("--batch", type=int, metavar="N", help="images per step (default 128)")
    parser.add_argument("--label-smoothing", type=float, metavar="SHARE", help="(default 0)")
    add_fit_options(parser, DEFAULTS.fit, out="runs/classifier")
    add_training_settings(parser, KEYS, kind="classifier")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    size = options.image_size
    if size is not None and not 1 <= size <= LARGEST_IMAGE:
        raise ConfigError(f"--image-size {size}: must be from 1 to {LARGEST_IMAGE}")
    train = load_labelled_images(options.data, size=size)
    form: dict[str, Any] = {"size": train.images.shape[2], "names": train.names, "channels": train.images.shape[1]}
    val, test = (None if path is None else load_labelled_images(path, **form) for path in (options.val, options.test))
    augment = options.augment or ("digits" if train.images.shape[1] == 1 else "photos")
    config = training_settings(options, replace(DEFAULTS, augment=AUGMENTATIONS[augment]), KEYS)
    write_line(f"{len(train)} images of {len(train.names)} classes, {len(train.skipped)} unreadable ones skipped")
    with training_into(options.out):
        result = train_classifier(config, train, val, options.out, report=write_line)
    network, description = load_classifier(result.best)
    error = description["accuracy"].get("error")
    accuracy = (
        f"validation error {100 * error:.2f} %" if error is not None else "(the last: nothing to judge by; give --val)"
    )
    write_line(f"best of {result.epochs} epochs: {result.best}  {accuracy}")
    if test is not None:
        report = report_classification(
            test.labels, classify(network, test.images).argmax(axis=1), classes=len(test.names)
        )
        write_line(f"test error {100 * report.error:.2f} % of {len(test)} images")
    return 0
