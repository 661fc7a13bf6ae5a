"""What `explain` does with each kind of network; imports torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import nn

from tracker.commands.export_network import find_weights
from tracker.config import DetectorConfig, build, nearest
from tracker.detect.engines.torch import TorchDetector
from tracker.errors import CheckpointError, ConfigError
from tracker.explain.activation_maps import find_layer
from tracker.explain.evidence import (
    ClassObjective,
    DetectionObjective,
    Evidence,
    Objective,
    SegmentObjective,
    check_method,
    explain_objective,
    quantities_of,
)
from tracker.explain.features import feature_maps, filters_of, layer_maps
from tracker.explain.layer_summary import summarise
from tracker.explain.localizer_objective import LOCALIZED, LocalizerObjective
from tracker.explain.sheets import captioned, crop_around, draw_filters, draw_maps, sheet, stack, tint_heat
from tracker.extras import explain_missing
from tracker.geometry import iou
from tracker.nets.checkpoint import load_detector
from tracker.nets.classifier import load_classifier
from tracker.nets.kinds import network_kind
from tracker.nets.localizer import load_localizer
from tracker.nets.model_card import ModelCard
from tracker.nets.segmenter import load_segmentation
from tracker.nets.yolo import YoloNet
from tracker.overlay.palette import colour_of
from tracker.overlay.shapes import draw_box, to_pixels
from tracker.paths import safe_name
from tracker.train.plots import write_image
from tracker.types import Image

__all__ = ["explain_with"]

Box = Float32[ndarray, " 4"]


SAME_OBJECT_IOU = 0.3
"""A detection that overlaps `--box` less is of another object."""
LEAST_SCORE = 0.05
"""Of a detection that is asked for by its box: a track goes on through scores far below those that begin one."""
NOTHING_THERE = "the network sees no object at the box; try a lower --conf"


def explain_with(options: argparse.Namespace, image: Image, box: Box | None) -> list[str]:
    """Write the images that explain what the network says of the image, or of the box in it; lines that say so.

    Raises ConfigError for options that do not fit the kind of network, CheckpointError for a file of no known kind.
    """
    path = find_weights(options.model)
    kind = _kind_of(path)
    check_method(options.method, options.layer)
    for flag, value, kinds in (
        ("--of", options.quantity, ("detector", "localizer")),
        ("--track", box, ("detector",)),
        ("--box", options.box, ("detector",)),
        ("--conf", options.conf, ("detector",)),
        ("--label", options.label, ("classifier", "segmenter", "localizer")),
    ):
        if value is not None and kind not in kinds:
            raise ConfigError(f"{flag}: has no meaning for {path.name}, a {kind}")
    with explain_missing(f"--method {options.method}"):
        return _KINDS[kind](path, options, image, box)


def _kind_of(path: Path) -> str:
    kind = network_kind(path)
    if kind not in _KINDS:
        found = f"a {kind}" if kind else "a file that does not say what it is"
        raise CheckpointError(f"{path}: explain reads networks of ours ({', '.join(_KINDS)}), found {found}")
    return kind


def _detector(path: Path, options: argparse.Namespace, image: Image, box: Box | None) -> list[str]:
    network, card = load_detector(path)
    if options.layer is not None:
        find_layer(network, options.layer)
    boxes = _found(network, card, options, image) if box is None else box[None]
    known = quantities_of(network)
    quantities = known if options.quantity is None else (options.quantity,)
    lines = []
    for number, each in enumerate(boxes):
        parts = []
        for quantity in quantities:
            objective = DetectionObjective.of(network, card, image, each, quantity=quantity)
            heat, largest = explain_objective(objective, method=options.method, layer=options.layer)
            parts.append((quantity, Evidence(objective.box, objective.score, objective.class_id, heat, largest)))
        name = f"evidence-{number}-{safe_name(card.labels[parts[0][1].class_id])}.png"
        write_image(options.out / name, _detection_sheet(image, parts))
        first = parts[0][1]
        inside = ", ".join(f"{evidence.fraction_inside():.0%} of the {quantity}" for quantity, evidence in parts)
        said = f"{card.labels[first.class_id]} {first.score:.2f}, evidence inside the box: {inside}"
        lines.append(f"{options.out / name}: {said}")
    if not lines:
        lines.append(NOTHING_THERE if options.box is not None else "nothing was found in the image; try a lower --conf")
    if options.layer is None:
        for stride, maps in feature_maps(network, image, size=card.scaled_size).items():
            write_image(options.out / f"features-stride-{stride}.png", draw_maps(maps))
    else:
        canvas = DetectionObjective.of(network, card, image, _whole(image)).canvas
        _write_layer(network, canvas, options)
    return [*lines, *_write_rest(network, options, (1, 3, card.scaled_size, card.scaled_size))]


def _found(network: YoloNet, card: ModelCard, options: argparse.Namespace, image: Image) -> Float32[ndarray, "n 4"]:
    """The boxes of the detections that are explained: the surest, or the one that overlaps `--box` most."""
    conf, most = options.conf, options.most
    if options.box is not None:
        conf, most = LEAST_SCORE if conf is None else conf, DetectorConfig().max_det
    config = build(DetectorConfig, {"conf": conf, "max_det": most, "device": "cpu"}, "command line")
    boxes = TorchDetector((network, card), config).detect([image])[0].boxes
    if options.box is None or not len(boxes):
        return boxes
    overlap = iou(boxes, options.box[None])[:, 0]
    best = int(overlap.argmax())
    return boxes[best : best + 1] if overlap[best] >= SAME_OBJECT_IOU else boxes[:0]


def _detection_sheet(image: Image, parts: Sequence[tuple[str, Evidence]]) -> Image:
    """The whole image with the heat of the first part, and the object's surroundings with each part's."""
    first = parts[0][1]
    colour = colour_of(first.class_id + 1)
    whole = tint_heat(image, first.heat)
    corners = to_pixels(first.box.tolist(), (image.shape[1], image.shape[0]))
    if corners is not None:
        draw_box(whole, corners, colour, line=2)
    close = [
        captioned(
            crop_around(tint_heat(image, evidence.heat), evidence.box, colour),
            f"{what}: {evidence.fraction_inside():.0%} inside the box",
            bar=(0.0, evidence.largest, cv2.COLORMAP_INFERNO),
        )
        for what, evidence in parts
    ]
    return stack([sheet([captioned(whole, f"score {first.score:.2f}")]), sheet(close, columns=2)])


def _classifier(path: Path, options: argparse.Namespace, image: Image, box: Box | None) -> list[str]:  # noqa: ARG001
    network, description = load_classifier(path)
    labels = tuple(description["labels"])
    size, channels = int(description["image_size"]), network.config.in_channels
    objective = ClassObjective.of(network, image, 0, size=size, channels=channels)
    with torch.no_grad():
        probabilities = network(objective.canvas)[0].softmax(dim=0).tolist()
    ordered = sorted(range(len(labels)), key=lambda each: -probabilities[each])
    wanted = ordered[0] if options.label is None else _number_of(options.label, labels)
    objective = ClassObjective.of(network, image, wanted, size=size, channels=channels)
    name = _write_map(objective, objective.box, wanted, labels, options, image, number=0)
    if options.layer is not None:
        _write_layer(network, objective.canvas, options)
    others = ", ".join(f"{labels[each]} {probabilities[each]:.2f}" for each in ordered[:3])
    said = f"{labels[wanted]} {probabilities[wanted]:.2f}; the likeliest: {others}"
    return [f"{options.out / name}: {said}", *_write_rest(network, options, (1, channels, size, size))]


def _segmentation(path: Path, options: argparse.Namespace, image: Image, box: Box | None) -> list[str]:  # noqa: ARG001
    network, description = load_segmentation(path)
    labels = tuple(description["labels"])
    height, width = (int(side) for side in description["image_size"])
    if options.label is None:
        scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        with torch.no_grad():
            answer = network(torch.from_numpy(np.array(scaled)).permute(2, 0, 1)[None].float() / 255)
        pixels = np.bincount(answer[0].argmax(dim=0).numpy().ravel(), minlength=len(labels))
        wanted = [int(each) for each in np.argsort(-pixels, kind="stable") if pixels[each]][: options.most]
    else:
        wanted = [_number_of(options.label, labels)]
    lines = []
    for number, label in enumerate(wanted):
        objective = SegmentObjective.of(network, image, label, size=(height, width))
        name = _write_map(objective, objective.box, label, labels, options, image, number=number)
        covered = float(objective.pixels.float().mean())
        lines.append(f"{options.out / name}: {labels[label]}, {covered:.0%} of the image")
        if options.layer is not None and number == 0:
            _write_layer(network, objective.canvas, options)
    return [*lines, *_write_rest(network, options, (1, 3, height, width))]


def _localizer(path: Path, options: argparse.Namespace, image: Image, box: Box | None) -> list[str]:  # noqa: ARG001
    network, description = load_localizer(path)
    labels, size = tuple(description["labels"]), int(description["image_size"])
    wanted = None if options.label is None else _number_of(options.label, labels)
    parts = []
    for quantity in LOCALIZED if options.quantity is None else (options.quantity,):
        objective = LocalizerObjective.of(network, image, size=size, quantity=quantity, class_id=wanted)
        heat, largest = explain_objective(objective, method=options.method, layer=options.layer)
        score = float(objective.scores[objective.class_id])
        parts.append((quantity, Evidence(objective.box, score, objective.class_id, heat, largest)))
    first = parts[0][1]
    name = f"evidence-0-{safe_name(labels[first.class_id])}.png"
    write_image(options.out / name, _detection_sheet(image, parts))
    if options.layer is not None:
        _write_layer(network, objective.canvas, options)
    inside = ", ".join(f"{evidence.fraction_inside():.0%} of the {quantity}" for quantity, evidence in parts)
    said = f"{labels[first.class_id]} {first.score:.2f}, evidence inside the box: {inside}"
    return [f"{options.out / name}: {said}", *_write_rest(network, options, (1, 3, size, size))]


_KINDS = {"detector": _detector, "classifier": _classifier, "segmenter": _segmentation, "localizer": _localizer}


def _number_of(label: str, labels: Sequence[str]) -> int:
    if label not in labels:
        raise ConfigError(f"--label {label}: the network has no such class; {nearest(label, labels)}")
    return labels.index(label)


def _write_map(
    objective: Objective,
    box: Box,
    class_id: int,
    labels: Sequence[str],
    options: argparse.Namespace,
    image: Image,
    *,
    number: int,
) -> str:
    """The image with the heat over it and its scale; the file's name."""
    heat, largest = explain_objective(objective, method=options.method, layer=options.layer)
    shown = tint_heat(image, heat)
    corners = to_pixels(box.tolist(), (image.shape[1], image.shape[0]))
    if corners is not None:
        draw_box(shown, corners, colour_of(class_id + 1), line=2)
    if max(shown.shape[:2]) < SMALL:
        times = SMALL // max(shown.shape[:2])
        shown = cv2.resize(shown, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
    name = f"evidence-{number}-{safe_name(labels[class_id])}.png"
    caption = captioned(shown, f"{labels[class_id]}, {options.method}", bar=(0.0, largest, cv2.COLORMAP_INFERNO))
    write_image(options.out / name, caption)
    return name


SMALL = 320
"""Images smaller than this are shown enlarged."""


def _whole(image: Image) -> Box:
    return np.array([0, 0, image.shape[1], image.shape[0]], np.float32)


def _write_layer(network: nn.Module, canvas: Any, options: argparse.Namespace) -> None:
    for place, maps in enumerate(layer_maps(network, canvas, options.layer)):
        more = f"-{place}" if place else ""
        write_image(options.out / f"features-{safe_name(options.layer)}{more}.png", draw_maps(maps))


def _write_rest(network: nn.Module, options: argparse.Namespace, shape: tuple[int, int, int, int]) -> list[str]:
    """The filters and the summary."""
    filters = filters_of(network, options.layer) or filters_of(network)
    written = "feature maps and summary.txt"
    if filters is not None:
        write_image(options.out / f"filters-{safe_name(filters[0])}.png", draw_filters(filters[1]))
        written = "feature maps, filters and summary.txt"
    summary = summarise(network, torch.zeros(shape))
    (options.out / "summary.txt").write_text(summary.table() + "\n", encoding="utf-8")
    return [f"{written} ({summary.table().splitlines()[-1]}) are in {options.out}"]
