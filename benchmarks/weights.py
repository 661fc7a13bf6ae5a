"""The embedded networks beside those anyone can download: on images kept aside, on vtest.avi, and in time.

`python -m benchmarks.weights [--model NAME_OR_FILE ...] [--split val] [--sizes 416 640] [--truth gt.txt] [--manifest]`

Average precision is pycocotools', each image judged only for what its folder labels. The columns: people, masks of
images with one person and all 80 classes on plain COCO photos, AP50 of the road users on the highway, AP50 of cars seen
from above. The peers run here as the networks they are copied into before any training, whose finds equal their own
(tests hold them to that); their times are those of their files. `--split test` is for the end.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import statistics
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime

from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.embedded import embedded_networks
from tracker.evaluate.detection import average_precision, detect_all, one_person_masks, rename
from tracker.evaluate.ground_truth import DataSet
from tracker.factory import make_detector
from tracker.geometry import iou
from tracker.nets.ultralytics_weights import open_ultralytics
from tracker.nets.yolox import open_yolox
from tracker.protocols import Detector
from tracker.train.data.detection import load_data
from tracker.types import Detections
from tracker.video import open_source

SHARED = Path(__file__).parents[2] / "shared" / "data"
PEERS = ("yolox_nano", "yolo26n", "yolo11n-seg")
PLAIN, HIGHWAY, OVERHEAD = "coco-people", "highway", "roads-overhead"
ROAD_USERS = ("person", "car", "motorcycle", "bus", "truck")
PETS_SCALE = 0.625
ROUNDS = 40
SHAPE = (256, 416)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=sorted(embedded_networks()), help="names or files")
    peers = "names of ONNX files in --pretrained, without the suffix"
    parser.add_argument("--peers", nargs="*", default=PEERS, type=lambda name: name.removesuffix(".onnx"), help=peers)
    parser.add_argument("--pretrained", type=Path, default=SHARED / "pretrained")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / "weights" / "data80.yaml")
    parser.add_argument("--split", default="val", choices=["val", "test"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[416, 640])
    parser.add_argument("--vtest", type=Path, default=SHARED / "video" / "vtest.avi")
    parser.add_argument("--truth", type=Path, help="gt.txt of PETS09-S2L1; without it vtest.avi is left out")
    parser.add_argument("--manifest", type=Path, help="file whose tables sha256 and measured are written anew")
    options = parser.parse_args()
    files = {name: embedded_networks().get(name, Path(name)) for name in options.model}
    if options.manifest is not None:
        write_manifest(options.manifest, files, {})
    data = load_data(options.data)[0][options.split]
    judged = [sample for sample in data.samples if {PLAIN, HIGHWAY, OVERHEAD} & set(sample.path.parts)]
    data = replace(data, samples=tuple(judged))
    print(f"{len(data.samples)} images of {options.split}")
    measured: dict[str, dict[str, float]] = {"images": {options.split: len(data.samples)}}
    for name in (*options.peers, *options.model):
        measured[name] = {}
        for size in options.sizes:
            config = DetectorConfig(model=name, conf=0.01, imgsz=size, device="cpu")
            peer = options.pretrained / name
            detector = open_peer(peer, config) if name in options.peers else make_detector(config, threads=2)
            figures = columns(detector, data)
            line = "  ".join(f"{key} {value:5.1f}" for key, value in figures.items())
            print(f"{Path(name).name:24}{size:5}  {line}", flush=True)
            measured[name] |= {f"{key} at {size}": round(value, 1) for key, value in figures.items()}
    for name in options.model:
        if options.truth is not None:
            for size in options.sizes:
                recall, precision, conf = on_video(name, size, options.vtest, options.truth)
                print(f"{name} on vtest.avi at {size}, threshold {conf:.2f}: {recall:.3f} found, {precision:.3f} right")
                measured[name] |= {
                    f"vtest recall at {size}": round(recall, 3),
                    f"vtest precision at {size}": round(precision, 3),
                }
    times = latencies({**{name: options.pretrained / f"{name}.onnx" for name in options.peers}, **files})
    for name, spent in times.items():
        ratios = {peer: spent / times[peer] for peer in options.peers if peer in times}
        print(f"{name}: {1000 * spent:.2f} ms, " + ", ".join(f"{ratio:.2f} x {peer}" for peer, ratio in ratios.items()))
        measured[name] |= {f"time over {peer}": round(ratio, 2) for peer, ratio in ratios.items() if peer != name}
    if options.manifest is not None:
        write_manifest(options.manifest, files, measured)


def open_peer(path: Path, config: DetectorConfig) -> Detector:
    """A network to compare with, as its file has it."""
    onnx, tensors = path.with_suffix(".onnx"), path.with_suffix(".safetensors")
    network, card = open_ultralytics(tensors)[:2] if tensors.is_file() else open_yolox(onnx)
    masks = network.config.prototypes == "full"
    return TorchDetector((network, card), replace(config, masks=masks))


def columns(detector: Detector, data: DataSet) -> dict[str, float]:
    """The figures of one network at one size, in percent; NaN where it has no masks."""
    found = rename(detect_all(detector, data.samples), detector.labels, data.labels)

    def only(folder: str) -> tuple[list, list[Detections]]:  # type: ignore[type-arg]
        rows = [row for row, sample in enumerate(data.samples) if folder in sample.path.parts]
        return [data.samples[row] for row in rows], [found[row] for row in rows]

    def mean(folder: str, labels: Sequence[str], *, at_50: bool) -> float:
        names = {data.labels.index(label): label for label in labels}
        scores = average_precision(*only(folder), names).values()
        return 100 * statistics.fmean(one.ap50 if at_50 else one.ap for one in scores if one.objects)

    samples, seen = only(PLAIN)
    masked = any(own.masks is not None and own.masks.any() for own in seen)
    return {
        "people": mean(PLAIN, ["person"], at_50=False),
        "masks": 100 * one_person_masks(samples, seen).ap if masked else math.nan,
        "highway": mean(HIGHWAY, ROAD_USERS, at_50=True),
        "overhead": mean(OVERHEAD, ["car"], at_50=True),
        "80 classes": mean(PLAIN, data.labels, at_50=False) if len(detector.labels) >= 80 else math.nan,
    }


def on_video(model: str, size: int, video: Path, truth: Path) -> tuple[float, float, float]:
    """(recall, precision, threshold) of people at the default threshold; one find per true box at IoU 0.5."""
    config = DetectorConfig(model=model, imgsz=size, classes=("person",), masks=False)
    detector = make_detector(config, threads=2)
    rows = np.loadtxt(truth, delimiter=",")
    hits = finds = people = 0
    for frame in open_source(str(video)):
        boxes = rows[rows[:, 0] == frame.index + 1, 2:6] * PETS_SCALE
        boxes[:, 2:] += boxes[:, :2]
        found = detector.detect([frame.image])[0]
        hits += matches(found.boxes, boxes.astype(np.float32))
        finds, people = finds + len(found), people + len(boxes)
    return hits / max(people, 1), hits / max(finds, 1), detector.conf


def matches(found: np.ndarray, truth: np.ndarray) -> int:
    """Finds, best score first, that take a true box of their own."""
    if not len(found) or not len(truth):
        return 0
    overlap, count = iou(found, truth), 0
    for row in range(len(found)):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= 0.5:
            overlap[:, best] = -1.0
            count += 1
    return count


def latencies(files: Mapping[str, Path]) -> dict[str, float]:
    """Seconds of one call on one thread, in turns; a file that takes one size only counts by its pixels."""
    calls = {}
    for name, path in files.items():
        session = open_session(path)
        [image] = session.get_inputs()
        fixed = [side for side in image.shape[2:] if isinstance(side, int)]
        height, width = fixed if len(fixed) == 2 else SHAPE
        pixels = np.random.default_rng(0).integers(0, 255, (1, height, width, 3), np.uint8)
        own = image.type == "tensor(uint8)"
        feed = {image.name: pixels if own else pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255}
        calls[name] = (session, feed, SHAPE[0] * SHAPE[1] / (height * width))
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, (session, feed, factor) in calls.items():
            begun = time.thread_time()
            session.run(None, feed)
            spent[name].append((time.thread_time() - begun) * factor)
    return {name: float(np.percentile(own[3:], 25)) for name, own in spent.items()}


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """The file on one thread, which is the caller's, so that its processor time is the call's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def write_manifest(manifest: Path, files: Mapping[str, Path], measured: Mapping[str, Mapping[str, float]]) -> None:
    """Everything above the table `sha256` stays; that table and `measured` get what is new of these files."""
    text = manifest.read_text()
    before = tomllib.loads(text)
    sums = dict(before.get("sha256", {}))
    for path in files.values():
        both = (path, path.with_suffix(".safetensors"))
        sums |= {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in both}
    lines = [text.partition("[sha256]")[0] + "[sha256]", *(f'"{name}" = "{digest}"' for name, digest in sums.items())]
    known = {name: figures for name, figures in before.get("measured", {}).items() if isinstance(figures, dict)}
    for name, figures in {**known, **measured}.items():
        lines += ["", f'[measured."{name}"]']
        lines.extend(f'"{key}" = {value}' for key, value in figures.items() if not math.isnan(value))
    manifest.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
