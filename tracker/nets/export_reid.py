"""A re-identification network as ONNX: image preparation inside, its shape in the metadata."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import onnx
import torch
from jaxtyping import Float32, UInt8
from onnx.onnx_ml_pb2 import ModelProto
from torch import Tensor, nn

from tracker.nets.reid import ReidNet
from tracker.nets.weight_files import write_atomically

__all__ = ["export_reid"]

OPSET = 17


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

    def write(temporary: Path) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Deployed(copy),
                (sample,),
                str(temporary),
                input_names=["crops"],
                output_names=["vectors"],
                dynamic_axes={"crops": {0: "batch"}, "vectors": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
        model: ModelProto = onnx.load(temporary)
        for key, value in {"format": "sightline-reid/1", "network": json.dumps(asdict(config))}.items():
            model.metadata_props.add(key=key, value=value)
        onnx.save(model, temporary)

    write_atomically(path, write)
