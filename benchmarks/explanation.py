"""Where the heat of each explanation lies: inside the box of the person it explains, or elsewhere.

    python -m benchmarks.explanation [--model FILE.safetensors ...] [--video FILE] [--people 25]

Takes people found with a score above 0.8, a few from each of several frames, and prints for each network, method and
quantity the mean fraction of the heat inside the box, and how often the heat's peak is inside.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.explain.evidence import METHODS, QUANTITIES, Method, Quantity, find_evidence
from tracker.nets.checkpoint import load_detector
from tracker.types import Image
from tracker.video import open_source

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "weights"
STEP = 60
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
    options = parser.parse_args()
    for path in options.model:
        network, card = load_detector(path)
        detector = TorchDetector((network, card), DetectorConfig(conf=SURE, device="cpu"))
        person = card.labels.index("person")
        chosen: list[tuple[Image, Float32[ndarray, " 4"]]] = []
        with contextlib.closing(open_source(options.video, vid_stride=options.step)) as source:
            for frame in source:
                (found,) = detector.detect([frame.image])
                chosen += [(frame.image, box) for box in found.boxes[found.class_ids == person]]
                if len(chosen) >= options.people:
                    break
        chosen = chosen[: options.people]
        print(f"{path.name}: {len(chosen)} people of {options.video.name}")
        rows: list[tuple[Method, Quantity]] = [(method, "score") for method in METHODS]
        rows += [("layercam", quantity) for quantity in QUANTITIES if quantity != "score"]
        for method, quantity in rows:
            fractions, peaks = [], []
            for image, box in chosen:
                evidence = find_evidence(network, card, image, box, method=method, quantity=quantity)
                x, y = evidence.peak()
                fractions.append(evidence.fraction_inside())
                peaks.append(box[0] <= x <= box[2] and box[1] <= y <= box[3])
            print(f"  {method:10} of {quantity:10} {np.mean(fractions):.3f} inside, peak inside {np.mean(peaks):.0%}")


if __name__ == "__main__":
    main()
