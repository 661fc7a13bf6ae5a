"""The default network beside YOLOX nano: on our validation split, on vtest.avi, and in time on one thread.

`python -m benchmarks.weights [--model MODEL] [--peer FILE] [--ground_truth gt.txt] [--manifest weights/manifest.toml]`

The peer's file takes 416 pixels only, so it runs here as the network it is copied into before any training, whose
finds equal its own (a test holds them to that); its time is that of the file. Average precision is pycocotools', each
image judged only for what its folder labels. `overhead cars` are those of the folder roads-overhead.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime

from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.evaluate.detection import ClassPrecision, average_precision, detect_all, one_person_masks, rename
from tracker.evaluate.ground_truth import DataSet
from tracker.factory import embedded_networks, make_detector
from tracker.geometry import iou
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import NetworkConfig, YoloNet
from tracker.nets.yolox import copy_yolox
from tracker.protocols import Detector
from tracker.train.data.detection import load_data
from tracker.video import open_source

SHARED = Path(__file__).parents[2] / "shared" / "data"
VEHICLES = ("car", "motorcycle", "bus", "truck")
OVERHEAD = "roads-overhead"
PETS_SCALE = 0.625
ROUNDS = 30


@dataclass(frozen=True)
class Row:
    """One figure of both."""

    name: str
    ours: float
    peer: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--peer", type=Path, default=SHARED / "pretrained" / "yolox_nano.onnx")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / "weights" / "data.yaml")
    parser.add_argument("--vtest", type=Path, default=SHARED / "video" / "vtest.avi")
    parser.add_argument("--truth", type=Path, help="gt.txt of PETS09-S2L1; without it vtest.avi is left out")
    parser.add_argument("--manifest", type=Path, help="file whose tables sha256 and measured are written anew")
    options = parser.parse_args()
    data = load_data(options.data)[0]["val"]
    print(f"{len(data.samples)} validation images")
    print(f"{'':34}{'ours':>8}{'peer':>8}{'':>8}")
    measured: dict[str, float] = {"validation_images": len(data.samples)}
    for size in (416, 640):
        look = DetectorConfig(model=options.model, conf=0.01, imgsz=size, device="cpu")
        both = make_detector(look, threads=2), peer_detector(options.peer, data.labels, look)
        for row in compare(both, data):
            print(f"{f'{row.name} at {size}':34}{row.ours:8.1f}{row.peer:8.1f}{row.ours - row.peer:+8.1f}")
            measured[f"{row.name} at {size}"] = round(row.ours, 1)
            if math.isfinite(row.peer):
                measured[f"{row.name} at {size}, YOLOX nano"] = round(row.peer, 1)
    if options.ground_truth is not None:
        for size in (416, 640):
            recall, precision, conf = on_video(options.model, size, options.vtest, options.ground_truth)
            print(f"vtest.avi at {size}, threshold {conf:.2f}: recall {recall:.3f}  precision {precision:.3f}")
            measured |= {f"vtest recall at {size}": round(recall, 3), f"vtest precision at {size}": round(precision, 3)}
    path = embedded_networks()["sightline-nano"] if options.model == "auto" else Path(options.model)
    ratio = latency_ratio(path, options.peer)
    print(f"time of one thread at 416 over the peer's: {ratio:.2f}")
    print(f"size of the file: {path.stat().st_size / 1e6:.1f} MB")
    measured["time of one thread at 416 over YOLOX nano's"] = round(ratio, 2)
    if options.manifest is not None:
        write_manifest(options.manifest, path, measured)


def write_manifest(manifest: Path, model: Path, measured: dict[str, float]) -> None:
    """Everything above the table `sha256` stays; that table and `measured` are written anew."""
    head = manifest.read_text().partition("[sha256]")[0]
    files = (model, model.with_suffix(".safetensors"))
    sums = [f'"{file.name}" = "{hashlib.sha256(file.read_bytes()).hexdigest()}"' for file in files]
    figures = [f'"{name}" = {value}' for name, value in measured.items()]
    manifest.write_text("\n".join([f"{head}[sha256]", *sums, "", "[measured]", *figures, ""]))


def peer_detector(path: Path, labels: tuple[str, ...], look: DetectorConfig) -> TorchDetector:
    """YOLOX nano, with one anchor per cell of the stride's own size."""
    anchors = tuple(((float(stride), float(stride)),) for stride in YoloNet.strides)
    network = YoloNet(NetworkConfig(classes=len(labels), anchors=1, norm=False))
    copy_yolox(network, path, labels, anchors)
    card = ModelCard(labels, anchors, coefficients=network.config.coefficients)
    return TorchDetector((network.eval(), card), replace(look, masks=False))


def compare(both: Sequence[Detector], data: DataSet) -> list[Row]:
    """Average precision of ours and the peer's, in percent."""
    names = dict(enumerate(data.labels))
    finds = [rename(detect_all(detector, data.samples), detector.labels, data.labels) for detector in both]
    boxes = [average_precision(data.samples, found, names) for found in finds]
    rows = [Row(f"AP {label}", *(100 * own[label].ap for own in boxes)) for label in data.labels]
    rows += [Row("mean AP50 of vehicles", *(100 * mean_ap50(own) for own in boxes))]
    overhead = [place for place, sample in enumerate(data.samples) if OVERHEAD in sample.path.parts]
    seen = [data.samples[place] for place in overhead]
    cars = [average_precision(seen, [found[place] for place in overhead], names)["car"].ap50 for found in finds]
    rows += [Row("AP50 overhead cars", *(100 * value for value in cars))]
    masks = one_person_masks(data.samples, finds[0])
    nothing = float("nan")
    rows += [Row("mask AP50, one person", 100 * masks.ap50, nothing)]
    rows += [Row("mask AP75, one person", 100 * masks.ap75, nothing)]
    return rows


def mean_ap50(boxes: dict[str, ClassPrecision]) -> float:
    """Over the vehicle classes."""
    return statistics.fmean(boxes[label].ap50 for label in VEHICLES)


def on_video(model: str, size: int, video: Path, ground_truth: Path) -> tuple[float, float, float]:
    """(recall, precision, threshold) of people at the default threshold; one find per true box at IoU 0.5."""
    look = DetectorConfig(model=model, imgsz=size, classes=("person",), masks=False)
    detector = make_detector(look, threads=2)
    rows = np.loadtxt(ground_truth, delimiter=",")
    hits = finds = people = 0
    for frame in open_source(str(video)):
        boxes = rows[rows[:, 0] == frame.index + 1, 2:6] * PETS_SCALE
        boxes[:, 2:] += boxes[:, :2]
        found = detector.detect([frame.image])[0]
        hits += matches(found.boxes, boxes.astype(np.float32))
        finds, people = finds + len(found), people + len(boxes)
    return hits / max(people, 1), hits / max(finds, 1), detector.conf


def matches(found: np.ndarray, ground_truth: np.ndarray) -> int:
    """Finds, best score first, that take a true box of their own."""
    if not len(found) or not len(ground_truth):
        return 0
    overlap, count = iou(found, ground_truth), 0
    for row in range(len(found)):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= 0.5:
            overlap[:, best] = -1.0
            count += 1
    return count


def latency_ratio(ours: Path, peer: Path) -> float:
    """Median time of ours over the peer's, both square at 416 on one thread, in turns."""
    picture = np.random.default_rng(0).integers(0, 255, (1, 416, 416, 3), np.uint8)
    calls = [(open_session(ours), picture), (open_session(peer), picture.transpose(0, 3, 1, 2).astype(np.float32))]
    times: Sequence[list[float]] = ([], [])
    for _ in range(ROUNDS):
        for (session, images), spent in zip(calls, times, strict=True):
            begun = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: images})
            spent.append(time.perf_counter() - begun)
    return statistics.median(times[0][3:]) / statistics.median(times[1][3:])


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """The file on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
