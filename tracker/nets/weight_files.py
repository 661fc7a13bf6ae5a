"""Weights as files: read without running anything in them, and written so that no half file ever has the name."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tracker.errors import CheckpointError, SinkError, refusal_beside, why_unwritable

__all__ = ["load_tensors", "read_weights", "write_atomically"]

WRITER = re.compile("PytorchStreamWriter|inline_container")
"""What stands in torch's errors of files that it could not write."""


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
        of_library = isinstance(error, SafetensorError) or (
            isinstance(error, RuntimeError) and WRITER.search(str(error))
        )
        refused = error if isinstance(error, OSError) else refusal_beside(temporary) if of_library else None
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if refused is not None:
            raise SinkError(f"{path}: cannot be written: {why_unwritable(refused)}") from error
        if of_library:
            reason = str(error).splitlines()[0]
            raise SinkError(
                f"{path}: cannot be written: {reason}. Free some space there, or choose another."
            ) from error
        raise


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
