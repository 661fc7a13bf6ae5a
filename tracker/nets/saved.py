"""Networks other than the detector as files: safetensors with a description that is enough to build them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save_file
from torch import nn

from tracker.errors import CheckpointError, ConfigError
from tracker.nets.checkpoint import build_for
from tracker.nets.kinds import KINDS, read_metadata, wrong_kind
from tracker.nets.model_card import parse_description
from tracker.nets.weight_files import read_weights, write_atomically

__all__ = ["check_labels", "load_network", "read_description", "save_network"]

Network = TypeVar("Network", bound=nn.Module)


def save_network(path: Path, network: nn.Module, *, kind: str, description: Mapping[str, Any]) -> None:
    """Write weights and description atomically; `kind` such as "classifier" is checked when loading."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    metadata = {"format": _format(kind), "description": json.dumps(dict(description))}
    write_atomically(path, lambda temporary: save_file(weights, temporary, metadata))


def load_network(
    path: Path, *, kind: str, build: Callable[[Mapping[str, Any]], Network]
) -> tuple[Network, dict[str, Any]]:
    """The network that `build` makes from the file's description, with the file's weights, and the description.

    Raises CheckpointError when the file is another kind of network, damaged, or does not fit its own description.
    """
    weights, metadata = read_weights(path)
    found = metadata.get("format", "")
    if found != _format(kind):
        raise wrong_kind(path, KINDS[_format(kind)], found)
    try:
        description = parse_description(metadata["description"], "description", path)
        network = build_for(weights, lambda: build(description), path)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{path}: its description is missing or damaged ({error}). Train it again.") from error
    return network.eval(), description


def read_description(path: Path) -> dict[str, Any]:
    """What a file of `save_network` says of its network. Raises CheckpointError where it says nothing."""
    found = parse_description(read_metadata(path).get("description", ""), "description", path)
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: its description is damaged. Train it again.")
    return found


def check_labels(description: Mapping[str, Any], classes: int) -> None:
    """ConfigError where a description lists other labels than the head has classes."""
    if classes != len(description["labels"]):
        raise ConfigError(f"head has {classes} classes, labels list {len(description['labels'])}")


def _format(kind: str) -> str:
    return f"sightline-{kind}/1"
