"""Model files: safetensors for the weights, text metadata beside them in the same file. Nothing is unpickled."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tracker.errors import CheckpointError
from tracker.nets.yolo import NetworkConfig, YoloNet

__all__ = ["FORMAT", "ModelCard", "load_detector", "load_tensors", "read_weights", "save_detector", "write_atomically"]

FORMAT = "sightline-yolo/1"


@dataclass(frozen=True)
class ModelCard:
    """What travels with the weights, in safetensors and in ONNX files."""

    labels: tuple[str, ...]
    """Class names in the order of the class channels."""
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    """(width, height) in input pixels, k per level."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Image pixels per cell of each level."""
    coefficients: int = 24
    """Mask coefficients per box."""
    input_size: int = 416
    """The longest side the network was tuned for."""
    confidence: float = 0.5
    """Default score threshold, chosen on the validation split."""
    iou: float = 0.45
    """Default NMS threshold."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Start, data and recipe."""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    """Measured on the validation split."""

    def to_metadata(self) -> dict[str, str]:
        """Text values only, as both file formats want them."""
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asdict(self).items()}
        return {"format": FORMAT, **texts}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Path) -> ModelCard:
        """The card a file carries; CheckpointError when it is not one of ours or lacks something."""
        found = metadata.get("format")
        if found != FORMAT:
            raise CheckpointError(
                f"{path}: expected a model of format {FORMAT!r}, found {found!r}. Give a file made by "
                "'train detector' or 'export'."
            )
        try:
            values = {item.name: json.loads(metadata[item.name]) for item in fields(cls)}
            values["labels"] = tuple(str(label) for label in values["labels"])
            values["anchors"] = tuple(tuple((float(w), float(h)) for w, h in level) for level in values["anchors"])
            values["strides"] = tuple(int(stride) for stride in values["strides"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: metadata {error} is missing or damaged. Export the model again.") from error
        return cls(**values)


def write_atomically(path: Path, write: Any) -> None:
    """Let `write(temporary path)` finish before the name is taken, so that no half file ever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    write(temporary)
    temporary.chmod(0o644)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


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
        values = json.loads(metadata["network"])
        config = NetworkConfig(**{**values, "widths": tuple(values["widths"])})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: network description is missing or damaged ({error}).") from error
    if config.classes != len(card.labels):
        raise CheckpointError(
            f"{path}: head has {config.classes} classes, labels list {len(card.labels)}. "
            "Retrain the head, or pass the matching labels."
        )
    network = YoloNet(config)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: weights do not fit the network it describes: {error}") from error
    return network.eval(), replace(card, coefficients=config.coefficients)
