"""Detectors as ONNX files: batch norm folded, image preparation inside the graph, the card in the metadata."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx
import torch
from jaxtyping import UInt8
from onnx.onnx_ml_pb2 import ModelProto
from torch import Tensor, nn

from tracker.nets.checkpoint import ModelCard, write_atomically
from tracker.nets.layers import Normalize, fold_batch_norm
from tracker.nets.yolo import YoloNet

__all__ = ["Deployed", "export_onnx"]

log = logging.getLogger(__name__)

OPSET = 17


class Deployed(nn.Module):
    """The network as it is shipped: whole numbers RGB (b, h, w, 3) in, a flat tuple of raw maps out."""

    def __init__(self, network: YoloNet) -> None:
        super().__init__()
        self.network = fold_batch_norm(network)
        first = next(part for part in self.network.modules() if isinstance(part, nn.Conv2d))
        with torch.no_grad():
            if isinstance(network.normalize, Normalize):
                network.normalize.mean.mul_(255.0)
                network.normalize.std.mul_(255.0)
            else:
                first.weight.div_(255.0)

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> tuple[Tensor, ...]:
        levels, prototypes = self.network(images.permute(0, 3, 1, 2).float())
        return (*levels, prototypes)


def export_onnx(path: Path, network: YoloNet, card: ModelCard) -> None:
    """Write the network as ONNX with free batch size, height and width; `network` itself stays as it is."""
    deployed = Deployed(clone(network)).eval()
    sample = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    names = [*(f"p{int(stride).bit_length() - 1}" for stride in card.strides), "prototypes"]
    axes: dict[str, dict[int, str]] = {"images": {0: "batch", 1: "height", 2: "width"}}
    for name in names[:-1]:
        axes[name] = {0: "batch", 3: f"{name}_height", 4: f"{name}_width"}
    axes["prototypes"] = {0: "batch", 2: "prototypes_height", 3: "prototypes_width"}

    def write(temporary: Path) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                deployed,
                (sample,),
                str(temporary),
                input_names=["images"],
                output_names=names,
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        model: ModelProto = onnx.load(temporary)
        for key, value in card.to_metadata().items():
            model.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, temporary)

    write_atomically(path, write)


def clone(network: YoloNet) -> YoloNet:
    """The same network with its own copy of the weights, in evaluation mode on the CPU."""
    copy = YoloNet(network.config)
    copy.load_state_dict({name: value.float().cpu() for name, value in network.state_dict().items()})
    return copy.eval()
