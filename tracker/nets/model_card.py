"""What travels with a network's weights, checked as a stranger's words; read without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tracker.config import LARGEST_IMAGE
from tracker.errors import CheckpointError
from tracker.nets.kinds import wrong_kind

__all__ = [
    "FORMATS",
    "LEAST_INPUT_SCALE",
    "LONGEST_LABEL",
    "MOST_LABELS",
    "ModelCard",
    "parse_description",
    "scaled_side",
]

FORMATS = ("sightline-yolo/1", "sightline-yolo/2")
"""The second is that of networks which scale their input: programs that know the first alone, and would place such
boxes wrongly, refuse it."""

MOST_TEXT = 4_000_000
MOST_LABELS, LONGEST_LABEL = 10_000, 200
MOST_LEVELS, MOST_ANCHORS, LARGEST_STRIDE = 8, 32, 1024
LARGEST_SIDE = 16_384
MOST_COEFFICIENTS = 1024
LEAST_INPUT_SCALE = 0.5
COARSEST = 32
"""Sides of a canvas are multiples of this, before and after the network scales it."""


@dataclass(frozen=True)
class ModelCard:
    """What travels with the weights, in safetensors, ONNX, OpenVINO and TorchScript files."""

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
    input_scale: float = 1.0
    """The first thing the network does with a canvas is to scale it by this, in hundredths (`scaled_side`)."""
    confidence: float = 0.5
    """Default score threshold, chosen on the validation split."""
    iou: float = 0.45
    """Default NMS threshold."""
    voting: float = 0.0
    """Each box becomes the mean of those it suppressed and itself (`decode.voted`), weighed by score and, with this
    width, by overlap; 0 keeps it as it is, which is right for a network whose objects are answered by one cell."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Start, data and recipe."""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    """Measured on the validation split."""

    @property
    def scaled_size(self) -> int:
        """The side of `input_size` once the network has scaled it."""
        return scaled_side(self.input_size, self.input_scale)

    def to_metadata(self) -> dict[str, str]:
        """Text values only, as both file formats want them."""
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asdict(self).items()}
        return {"format": FORMATS[self.input_scale != 1], **texts}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Path) -> ModelCard:
        """The card a file carries; CheckpointError when it is not one of ours, lacks something or makes no sense."""
        found = metadata.get("format")
        if found not in FORMATS:
            raise wrong_kind(path, "detector", found or "")
        optional = ["training", "accuracy", "voting"]  # the last is younger than both formats
        if found == FORMATS[0]:
            optional.append("input_scale")  # which exports lack that are older than it
        values: dict[str, Any] = {}
        for item in fields(cls):
            if item.name in metadata:
                values[item.name] = parse_description(metadata[item.name], item.name, path)
            elif item.name not in optional:
                raise CheckpointError(f"{path}: its description lacks {item.name!r}. Export the model again.")
        try:
            values["labels"] = tuple(str(label) for label in _list(values["labels"], "labels"))
            values["anchors"] = tuple(
                tuple((_number(w, "anchors"), _number(h, "anchors")) for w, h in _list(level, "anchors"))
                for level in _list(values["anchors"], "anchors")
            )
            values["strides"] = tuple(_whole(stride, "strides") for stride in _list(values["strides"], "strides"))
            for name in ("coefficients", "input_size"):
                values[name] = _whole(values[name], name)
            for name in ("confidence", "iou", "voting", "input_scale"):
                if name in values:
                    values[name] = _number(values[name], name)
            card = cls(**values)
            card._check()
        except (TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{path}: its description is damaged: {error}. Export the model again.") from error
        return card

    def _check(self) -> None:
        """Raise ValueError for what no network can be."""
        if not 1 <= len(self.labels) <= MOST_LABELS or max(map(len, self.labels)) > LONGEST_LABEL:
            raise ValueError(f"expected 1 to {MOST_LABELS} labels of up to {LONGEST_LABEL} letters")
        if not 1 <= len(self.strides) <= MOST_LEVELS or not all(1 <= s <= LARGEST_STRIDE for s in self.strides):
            raise ValueError(f"expected 1 to {MOST_LEVELS} strides from 1 to {LARGEST_STRIDE}, found {self.strides}")
        counts = {len(level) for level in self.anchors}
        if len(self.anchors) != len(self.strides) or len(counts) != 1 or not 1 <= counts.pop() <= MOST_ANCHORS:
            raise ValueError(f"expected equally many anchors, 1 to {MOST_ANCHORS}, for each of the strides")
        if not all(0 < side <= LARGEST_SIDE for level in self.anchors for pair in level for side in pair):
            raise ValueError(f"anchors: a side is not between 0 and {LARGEST_SIDE}")
        if not 0 <= self.coefficients <= MOST_COEFFICIENTS:
            raise ValueError(f"coefficients: expected 0 to {MOST_COEFFICIENTS}, found {self.coefficients}")
        if not 32 <= self.input_size <= LARGEST_IMAGE or self.input_size % 32:
            raise ValueError(f"input_size: expected a multiple of 32 up to {LARGEST_IMAGE}, found {self.input_size}")
        if not LEAST_INPUT_SCALE <= self.input_scale <= 1 or self.input_scale != round(self.input_scale, 2):
            raise ValueError(f"input_scale: expected {LEAST_INPUT_SCALE} to 1 in hundredths, found {self.input_scale}")
        for name in ("confidence", "iou", "voting"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise ValueError(f"{name}: expected 0 to 1, found {value}")
        for name in ("training", "accuracy"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"{name}: expected a table")


def scaled_side(side: int, input_scale: float) -> int:
    """The side of a canvas after scaling: the multiple of 32 next to `side * input_scale`, at least 32.

    In whole numbers, so that tracing an export records it for every size.

    >>> [scaled_side(side, 0.8) for side in (32, 256, 416, 640)]
    [32, 192, 320, 512]
    """
    hundredths = round(100 * input_scale)
    return side if hundredths == 100 else (side * hundredths + 50 * COARSEST) // (100 * COARSEST) * COARSEST


def parse_description(text: str, name: str, path: Path) -> Any:
    """The JSON value of one field; CheckpointError for what is none, too long or nested without end."""
    try:
        if len(text) > MOST_TEXT:
            raise ValueError(f"{len(text)} letters long")
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise CheckpointError(
            f"{path}: its description is damaged: {name}: {reason}. Export the model again."
        ) from error


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{name}: expected a list, found {type(value).__name__}")
    return value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected a whole number, found {str(value)[:40]}")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a number, found {str(value)[:40]}")
    return float(value)
