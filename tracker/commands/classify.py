"""`classify`: what each image, or a video's frames taken together, show, by a classifier of yours."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.classify import ImageClassifier
from tracker.commands.command_parser import device_option
from tracker.commands.outputs import output_file, own_folder
from tracker.errors import ConfigError, SourceError
from tracker.extras import explain_missing
from tracker.factory import default_device, usable_cores
from tracker.formats.core.atomic import AtomicText
from tracker.paths import typed_path
from tracker.types import Frame
from tracker.video import ImageSource, open_source

__all__ = ["add_parsers"]

TOGETHER = 32
"""Images decoded and classified at once."""


def add_parsers(subparsers: Any) -> None:
    """Add `classify`."""
    parser = subparsers.add_parser("classify", help="what images show", description=__doc__)
    parser.add_argument("source", help="image, folder, 'glob' or video")
    text = "a classifier that `train classifier` made (.safetensors), or its export (.onnx, which needs no torch)"
    parser.add_argument("--model", type=typed_path, required=True, metavar="FILE", help=text)
    parser.add_argument("--top", type=int, default=3, metavar="N", help="labels given for each image (default 3)")
    text = "use every n-th frame of a video (default 1)"
    parser.add_argument("--vid-stride", type=int, default=1, metavar="N", help=text)
    parser.add_argument(
        "--device", type=device_option, default="auto", metavar="DEVICE", help="auto, cpu, cuda or mps (default auto)"
    )
    text = "write every probability of every image, as .csv or .json"
    parser.add_argument("--out", type=output_file(".csv", ".json"), metavar="FILE", help=text)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.top < 1 or options.vid_stride < 1:
        raise ConfigError(f"--top {options.top}, --vid-stride {options.vid_stride}: must be 1 or more")
    device = default_device() if options.device == "auto" else options.device
    with explain_missing(f"--model {options.model}"):
        classifier = ImageClassifier(options.model, device=device, threads=usable_cores())
    with open_source(options.source, vid_stride=options.vid_stride) as source:
        if source.live:
            raise SourceError(f"{source.name}: classify is for files; of live input take `track --classify-tracks`")
        still = isinstance(source, ImageSource)
        names: list[str] = []
        answers: list[Float32[ndarray, "n k"]] = []
        for frames in _batches(source):
            found = classifier([frame.image for frame in frames])
            answers.append(found)
            for frame, row in zip(frames, found, strict=True):
                name = source.paths[frame.index].as_posix() if isinstance(source, ImageSource) else f"{frame.time:.3f}"
                names.append(name)
                if still:
                    sys.stdout.write(f"{name}: {_words(row, classifier.labels, options.top)}\n")
        damage = source.damage
    if not answers:
        raise SourceError(f"{options.source}: nothing that could be decoded; check the path")
    every = np.concatenate(answers)
    if not still:
        mean = every.mean(axis=0)
        sys.stdout.write(f"{source.name}: {_words(mean, classifier.labels, options.top)} over {len(every)} frames\n")
    elif len(every) > 1:
        sys.stdout.write(f"{len(every)} images: {_counts(every, classifier.labels)}\n")
    if options.out is not None:
        _write(options.out, "image" if still else "time", names, every, classifier.labels)
        sys.stdout.write(f"written to {options.out}\n")
    if damage:
        sys.stderr.write(f"sightline: {source.name}: {damage} damaged or unreadable\n")
    return 3 if damage else 0


def _batches(source: Any) -> Iterator[list[Frame]]:
    frames: list[Frame] = []
    for frame in source:
        frames.append(frame)
        if len(frames) == TOGETHER:
            yield frames
            frames = []
    if frames:
        yield frames


def _words(row: Float32[ndarray, " k"], labels: Sequence[str], most: int) -> str:
    order = np.argsort(-row, kind="stable")[:most]
    return ", ".join(f"{labels[number]} {row[number]:.3f}" for number in order.tolist())


def _counts(every: Float32[ndarray, "n k"], labels: Sequence[str]) -> str:
    counts = np.bincount(every.argmax(axis=1), minlength=len(labels))
    order = np.argsort(-counts, kind="stable")
    return ", ".join(f"{labels[number]} {counts[number]}" for number in order.tolist() if counts[number])


def _write(path: Path, key: str, names: Sequence[str], every: Float32[ndarray, "n k"], labels: Sequence[str]) -> None:
    """One row an image: its label and every probability."""
    own_folder(path.absolute().parent)
    best = every.argmax(axis=1).tolist()
    rows = [[round(float(value), 6) for value in row] for row in every]
    with AtomicText(path) as file:
        if path.suffix == ".csv":
            writer = csv.writer(file)
            writer.writerow([key, "label", *labels])
            writer.writerows([name, labels[number], *row] for name, number, row in zip(names, best, rows, strict=True))
            return
        listed = [
            {key: name, "label": labels[number], "probabilities": dict(zip(labels, row, strict=True))}
            for name, number, row in zip(names, best, rows, strict=True)
        ]
        json.dump(listed, file, indent=1)
