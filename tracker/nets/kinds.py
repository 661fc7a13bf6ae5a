"""Which kind of network a file holds, and what each kind can do; read without torch and without its weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracker.errors import CheckpointError
from tracker.nets.onnx_file import read_onnx

__all__ = ["KINDS", "USES", "kind_of", "network_kind", "read_metadata", "wrong_kind"]

KINDS = {
    "sightline-yolo/1": "detector",
    "sightline-yolo/2": "detector",
    "sightline-classifier/1": "classifier",
    "sightline-segmentation/1": "segmenter",
    "sightline-localizer/1": "localizer",
    "sightline-reid/1": "re-identification network",
}
"""A file's format, and what it is called."""
USES = {
    "detector": ("detect", "track", "explain", "summary", "export"),
    "classifier": ("classify", "track --classify-tracks", "convolutionalize", "explain", "summary", "export"),
    "segmenter": ("segment", "track --semantic", "explain", "summary", "export"),
    "localizer": ("localize", "explain", "summary", "export"),
    "re-identification network": ("track --appearance reid --reid-model", "summary"),
}
"""The commands that each kind serves."""
LONGEST_HEADER = 1 << 26


def network_kind(path: Path) -> str:
    """One of KINDS' names, detector for ultralytics' exports too; empty where a file does not say.

    Raises CheckpointError where the file is damaged or not there.
    """
    return kind_of(read_metadata(path))


def kind_of(metadata: Mapping[str, str]) -> str:
    """The same of the texts that a file carries."""
    if "format" in metadata:
        return KINDS.get(metadata["format"], "")
    return "detector" if {"names", "stride"} <= metadata.keys() else ""  # ultralytics'


def read_metadata(path: Path) -> Mapping[str, str]:
    """The texts that a .safetensors or .onnx file carries; none for other files."""
    if path.suffix not in (".safetensors", ".onnx"):
        return {}
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.suffix == ".onnx":
        return read_onnx(path).metadata
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LONGEST_HEADER:
                raise ValueError("its header is too long")
            header: Any = json.loads(file.read(length))
        found = header.get("__metadata__", {})
        return {str(key): str(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError, RecursionError, struct.error) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); copy or download it again") from error


def wrong_kind(path: Path, wanted: str, found: str) -> CheckpointError:
    """What to say of a file whose format is `found` where a `wanted` (a name of KINDS) is needed."""
    kind = KINDS.get(found, "")
    if not kind:
        said = f"its format is {found[:80]!r}" if found else "the file does not say what it is"
        if any(found.startswith(known.partition("/")[0] + "/") for known in KINDS):
            return CheckpointError(f"{path}: expected a {wanted}; {said}, of a newer Sightline. Update the program.")
        command = {"segmenter": "segmentation", "re-identification network": "reid"}.get(wanted, wanted)
        return CheckpointError(f"{path}: expected a {wanted}; {said}. Give a file that `train {command}` made.")
    uses = ", ".join(f"`{use}`" for use in USES[kind])
    return CheckpointError(f"{path}: expected a {wanted}, found a {kind}, which is for {uses}.")
