"""The networks that can be chosen, read from their files without loading them: labels, size, accuracy."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracker.embedded import embedded_networks
from tracker.errors import CheckpointError
from tracker.factory import DEFAULT_NETWORK
from tracker.nets.kinds import kind_of, read_metadata

__all__ = ["NetworkFacts", "confidence_of", "list_networks", "read_facts"]

SUFFIXES = (".onnx", ".safetensors", ".pt")


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What is known of a network."""

    name: str
    path: Path
    model: str
    """What the setting detector.model is for it."""
    size_bytes: int
    labels: tuple[str, ...] = ()
    input_size: int | None = None
    accuracy: Mapping[str, float] = field(default_factory=dict)
    licence: str = ""
    notes: str = ""
    embedded: bool = False
    kind: str = ""
    """Such as detector or classifier (tracker.nets.kinds); empty where the file does not say."""


def list_networks(folders: Iterable[Path]) -> list[NetworkFacts]:
    """Those that come with the program, then those in the user's folders by name."""
    networks = embedded_networks()
    manifest = _manifest(next(iter(networks.values())).parent) if networks else {}
    found = []
    for name, path in networks.items():
        model = "auto" if name == DEFAULT_NETWORK else name
        own = manifest.get("networks", {}).get(name, {})
        measured = manifest.get("measured", {}).get(name, {})
        known = {**own, "licence": manifest.get("licence", ""), "measured": measured}
        found.append(read_facts(path, model=model, embedded=True, manifest=known))
    for folder in folders:
        if folder.is_dir():
            paths = [path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()]
            found += [read_facts(path, name=_name_within(path, folder)) for path in sorted(paths)]
    return found


def _name_within(path: Path, folder: Path) -> str:
    """The file's name with the folder of its training: every training ends in a best.onnx and a best.safetensors."""
    return "/".join(path.relative_to(folder).parts[-2:])


def read_facts(
    path: Path,
    *,
    name: str = "",
    model: str = "",
    embedded: bool = False,
    manifest: Mapping[str, Any] | None = None,
) -> NetworkFacts:
    """What a file says of itself; a file that says nothing has a name and a size."""
    known = dict(manifest or {})
    notes = ""
    try:
        metadata = read_metadata(path)
    except (OSError, CheckpointError) as error:
        metadata, notes = {}, str(error)
    if "description" in metadata:  # of what is no detector
        described = _value(metadata, "description")
        texts = described if isinstance(described, dict) else {}
        metadata = {**metadata, **{key: json.dumps(value) for key, value in texts.items()}}
    measured = known.get("measured")
    accuracy = _numbers(measured) or _numbers(_value(metadata, "accuracy"))  # those of the manifest are of one run
    labels = known.get("labels") or _value(metadata, "labels") or _names(_value(metadata, "names"))
    size = known.get("input_size") or _value(metadata, "input_size") or _value(metadata, "image_size")
    size = max(size) if isinstance(size, list) and size and all(isinstance(side, int) for side in size) else size
    return NetworkFacts(
        name=name or path.stem,
        path=path,
        model=model or str(path),
        size_bytes=path.stat().st_size if path.exists() else 0,
        labels=tuple(map(str, labels)) if isinstance(labels, list | tuple) else (),
        input_size=int(size) if isinstance(size, int | float) else None,
        accuracy=accuracy,
        licence=str(known.get("licence", "")),
        notes=notes,
        embedded=embedded,
        kind=kind_of(metadata),
    )


def confidence_of(model: str) -> float | None:
    """The threshold of a network's .safetensors, or of the one beside its export, without loading it; else None."""
    name = DEFAULT_NETWORK if model == "auto" else model
    path = embedded_networks().get(name, Path(name).expanduser()).with_suffix(".safetensors")
    try:
        value = _value(read_metadata(path), "confidence")
    except (OSError, CheckpointError):
        return None
    return float(value) if isinstance(value, int | float) and 0 < value < 1 else None


def _manifest(folder: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _value(metadata: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(metadata.get(key, "null"))
    except (ValueError, RecursionError):
        return None


def _names(value: Any) -> list[str] | None:
    return [str(name) for name in value.values()] if isinstance(value, dict) else None


def _numbers(value: Any, prefix: str = "") -> dict[str, float]:
    numbers: dict[str, float] = {}
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, Mapping):
                numbers |= _numbers(item, f"{prefix}{key} ")
            elif isinstance(item, int | float) and not isinstance(item, bool):
                numbers[f"{prefix}{key}"] = float(item)
    return numbers
