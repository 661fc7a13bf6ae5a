"""Where the heat of each explanation lies: inside the box of the person it explains, or elsewhere.

    python -m benchmarks.explanation [--model FILE.safetensors ...] [--video FILE] [--people 25]

Takes people found with a score above 0.8, the surest of every 20th frame, and prints for each network, method and
quantity the mean fraction of the heat inside the box, and how often the heat's peak is inside.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.explain.evidence import (
    METHODS,
    Method,
    Quantity,
    find_evidence,
    quantities_of,
)
from tracker.nets.checkpoint import load_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import YoloNet
from tracker.types import Image
from tracker.video import open_source

__all__ = ["sure_people"]

ROOT = Path(__file__).parents[1]
STEP = 20
"""Frames between those that people are taken from."""
SURE = 0.8


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, nargs="+", default=sorted((ROOT / "weights").glob("sightline-*.safetensors"))
    )
    parser.add_argument("--video", type=Path, default=ROOT.parent / "shared" / "data" / "video" / "vtest.avi")
    parser.add_argument("--people", type=int, default=25)
    parser.add_argument("--step", type=int, default=STEP, help="frames between those that people are taken from")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    options = parser.parse_args()
    for path in options.model:
        network, card = load_detector(path)
        chosen = list(sure_people(network, card, options.video, people=options.people, step=options.step))
        print(f"{path.name}: {len(chosen)} people of {options.video.name}")
        rows: list[tuple[Method, Quantity]] = [(method, "score") for method in options.methods]
        rows += [("layercam", quantity) for quantity in quantities_of(network) if quantity != "score"]
        for method, quantity in rows:
            fractions, peaks = [], []
            for image, box in chosen:
                evidence = find_evidence(network, card, image, box, method=method, quantity=quantity)
                fractions.append(evidence.fraction_inside())
                peaks.append(evidence.peak_inside())
            print(
                f"  {method:10} of {quantity:10} {np.mean(fractions):.3f} inside, peak inside {np.mean(peaks):.0%}",
                flush=True,
            )


def sure_people(
    network: YoloNet, card: ModelCard, video: Path, *, people: int, step: int
) -> Iterator[tuple[Image, Float32[ndarray, " 4"]]]:
    """(frame, box) of so many people found with a score above 0.8, the surest of every `step`-th frame."""
    detector = TorchDetector((network, card), DetectorConfig(conf=SURE, device="cpu"))
    person, count = card.labels.index("person"), 0
    with contextlib.closing(open_source(video, vid_stride=step)) as source:
        for frame in source:
            (found,) = detector.detect([frame.image])
            found = found[found.class_ids == person]
            if len(found):
                yield frame.image, found.boxes[int(found.scores.argmax())]
                count += 1
            if count == people:
                return


if __name__ == "__main__":
    main()
