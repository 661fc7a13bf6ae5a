"""Evidence by hiding parts of the image and asking again.

    occlusion    Zeiler and Fergus (2014): how much the answer falls when a grey square hides a place
    lime         LIME (Ribeiro, Singh and Guestrin, 2016), by captum: many squares hidden at once, at random, and a
                 linear model of how much each adds to the answer

Where we differ: LIME's superpixels are squares of a grid around the object; the rest of the image is never
hidden, since as one superpixel it would outweigh all others.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor

from tracker.explain.objectives import Objective

__all__ = ["lime", "occlude"]

PATCHES_ACROSS = 4
"""Occluding squares along the longer side of the object."""
STEP = 2 / 3
"""From one occluding square to the next, as a fraction of its side."""
SQUARES_ACROSS = 5
"""LIME's squares along the longer side of the object."""
SAMPLES = 300
"""Images that LIME asks about."""
RIDGE = 1.0
"""How strongly LIME's linear model is held to small weights."""
BATCH = 16
PAD = 114 / 255


def occlude(objective: Objective) -> Float32[ndarray, "h w"]:
    """How much the answer falls where a square hides the canvas, averaged over all squares that hide a place."""
    canvas = objective.canvas
    height, width = canvas.shape[2:]
    left, top, right, bottom = objective.around
    patch = max(4, round(objective.size / PATCHES_ACROSS))
    step = max(2, int(patch * STEP))
    places = [(y, x) for y in range(top, max(bottom - patch, top) + 1, step) for x in range(left, right, step)]
    fall, times = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    with torch.no_grad():
        whole = float(objective.measure(objective.network(canvas)))
        for start in range(0, len(places), BATCH):
            chosen = places[start : start + BATCH]
            hidden = canvas.repeat(len(chosen), 1, 1, 1)
            for row, (y, x) in enumerate(chosen):
                hidden[row, :, y : y + patch, x : x + patch] = PAD
            values = objective.measure(objective.network(hidden)).tolist()
            for value, (y, x) in zip(values, chosen, strict=True):
                fall[y : y + patch, x : x + patch] += whole - value
                times[y : y + patch, x : x + patch] += 1
    return np.asarray(np.maximum(fall / np.maximum(times, 1), 0), np.float32)


def lime(objective: Objective) -> Float32[ndarray, "h w"]:
    """The weight of each square in a linear model of the answer, at least 0; the same for the same canvas.

    Raises ModuleNotFoundError without captum.
    """
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    def answer(canvases: Tensor) -> Tensor:
        with torch.no_grad():
            return objective.measure(objective.network(canvases))

    squares = _squares(objective)
    hidden = torch.where(squares > 0, torch.tensor(PAD), objective.canvas)
    explainer = Lime(answer, interpretable_model=SkLearnRidge(alpha=RIDGE))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = explainer.attribute(
            objective.canvas,
            baselines=hidden,
            feature_mask=squares,
            n_samples=SAMPLES,
            perturbations_per_eval=BATCH,
        )
    return np.asarray((weights[0, 0] * (squares[0, 0] > 0)).clamp(min=0).numpy(), np.float32)


def _squares(objective: Objective) -> Tensor:
    """(1, 1, h, w): the number of each pixel's square, 0 for all that lies outside the surroundings."""
    height, width = objective.canvas.shape[2:]
    left, top, right, bottom = objective.around
    side = max(4, round(objective.size / SQUARES_ACROSS))
    rows, columns = np.arange(height) - top, np.arange(width) - left
    across = -(-(right - left) // side)
    numbers = 1 + (rows[:, None] // side) * across + columns[None] // side
    inside = ((rows >= 0) & (rows < bottom - top))[:, None] & ((columns >= 0) & (columns < right - left))[None]
    _, compact = np.unique(np.where(inside, numbers, 0), return_inverse=True)
    return torch.from_numpy(compact.reshape(1, 1, height, width).astype(np.int64))
