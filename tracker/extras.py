"""What a light install leaves out, and the one line that brings it.

May import errors only.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

from tracker.errors import ConfigError

__all__ = ["explain_missing", "has_torch", "how_to_install", "import_openvino"]

EXTRA_OF = {
    "torch": "train",
    "torchvision": "train",
    "safetensors": "train",
    "scipy": "train",
    "onnx": "train",
    "matplotlib": "train",
    "pycocotools": "train",
    "ultralytics": "ultralytics",
    "PyQt6": "gui",
    "ray": "ray",
    "pyarrow": "parquet",
    "openvino": "openvino",
    "tensorboard": "tensorboard",
    "captum": "explain",
    "sklearn": "explain",
}
"""The extra of this project that brings a package."""


def import_openvino() -> Any:
    """OpenVINO, without the package by which it reports to its maker whenever it is imported.

    That one keeps an id of the user in the home folder and connects to Google Analytics. OpenVINO has a stand-in for
    where it is missing. Raises ImportError where OpenVINO is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))  # what is None there cannot be imported
    import openvino

    return openvino


def has_torch() -> bool:
    """Whether torch is installed; found without importing it."""
    return find_spec("torch") is not None


def how_to_install(error: ModuleNotFoundError) -> str:
    """What is missing and the line to type, for a package that an extra brings; else an empty text."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(package)
    return f'{package} is not installed: pip install "sightline[{extra}]"' if extra else ""


@contextlib.contextmanager
def explain_missing(what: str) -> Iterator[None]:
    """Turn a package that is not installed into a ConfigError that says what needs it and the line to type."""
    try:
        yield
    except ModuleNotFoundError as error:
        if advice := how_to_install(error):
            raise ConfigError(f"{what}: {advice}") from error
        raise
