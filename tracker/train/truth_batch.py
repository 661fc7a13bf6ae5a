"""The objects of all images of a batch in one set of tensors, so that a loss takes a handful of kernels, not so many an
image: on a GPU the launching of kernels is what an image costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

__all__ = ["TruthBatch", "TruthTensors", "covered_by", "hashed_uniform", "paired_iou"]


class TruthTensors(NamedTuple):
    """augment.Truth on the device; places in pixels of the image, masks stretched over `full_boxes`."""

    boxes: Float32[Tensor, "n 4"]
    full_boxes: Float32[Tensor, "n 4"]
    classes: Float32[Tensor, "n c"]
    class_weights: Float32[Tensor, "n c"]
    weights: Float32[Tensor, " n"]
    masks: Tensor
    has_mask: Tensor
    ignored: Float32[Tensor, "r 4"]
    unlabelled: Float32[Tensor, " c"]

    def scaled(self, factor: float) -> TruthTensors:
        """The same of an image `factor` times as large."""
        places = {name: getattr(self, name) * factor for name in ("boxes", "full_boxes", "ignored")}
        return self if factor == 1 else self._replace(**places)


class TruthBatch(NamedTuple):
    """As many places for objects as the fullest of b images needs; those that are none are not `present`."""

    boxes: Float32[Tensor, "b g 4"]
    full_boxes: Float32[Tensor, "b g 4"]
    classes: Float32[Tensor, "b g c"]
    class_weights: Float32[Tensor, "b g c"]
    weights: Float32[Tensor, "b g"]
    masks: Tensor
    """(b, g, m, m), uint8."""
    has_mask: Bool[Tensor, "b g"]
    ignored: Float32[Tensor, "b r 4"]
    """Boxes of no size where an image has fewer."""
    unlabelled: Float32[Tensor, "b c"]
    present: Bool[Tensor, "b g"]

    @classmethod
    def of(cls, truths: Sequence[TruthTensors]) -> TruthBatch:
        """The images' truths side by side."""
        columns = dict(zip(TruthTensors._fields, zip(*truths, strict=True), strict=True))
        unlabelled = torch.stack(columns.pop("unlabelled"))
        counts = torch.tensor([len(boxes) for boxes in columns["boxes"]])
        places = torch.arange(max(int(counts.max()), 1))
        present = (places < counts[:, None]).to(unlabelled.device)
        padded = {name: pad_sequence(list(values), batch_first=True) for name, values in columns.items()}
        if not int(counts.max()):  # one place that nobody takes, so that reductions over objects have something
            grown = {name: value.new_zeros((len(truths), 1, *value.shape[2:])) for name, value in padded.items()}
            padded = {**grown, "ignored": padded["ignored"]}
        return cls(**padded, unlabelled=unlabelled, present=present)


def paired_iou(a: Float32[Tensor, "p 4"], b: Float32[Tensor, "p 4"]) -> Float32[Tensor, " p"]:
    """IoU of each box with the one beside it."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp_(min=0).prod(dim=-1)
    areas = [(box[:, 2:] - box[:, :2]).prod(dim=-1) for box in (a, b)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-6)


def covered_by(regions: Float32[Tensor, "b r 4"], boxes: Float32[Tensor, "b n 4"]) -> Bool[Tensor, "b n"]:
    """Which boxes lie with more than half of their area inside one region of their image."""
    low = torch.maximum(regions[:, :, None, :2], boxes[:, None, :, :2])  # (b, r, n, 2)
    high = torch.minimum(regions[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp_(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1).clamp(min=1e-6)
    return (shared > 0.5 * area[:, None]).any(dim=1)


def hashed_uniform(seeds: Int64[Tensor, " p"], places: Int64[Tensor, " p"], salt: int) -> Float32[Tensor, " p"]:
    """Numbers in 0..1 that hang on a seed, a place and the salt alone, the same on every device.

    Source: the 32-bit mixing function "lowbias32" (Wellons, "Prospecting for hash functions", 2018).
    """
    word = 0xFFFFFFFF
    x = (seeds * 0x9E3779B1 + places * 0x85EBCA77 + salt * 0x27D4EB2F) & word
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & word
    x = ((x ^ (x >> 15)) * 0x846CA68B) & word
    return ((x ^ (x >> 16)).double() / (word + 1)).float()
