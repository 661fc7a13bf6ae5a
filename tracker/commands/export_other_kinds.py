"""`export` of classifiers and localizers: plain ONNX, and how far its answers are from the original's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from tracker.errors import ConfigError

__all__ = ["export_other_kind"]

LIMIT = 1e-3
"""What probabilities may differ by."""
COMPARED = 16


def export_other_kind(source: Path, kind: str, options: argparse.Namespace) -> int:
    """Export the file and compare on noise and flat images; `kind` is classifier or localizer."""
    import torch

    from tracker.nets.export_kinds import export_kind
    from tracker.nets.named_network import open_network
    from tracker.nets.onnx_session import open_session
    from tracker.nets.saved import read_description

    refused = {"--half": options.half, "--int8": options.int8, "--tune-confidence": options.tune_confidence}
    refused |= {f"--to {options.to}": options.to != "onnx", "--data": options.data is not None}
    for option, given in refused.items():
        if given:
            raise ConfigError(f"{option}: for detectors; a {kind} is exported as plain ONNX, leave it out")
    path: Path = options.out or source.with_suffix(".onnx")
    found = open_network(source)
    rng = np.random.default_rng(0)
    shape = (COMPARED, found.height, found.width, found.channels)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    images[::2] = images[::2, :1, :1]
    with torch.inference_mode():
        answer = found.network(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    logits, *others = answer if isinstance(answer, tuple) else (answer,)
    expected = [logits.softmax(dim=1).numpy(), *(each.numpy() for each in others)]
    export_kind(
        path,
        found.network,
        kind=kind,
        description=read_description(source),
        size=(found.height, found.width),
        channels=found.channels,
    )
    given_back = open_session(path, "cpu", 1).run(None, {"images": images})
    worst = max(float(np.abs(a - b).max()) for a, b in zip(expected, given_back, strict=True))
    lines = [f"{path}: {path.stat().st_size / 1e6:.2f} MB"]
    lines.append(f"against torch on {COMPARED} images: largest difference of the answers {worst:.2e}")
    if worst > LIMIT:
        lines.append(f"that is more than {LIMIT}: do not use this file, and report it")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
