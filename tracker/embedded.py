"""The networks that come with the program: by name, each checked against the manifest's SHA-256."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

from tracker.config import nearest
from tracker.errors import CheckpointError
from tracker.paths import typed_path

__all__ = [
    "check_embedded",
    "embedded_networks",
    "embedded_segmenters",
    "segmentation_file",
    "trainable_file",
    "weights_folder",
]


def embedded_networks() -> dict[str, Path]:
    """The networks that come with the program, by name: the ONNX file of each."""
    return {path.stem: path for path in sorted(weights_folder().glob("*.onnx"))}


def embedded_segmenters() -> dict[str, Path]:
    """The networks that come with the program and label every pixel, by name: the ONNX file of each."""
    return {path.stem: path for path in sorted((weights_folder() / "semantic").glob("*.onnx"))}


def trainable_file(name: str) -> Path:
    """The .safetensors of an embedded network, by its name; any other text is a path."""
    networks = embedded_networks()
    return check_embedded(networks[name].with_suffix(".safetensors")) if name in networks else typed_path(name)


def segmentation_file(name: str) -> Path:
    """The file of an embedded segmentation network, by its name; any other text is a path.

    Raises CheckpointError for what is neither.
    """
    networks = embedded_segmenters()
    if name in networks:
        return check_embedded(networks[name])
    path = typed_path(name)
    if not path.suffix:
        raise CheckpointError(f"{name}: no such segmentation network or file; {nearest(name, networks)}")
    return path


def check_embedded(path: Path) -> Path:
    """The file itself; CheckpointError where it is not the one that weights/manifest.toml names by its SHA-256."""
    manifest = tomllib.loads(path.with_name("manifest.toml").read_text(encoding="utf-8"))
    expected = manifest.get("sha256", {}).get(path.name)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise CheckpointError(
            f"{path}: not the network that came with the program (SHA-256 {found[:12]}, the manifest says "
            f"{str(expected)[:12]}). Install the program again, or give another network with --model."
        )
    return path


def weights_folder() -> Path:
    """Where they lie: inside the installed package, or beside it in a checkout."""
    packages = Path(__file__).parent
    installed, checkout = packages / "weights", packages.parent / "weights"
    return installed if installed.is_dir() else checkout
