"""ONNX Runtime, opened without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracker.errors import CheckpointError, ConfigError

__all__ = ["open_session"]


def open_session(path: Path, device: str, threads: int, *, instead: str = "") -> Any:
    """An ONNX Runtime session; `instead` says what to do without the file, where there is a way.

    Raises CheckpointError for a file that cannot be run, ConfigError without the device.
    """
    if not path.is_file():
        advice = f", or {instead}" if instead else ""
        raise CheckpointError(f"{path}: no such model file; check the path{advice}")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # What fails is raised; only a CUDA that cannot be loaded is reported here and nowhere else.
    options.log_severity_level = 3 if device.startswith("cuda") else 4
    # Waiting threads that spin would take the cores that decoding and encoding need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise ConfigError(
                f"--device {device}: this ONNX Runtime has no CUDA; install onnxruntime-gpu, or use the .safetensors "
                "network, which runs on torch"
            )
        index = device.partition(":")[2] or "0"
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": index}))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{path}: not an ONNX model that can be run: {reason}") from error
