"""Classifiers, segmenters and localizers as ONNX: whole numbers in, the description added; they run without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from tracker.nets.layers import fold_batch_norm
from tracker.nets.onnx_export import write_onnx
from tracker.nets.split_stage import separate_halves

__all__ = ["export_kind"]


class _Deployed(nn.Module):
    """Images (b, h, w, c) of whole numbers in; probabilities, and whatever else the network answers, out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: UInt8[Tensor, "b h w c"]) -> tuple[Tensor, ...]:
        answer = self.network(images.permute(0, 3, 1, 2).float() / 255.0)
        logits, *others = answer if isinstance(answer, tuple) else (answer,)
        return (logits.softmax(dim=1), *others)


def export_kind(
    path: Path, network: nn.Module, *, kind: str, description: Mapping[str, Any], size: tuple[int, int], channels: int
) -> None:
    """Write a network in evaluation mode as ONNX with free batch size; `network` is changed (batch norm folded).

    `kind` is the format's, such as "classifier"; `size` is (height, width).
    """
    fold_batch_norm(network.eval())
    separate_halves(network)
    deployed = _Deployed(network).eval()
    sample = torch.zeros((1, *size, channels), dtype=torch.uint8)
    with torch.no_grad():
        outputs = len(deployed(sample))
    names = ["probabilities", "boxes"][:outputs]

    write_onnx(
        path,
        deployed,
        sample,
        answers=names,
        axes={name: {0: "batch"} for name in ("images", *names)},
        metadata={"format": f"sightline-{kind}/1", "description": json.dumps(dict(description))},
    )
