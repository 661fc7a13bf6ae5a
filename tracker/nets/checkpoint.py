"""Model files: safetensors for the weights, text metadata beside them in the same file. Nothing is unpickled."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tracker.errors import CheckpointError, SinkError, why_unwritable
from tracker.nets.model_card import ModelCard, parse_description
from tracker.nets.yolo import NetworkConfig, YoloNet

__all__ = ["build_for", "load_detector", "load_tensors", "read_weights", "save_detector", "write_atomically"]

WRITER = re.compile("PytorchStreamWriter|inline_container")
"""What stands in torch's errors of files that it could not write."""
Network = TypeVar("Network", bound=nn.Module)


def write_atomically(path: Path, write: Any) -> None:
    """Let `write(temporary path)` finish before the name is taken, so that no half file ever has it.

    Raises SinkError where it cannot be written; nothing of it stays then.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.chmod(0o644)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise SinkError(f"{path}: cannot be written: {why_unwritable(error)}") from error
        if isinstance(error, SafetensorError) or (isinstance(error, RuntimeError) and WRITER.search(str(error))):
            reason = str(error).splitlines()[0]
            raise SinkError(
                f"{path}: cannot be written: {reason}. Free some space there, or choose another."
            ) from error
        raise


def save_detector(path: Path, network: YoloNet, card: ModelCard) -> None:
    """Write weights and card to one safetensors file, atomically."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    metadata = {**card.to_metadata(), "network": json.dumps(asdict(network.config))}
    write_atomically(path, lambda temporary: save_file(weights, temporary, metadata))


def load_tensors(path: Path) -> Any:
    """What torch.save wrote, as far as it is tensors and plain values; nothing in the file is run."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: not a state dict of tensors, or no file of torch at all; it is not loaded, as it could run code. "
            "Save the weights alone: torch.save(model.state_dict(), FILE)."
        ) from error
    except Exception as error:  # bytes that are no pickle fail in any way
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise CheckpointError(
            f"{path}: cannot be read by torch ({reason}). It may be truncated; copy or download it again."
        ) from error


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(weights, metadata) of a safetensors file, or of a plain torch state dict read without running anything in it."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file. Expected a .safetensors model.")
    if path.suffix in {".pt", ".pth"}:
        content = load_tensors(path)
        for wrapping in ("state_dict", "model"):
            if isinstance(content, dict) and isinstance(content.get(wrapping), dict):
                content = content[wrapping]
        if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
            raise CheckpointError(f"{path}: expected a state dict of tensors, found {type(content).__name__}.")
        return content, {}
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({error}). It may be truncated; copy or download it again."
        ) from error


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
