"""Model files: safetensors for the weights, text metadata beside them in the same file. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tracker.errors import CheckpointError
from tracker.nets.model_card import ModelCard, parse_description
from tracker.nets.network_config import NetworkConfig
from tracker.nets.weight_files import read_weights, write_atomically
from tracker.nets.yolo import YoloNet, unrounded

__all__ = ["build_for", "load_detector", "save_detector"]

Network = TypeVar("Network", bound=nn.Module)


def save_detector(path: Path, network: YoloNet, card: ModelCard, *, half: bool = False) -> None:
    """Write weights and card to one safetensors file, atomically.

    `half` keeps convolutions in half precision, all but those that an export in half precision does not round either.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    if half:
        whole = {id(part) for part in unrounded(network)}
        rounded = [
            name for name, part in network.named_modules() if isinstance(part, nn.Conv2d) and id(part) not in whole
        ]
        weights |= {f"{name}.weight": weights[f"{name}.weight"].half() for name in rounded}
    metadata = {**card.to_metadata(), "network": json.dumps(asdict(network.config))}
    write_atomically(path, lambda temporary: save_file(weights, temporary, metadata))


def load_detector(path: Path) -> tuple[YoloNet, ModelCard]:
    """The network in evaluation mode and its card."""
    weights, metadata = read_weights(path)
    card = ModelCard.from_metadata(metadata, path)
    try:
        values = parse_description(metadata["network"], "network", path)
        config = NetworkConfig(**{**values, "widths": tuple(values["widths"])})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: network description is missing or damaged ({error}).") from error
    if config.classes != len(card.labels):
        raise CheckpointError(
            f"{path}: head has {config.classes} classes, labels list {len(card.labels)}. "
            "Retrain the head, or pass the matching labels."
        )
    network = build_for(weights, lambda: YoloNet(config), path)
    return network.eval(), replace(card, coefficients=config.coefficients)


def build_for(weights: Mapping[str, Tensor], build: Callable[[], Network], path: Path) -> Network:
    """What `build` makes, with these weights in it; no memory is taken before their sizes are known to fit.

    Raises CheckpointError where they do not, or where the description cannot be built.
    """
    try:
        with torch.device("meta"):
            described = {name: tuple(value.shape) for name, value in build().state_dict().items()}
        wrong = [name for name, value in weights.items() if described.get(name) != tuple(value.shape)]
        wrong += sorted(described.keys() - weights.keys())
        if wrong:
            shape = described.get(wrong[0], "nothing of that name")
            raise CheckpointError(f"{path}: weights do not fit the network it describes: {wrong[0]}: expected {shape}")
        network = build()
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError, OverflowError, RecursionError, ArithmeticError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: weights do not fit the network it describes: {reason}") from error
    return network
