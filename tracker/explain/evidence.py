"""Where in the image the evidence for a detection, a class or a segment lies: every method by its name.

The default, LayerCAM over the maps that the heads read, is the one whose heat lies on the object in every network we
have: `python -m benchmarks.explanation` measures how much of each method's heat lies inside the box of the person it
explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from tracker.errors import ConfigError
from tracker.explain.activation_maps import ACTIVATION_METHODS, activation_map
from tracker.explain.objectives import (
    QUANTITIES,
    ClassObjective,
    DetectionObjective,
    Objective,
    Quantity,
    SegmentObjective,
    quantities_of,
)
from tracker.explain.perturbation import lime, occlude
from tracker.explain.rectified import RECTIFIED_METHODS, pixel_gradient
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import YoloNet
from tracker.types import Image

__all__ = [
    "METHODS",
    "QUANTITIES",
    "ClassObjective",
    "DetectionObjective",
    "Evidence",
    "Method",
    "Objective",
    "Quantity",
    "SegmentObjective",
    "explain_objective",
    "find_evidence",
    "quantities_of",
]

Method: TypeAlias = Literal["layercam", "hirescam", "gradcam", "eigencam", "occlusion", "lime", "guided", "deconv"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What was explained and where its evidence lies."""

    box: Float32[ndarray, " 4"]
    """Of the detection, around the segment, or of the part that a classifier sees: pixels of the image."""
    score: float
    class_id: int
    heat: Float32[ndarray, "h w"]
    """0 to 1 over the image, its largest value 1 unless there is no evidence at all."""
    largest: float = 1.0
    """What 1 stands for: of an activation map the part of the answer that a pixel carries, of occlusion the answer's
    fall, of LIME a square's weight, of a gradient its size."""

    def fraction_inside(self) -> float:
        """The part of the heat that lies inside the box, 0 to 1."""
        x1, y1, x2, y2 = self.box
        height, width = self.heat.shape
        rows = (np.arange(height) + 0.5 > y1) & (np.arange(height) + 0.5 < y2)
        columns = (np.arange(width) + 0.5 > x1) & (np.arange(width) + 0.5 < x2)
        total = float(self.heat.sum())
        return float(self.heat[np.ix_(rows, columns)].sum()) / total if total > 0 else 0.0

    def peak(self) -> tuple[float, float]:
        """Where the heat is largest, x and y in pixels."""
        row, column = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        return float(column) + 0.5, float(row) + 0.5

    def peak_inside(self) -> bool:
        """Whether it is largest inside the box."""
        (x, y), (x1, y1, x2, y2) = self.peak(), self.box
        return bool(x1 <= x <= x2 and y1 <= y <= y2)


def find_evidence(
    network: YoloNet,
    card: ModelCard,
    image: Image,
    box: Float32[ndarray, " 4"],
    *,
    method: Method = "layercam",
    layer: str | None = None,
    quantity: Quantity = "score",
) -> Evidence:
    """The evidence for what a detector sees at `box`, in pixels of the image.

    `layer` names a module whose map is taken instead of those that the heads read. `quantity` is what is followed
    back: the class's score with objectness, either alone, or the box's size. Raises ConfigError for a method, layer or
    quantity that does not exist.
    """
    check_method(method, layer)
    objective = DetectionObjective.of(network, card, image, box, quantity=quantity)
    heat, largest = explain_objective(objective, method=method, layer=layer)
    return Evidence(objective.box, objective.score, objective.class_id, heat, largest)


def explain_objective(
    objective: Objective, *, method: Method = "layercam", layer: str | None = None
) -> tuple[Float32[ndarray, "h w"], float]:
    """(the heat over the image, its largest value 1 unless all is 0; what that 1 stands for)."""
    check_method(method, layer)
    if method in ACTIVATION_METHODS:
        heat = activation_map(objective, method, layer=layer)
    elif method in RECTIFIED_METHODS:
        heat = pixel_gradient(objective, method)
    else:
        heat = occlude(objective) if method == "occlusion" else lime(objective)
    spread = objective.over_image(heat)
    largest = float(spread.max())
    return np.asarray(spread / largest if largest > 0 else spread, np.float32), largest


def check_method(method: str, layer: str | None) -> None:
    """Raise ConfigError for a method that does not exist, and for a layer that the method has no use for."""
    if method not in METHODS:
        raise ConfigError(f"explain: no method {method!r}; there are {', '.join(METHODS)}")
    if layer is not None and method not in ACTIVATION_METHODS:
        raise ConfigError(f"explain: {method} reads no layer; --layer goes with {', '.join(ACTIVATION_METHODS)}")
