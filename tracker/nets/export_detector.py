"""Detectors as ONNX, OpenVINO and TorchScript files: batch norm folded, image preparation inside, the card added."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.extras import import_openvino
from tracker.nets.layers import Normalize, fold_batch_norm, store_half
from tracker.nets.model_card import ModelCard
from tracker.nets.onnx_export import write_onnx
from tracker.nets.split_stage import separate_halves
from tracker.nets.weight_files import write_atomically
from tracker.nets.yolo import YoloNet, scale_input, unrounded

__all__ = ["Deployed", "clone", "export_onnx", "export_openvino", "export_torchscript"]

log = logging.getLogger(__name__)

HALF_LIMIT = float(np.finfo(np.float16).max)


class Deployed(nn.Module):
    """The network as it is shipped: whole numbers RGB (b, h, w, 3) in, a flat tuple of raw float32 maps out.

    A network with an `input_scale` scales them first, so its maps are of that smaller canvas.
    `half` keeps weights in half precision, arithmetic stays single. Biases are not rounded, nor are the backbone's
    smallest convolutions, 2 % of the weights: a folded batch norm leaves large terms there that cancel. Measured on
    twelve photographs, boxes move by up to 0.1 pixels so (sightline-small, 0.2 where all convolutions are rounded) or
    0.6 (a YOLOX nano, 1.6 where all are).
    """

    def __init__(self, network: YoloNet, *, input_scale: float = 1.0, half: bool = False) -> None:
        super().__init__()
        fold_batch_norm(network)
        self.input_scale = input_scale
        self.network = network
        first = next(part for part in self.network.modules() if isinstance(part, nn.Conv2d))
        with torch.no_grad():
            if isinstance(network.normalize, Normalize):
                network.normalize.mean.mul_(255.0)
                network.normalize.std.mul_(255.0)
            else:
                first.weight.div_(255.0)
        kept = unrounded(network)
        halves = separate_halves(network)
        if half:
            store_half(network, keep=[*kept, *(each for conv in kept for each in halves.get(conv, ()))])

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> tuple[Tensor, ...]:
        pixels = scale_input(images.permute(0, 3, 1, 2).float(), self.input_scale)
        levels, prototypes, features = self.network(pixels)
        return (*levels, prototypes, features)


def export_onnx(path: Path, network: YoloNet, card: ModelCard, *, half: bool = False) -> None:
    """Write the network as ONNX with free batch size, height and width; `network` itself stays as it is.

    `half` stores weights in half precision; the engine widens them once, when it loads the file.
    """
    deployed = Deployed(clone(network), input_scale=card.input_scale, half=half).eval()
    sample = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    names = [*(f"p{int(stride).bit_length() - 1}" for stride in card.strides), "prototypes", "features"]
    axes: dict[str, dict[int, str]] = {"images": {0: "batch", 1: "height", 2: "width"}}
    for name in names[:-2]:
        axes[name] = {0: "batch", 3: f"{name}_height", 4: f"{name}_width"}
    for name in names[-2:]:
        axes[name] = {0: "batch", 2: f"{name}_height", 3: f"{name}_width"}

    write_onnx(
        path,
        deployed,
        sample,
        answers=names,
        axes=axes,
        metadata=card.to_metadata(),
        fold_constants=not half,
        quiet=DeprecationWarning,
    )


def export_torchscript(path: Path, network: YoloNet, card: ModelCard, *, half: bool = False) -> None:
    """Write the network as TorchScript with free batch size, height and width, the card in the extra file card.json."""
    deployed = Deployed(clone(network), input_scale=card.input_scale, half=half).eval()
    sample = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(deployed, (sample,))  # type: ignore[no-untyped-call]
        files = {"card.json": json.dumps(card.to_metadata())}
        write_atomically(path, lambda temporary: torch.jit.save(traced, str(temporary), _extra_files=files))


def export_openvino(path: Path, onnx_file: Path, card: ModelCard, *, half: bool = False) -> None:
    """Write an ONNX file of ours as OpenVINO's .xml and .bin, the card in the model's runtime information.

    `half` keeps in half precision what the ONNX file has in half precision: converting widens it, and OpenVINO's own
    rounding takes biases and first layers too, which moves boxes by up to 6 pixels. Raises ConfigError where OpenVINO
    is not installed.
    """
    try:
        openvino = import_openvino()
    except ImportError as error:
        raise ConfigError(f"--to openvino: {error}; pip install openvino") from error
    model = openvino.convert_model(str(onnx_file))
    if half:
        narrow_constants(model)
    model.set_rt_info(json.dumps(card.to_metadata()), ["sightline"])
    with TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        openvino.save_model(model, str(made), compress_to_fp16=False)
        made.with_suffix(".bin").replace(path.with_suffix(".bin"))
        made.replace(path)


def narrow_constants(model: Any) -> None:
    """Store every float constant of an OpenVINO model that half precision holds exactly in half precision."""
    from openvino import Type, opset13

    for node in model.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != Type.f32:
            continue
        halves = np.clip(node.data, -HALF_LIMIT, HALF_LIMIT).astype(np.float16)
        if node.data.ndim >= 4 and np.array_equal(halves, node.data):
            widened = opset13.convert(opset13.constant(halves), "f32")
            for reader in node.output(0).get_target_inputs():
                reader.replace_source_output(widened.output(0))


def clone(network: YoloNet) -> YoloNet:
    """The same network with its own copy of the weights, in evaluation mode on the CPU."""
    copy = YoloNet(network.config)
    copy.load_state_dict({name: value.float().cpu() for name, value in network.state_dict().items()})
    return copy.eval()
