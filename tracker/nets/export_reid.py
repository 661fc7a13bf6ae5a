"""A re-identification network as ONNX: image preparation inside, its shape in the metadata."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from tracker.nets.onnx_export import write_onnx
from tracker.nets.reid import ReidNet

__all__ = ["export_reid"]


class _Deployed(nn.Module):
    """RGB crops as whole numbers (b, h, w, 3) in, vectors out."""

    def __init__(self, network: ReidNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: UInt8[Tensor, "b h w 3"]) -> Float32[Tensor, "b d"]:
        vectors: Tensor = self.network(crops.permute(0, 3, 1, 2).float() / 255)
        return vectors


def export_reid(path: Path, network: ReidNet) -> None:
    """Write it for `tracker.detect.reid_embedder`, with any number of crops at once; the classifier is left out."""
    config = replace(network.config, identities=0)
    copy = deepcopy(network).eval().cpu()
    copy.classifier = nn.Identity()
    sample = torch.zeros((2, config.height, config.width, 3), dtype=torch.uint8)

    write_onnx(
        path,
        _Deployed(copy),
        sample,
        image="crops",
        answers=["vectors"],
        axes={"crops": {0: "batch"}, "vectors": {0: "batch"}},
        metadata={"format": "sightline-reid/1", "network": json.dumps(asdict(config))},
    )
