"""Trainings of a detector that take seconds, from weights or from nothing."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.shapes import write_shapes
from tracker.nets.checkpoint import save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet
from tracker.train import detector as loop
from tracker.train.detector_config import TrainConfig

ANCHORS = (((20.0, 20.0), (30.0, 20.0)), ((30.0, 30.0), (46.0, 40.0)), ((50.0, 50.0), (70.0, 60.0)))


def small(tmp_path: Path, **changes: Any) -> TrainConfig:
    """Four images at 64 pixels, two steps an epoch."""
    data = tmp_path / "shapes" / "data.yaml"
    if not data.is_file():
        write_shapes(tmp_path / "shapes", images=4, size=64)
        data.write_text(data.read_text() + "val: images\n")
    plain = TrainConfig(
        data=data,
        out=tmp_path / "run",
        epochs=3,
        batch=2,
        sizes=(64,),
        input_size=64,
        device="cpu",
        mixed_precision=False,
        pictures=False,
    )
    return replace(plain, **changes)


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of that step (counted from 0) is never computed."""
    whole, count = loop.yolo_loss, iter(range(10_000))

    def loss(*arguments: Any, **options: Any) -> Any:
        if next(count) == step:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(loop, "yolo_loss", loss)


def started(tmp_path: Path, **changes: Any) -> TrainConfig:
    """`small`, from the weights in start.safetensors."""
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    save_detector(start, YoloNet(NetworkConfig(classes=2)), ModelCard(("disc", "box"), ANCHORS))
    return small(tmp_path, **{"start": str(start), "teacher": "none", **changes})


def noted(config: TrainConfig) -> list[dict[str, str]]:
    with (config.out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))
