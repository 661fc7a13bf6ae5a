"""What a GPU gives: the same answers as the CPU, and how many frames and training images a second.

    python -m benchmarks.gpu --out gpu.json                  # under eight minutes, no data needed
    python -m benchmarks.gpu --device cpu --frames 4 --out x.json   # tries the script itself where there is none

Parts: agreement of boxes and ids with the CPU's over the frames of a clip; frames a second of the network at batches of
1, 8 and 64; end to end, from the file to tracks, of 1 and of 16 sources at once; training images a second. One JSON; a
part for which no time is left, or that fails, stands there with the reason. Without a GPU it says so and stops.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tests.train.shapes import write_shapes
from tracker.commands.demo import make_clip
from tracker.config import DetectorConfig, TrackerConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.detect.shared_detector import SharedDetector
from tracker.embedded import embedded_networks
from tracker.errors import TrackerError
from tracker.geometry import iou
from tracker.pipeline import Pipeline
from tracker.protocols import Detector
from tracker.runner import Runner
from tracker.track.engine import TrackingEngine
from tracker.train.data.augment import AugmentConfig
from tracker.train.detector import train_detector
from tracker.train.detector_config import TrainConfig
from tracker.types import Frame
from tracker.video import open_source

BUDGET_S = 450.0
"""Parts that have not begun by then are left out."""
BATCHES = (1, 8, 64)
SOURCES = (1, 16)
SIZE = 640
CLOSE = 0.5
"""Pixels of the frame by which boxes of the two devices may differ."""
SHARE_S = 20.0
"""Seconds of one measurement at most."""


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="the JSON to write")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to try the script")
    parser.add_argument("--video", type=Path, help="clip to measure on; without it the demo's")
    parser.add_argument("--frames", type=int, default=200, help="frames on which the devices are compared")
    parser.add_argument("--images", type=int, default=512, help="images trained on in an epoch")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"no GPU: torch {torch.__version__} sees no CUDA device here, so there is nothing to measure")
        return 2
    begun = time.monotonic()
    found: dict[str, Any] = {"torch": torch.__version__, "device": device_name(options.device), "size": SIZE}
    with TemporaryDirectory() as folder:
        clip = options.video or Path(folder) / "clip.mp4"
        if options.video is None:
            try:
                make_clip(clip)
            except TrackerError as error:
                print(f"{error}; or give a clip of your own by --video")
                return 2
        frames = read(clip, options.frames)
        parts: dict[str, Callable[[], Any]] = {}
        for name, path in embedded_networks().items():
            weights = path.with_suffix(".safetensors")
            parts[f"{name}: agreement"] = partial(agreement, weights, frames, options.device)
            parts[f"{name}: frames/s by batch"] = partial(by_batch, weights, frames, options.device)
            parts[f"{name}: frames/s end to end by sources"] = partial(
                end_to_end, weights, clip, options.device, most=options.frames
            )
        parts["training images/s"] = partial(training, Path(folder) / "shapes", options.device, options.images)
        for name, measure in parts.items():
            found[name] = attempt(measure, begun)
            print(f"{name}: {json.dumps(found[name])}", flush=True)
    found["seconds"] = round(time.monotonic() - begun, 1)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(options.out)
    return 0


def attempt(measure: Callable[[], Any], begun: float) -> Any:
    """What a part gives, or why it gives nothing."""
    if time.monotonic() - begun > BUDGET_S:
        return {"left out": f"{BUDGET_S:.0f} seconds had passed"}
    try:
        return measure()
    except (TrackerError, RuntimeError, ValueError) as error:  # torch reports a full device by RuntimeError
        return {"failed": str(error).splitlines()[0]}


def device_name(device: str) -> str:
    """What people call it."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def read(clip: Path, count: int) -> list[Frame]:
    """The first frames of a file, from its beginning again where it has fewer."""
    frames: list[Frame] = []
    while len(frames) < count:
        with open_source(str(clip)) as source:
            frames += [frame for frame, _ in zip(source, range(count - len(frames)), strict=False)]
    return frames


def open_detector(weights: Path, device: str, *, embed: bool = False) -> TorchDetector:
    """The network at one size, with its own threshold."""
    return TorchDetector(weights, DetectorConfig(device=device, imgsz=SIZE), embed=embed)


def agreement(weights: Path, frames: Sequence[Frame], device: str) -> dict[str, Any]:
    """How far boxes and ids are from the CPU's; times are even, so that a clip that begins again does no harm."""
    apart: list[float] = []
    alone = same_ids = tracks = 0
    both = [(open_detector(weights, where, embed=True), TrackingEngine(TrackerConfig())) for where in ("cpu", device)]
    for number, frame in enumerate(frames):
        (first, theirs), (second, ours) = (
            (found, tracker.update(found, number / 25))
            for detector, tracker in both
            for found in detector.detect([frame.image])
        )
        overlap = iou(first.boxes, second.boxes)
        best = overlap.argmax(axis=1) if len(second) else np.zeros(0, int)
        for row, column in enumerate(best.tolist()):
            if overlap[row, column] > 0.5:
                apart.append(float(np.abs(first.boxes[row] - second.boxes[column]).max()))
        alone += len(first) + len(second) - 2 * int((overlap.max(axis=1, initial=0) > 0.5).sum())
        tracks += len(theirs)
        same_ids += len(np.intersect1d(theirs.ids, ours.ids))
    return {
        "frames": len(frames),
        "boxes": len(apart),
        "largest difference px": round(max(apart, default=0.0), 3),
        "share within 0.5 px": round(float(np.mean(np.array(apart) <= CLOSE)), 4) if apart else None,
        "found by one alone": alone,
        "share of track rows with the same id": round(same_ids / tracks, 4) if tracks else None,
    }


def by_batch(weights: Path, frames: Sequence[Frame], device: str) -> dict[str, float]:
    """Frames a second of detect alone, from images in memory to boxes and masks."""
    detector = open_detector(weights, device)
    rates = {}
    for batch in (batch for batch in BATCHES if batch <= len(frames)):
        images = [frames[row % len(frames)].image for row in range(batch)]
        detector.detect(images)
        begun, calls = time.monotonic(), 0
        while calls < 3 or (time.monotonic() - begun < min(SHARE_S, 5.0) and calls < len(frames)):
            detector.detect(images)
            calls += 1
        rates[str(batch)] = round(batch * calls / (time.monotonic() - begun), 1)
    return rates


def end_to_end(weights: Path, clip: Path, device: str, *, most: int) -> dict[str, float]:
    """Frames a second of all sources together, decoded, detected, tracked."""
    rates = {}
    for count in (count for count in SOURCES if count <= most):
        with shared(weights, device) as detector:
            runners = [run_one(clip, detector) for _ in range(count)]
            begun = time.monotonic()
            for runner in runners:
                runner.start()
            while any(runner.running for runner in runners):
                done = [runner.progress().frames for runner in runners]
                if time.monotonic() - begun > SHARE_S or min(done) >= most:
                    break
                time.sleep(0.02)
            spent = time.monotonic() - begun
            rates[str(count)] = round(sum(runner.progress().frames for runner in runners) / spent, 1)
            for runner in runners:
                runner.stop()
            for runner in runners:
                runner.wait()
    return rates


@contextmanager
def shared(weights: Path, device: str) -> Iterator[Detector]:
    """One network for all sources, warm."""
    detector = SharedDetector(open_detector(weights, device))
    detector.detect([np.zeros((480, 640, 3), np.uint8)])
    yield detector


def run_one(clip: Path, detector: Detector) -> Runner:
    """A file to tracks, eight frames at a time."""
    return Runner(open_source(str(clip)), Pipeline(detector, TrackingEngine(TrackerConfig())), batch=8, workers=1)


def training(folder: Path, device: str, images: int) -> dict[str, float]:
    """Images a second of `train detector` from sightline-nano, data on the device where that is a GPU."""
    start = embedded_networks()["sightline-nano"].with_suffix(".safetensors")
    config = TrainConfig(
        data=write_shapes(folder, images=images, size=416),
        out=folder / "run",
        start=str(start),
        teacher="none",
        epochs=200,
        max_minutes=SHARE_S / 60,
        batch=min(64, max(4, images // 4)),
        device=device,
        data_on_device=device.startswith("cuda"),
        pictures=False,
        evaluate_minutes=60.0,
        evaluate_images=4,
        augment=replace(AugmentConfig(), copy_paste=0.0),
    )
    train_detector(config)
    header, *_, last = (config.out / "results.csv").read_text(encoding="utf-8").splitlines()
    row = dict(zip(header.split(","), last.split(","), strict=True))
    return {"batch": config.batch, "images/s": round(config.batch * float(row["step"]) / 60 / float(row["minutes"]), 1)}


if __name__ == "__main__":
    sys.exit(main())
