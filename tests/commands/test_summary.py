"""`summary` describes any network by name or file, in three forms, and refuses what it cannot build in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.refusals import refusal
from tracker.cli import main


def test_text_json_and_drawing_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = tmp_path / "new" / "lenet.svg"
    assert main(["summary", "lenet5", "--draw", str(drawing)]) == 0
    text = capsys.readouterr().out
    assert "60,850 parameters" in text
    assert "partial connections" in text
    assert "floor((side + padding" in text
    assert drawing.read_text().startswith("<svg")
    assert main(["summary", "lenet5_common", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["parameters"] == 61_706 == sum(layer["parameters"] for layer in output["layers"])
    assert output["layers"][0]["receptive_field"] == [5, 5]


def test_size_and_classes_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "resnet18", "--imgsz", "320x160", "--classes", "10", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["height"], output["width"], output["layers"][-1]["shape"]) == (160, 320, [10])
    assert main(["summary", "auto", "--imgsz", "96"]) == 0
    assert "at 96 x 96" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resnet5"], "unknown network 'resnet5'"),
        (["timm:no_such_network"], "unknown. Near"),
        (["torchvision:resnet19"], "list_models"),
        (["missing.safetensors"], "no such file"),
        (["missing.onnx"], "cannot be read"),
        (["model.pt"], "expected a .safetensors or .onnx file"),
        (["lenet5", "--imgsz", "8"], "does not run on an image of 8 x 8"),
        (["alexnet", "--imgsz", "wide"], "expected a side in pixels"),
        (["lenet5", "--draw", "a.png"], "drawings are .svg files"),
        (["torchvision:vit_b_16", "--imgsz", "32"], "made for 224 x 224"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(["summary", *arguments], capsys)
