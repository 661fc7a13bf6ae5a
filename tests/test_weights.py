"""The networks that come with the program: what the manifest says of them is true."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tracker.commands.demo_clip import frames
from tracker.config import DetectorConfig
from tracker.factory import make_detector
from tracker.geometry import iou
from tracker.nets.checkpoint import load_detector

WEIGHTS = Path(__file__).parents[1] / "weights"
MANIFEST = tomllib.loads((WEIGHTS / "manifest.toml").read_text())


@pytest.mark.parametrize("name", MANIFEST["files"])
def test_files_are_those_of_the_manifest_and_small(name: str) -> None:
    content = (WEIGHTS / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == MANIFEST["sha256"][name]
    assert len(content) < 8_000_000


def test_the_card_agrees_with_the_manifest() -> None:
    _, card = load_detector(WEIGHTS / "sightline-nano.safetensors")
    assert list(card.labels) == MANIFEST["labels"]
    assert card.input_size == MANIFEST["input_size"]
    assert round(card.accuracy["AP person"], 1) == MANIFEST["measured"]["AP person at 416"]
    assert card.training["data"] == "weights/data.yaml"


def test_both_files_find_the_same() -> None:
    picture = next(iter(frames())).image
    onnx, torch = (
        make_detector(DetectorConfig(model=str(WEIGHTS / f"sightline-nano.{kind}"), device="cpu", conf=0.3), threads=1)
        for kind in ("onnx", "safetensors")
    )
    assert onnx.conf == torch.conf
    (a,), (b,) = onnx.detect([picture]), torch.detect([picture])
    assert len(a) == len(b) >= 2
    partner = iou(a.boxes, b.boxes).argmax(axis=1)
    assert np.abs(a.boxes - b.boxes[partner]).max() < 0.5
    assert np.abs(a.scores - b.scores[partner]).max() < 1e-3
