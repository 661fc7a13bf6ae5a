"""`export`: a detector of ours for another engine, and how far its answers are from the original's."""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tracker.commands.export_other_kinds import export_other_kind
from tracker.config import DetectorConfig
from tracker.embedded import embedded_networks
from tracker.errors import CheckpointError, ConfigError
from tracker.factory import DEFAULT_NETWORK
from tracker.types import Image

__all__ = ["add_parsers", "find_weights"]

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}
LIMIT_BOX, LIMIT_SCORE = 0.5, 1e-3
"""What a float export must keep to."""
FEWEST = 10
"""Classes with fewer objects are left out of the mean: two objects would decide it."""
FRAMES = 12
"""Frames on which answers are compared."""


def add_parsers(subparsers: Any) -> None:
    """Add `export`."""
    parser = subparsers.add_parser("export", help="a detector or segmenter of ours as ONNX, OpenVINO or TorchScript")
    parser.add_argument("model", metavar="MODEL", help="a .safetensors file of `train detector`, or auto")
    text = "format to write (default onnx)"
    parser.add_argument("--to", default="onnx", choices=tuple(SUFFIXES), help=text)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--half", action="store_true", help="weights in half precision: half the size, the same speed")
    text = "8-bit convolutions, calibrated on training images of --data; ONNX and OpenVINO"
    kind.add_argument("--int8", action="store_true", help=text)
    text = "data.yaml or COCO JSON to calibrate on and to measure average precision on, before and after"
    parser.add_argument("--data", type=Path, metavar="FILE", help=text)
    text = "images of the validation split measured on (default all)"
    parser.add_argument("--images", type=int, metavar="N", help=text)
    text = "images calibrated on (default 200)"
    parser.add_argument("--calibrate", type=int, default=200, metavar="N", help=text)
    text = "make the threshold with the best F1 on the validation images the default one, and note the accuracy there"
    parser.add_argument("--tune-confidence", action="store_true", help=text)
    text = "file to write (default: beside the model; in this folder for one that comes with the program)"
    parser.add_argument("--out", type=Path, metavar="PATH", help=text)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from tracker.commands.evaluate_detector import check_classes
    from tracker.detect.engines.exported import open_engine
    from tracker.detect.engines.torch import TorchDetector
    from tracker.detect.yolo_detector import RawDetector
    from tracker.evaluate.detection import detect_all, rename
    from tracker.evaluate.parity import compare_engines
    from tracker.nets.checkpoint import load_detector
    from tracker.nets.kinds import network_kind
    from tracker.train.data.detection import load_data
    from tracker.train.detector_run import spread
    from tracker.train.finalize import measured_card

    _check(options)
    source = find_weights(options.model)
    kind = network_kind(source)
    if kind == "segmenter":
        return _export_segmentation(source, options)
    if kind in ("classifier", "localizer"):
        return export_other_kind(source, kind, options)
    network, card = load_detector(source)
    path: Path = options.out or _beside(source, options)
    splits = load_data(options.data)[0] if options.data is not None else {}
    if options.tune_confidence and "val" not in splits:
        raise ConfigError(f"--tune-confidence: {options.data} has no 'val' to choose by; add it, or validation_share")
    if "val" in splits:
        check_classes(options.model, card.labels, splits["val"].labels, options.data)
    detector_config = DetectorConfig(conf=0.01, imgsz=card.input_size, device="cpu")
    original = TorchDetector((network, card), detector_config)
    val = splits.get("val")
    judged = None if val is None else replace(val, samples=spread(val.samples, options.images or 0))
    before = None if judged is None else rename(detect_all(original, judged.samples), card.labels, judged.labels)
    if options.tune_confidence and judged is not None and before is not None:
        card = measured_card(card, judged, before)
    frames = [sample.read() for sample in spread(splits["train"].samples, options.calibrate)] if options.int8 else []
    _write(path, network, card, options, _canvases(frames, card.input_size))
    files = [path, path.with_suffix(".bin")] if options.to == "openvino" else [path]
    size = sum(file.stat().st_size for file in files)
    lines = [f"{path}: {size / 1e6:.2f} MB, default threshold {card.confidence:.2f}"]
    exported = open_engine(path)
    shown = val or splits.get("train")
    images = [sample.read() for sample in spread(shown.samples, FRAMES)] if shown is not None else _photographs()
    parity = compare_engines(
        original.run_arrays,
        exported.run,
        _canvases(images, card.input_size),
        anchors=card.anchors,
        strides=card.strides,
        classes=len(card.labels),
    )
    if parity.anchors:
        lines.append(
            f"against torch on {len(images)} frames, {parity.anchors} anchors: largest difference of boxes "
            f"{parity.box:.4f} px, of scores {parity.score:.2e}, of mask coverage {parity.mask:.2e}"
        )
    else:
        lines.append(
            f"not compared: neither network sees anything on {len(images)} frames; give --data with what it knows"
        )
    if not (options.half or options.int8) and (parity.box > LIMIT_BOX or parity.score > LIMIT_SCORE):
        lines.append(f"that is more than {LIMIT_BOX} px or {LIMIT_SCORE}: do not use this file, and report it")
    if judged is not None and before is not None:
        detector = RawDetector(exported.card, exported.run, detector_config, engine=exported.name)
        after = rename(detect_all(detector, judged.samples), card.labels, judged.labels)
        for kind, masks in (("boxes", False), ("masks", True)):
            first, second = (_mean_ap(judged, found, masks=masks) for found in (before, after))
            if math.isnan(first):
                continue
            lines.append(
                f"mean AP of {kind} on {len(judged.samples)} images: {first:.2f} before, {second:.2f} after "
                f"({second - first:+.2f})"
            )
    elif options.data is not None:
        lines.append(f"average precision not measured: {options.data} has no 'val'; add it, or validation_share")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _export_segmentation(source: Path, options: argparse.Namespace) -> int:
    """Write it for ONNX Runtime, and compare the labels of a few photographs."""
    from tracker.nets.export_segmentation import export_segmentation
    from tracker.nets.segmenter import load_segmentation
    from tracker.segment.labeller import PixelLabeller

    if options.to != "onnx" or options.int8 or options.data is not None or options.tune_confidence:
        raise ConfigError(f"{source}: a segmenter is exported --to onnx, whole or --half; leave out the other options")
    path: Path = options.out or _beside(source, options)
    path.parent.mkdir(parents=True, exist_ok=True)
    export_segmentation(path, *load_segmentation(source), half=options.half)
    original, exported = PixelLabeller(source), PixelLabeller(path)
    photographs = _photographs()
    equal = statistics.fmean(float((original(image) == exported(image)).mean()) for image in photographs)
    sys.stdout.write(
        f"{path}: {path.stat().st_size / 1e6:.2f} MB, labels {', '.join(exported.labels)}\n"
        f"against torch on {len(photographs)} frames: {100 * equal:.2f} % of the pixels have the same label\n"
    )
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.images is not None and options.images < 1:
        raise ConfigError(f"--images {options.images}: must be 1 or more; leave it out for all")
    if options.calibrate < 1:
        raise ConfigError(f"--calibrate {options.calibrate}: must be 1 or more")
    if options.int8 and options.data is None:
        raise ConfigError("--int8: needs real frames to calibrate on; add --data FILE (data.yaml or COCO JSON)")
    if options.int8 and options.to == "torchscript":
        raise ConfigError("--int8: for --to onnx and --to openvino; TorchScript takes --half")
    if options.tune_confidence and options.data is None:
        raise ConfigError("--tune-confidence: needs labelled images; add --data FILE")
    if options.out is not None and options.out.suffix != SUFFIXES[options.to]:
        other = next((f"; add --to {to}" for to, suffix in SUFFIXES.items() if suffix == options.out.suffix), "")
        raise ConfigError(f"--out {options.out}: a file for {options.to} ends in {SUFFIXES[options.to]}{other}")


def find_weights(model: str) -> Path:
    """The .safetensors file of a model given by name or path."""
    networks = embedded_networks()
    name = DEFAULT_NETWORK if model == "auto" else model
    path = networks[name].with_suffix(".safetensors") if name in networks else Path(model)
    if path.suffix != ".safetensors":
        known = ", ".join(networks)
        raise CheckpointError(f"{path}: expected a .safetensors file that `train` made, or one of auto, {known}")
    return path


def _beside(source: Path, options: argparse.Namespace) -> Path:
    kind = "-half" if options.half else "-int8" if options.int8 else ""
    name = f"{source.stem}{kind}{SUFFIXES[options.to]}"
    shipped = source.with_suffix(".onnx") in embedded_networks().values()
    return Path(name) if shipped else source.with_name(name)


def _write(path: Path, network: Any, card: Any, options: argparse.Namespace, canvases: Sequence[Any]) -> None:
    from tracker.nets.export_detector import export_onnx, export_openvino, export_torchscript
    from tracker.nets.quantize import quantize_onnx

    path.parent.mkdir(parents=True, exist_ok=True)
    if options.to == "torchscript":
        export_torchscript(path, network, card, half=options.half)
        return
    if options.to == "onnx" and not options.int8:
        export_onnx(path, network, card, half=options.half)
        return
    with TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        export_onnx(plain, network, card, half=options.half)
        if options.int8:
            quantize_onnx(plain, path if options.to == "onnx" else small, canvases)
        if options.to == "openvino":
            export_openvino(path, small if options.int8 else plain, card, half=options.half)


def _canvases(images: Sequence[Image], size: int) -> list[Any]:
    from tracker.geometry import Letterbox

    return [Letterbox.fit(image.shape[1], image.shape[0], size).apply(image) for image in images]


def _photographs() -> list[Image]:
    """Frames of the demo clip, which is made of two photographs."""
    from tracker.commands.demo_clip import frames

    return [frame.image for number, frame in enumerate(frames()) if number % 36 == 0][:FRAMES]


def _mean_ap(judged: Any, found: Sequence[Any], *, masks: bool) -> float:
    from tracker.evaluate.detection import average_precision

    scores = average_precision(judged.samples, found, dict(enumerate(judged.labels)), masks=masks)
    known = [one for one in scores.values() if one.objects]
    known = [one for one in known if one.objects >= FEWEST] or known
    return statistics.fmean(100 * one.ap for one in known) if known else float("nan")
