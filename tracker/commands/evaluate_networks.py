"""`evaluate classifier`, `localizer`, `reid`, `segmentation`: networks of ours on data they were not trained on.

torch is imported when one of them runs, so that its neighbours start without it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

__all__ = ["add_parser"]


def add_parser(kinds: Any) -> None:
    """Add all four."""
    classifier = kinds.add_parser("classifier", help="accuracy of a classifier, per class")
    text = "an .npz with images and labels, or a folder with one folder per class"
    classifier.add_argument("--data", type=Path, required=True, metavar="PATH", help=text)
    localizer = kinds.add_parser("localizer", help="accuracy of a localizer's classes, and IoU of its boxes")
    text = "data.yaml or COCO JSON, as for training; images with one object are used"
    localizer.add_argument("--data", type=Path, required=True, metavar="FILE", help=text)
    text = "part of the data: val, test or train (default val)"
    localizer.add_argument("--split", choices=("val", "test", "train"), default="val", help=text)
    reid = kinds.add_parser("reid", help="rank-1 and mAP of a re-identification network")
    text = "VIDEO=TRACKS: tracks are a MOT text file or a recording of ours; may be repeated"
    reid.add_argument("--data", action="append", required=True, metavar="VIDEO=TRACKS", help=text)
    reid.add_argument("--every", type=int, default=5, metavar="N", help="every n-th box of a track (default 5)")
    segmentation = kinds.add_parser("segmentation", help="mean IoU of a network that labels every pixel")
    text = "folder or .tar with PART/images and PART/labels; labels are PNGs of class numbers"
    segmentation.add_argument("--data", type=Path, required=True, metavar="PATH", help=text)
    segmentation.add_argument("--split", default="val", metavar="PART", help="part of the data (default val)")
    text = "label numbers that count neither way, besides 255 (default: those of the training)"
    segmentation.add_argument("--ignore", metavar="N,N", help=text)
    for parser, run in (
        (classifier, _run_classifier),
        (localizer, _run_localizer),
        (reid, _run_reid),
        (segmentation, _run_segmentation),
    ):
        text = "the .safetensors file that training made"
        parser.add_argument("--model", type=Path, required=True, metavar="FILE", help=text)
        parser.add_argument("--json", action="store_true", help="numbers for programs")
        parser.set_defaults(run=run)


def _run_classifier(options: argparse.Namespace) -> int:
    from tracker.evaluate.classification import report_classification
    from tracker.nets.classifier import classify, load_classifier
    from tracker.train.data.classification import load_labelled_images

    network, description = load_classifier(options.model)
    names, size = tuple(description["labels"]), int(description["image_size"])
    data = load_labelled_images(options.data, size=size, names=names, channels=network.config.in_channels)
    report = report_classification(data.labels, classify(network, data.images).argmax(axis=1), classes=len(names))
    rows = dict(zip(names, zip(report.precision.tolist(), report.recall.tolist(), strict=True), strict=True))
    if options.json:
        classes = {name: {"precision": precision, "recall": recall} for name, (precision, recall) in rows.items()}
        _write_json(images=len(data), accuracy=report.accuracy, classes=classes, confusion=report.confusion.tolist())
        return 0
    width = max(map(len, names))
    lines = [
        f"{name:{width}}  precision {precision:.3f}  recall {recall:.3f}" for name, (precision, recall) in rows.items()
    ]
    _write_lines(*lines, f"{len(data)} images: accuracy {report.accuracy:.4f}, error {100 * report.error:.2f} %")
    return 0


def _run_localizer(options: argparse.Namespace) -> int:
    from tracker.errors import ConfigError
    from tracker.nets.localizer import load_localizer, localize
    from tracker.train.data.detection import load_data
    from tracker.train.data.region_crops import cut_regions
    from tracker.train.localizer import load_single_objects, score_localizer

    network, description = load_localizer(options.model)
    names, size = tuple(description["labels"]), int(description["image_size"])
    splits, _ = load_data(options.data)
    if options.split not in splits:
        raise ConfigError(f"--split {options.split}: {options.data} has {', '.join(splits)}; name another")
    of_regions = "windows" in description
    data = (
        cut_regions(splits[options.split], size, seed=0)
        if of_regions
        else load_single_objects(splits[options.split], size)
    )
    if data.names != names:
        raise ConfigError(f"{options.data}: has the classes {', '.join(data.names)}, the network {', '.join(names)}")
    score = score_localizer(data, *localize(network, data.images))
    if options.json:
        _write_json(images=len(data), accuracy=score.accuracy, mean_iou=score.mean_iou, localized=score.localized)
        return 0
    what = "crops" if of_regions else f"images with one object, {data.skipped} others left out"
    _write_lines(
        f"{len(data)} {what}",
        f"accuracy {score.accuracy:.3f}  mean IoU {score.mean_iou:.3f}  "
        f"right class and IoU of 0.5 or more: {score.localized:.3f}",
    )
    return 0


def _run_reid(options: argparse.Namespace) -> int:
    from tracker.commands.train_reid import cut_pairs
    from tracker.nets.reid import load_reid
    from tracker.train.data.identity_crops import join_crops
    from tracker.train.reid import score_reid

    network = load_reid(options.model)
    size = (network.config.height, network.config.width)
    crops = join_crops(cut_pairs(options.data, size=size, every=options.every))
    score = score_reid(network, crops)
    if options.json:
        _write_json(crops=len(crops), queries=score.queries, rank1=score.rank1, map=score.mean_average_precision)
        return 0
    _write_lines(
        f"{len(crops)} crops of {len(set(crops.ids.tolist()))}, {score.queries} queries: "
        f"rank-1 {score.rank1:.3f}  mAP {score.mean_average_precision:.3f}"
    )
    return 0


def _run_segmentation(options: argparse.Namespace) -> int:
    from tracker.commands.train_segmentation import number_list
    from tracker.nets.segmenter import load_segmentation
    from tracker.train.data.segmentation import load_pixel_labels
    from tracker.train.segmenter import score_segmentation

    network, description = load_segmentation(options.model)
    names, (height, width) = tuple(description["labels"]), description["image_size"]
    form: dict[str, Any] = {"classes": len(names), "size": (int(height), int(width))}
    ignore = description.get("ignore", ()) if options.ignore is None else number_list(options.ignore)
    data = load_pixel_labels(options.data, options.split, **form, ignore=ignore)
    score = score_segmentation(network, data, classes=len(names))
    rows = dict(zip(names, score.iou.tolist(), strict=True))
    if options.json:
        figures = {"mean_iou": score.mean_iou, "class_accuracy": score.mean_accuracy}
        _write_json(images=len(data), **figures, pixel_accuracy=score.pixel_accuracy, iou=rows)
        return 0
    longest = max(map(len, names))
    lines = [f"{name:{longest}}  IoU {'-' if math.isnan(iou) else f'{iou:.3f}'}" for name, iou in rows.items()]
    _write_lines(
        *lines,
        f"{len(data)} images: mean IoU {score.mean_iou:.3f}, class-average accuracy {score.mean_accuracy:.3f}, "
        f"pixel accuracy {score.pixel_accuracy:.3f}",
    )
    return 0


def _write_lines(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


def _write_json(**figures: Any) -> None:
    sys.stdout.write(json.dumps(_without_nan(figures), indent=2, allow_nan=False) + "\n")


def _without_nan(value: Any) -> Any:
    """The same with null where there is no number, since JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
