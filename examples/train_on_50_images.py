"""Train a detector on fifty images and try it.

    python examples/train_on_50_images.py                        # draws its own images: discs and squares
    python examples/train_on_50_images.py --data mine/data.yaml  # yours

Starts from the network that comes with the program, so that fifty images are enough. Needs torch.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import tracker
from tracker.embedded import embedded_networks
from tracker.train.detector import train_detector
from tracker.train.detector_config import TrainConfig

NAMES = ("disc", "square")


def main(arguments: Sequence[str] | None = None) -> Path:
    """Train, then show what the new network finds; its file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data.yaml; without it images are drawn")
    parser.add_argument("--out", type=Path, default=Path("runs/fifty"))
    parser.add_argument("--images", type=int, default=50, help="how many are drawn (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="(default %(default)s)")
    parser.add_argument("--size", type=int, default=160, help="input of the network (default %(default)s)")
    options = parser.parse_args(arguments)

    data = options.data or draw_data(options.out / "data", options.images, options.size)
    start = next(iter(embedded_networks().values())).with_suffix(".safetensors")
    config = TrainConfig(
        data=data,
        out=options.out / "training",
        start=str(start),
        teacher="none",  # every object is labelled
        epochs=options.epochs,
        freeze=min(2, options.epochs),
        input_size=options.size,
        batch=8,
        device="cpu",
        pictures=False,
    )
    best = train_detector(config).with_suffix(".onnx")
    image, _ = draw_image(np.random.default_rng(12345), options.size)
    found = next(iter(tracker.detect(image, model=best)))
    for class_id, score in zip(found.detections.class_ids.tolist(), found.detections.scores.tolist(), strict=True):
        print(f"{found.labels[class_id]}  {score:.2f}")
    print(f"{len(found.detections)} found in a new image by {best}")
    return best


def draw_data(folder: Path, count: int, size: int) -> Path:
    """Images with outlines of discs and squares as a YOLO data set; its data.yaml."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image, rows = draw_image(rng, size)
        for name in ("images", "labels"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"{number:03}.png"), image[..., ::-1])
        (folder / "labels" / f"{number:03}.txt").write_text("\n".join(rows), encoding="utf-8")
    text = f"path: .\ntrain: images\nvalidation_share: 0.2\nnames: [{', '.join(NAMES)}]\n"
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return folder / "data.yaml"


def draw_image(rng: np.random.Generator, size: int) -> tuple[tracker.Image, list[str]]:
    """Three shapes on noise, and their label rows."""
    image = rng.integers(0, 90, (size, size, 3), np.uint8)
    rows = []
    for x in (size // 6, size // 2, size - size // 6):
        class_id, half = int(rng.integers(2)), int(rng.integers(size // 12, size // 7))
        y = int(rng.integers(half, size - half))
        colour = tuple(int(value) for value in rng.integers(150, 256, 3))
        if class_id == 0:
            cv2.circle(image, (x, y), half, colour, -1)
        else:
            cv2.rectangle(image, (x - half, y - half), (x + half, y + half), colour, -1)
        side = (2 * half + 1) / size
        rows.append(f"{class_id} {(x + 0.5) / size:.5f} {(y + 0.5) / size:.5f} {side:.5f} {side:.5f}")
    return image, rows


if __name__ == "__main__":
    main()
