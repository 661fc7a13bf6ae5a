"""A network as an ONNX file of ours: traced, described in its metadata, checked, and under its name only when whole."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from onnx.onnx_ml_pb2 import ModelProto
from torch import Tensor, nn

from tracker.nets.weight_files import write_atomically

__all__ = ["write_onnx"]

OPSET = 17
"""The first with layer normalization; every engine that we run reads it."""


def write_onnx(
    path: Path,
    network: nn.Module,
    sample: Tensor,
    *,
    image: str = "images",
    answers: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    metadata: Mapping[str, str],
    fold_constants: bool = True,
    quiet: type[Warning] = Warning,
) -> None:
    """Trace `network`, in evaluation mode, by the images `sample` and write it with its `metadata`.

    `image` and `answers` name what goes in and comes out, `axes` those of their dimensions that stay free. Folding of
    constants widens weights that are stored in half precision. Warnings of the kind `quiet` are left unsaid: tracing
    warns of every shape that it takes for constant.
    """

    def write(temporary: Path) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore", quiet)
            torch.onnx.export(
                network,
                (sample,),
                str(temporary),
                input_names=[image],
                output_names=list(answers),
                dynamic_axes={name: dict(free) for name, free in axes.items()},
                opset_version=OPSET,
                do_constant_folding=fold_constants,
                dynamo=False,
            )
        model: ModelProto = onnx.load(temporary)
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, temporary)

    write_atomically(path, write)
