"""`evaluate detector`: average precision of any model the program can run, on any data it can be trained on."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tracker.config import DetectorConfig, build, nearest
from tracker.errors import ConfigError
from tracker.evaluate.detection import (
    ClassPrecision,
    average_precision,
    detect_all,
    one_person_masks,
    rename,
)
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.evaluate.matching import OperatingPoint, best_point, match_finds
from tracker.factory import make_detector
from tracker.protocols import Detector
from tracker.train.data.detection import load_data
from tracker.types import Detections

__all__ = ["Scores", "add_parser", "check_classes", "open_detector", "score_finds"]

VEHICLES = ("car", "motorcycle", "bus", "truck")
LOWEST_SCORE = 0.01
"""Finds down to this score are judged, as average precision asks for."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One set of images, judged."""

    images: int
    boxes: Mapping[str, ClassPrecision]
    masks: Mapping[str, ClassPrecision]
    """Empty for a model without masks."""
    one_person: ClassPrecision | None
    """Masks on images with one person, where there are such images."""
    best: OperatingPoint | None
    """The threshold with the best F1 over all classes."""

    @property
    def vehicles_ap50(self) -> float | None:
        """Mean AP50 over the vehicle classes that the images label."""
        found = [self.boxes[label].ap50 for label in VEHICLES if label in self.boxes and self.boxes[label].objects]
        return statistics.fmean(found) if found else None


def add_parser(kinds: Any) -> None:
    """Add `detector`."""
    parser = kinds.add_parser("detector", help="average precision of boxes and masks")
    text = "auto, .onnx or .safetensors of ours, YOLOX nano .onnx, or a model of ultralytics (default auto)"
    parser.add_argument("--model", default="auto", metavar="MODEL", help=text)
    text = "data.yaml or COCO JSON, as for training; classes are matched by name"
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help=text)
    text = "which part of the data: val, test, train or all (default val; all where --data is a COCO JSON)"
    parser.add_argument("--split", choices=("val", "test", "train", "all"), help=text)
    parser.add_argument("--imgsz", type=int, metavar="PIXELS", help="longest side (default: the network's own)")
    parser.add_argument("--iou", type=float, metavar="IOU", help="of non-maximum suppression")
    parser.add_argument("--masks", action=argparse.BooleanOptionalAction, default=True, help="judge outlines too")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of ONNX Runtime (default 2)")
    text = "also each folder of images by itself, such as a set of one kind of scene"
    parser.add_argument("--per-folder", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="numbers for programs, AP from 0 to 1")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.threads < 1:
        raise ConfigError(f"--threads {options.threads}: must be 1 or more")
    asked = {name: getattr(options, name) for name in ("model", "iou", "imgsz", "masks", "device")}
    detector_config = build(DetectorConfig, {"conf": LOWEST_SCORE, **asked}, "command line")
    importlib.import_module("pycocotools.cocoeval")  # missed now rather than after a thousand images
    splits, _ = load_data(options.data)
    split = options.split or ("all" if options.data.suffix == ".json" else "val")
    if split not in (*splits, "all"):
        raise ConfigError(f"--split {split}: {options.data} has {', '.join(splits)}; add it, or name another")
    data = _whole([splits[split]] if split in splits else list(splits.values()))
    detector = open_detector(detector_config, threads=options.threads)
    check_classes(options.model, detector.labels, data.labels, options.data)
    found = _find(detector, data)
    scores = {"": score_finds(data, data.samples, found)}
    if options.per_folder:
        for name, place in _folders(data.samples).items():
            rows = [row for row, sample in enumerate(data.samples) if sample.path.parent == place]
            scores[name] = score_finds(data, [data.samples[row] for row in rows], [found[row] for row in rows])
    if options.json:
        answer = {"model": options.model, "data": str(options.data), "split": split, "all": _numbers(scores[""])}
        answer["folders"] = {folder: _numbers(one) for folder, one in scores.items() if folder}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return 0
    for folder, one in scores.items():
        sys.stdout.write(_table(folder or f"{options.data} {split}", one))
    return 0


def check_classes(model: str | Path, labels: Sequence[str], judged: Sequence[str], data: Path) -> None:
    """Raise ConfigError where the model knows none of the classes that it is to be judged by."""
    if not set(labels) & set(judged):
        raise ConfigError(
            f"{model}: none of its classes is in {data}, which has {', '.join(judged)}; {nearest(judged[0], labels)}"
        )


def _whole(parts: Sequence[DataSet]) -> DataSet:
    """The images of all parts, each once: `repeat` is for training, and a folder may serve as two splits."""
    samples = {sample.path: sample for part in parts for sample in part.samples}
    return replace(parts[0], samples=tuple(samples.values()))


def open_detector(detector_config: DetectorConfig, *, threads: int) -> Detector:
    """The model; YOLOX nano at a size its file does not take runs as the network of ours it is copied into."""
    path = Path(detector_config.model)
    if path.suffix == ".onnx" and path.is_file() and detector_config.imgsz is not None:
        from tracker.nets.yolox import open_yolox, published_size

        if published_size(path) not in (None, detector_config.imgsz):
            from tracker.detect.engines.torch import TorchDetector

            return TorchDetector(open_yolox(path), replace(detector_config, masks=False))
    return make_detector(detector_config, threads=threads)


def _find(detector: Detector, data: DataSet) -> list[Detections]:
    return rename(detect_all(detector, data.samples), detector.labels, data.labels)


def score_finds(data: DataSet, samples: Sequence[Sample], found: Sequence[Detections]) -> Scores:
    """All figures of finds whose classes are those of the data."""
    names = dict(enumerate(data.labels))
    outlined = any(finds.masks is not None for finds in found)
    person = data.labels.index("person") if "person" in data.labels else None
    alone = one_person_masks(samples, found, person) if outlined and person is not None else None
    return Scores(
        len(samples),
        average_precision(samples, found, names),
        average_precision(samples, found, names, masks=True) if outlined else {},
        alone if alone is not None and alone.objects else None,
        best_point(match_finds(samples, found, len(names))),
    )


def _folders(samples: Sequence[Sample]) -> dict[str, Path]:
    """The folders that hold the images, by name without the `images` of the usual layout.

    Those of one name are told apart by their path below what they have in common.
    """
    folders = sorted({sample.path.parent for sample in samples})
    names = [folder.parent.name if folder.name == "images" else folder.name for folder in folders]
    alike = [folder.resolve() for folder, name in zip(folders, names, strict=True) if names.count(name) > 1]
    common = os.path.commonpath(alike) if alike else ""
    answer = {
        folder.resolve().relative_to(common).as_posix() if names.count(name) > 1 else name: folder
        for folder, name in zip(folders, names, strict=True)
    }
    return dict(sorted(answer.items()))


def _numbers(scores: Scores) -> dict[str, Any]:
    return {
        "images": scores.images,
        "boxes": {label: asdict(one) for label, one in scores.boxes.items() if one.objects},
        "masks": {label: asdict(one) for label, one in scores.masks.items() if one.objects},
        "mask_one_person": None if scores.one_person is None else asdict(scores.one_person),
        "vehicles_ap50": scores.vehicles_ap50,
        "best_f1": None if scores.best is None else {**asdict(scores.best), "f1": scores.best.f1},
    }


def _table(title: str, scores: Scores) -> str:
    known = {label: one for label, one in scores.boxes.items() if one.objects}
    width = max([26, *map(len, known)])
    lines = [f"{title}: {scores.images} images", f"{'boxes':{width}} objects     AP   AP50   AP75"]
    lines += [_line(label, one, width) for label, one in known.items()]
    if len(known) > 1:
        lines.append(_mean("all classes, mean", list(known.values()), width))
    if scores.vehicles_ap50 is not None:
        lines.append(f"{'vehicles, mean':{width}} {'':7} {'':6} {100 * scores.vehicles_ap50:6.1f}")
    outlined = {label: one for label, one in scores.masks.items() if one.objects}
    if outlined:
        lines.append(f"{'masks':{width}}")
        lines += [_line(label, one, width) for label, one in outlined.items()]
    if scores.one_person is not None:
        lines.append(_line("images with one person", scores.one_person, width))
    if scores.best is not None:
        best = scores.best
        lines.append(
            f"best F1 {best.f1:.3f} at score {best.confidence:.2f}: precision {best.precision:.3f}, "
            f"recall {best.recall:.3f}"
        )
    return "\n".join(lines) + "\n"


def _line(name: str, one: ClassPrecision, width: int) -> str:
    return f"{name:{width}} {one.objects:7} {100 * one.ap:6.1f} {100 * one.ap50:6.1f} {100 * one.ap75:6.1f}"


def _mean(name: str, parts: Sequence[ClassPrecision], width: int) -> str:
    mean = ClassPrecision(
        statistics.fmean(one.ap for one in parts),
        statistics.fmean(one.ap50 for one in parts),
        statistics.fmean(one.ap75 for one in parts),
        sum(one.objects for one in parts),
    )
    return _line(name, mean, width)
