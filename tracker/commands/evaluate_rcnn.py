"""`evaluate rcnn`: sliding windows, the same in one pass, R-CNN, and a single-pass detector on the same images."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy import ndarray

from tracker.commands.outputs import own_folder
from tracker.config import DetectorConfig, build
from tracker.errors import ConfigError, named_by
from tracker.explain.sheets import captioned, sheet
from tracker.factory import make_detector, usable_cores
from tracker.overlay.palette import colour_of
from tracker.overlay.shapes import draw_box, to_pixels
from tracker.paths import typed_path
from tracker.types import Detections, Image

if TYPE_CHECKING:
    from tracker.evaluate.ground_truth import DataSet
    from tracker.protocols import Detector

__all__ = ["add_parser"]

LOWEST_SCORE = 0.01
"""Detections down to this score are judged, as average precision asks for."""
DRAWN = 0.5
"""Score of the detections that are drawn."""
FEW = 4
"""Images drawn."""
SMALL = 320
"""Images smaller than this are drawn enlarged."""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    ap: float
    ap50: float
    parts: float | None
    """Parts of an image that are classified, on average; None where that is no number of crops."""
    milliseconds: float


def add_parser(kinds: Any) -> None:
    """Add `rcnn`."""
    parser = kinds.add_parser("rcnn", help="sliding windows, one pass and R-CNN side by side", description=__doc__)
    text = "a network that `train localizer --regions` made"
    parser.add_argument("--model", type=typed_path, required=True, metavar="FILE", help=text)
    text = "data.yaml or COCO JSON, as for training"
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help=text)
    text = "also a detector of `train detector`, which answers for the whole image at once"
    parser.add_argument("--detector", type=typed_path, metavar="FILE", help=text)
    parser.add_argument("--split", choices=("val", "test", "train"), default="val", help="part of the data")
    parser.add_argument("--images", type=int, metavar="N", help="judge by so many images (default all)")
    text = "image to write: what each way finds on a few of the images"
    parser.add_argument("--draw", type=Path, metavar="FILE.png", help=text)
    parser.add_argument("--json", action="store_true", help="numbers for programs, AP from 0 to 1")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from tracker.detect.crop_detector import CropDetector
    from tracker.train.data.detection import load_data

    if options.images is not None and options.images < 1:
        raise ConfigError(f"--images {options.images}: must be 1 or more; leave it out for all")
    if options.draw is not None and options.draw.suffix != ".png":
        raise ConfigError(f"--draw {options.draw}: expected a name ending in .png")
    splits, _ = load_data(options.data)
    if options.split not in splits:
        raise ConfigError(f"--split {options.split}: {options.data} has {', '.join(splits)}; name another")
    data = splits[options.split]
    detectors: dict[str, Detector] = {
        "windows one by one": CropDetector(options.model, "windows", conf=LOWEST_SCORE),
        "all windows in one pass": CropDetector(options.model, "one pass", conf=LOWEST_SCORE),
        "R-CNN, boxes as proposed": CropDetector(options.model, "proposals", conf=LOWEST_SCORE, regress=False),
        "R-CNN": CropDetector(options.model, "proposals", conf=LOWEST_SCORE),
    }
    if options.detector is not None:
        asked = {"model": str(options.detector), "conf": LOWEST_SCORE, "masks": False, "device": "cpu"}
        config = build(DetectorConfig, asked, "command line")
        with named_by("--detector"):
            detectors["single-pass detector"] = make_detector(config, threads=usable_cores())
    rows, drawn = [], []
    for name, detector in detectors.items():
        if not set(detector.labels) & set(data.labels):
            raise ConfigError(f"{name}: none of its classes is in {options.data}, which has {', '.join(data.labels)}")
        row, found = _judge(name, detector, data, options.images)
        rows.append(row)
        drawn.append(found)
    if options.json:
        sys.stdout.write(
            json.dumps({"images": _count(data, options.images), "ways": list(map(asdict, rows))}, indent=1)
        )
        sys.stdout.write("\n")
    else:
        sys.stdout.write(_table(rows, _count(data, options.images)))
        padded = detectors["all windows in one pass"].padded  # type: ignore[attr-defined]
        if padded:
            sys.stdout.write(
                f"{padded} layers of the network are padded: a window by itself has zeros beyond its edge, the pass "
                "has the neighbouring pixels. Trained with --set network.padding=false both are equal.\n"
            )
    if options.draw is not None:
        own_folder(options.draw.absolute().parent)
        _, content = cv2.imencode(".png", _draw(data, [row.name for row in rows], drawn)[..., ::-1])
        options.draw.write_bytes(content.tobytes())
        sys.stderr.write(f"drawn to {options.draw}\n")
    return 0


def _count(data: DataSet, most: int | None) -> int:
    return min(most, len(data.samples)) if most else len(data.samples)


def _judge(name: str, detector: Detector, data: DataSet, most: int | None) -> tuple[_Row, list[Detections]]:
    """(what the way reaches and costs, what it found)."""
    from tracker.detect.crop_detector import CropDetector
    from tracker.evaluate.detection import average_precision, rename

    samples = data.samples[: _count(data, most)]
    images = [sample.read() for sample in samples]
    detector.detect(images[:1])  # what the first call prepares is no part of the time
    before = detector.examined if isinstance(detector, CropDetector) else 0
    begun = time.perf_counter()
    found = [detector.detect([image])[0] for image in images]
    took = time.perf_counter() - begun
    parts = (detector.examined - before) / len(images) if isinstance(detector, CropDetector) else None
    found = rename(found, detector.labels, data.labels)
    scores = average_precision(samples, found, dict(enumerate(data.labels)))
    known = [each for each in scores.values() if each.objects]
    ap, ap50 = (statistics.fmean(getattr(each, figure) for each in known) for figure in ("ap", "ap50"))
    return _Row(name, ap, ap50, parts, 1000 * took / len(images)), found


def _table(rows: Sequence[_Row], images: int) -> str:
    lines = [f"{f'{images} images':26}     AP   AP50   parts an image   ms an image"]
    for row in rows:
        parts = "whole" if row.parts is None else f"{row.parts:.0f}"
        lines.append(f"{row.name:26} {100 * row.ap:6.1f} {100 * row.ap50:6.1f} {parts:>16} {row.milliseconds:13.1f}")
    return "\n".join(lines) + "\n"


def _draw(data: DataSet, names: Sequence[str], found: Sequence[Sequence[Detections]]) -> Image:
    """One row an image, one column a way."""
    tiles: list[Image] = []
    for number, sample in enumerate(data.samples[: min(FEW, len(found[0]))]):
        image = sample.read()
        for name, each in zip(names, found, strict=True):
            tiles.append(captioned(_boxes(image, each[number]), name))
    return sheet(tiles, columns=len(names))


def _boxes(image: Image, found: Detections) -> Image:
    times = max(1, SMALL // max(image.shape[:2]))
    canvas: ndarray = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
    for row in np.flatnonzero(found.scores >= DRAWN).tolist():
        corners = to_pixels((found.boxes[row] * times).tolist(), (canvas.shape[1], canvas.shape[0]))
        if corners is not None:
            draw_box(canvas, corners, colour_of(int(found.class_ids[row]) + 1), line=2)
    return np.asarray(canvas, np.uint8)
