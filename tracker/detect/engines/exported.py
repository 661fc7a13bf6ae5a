"""Exported networks run by the engine their file is for: ONNX Runtime, OpenVINO, TorchScript."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.detect.engines.openvino_check import check_openvino
from tracker.detect.engines.torchscript_check import check_code, check_graph
from tracker.detect.yolo_detector import RawArrays, RawDetector, RunRaw
from tracker.errors import CheckpointError, ConfigError
from tracker.extras import import_openvino
from tracker.nets.model_card import ModelCard
from tracker.nets.onnx_session import open_session

__all__ = ["Engine", "open_engine", "open_exported"]


class Engine(NamedTuple):
    """A file ready to run."""

    card: ModelCard
    run: RunRaw
    name: str


def open_engine(path: Path, *, threads: int = 1) -> Engine:
    """The exported network at `path`, a .onnx, .xml (OpenVINO) or .torchscript file of ours, on the CPU.

    Raises CheckpointError for a file that is none, ConfigError where its engine is not installed.
    """
    openers: dict[str, Callable[[Path, int], Engine]] = {
        ".onnx": _open_onnx,
        ".xml": _open_openvino,
        ".torchscript": _open_torchscript,
    }
    if path.suffix not in openers:
        raise CheckpointError(f"{path}: expected a network ending in {', '.join(openers)}, found {path.suffix!r}")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such model file; check the path")
    return openers[path.suffix](path, threads)


def open_exported(
    path: Path, config: DetectorConfig, *, threads: int, floor: float | None = None, embed: bool = False
) -> RawDetector:
    """The same as a detector. Raises ConfigError when another device than the CPU is asked for."""
    if config.device not in ("auto", "cpu"):
        raise ConfigError(f"--device {config.device}: {path.name} runs on the CPU; use --device cpu, or .safetensors")
    engine = open_engine(path, threads=threads)
    return RawDetector(engine.card, engine.run, config, engine=engine.name, floor=floor, embed=embed)


def _open_onnx(path: Path, threads: int) -> Engine:
    import onnxruntime

    session = open_session(path, "cpu", threads)
    card = ModelCard.from_metadata(dict(session.get_modelmeta().custom_metadata_map), path)

    def run(canvases: UInt8[ndarray, "b h w 3"]) -> RawArrays:
        return RawArrays.of(session.run(None, {"images": canvases}), len(card.strides))

    return Engine(card, run, f"ONNX Runtime {onnxruntime.__version__}")


def _open_openvino(path: Path, threads: int) -> Engine:
    try:
        openvino = import_openvino()
    except ImportError as error:
        raise ConfigError(f"{path}: needs OpenVINO ({error}); pip install openvino") from error
    check_openvino(path)
    core = openvino.Core()
    try:
        model = core.read_model(str(path))
        card = ModelCard.from_metadata(_metadata(model.get_rt_info(["sightline"]).value), path)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: not an OpenVINO model of ours: {_first_line(error)}") from error
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(model, "CPU", settings)

    def run(canvases: UInt8[ndarray, "b h w 3"]) -> RawArrays:
        outputs: Any = compiled([canvases])
        arrays = [np.asarray(outputs[place]) for place in range(len(compiled.outputs))]
        return RawArrays.of(arrays, len(card.strides))

    return Engine(card, run, f"OpenVINO {openvino.__version__.split('-')[0]}")


def _open_torchscript(path: Path, threads: int) -> Engine:  # noqa: ARG001
    import torch

    check_code(path)
    files = {"card.json": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            network = torch.jit.load(str(path), map_location="cpu", _extra_files=files)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a TorchScript file: {_first_line(error)}") from error
    check_graph(network, path)
    card = ModelCard.from_metadata(_metadata(files["card.json"]), path)

    def run(canvases: UInt8[ndarray, "b h w 3"]) -> RawArrays:
        with torch.inference_mode():
            return RawArrays.of([part.numpy() for part in network(torch.from_numpy(canvases))], len(card.strides))

    return Engine(card, run, f"TorchScript, torch {torch.__version__}")


def _metadata(text: str | bytes) -> dict[str, str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
