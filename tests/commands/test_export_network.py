from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.nets.test_export_detector import lively
from tests.train.shapes import write_shapes
from tracker.cli import main
from tracker.config import DetectorConfig
from tracker.embedded import embedded_networks
from tracker.factory import make_detector
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard
from tracker.train.data.detection import load_data

ANCHORS = (((20.0, 20.0), (30.0, 20.0)), ((30.0, 30.0), (46.0, 40.0)), ((50.0, 50.0), (70.0, 60.0)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that speaks up, at 96 pixels, beside four images."""
    folder = tmp_path_factory.mktemp("export")
    card = ModelCard(("disc", "box"), ANCHORS, coefficients=4, input_size=96, confidence=0.3)
    save_detector(folder / "n.safetensors", lively(), card)
    data = write_shapes(folder / "shapes", images=4, size=96)
    data.write_text(data.read_text() + "val: images\n")
    return folder / "n.safetensors"


def export(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[float, float, str]:
    """(box difference, score difference, all that was reported)."""
    assert main(["export", *map(str, arguments)]) == 0
    output = capsys.readouterr().out
    found = re.search(r"boxes ([\d.]+) px, of scores ([\d.e+-]+)", output)
    assert found is not None, output
    return float(found[1]), float(found[2]), output


@pytest.mark.parametrize(("to", "file"), [("onnx", "n.onnx"), ("torchscript", "n.torchscript"), ("openvino", "n.xml")])
def test_a_float_export_answers_as_torch_does_and_can_be_used(
    to: str, file: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if to == "openvino":
        pytest.importorskip("openvino")
    data = model.parent / "shapes/data.yaml"
    box, score, output = export(capsys, model, "--to", to, "--data", data)
    assert box < 0.5
    assert score < 1e-3
    figures = re.search(r"mean AP of boxes on 4 images: ([\d.]+) before, ([\d.]+) after", output)
    assert figures is not None, output
    assert abs(float(figures[1]) - float(figures[2])) < 0.1  # scores here differ by 1e-7, and may fall either way
    image = load_data(data)[0]["val"].samples[0].read()
    before, after = (
        make_detector(DetectorConfig(model=str(each), conf=0.1, device="cpu"), threads=1).detect([image])[0]
        for each in (model, model.with_name(file))
    )
    assert abs(len(before) - len(after)) <= 0.02 * len(before)  # equal scores may fall either way
    assert len(before) > 50


def test_half_precision_files_are_half_as_large_and_agree_whatever_the_engine(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = {}
    for to, file in (("onnx", "n-half.onnx"), ("openvino", "n-half.bin")):
        if to == "openvino":
            pytest.importorskip("openvino")
        *apart[to], _ = export(capsys, model, "--to", to, "--half", "--data", model.parent / "shapes/data.yaml")
        assert apart[to][1] < 0.05
        assert model.with_name(file).stat().st_size < 0.6 * model.stat().st_size
    assert apart["openvino"] == pytest.approx(apart["onnx"], rel=0.05)  # the same weights are rounded


def test_eight_bits_are_calibrated_on_the_data_and_keep_the_answers(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, score, output = export(capsys, model, "--int8", "--data", model.parent / "shapes/data.yaml")
    assert "mean AP of boxes" in output
    assert score < 0.5
    assert model.with_name("n-int8.onnx").stat().st_size < 0.6 * model.stat().st_size


def test_the_default_threshold_can_be_chosen_on_the_data(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = model.with_name("tuned.onnx")
    export(capsys, model, "--data", model.parent / "shapes/data.yaml", "--tune-confidence", "--out", out)
    detector = make_detector(DetectorConfig(model=str(out), device="cpu"), threads=1)
    assert detector.conf != 0.3


def test_without_validation_images_no_threshold_is_chosen_and_no_accuracy_reported(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_shapes(tmp_path / "shapes", images=2, size=96)
    out = tmp_path / "n.onnx"
    assert main(["export", str(model), "--data", str(data), "--tune-confidence", "--out", str(out)]) == 2
    assert "--tune-confidence" in capsys.readouterr().err
    assert not out.exists()
    *_, output = export(capsys, model, "--data", data, "--out", out)
    assert "on 2 frames" in output
    assert "average precision not measured" in output


def test_a_network_that_sees_nothing_is_not_called_equal(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, card = load_detector(model)
    with torch.no_grad():
        for head in network.heads:
            head.objectness.weight.zero_()
            head.objectness.bias.fill_(-20.0)
    save_detector(tmp_path / "blind.safetensors", network, card)
    data = model.parent / "shapes/data.yaml"
    assert main(["export", str(tmp_path / "blind.safetensors"), "--data", str(data)]) == 0
    output = capsys.readouterr().out
    assert "not compared" in output
    assert "largest difference" not in output


def test_a_network_that_comes_with_the_program_is_exported_into_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = set(next(iter(embedded_networks().values())).parent.iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tracker.commands.export_network._photographs", lambda: [np.full((64, 64, 3), 90, np.uint8)])
    assert main(["export", "auto", "--half"]) == 0
    assert (tmp_path / "sightline-small-half.onnx").is_file()
    assert set(next(iter(embedded_networks().values())).parent.iterdir()) == shipped


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--int8"], "--int8: needs real frames"),
        (["--tune-confidence"], "needs labelled images"),
        (["--to", "torchscript", "--int8", "--data", "x.yaml"], "TorchScript takes --half"),
        (["--images", "-1"], "--images -1: must be 1 or more; leave it out for all"),
        (["--images", "0"], "--images 0: must be 1 or more; leave it out for all"),
        (["--calibrate", "-5"], "--calibrate -5: must be 1 or more"),
        (["--calibrate", "0"], "--calibrate 0: must be 1 or more"),
        (["--to", "openvino", "--out", "x"], "--out x: a file for openvino ends in .xml"),
        (["--out", "x.xml"], "--out x.xml: a file for onnx ends in .onnx; add --to openvino"),
    ],
)
def test_what_cannot_be_exported_is_said(
    arguments: list[str], message: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(model), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert main(["export", str(model.with_suffix(".onnx"))]) == 2
    assert "expected a .safetensors file" in capsys.readouterr().err


def test_data_of_other_classes_are_no_judge(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_shapes(tmp_path / "shapes", images=2, size=96)
    data.write_text(data.read_text().replace("[disc, box]", "[cat, dog]") + "val: images\n")
    assert main(["export", str(model), "--data", str(data), "--out", str(tmp_path / "n.onnx")]) == 2
    assert f"{model}: none of its classes is in {data}, which has cat, dog" in capsys.readouterr().err
    assert not (tmp_path / "n.onnx").exists()
