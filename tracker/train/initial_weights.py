"""What a detector's training starts from: fresh weights, a published backbone, YOLOX nano, or a detector of ours.

A detector of ours may know other classes: everything but the class answers is kept, and so are the answers for the
classes that both know (transfer learning).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from tracker.config import nearest
from tracker.embedded import embedded_networks
from tracker.errors import CheckpointError, ConfigError, named_by
from tracker.evaluate.ground_truth import DataSet
from tracker.nets.anchors import anchor_fit, find_anchors
from tracker.nets.checkpoint import load_detector
from tracker.nets.kinds import kind_of, read_metadata, wrong_kind
from tracker.nets.model_card import ModelCard, scaled_side
from tracker.nets.network_config import NetworkConfig
from tracker.nets.transfer import fill_backbone, read_backbone
from tracker.nets.ultralytics_weights import is_ultralytics_weights, open_ultralytics
from tracker.nets.yolo import YoloNet, is_mask_part
from tracker.nets.yolox import copy_yolox, published_size

__all__ = ["OWN_BACKBONE", "InitialNetwork", "change_masks", "check_start", "start_network"]

log = logging.getLogger(__name__)

FRESH_BACKBONE = "cspdarknet_nano"
"""Of a fresh network that asks for no other."""
OWN_BACKBONE = "--backbone is of a fresh network; --start has its own: leave out --start, or --backbone"

Pairs: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]
"""Anchor widths and heights per level."""

YOLOX_ANCHORS: Pairs = (((12.0, 11.0), (8.0, 26.0)), ((23.0, 28.0), (46.0, 70.0)), ((89.0, 174.0), (237.0, 317.0)))
"""k-means of the default weights' training boxes at 512 pixels; mean best IoU 0.59, recall at ratio 4 0.997."""


class InitialNetwork(NamedTuple):
    """A network about to be trained."""

    network: YoloNet
    card: ModelCard
    fresh: list[str]
    """Names of the parts that the weights given did not fill."""


def start_network(
    train: DataSet,
    *,
    weights: str = "",
    backbone: str = FRESH_BACKBONE,
    pretrained: str = "",
    input_size: int = 416,
    input_scale: float = 0.0,
    norm: bool = True,
    residual: bool = True,
) -> InitialNetwork:
    """The network for the classes of `train`.

    `weights` is a .safetensors detector of ours or a YOLOX nano .onnx; without it the network is fresh, its backbone
    filled with `pretrained` (torchvision's or timm's) where given, its anchors found in the training boxes, with batch
    norm and residual links or without. An `input_scale` of 0 leaves that of `weights`.
    """
    side = scaled_side(input_size, input_scale or 1.0)
    network, card, fresh = _start(
        train, weights, backbone, pretrained, input_size=input_size, side=side, norm=norm, residual=residual
    )
    return InitialNetwork(network, replace(card, input_scale=input_scale or card.input_scale), fresh)


def check_start(weights: str) -> None:
    """Raise CheckpointError, in words of --start, for a file that no training can start from; read in a moment."""
    if not weights:
        return
    path = Path(weights)
    if not path.suffix and not path.exists():
        known = embedded_networks()
        raise CheckpointError(f"--start {weights}: no such network or file; {nearest(weights, known)}")
    if path.suffix not in (".safetensors", ".onnx"):
        raise CheckpointError(
            f"--start {weights}: expected a .safetensors of ours, or the published YOLOX nano .onnx, found "
            f"{path.suffix or 'no suffix'!r}; of Ultralytics' networks give YOLO26 nano or YOLO11 nano as .safetensors "
            "with batch norm folded"
        )
    if not path.is_file():
        raise CheckpointError(f"--start {weights}: no such file; check the path")
    with named_by("--start"):
        if path.suffix == ".onnx":
            if published_size(path) is None:
                raise CheckpointError(
                    f"{weights}: not the published YOLOX nano, the one .onnx that can be trained on; "
                    "of a network of ours give the .safetensors file."
                )
            return
        metadata = read_metadata(path)
        if kind_of(metadata) != "detector" and not is_ultralytics_weights(path):
            raise wrong_kind(path, "detector", metadata.get("format", ""))


def _start(
    train: DataSet,
    weights: str,
    backbone: str,
    pretrained: str,
    *,
    input_size: int,
    side: int,
    norm: bool,
    residual: bool,
) -> InitialNetwork:
    """The same, anchors of a fresh network found at `side` pixels."""
    if weights and not (norm and residual):
        raise ConfigError("norm and residual are of a fresh network; --start has its own: leave them out, or --start")
    if weights and backbone != FRESH_BACKBONE:
        raise ConfigError(OWN_BACKBONE)
    if weights and pretrained:
        raise ConfigError("--pretrained fills the backbone of a fresh network; leave out --start, or --pretrained")
    check_start(weights)
    if weights.endswith(".onnx"):
        network = YoloNet(NetworkConfig(classes=len(train.labels), norm=False))
        copy_yolox(network, Path(weights), train.labels, YOLOX_ANCHORS)
        fresh = ["prototypes", *(f"heads.{level}.coefficients" for level in range(len(network.strides)))]
        return InitialNetwork(network, _card(train, network, YOLOX_ANCHORS, input_size), fresh)
    if weights and is_ultralytics_weights(Path(weights)):
        return start_from_ultralytics(train, Path(weights), input_size)
    if weights:
        network, card = load_detector(Path(weights))
        if card.labels != train.labels:
            network = change_classes(network, card.labels, train.labels)
            known = [label for label in train.labels if label in card.labels]
            log.info("%s: classes known already: %s", weights, ", ".join(known) or "none")
            answers = "classes" if network.config.head == "offsets" else "cv3.2"
            fresh = _fresh_answers(network, answers, card.labels, train.labels)
            changed = _card(train, network, card.anchors, input_size)
            # Its cells answer as before: how many of them find one object does not change with the classes.
            kept = replace(changed, input_scale=card.input_scale, iou=card.iou, voting=card.voting)
            return InitialNetwork(network, kept, fresh)
        return InitialNetwork(network, replace(card, input_size=input_size), [])
    with named_by("--pretrained"):
        source = read_backbone(Path(pretrained)) if pretrained else None
    backbone_norm = source is None or not source.folded
    config = NetworkConfig(backbone=backbone, classes=len(train.labels), norm=norm, residual=residual)
    network = YoloNet(replace(config, backbone_norm=backbone_norm))
    if source is not None:
        log.info("%s", fill_backbone(network.backbone, source, name=backbone))
    return InitialNetwork(
        network, _card(train, network, fit_anchors(train, side, len(network.strides)), input_size), []
    )


def start_from_ultralytics(train: DataSet, path: Path, input_size: int) -> InitialNetwork:
    """A published YOLO26 or YOLO11 nano, with light masks and one anchor per cell; classes it knows keep their answers.

    A file without masks gets prototypes and coefficients of ours, as does one whose own would take longer.
    """
    network, card, fresh = open_ultralytics(path)
    if card.labels != train.labels:
        network = change_classes(network, card.labels, train.labels)
        fresh = [*fresh, *_fresh_answers(network, "cv3.2", card.labels, train.labels)]
    card = replace(_card(train, network, card.anchors, input_size), iou=card.iou, voting=card.voting)
    return InitialNetwork(network, card, fresh)


def change_masks(initial: InitialNetwork, *, prototypes: str, prototype_width: int, mask_width: int) -> InitialNetwork:
    """The same network with another mask branch, which begins fresh; as it is where nothing else is asked for.

    Raises ConfigError for a backbone without the map that fused prototypes need.
    """
    before = initial.network.config
    changed = prototypes not in ("", before.prototypes)
    config = replace(
        before,
        prototypes=prototypes or before.prototypes,
        prototype_width=prototype_width or (64 if changed else before.prototype_width),
        mask_width=mask_width or before.mask_width,
    )
    if config == before:
        return initial
    network = YoloNet(config)
    kept = {name: value for name, value in initial.network.state_dict().items() if not is_mask_part(name)}
    network.load_state_dict({**network.state_dict(), **kept})
    coefficients = "coefficients" if config.head == "offsets" else "cv4"
    fresh = ["prototypes", *(f"heads.{level}.{coefficients}" for level in range(len(network.strides)))]
    return InitialNetwork(network, initial.card, list(dict.fromkeys([*initial.fresh, *fresh])))


def _card(train: DataSet, network: YoloNet, anchors: Pairs, input_size: int) -> ModelCard:
    return ModelCard(train.labels, anchors, coefficients=network.config.coefficients, input_size=input_size)


def _fresh_answers(network: YoloNet, layer: str, known: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    """The layers that answer for classes, where not all of these are known."""
    return [] if set(wanted) <= set(known) else [f"heads.{level}.{layer}" for level in range(len(network.strides))]


def change_classes(network: YoloNet, known: tuple[str, ...], wanted: tuple[str, ...]) -> YoloNet:
    """The same network answering for `wanted`; what it answered for classes among `known` it still does."""
    changed = YoloNet(replace(network.config, classes=len(wanted)))
    pairs = [(wanted.index(label), known.index(label)) for label in wanted if label in known]
    state = changed.state_dict()
    for name, value in network.state_dict().items():
        if ".classes." in name or ".cv3.2." in name:
            copy_answers(state[name], value, pairs, anchors=network.config.anchors)
        else:
            state[name] = value
    changed.load_state_dict(state)
    return changed


def copy_answers(target: Tensor, source: Tensor, pairs: list[tuple[int, int]], *, anchors: int) -> None:
    """Copy the rows of classes (to, from) of every anchor, in weights or biases laid out anchor by anchor."""
    to, answers = (part.view(anchors, -1, *part.shape[1:]) for part in (target, source))
    with torch.no_grad():
        for row, known in pairs:
            to[:, row] = answers[:, known]


def fit_anchors(train: DataSet, size: int, levels: int, *, each: int = 2) -> Pairs:
    """Anchors found in the training boxes at the input size, smallest to the first level; logs how well they fit."""
    sizes = np.concatenate([(s.boxes[:, 2:] - s.boxes[:, :2]) * (size / max(s.width, s.height)) for s in train.samples])
    if len(sizes) < levels * each:
        raise ConfigError(f"{levels * each} anchors need as many labelled boxes, the training data has {len(sizes)}")
    found = find_anchors(sizes, levels * each)
    iou, recall = anchor_fit(sizes, found)
    log.info("anchors %s: mean best IoU %.3f, recall at ratio 4 %.3f", found.round(1).tolist(), iou, recall)
    pairs = [(float(width), float(height)) for width, height in found.round(1)]
    return tuple(tuple(pairs[level * each : (level + 1) * each]) for level in range(levels))
