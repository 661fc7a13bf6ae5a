"""A model's description is a stranger's words until it is checked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.nets.test_checkpoint import CARD, small
from tracker.errors import CheckpointError
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard, scaled_side
from tracker.nets.weight_files import read_weights

HERE = Path("model.onnx")


def test_a_card_comes_back_as_it_was() -> None:
    assert ModelCard.from_metadata(CARD.to_metadata(), HERE) == CARD
    scaled = replace(CARD, input_scale=0.8)
    assert ModelCard.from_metadata(scaled.to_metadata(), HERE) == scaled


def test_programs_that_know_of_no_scaling_refuse_a_network_that_scales() -> None:
    metadata = replace(CARD, input_scale=0.8).to_metadata()
    assert CARD.to_metadata()["format"] == "sightline-yolo/1" != metadata["format"]
    with pytest.raises(CheckpointError, match="lacks 'input_scale'"):
        ModelCard.from_metadata({name: value for name, value in metadata.items() if name != "input_scale"}, HERE)


def test_a_file_from_before_networks_scaled_their_input_scales_nothing() -> None:
    older = {name: value for name, value in CARD.to_metadata().items() if name != "input_scale"}
    assert ModelCard.from_metadata(older, HERE).input_scale == 1


@given(st.integers(1, 64), st.integers(50, 100))
def test_a_scaled_side_is_the_nearest_multiple_of_32(cells: int, hundredths: int) -> None:
    scaled = scaled_side(32 * cells, hundredths / 100)
    assert scaled % 32 == 0
    assert abs(scaled - 32 * cells * hundredths / 100) <= 16
    assert 32 <= scaled <= 32 * cells


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
        ("input_scale", 0.2),
        ("input_scale", 1.5),
        ("input_scale", 0.8001),
        ("input_scale", float("nan")),
        ("input_scale", "0.8"),
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
