"""`localize`: what the one object of each image is and where it is, by a localizer of yours."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.classify import described
from tracker.commands.outputs import output_file, own_folder, spare_images
from tracker.errors import CheckpointError, SourceError
from tracker.extras import explain_missing
from tracker.factory import usable_cores
from tracker.formats.core.atomic import AtomicText
from tracker.overlay.palette import colour_of
from tracker.overlay.shapes import draw_box, to_pixels
from tracker.paths import typed_path
from tracker.types import Image
from tracker.video import open_source

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `localize`."""
    parser = subparsers.add_parser("localize", help="what an image's one object is, and where", description=__doc__)
    parser.add_argument("source", help="image, folder, 'glob' or video")
    text = "a localizer that `train localizer` made (.safetensors), or its export (.onnx, which needs no torch)"
    parser.add_argument("--model", type=typed_path, required=True, metavar="FILE", help=text)
    parser.add_argument("--out", type=output_file(".json"), metavar="FILE.json", help="write every answer")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="also write each image with its box drawn, as PNG")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with explain_missing(f"--model {options.model}"):
        labels, size, run = _open(options.model)
    rows = []
    with open_source(options.source) as source:
        if source.live:
            raise SourceError(f"{source.name}: localize is for images and files")
        if options.draw is not None:
            spare_images("--draw", options.draw, source)
        for frame in source:
            height, width = frame.image.shape[:2]
            canvas = cv2.resize(frame.image, (size, size), interpolation=cv2.INTER_AREA)
            probabilities, boxes = run(np.asarray(canvas, np.uint8)[None])
            best = int(probabilities[0].argmax())
            box = np.clip(boxes[0], 0, 1) * np.array([width, height, width, height], np.float32)
            corners = [round(float(edge), 1) for edge in box]
            name = f"{frame.source}" if frame.source else f"{frame.index}"
            score = float(probabilities[0, best])
            rows.append({"image": name, "label": labels[best], "score": round(score, 4), "box": corners})
            sys.stdout.write(f"{name}: {labels[best]} {score:.3f} at {' '.join(map(str, corners))}\n")
            if options.draw is not None:
                _draw(own_folder(options.draw) / f"{frame.index:05}-{Path(name).stem}.png", frame.image, box, best)
        damage = source.damage
    if not rows:
        raise SourceError(f"{options.source}: nothing that could be decoded; check the path")
    if options.out is not None:
        own_folder(options.out.absolute().parent)
        file = AtomicText(options.out)
        file.write(json.dumps(rows, indent=1) + "\n")
        file.close()
    return 3 if damage else 0


def _open(path: Path) -> tuple[tuple[str, ...], int, Any]:
    """(labels, side, a call from images (n, h, w, 3) to probabilities and boxes)."""
    if path.suffix == ".onnx":
        from tracker.nets.onnx_session import open_session

        description = described(path, "localizer")
        session = open_session(path, "cpu", usable_cores())
        return tuple(description["labels"]), int(description["image_size"]), lambda x: session.run(None, {"images": x})
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: expected a localizer in a .safetensors or .onnx file")
    from tracker.nets.localizer import load_localizer, localize

    network, description = load_localizer(path)

    def run(images: ndarray) -> tuple[Float32[ndarray, "n k"], Float32[ndarray, "n 4"]]:
        return localize(network, np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    return tuple(description["labels"]), int(description["image_size"]), run


def _draw(path: Path, image: Image, box: Float32[ndarray, " 4"], class_id: int) -> None:
    canvas = image.copy()
    corners = to_pixels(box.tolist(), (image.shape[1], image.shape[0]))
    if corners is not None:
        draw_box(canvas, corners, colour_of(class_id + 1), line=2)
    _, content = cv2.imencode(".png", canvas[..., ::-1])
    path.write_bytes(content.tobytes())
