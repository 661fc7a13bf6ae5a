"""`segment`: what every pixel of images or frames shows, as label images and as overlays with a legend.

A label image is a PNG of the image's size whose grey values are class numbers; classes.txt has a name a line.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tracker.commands.command_parser import device_option
from tracker.commands.options import not_empty
from tracker.commands.outputs import frame_names, image_names, own_folder, spare_images
from tracker.config import SemanticConfig
from tracker.errors import ConfigError, SinkError, SourceError
from tracker.factory import default_device, make_labeller, usable_cores
from tracker.overlay import Overlay, OverlayConfig
from tracker.types import Detections, Frame, FrameResult, Image, Tracks
from tracker.video import open_source

__all__ = ["add_parsers"]

log = logging.getLogger(__name__)

DEFAULT = "sightline-street"
NAMED = 0.01
"""Fraction of an image that a class must cover to be reported."""


def add_parsers(subparsers: Any) -> None:
    """Add `segment`."""
    parser = subparsers.add_parser("segment", help="what every pixel of images shows", description=__doc__)
    parser.add_argument("sources", nargs="+", metavar="PATH", help="image, folder, 'glob' or video; several of them")
    text = f"{DEFAULT} (streets, embedded), or a .safetensors or .onnx file of `train segmentation`"
    parser.add_argument("--model", type=not_empty, default=DEFAULT, metavar="MODEL", help=f"{text} (default {DEFAULT})")
    parser.add_argument("--out", type=Path, default=Path("runs/segment"), metavar="DIR", help="folder for the results")
    text = "write each image with its labels laid over it, and a legend (default on)"
    parser.add_argument("--overlay", action=argparse.BooleanOptionalAction, default=True, help=text)
    parser.add_argument("--opacity", type=float, default=0.45, metavar="0..1", help="of the labels (default 0.45)")
    parser.add_argument(
        "--device", type=device_option, default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not 0 <= options.opacity <= 1:
        raise ConfigError(f"--opacity {options.opacity}: expected 0 to 1")
    device = default_device() if options.device == "auto" else options.device
    labeller = make_labeller(SemanticConfig(options.model), threads=usable_cores(), device=device)
    assert labeller is not None
    overlay = Overlay(OverlayConfig(semantic_opacity=options.opacity)) if options.overlay else None
    paths: list[Path] = []
    for spec in options.sources:  # before the first file is written
        with open_source(spec) as source:
            if source.live:
                raise SourceError(
                    f"{source.name}: segment takes images and files; use `track --semantic` for live input"
                )
            spare_images("--out", options.out, source)
            paths += source.paths
    names = image_names(paths) if paths else {}
    folder = own_folder(options.out)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in labeller.labels), encoding="utf-8")
    images = damage = 0
    taken: set[str] = set()
    for spec in options.sources:
        with open_source(spec) as source:
            name_of = frame_names(source)
            for frame in source:
                labels = labeller.at_full_size(frame.image)
                called = name_of(frame)
                if source.paths:  # one that was not there before keeps the name it has in its folder
                    called = names.get(source.paths[frame.index].absolute(), called)
                name = _free_name(called, taken)
                if name != called:
                    log.warning("%s: another image is called %s too; its results are %s", spec, called, name)
                _write(folder / "labels" / f"{name}.png", labels)
                if overlay is not None:
                    drawn = overlay(_result(frame, labels, labeller.labels))
                    _write(folder / "overlays" / f"{name}.jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
                sys.stdout.write(f"{name}: {covered(labels, labeller.labels)}\n")
                images += 1
            damage += source.damage
    damaged = f", {damage} damaged or unreadable" if damage else ""
    sys.stdout.write(f"{images} images{damaged}, {labeller.engine}: {folder}\n")
    return 3 if damage else 0


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or the name with a number, that no image before has, whatever the case; it is taken then."""
    numbered = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    free = next(each for each in numbered if each.casefold() not in taken)
    taken.add(free.casefold())
    return free


def covered(labels: UInt8[ndarray, "h w"], names: Sequence[str]) -> str:
    """`road 41 %, sky 20 %`: what covers a hundredth or more, most first."""
    fractions = np.bincount(labels.ravel(), minlength=len(names)) / labels.size
    order = [number for number in np.argsort(-fractions).tolist() if fractions[number] >= NAMED]
    return ", ".join(f"{names[number]} {100 * fractions[number]:.0f} %" for number in order)


def _result(frame: Frame, labels: UInt8[ndarray, "h w"], names: tuple[str, ...]) -> FrameResult:
    return FrameResult(frame, Detections.empty(), Tracks.empty(), (), semantic=labels, semantic_labels=names)


def _write(path: Path, pixels: Image | UInt8[ndarray, "h w"]) -> None:
    own_folder(path.parent)
    if not cv2.imwrite(str(path), pixels):
        raise SinkError(f"{path}: cannot write the image; check the folder's rights and free space")
