"""A model's description is a stranger's words until it is checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.nets.test_checkpoint import CARD, small
from tracker.errors import CheckpointError
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.weight_files import read_weights

HERE = Path("model.onnx")


def test_a_card_comes_back_as_it_was() -> None:
    assert ModelCard.from_metadata(CARD.to_metadata(), HERE) == CARD


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strides", [0, 16, 32]),
        ("strides", [8, 16]),
        ("strides", "8"),
        ("strides", [8.5, 16, 32]),
        ("confidence", float("nan")),
        ("confidence", 2),
        ("confidence", [0.5]),
        ("iou", -1),
        ("iou", None),
        ("input_size", 10**9),
        ("input_size", 33),
        ("input_size", True),
        ("labels", []),
        ("labels", "cat"),
        ("labels", ["x" * 1000]),
        ("anchors", [[[0, 10]], [[1, 1]], [[1, 1]]]),
        ("anchors", [[[1, 1]], [[1, 1]], [[1, float("inf")]]]),
        ("anchors", [[[1, 1]], [[1, 1], [2, 2]], [[1, 1]]]),
        ("coefficients", 10**12),
        ("training", "none"),
    ],
)
def test_what_no_network_can_be_is_refused_in_one_line(field: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=r"its description is damaged") as refusal:
        ModelCard.from_metadata({**CARD.to_metadata(), field: json.dumps(value)}, HERE)
    assert field in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "1" * 5_000_000])
def test_text_that_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match="labels"):
        ModelCard.from_metadata({**CARD.to_metadata(), "labels": text}, HERE)


@pytest.mark.parametrize(
    "change", [{"widths": [10**6, 10**6, 10**6]}, {"widths": [0, -1, 2]}, {"depth": -3}, {"head_width": "wide"}]
)
def test_a_network_that_its_weights_cannot_fill_takes_no_memory(tmp_path: Path, change: dict[str, object]) -> None:
    save_detector(tmp_path / "a.safetensors", small(), CARD)
    weights, metadata = read_weights(tmp_path / "a.safetensors")
    described = json.dumps({**json.loads(metadata["network"]), **change})
    save_file(weights, tmp_path / "b.safetensors", {**metadata, "network": described})
    with pytest.raises(CheckpointError) as refusal:
        load_detector(tmp_path / "b.safetensors")
    assert "\n" not in str(refusal.value)
