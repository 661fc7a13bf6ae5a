"""Segmentation of streets: networks of ours on CamVid, beside the figures that papers give.

    python -m benchmarks.camvid ../shared/data/camvid.tar [--out runs/camvid] [--epochs 4] [--rows NAME ...]

CamVid at 480 x 360, 11 classes: 367 images to train on, 101 to judge by. The rows of RECIPES are trained, `--epochs`
each, or taken from `--out` where they are there; `sightline-street` is measured as it is shipped. Time is that of one
image on one thread of ONNX Runtime, the fastest of several. The table is printed as Markdown.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tracker.embedded import embedded_segmenters, trainable_file
from tracker.evaluate.pixel_accuracy import SegmentationScore
from tracker.nets.export_segmentation import export_segmentation
from tracker.nets.segmenter import SegmentationConfig, load_segmentation
from tracker.segment.labeller import PixelLabeller
from tracker.train.data.classification import AugmentImages
from tracker.train.data.segmentation import IGNORED, PixelLabels, load_pixel_labels
from tracker.train.segmenter import SegmentationTraining, train_segmentation
from tracker.train.trainer import FitConfig

NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
UNLABELLED = 11
SIZE = (360, 480)
TIMED = 12
SHIPPED = "sightline-street"


class Row(NamedTuple):
    """A line of the table; NaN where a source gives no figure."""

    name: str
    mean_iou: float
    class_accuracy: float
    parameters: float
    """Millions."""
    milliseconds: float
    note: str


PUBLISHED = (
    Row("SegNet (Badrinarayanan et al., 2017), test", 60.1, 71.2, 29.5, math.nan, "VGG-16, 3,433 images"),
    Row("SegNet, test, as in Jégou et al., 2017", 46.4, math.nan, 29.5, math.nan, "VGG-16, 367 images"),
    Row("FCN-8 (Long et al., 2015), test, as in Jégou et al., 2017", 57.0, math.nan, 134.5, math.nan, "VGG-16"),
    Row("U-Net (Open Model Zoo, unet-camvid-onnx-0001), val", 71.95, math.nan, 31.0, math.nan, "from scratch"),
)
"""Test images are 233 others, which are harder than those of the validation split."""
STREETS = AugmentImages(rotate=5.0, scale=0.4, shift=0.15, flip=True, colour=0.2)
FIT = FitConfig(learning_rate=3e-3, average=0.99, mixed_precision=True, device="cpu")
TRAINED = SegmentationTraining(ignore=(UNLABELLED,), crop=256, balance=0.4, augment=STREETS, fit=FIT)
BODY = SegmentationConfig("fcn", backbone="yolo26_nano")
START = "sightline-small"
RECIPES = {
    "FCN-32s, body of sightline-small": replace(TRAINED, network=replace(BODY, finest=32)),
    "FCN-16s, the same": replace(TRAINED, network=replace(BODY, finest=16)),
    "FCN-8s, the same": replace(TRAINED, network=replace(BODY, finest=8)),
    "U-Net of width 8, same": replace(TRAINED, network=SegmentationConfig("unet", width=8)),
    "U-Net of width 8, valid, elastic": replace(
        TRAINED, network=SegmentationConfig("unet", width=8, padded=False), augment=replace(STREETS, elastic=10.0)
    ),
}


def main() -> None:
    """Train what is missing, measure all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="camvid.tar, or a folder of its layout")
    parser.add_argument("--out", type=Path, default=Path("runs/camvid"), help="folder of the trained networks")
    parser.add_argument("--epochs", type=int, default=4, help="of each network that is trained here")
    parser.add_argument("--rows", nargs="*", default=list(RECIPES), choices=list(RECIPES), help="which are trained")
    options = parser.parse_args()
    train, val = (
        load_pixel_labels(options.data, part, classes=len(NAMES), size=SIZE, ignore=[UNLABELLED])
        for part in ("train", "val")
    )
    rows = []
    for name in options.rows:
        folder = options.out / name.replace(", ", "-").replace(" ", "-")
        path = folder / "last.safetensors"
        if not path.is_file():
            start = trainable_file(START) if RECIPES[name].network.backbone else None
            fit = replace(RECIPES[name].fit, epochs=options.epochs)
            config = replace(RECIPES[name], pretrained=start, fit=fit)
            train_segmentation(config, NAMES, train, None, folder, report=_tell)
        rows.append(measure(name, path, val, note=f"{options.epochs} epochs"))
        _tell(line(rows[-1]))
    rows.append(measure(SHIPPED, embedded_segmenters()[SHIPPED], val, note="as shipped"))
    _tell("\n| | mean IoU | class average | parameters | one thread | |\n|---|---|---|---|---|---|")
    for row in (*PUBLISHED, *rows):
        _tell(line(row))


def measure(name: str, path: Path, val: PixelLabels, *, note: str) -> Row:
    """The figures of a network on the validation images, by the stage that the program runs."""
    onnx = path
    parameters = math.nan
    if path.suffix == ".safetensors":
        network, description = load_segmentation(path)
        onnx = path.with_suffix(".onnx")
        export_segmentation(onnx, network, description)
    source = path.with_suffix(".safetensors")
    if source.is_file():
        parameters = sum(each.numel() for each in load_segmentation(source)[0].parameters()) / 1e6
    labeller = PixelLabeller(onnx)
    score = SegmentationScore(len(NAMES), ignore=IGNORED)
    seconds = math.inf
    for number, (image, labels) in enumerate(zip(val.images, val.labels, strict=True)):
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
        started = time.perf_counter()
        found = labeller(pixels)
        if 0 < number <= TIMED:
            seconds = min(seconds, time.perf_counter() - started)
        score.add(found, labels)
    return Row(name, 100 * score.mean_iou, 100 * score.mean_accuracy, parameters, 1000 * seconds, note)


def line(row: Row) -> str:
    """A line of the table."""
    cells = [
        row.name,
        f"{row.mean_iou:.1f}",
        _or_dash(row.class_accuracy, "{:.1f}"),
        _or_dash(row.parameters, "{:.1f} M"),
        _or_dash(row.milliseconds, "{:.0f} ms"),
        row.note,
    ]
    return f"| {' | '.join(cells)} |"


def _or_dash(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
