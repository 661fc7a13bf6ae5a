"""A segmentation network as ONNX: image preparation inside, batch norm folded, its description in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tracker.nets.layers import fold_batch_norm, store_half
from tracker.nets.onnx_export import write_onnx
from tracker.nets.segmenter import SegmentationNet, deployed
from tracker.nets.split_stage import separate_halves

__all__ = ["export_segmentation"]

SIDE = 128
"""Of the image that is traced; the file takes any."""


def export_segmentation(
    path: Path, network: SegmentationNet, description: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write it for `tracker.segment`, with free height and width; `network` itself stays as it is.

    `half` stores weights in half precision, but for the first half of the backbone's, where rounding would cost most;
    the engine widens them once, when it loads the file.
    """
    copy = deepcopy(network).eval().cpu()
    fold_batch_norm(copy)
    convolutions = [part for part in copy.modules() if isinstance(part, nn.Conv2d)]
    kept = convolutions[: len(convolutions) // 4]
    halves = separate_halves(copy)
    if half:
        store_half(copy, keep=[*kept, *(each for conv in kept for each in halves.get(conv, ()))])
    layout = network.layout
    depth = layout["valid_depth"]
    side = 14 * 2**depth - 4 if depth else SIDE  # what valid levels take and leave something of
    sample = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    axes = {"images": {0: "batch", 1: "height", 2: "width"}, "scores": {0: "batch", 2: "rows", 3: "columns"}}

    write_onnx(
        path,
        deployed(copy),
        sample,
        answers=["scores"],
        axes=axes,
        metadata={"format": "sightline-segmentation/1", "description": json.dumps({**description, **layout})},
        fold_constants=not half,
    )
