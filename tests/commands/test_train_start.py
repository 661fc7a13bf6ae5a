"""What `train detector` starts from and is taught by: published networks too, and refusals that name the option."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from tests.commands.refusals import refusal
from tests.test_classify import write_classifier
from tests.train.small_runs import ANCHORS, small
from tracker.cli import main
from tracker.detect.crop_detector import CropDetector
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet


def command(tmp_path: Path, *more: str, labelled: str = "") -> list[str]:
    """A training of one epoch on four images; with `labelled` as the data.yaml may say it."""
    config = small(tmp_path)
    if labelled:
        config.data.write_text(config.data.read_text() + f"labelled: {{images: {labelled}}}\n")
    words = ["train", "detector", "--data", str(config.data), "--out", str(config.out), "--epochs", "1"]
    return [*words, "--imgsz", "64", "--batch", "2", "--device", "cpu", "--no-pictures", *more]


@pytest.mark.parametrize("name", ["yolo26n", pytest.param("yolo11n-seg", marks=pytest.mark.slow)])
def test_a_published_network_is_a_start_as_any_other(name: str, tmp_path: Path, shared: Path) -> None:
    start = str(shared / f"data/pretrained/{name}.safetensors")
    assert main(command(tmp_path, "--start", start)) == 0
    assert load_detector(tmp_path / "run/best.safetensors")[1].labels == ("disc", "box")
    assert not list(tmp_path.glob("run/teacher/*/*.npz"))


@pytest.mark.parametrize("option", ["--start", pytest.param("--teacher", marks=pytest.mark.slow)])
def test_a_published_network_teaches_what_a_folder_does_not_label(option: str, tmp_path: Path, shared: Path) -> None:
    start = str(shared / "data/pretrained/yolo26n.safetensors")
    words = command(tmp_path, option, start, labelled="[box]")
    data = tmp_path / "shapes/data.yaml"
    data.write_text(data.read_text().replace("disc", "person"))
    assert main(words) == 0
    assert list(tmp_path.glob("run/teacher/yolo26n-*/*.npz"))


def test_a_start_that_cannot_teach_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "tracker")
    start = tmp_path / "start.safetensors"
    save_detector(start, YoloNet(NetworkConfig(classes=2)), ModelCard(("cat", "box"), ANCHORS))
    torch.manual_seed(0)
    assert main(command(tmp_path, "--start", str(start), labelled="[box]")) == 0
    assert f"--start {start} knows no disc, so it cannot teach them" in caplog.text
    assert "with --teacher" in caplog.text


@pytest.mark.parametrize(
    ("option", "model", "reason"),
    [
        ("--start", "sightline-smal", "no such network or file; did you mean 'sightline-small'?"),
        ("--start", "{folder}/none.safetensors", "no such file; check the path"),
        (
            "--start",
            "{folder}/other.pt",
            "expected a .safetensors of ours, or the published YOLOX nano",
        ),
        ("--start", "{folder}/cut.safetensors", "not a whole safetensors file"),
        ("--start", "{folder}/classifier.safetensors", "expected a detector, found a classifier"),
        ("--start", "{folder}/other.onnx", "not an ONNX file"),
        ("--teacher", "sightline-smal", "no such network or file; did you mean 'sightline-small'?"),
        ("--teacher", "{folder}/none.safetensors", "no such file"),
        ("--teacher", "{folder}/none.pt", "no such model file; check the path, or use --teacher auto"),
        ("--teacher", "{folder}/classifier.safetensors", "expected a detector, found a classifier"),
        ("--pretrained", "{folder}/none.safetensors", "no such file"),
    ],
)
def test_a_wrong_file_is_refused_by_the_option_that_named_it(
    option: str, model: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_classifier(tmp_path / "classifier.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"cut")
    (tmp_path / "other.pt").touch()
    (tmp_path / "other.onnx").write_bytes(b"cut")
    named = model.format(folder=tmp_path)
    assert main(command(tmp_path, option, named)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{option} {named}: {reason}" in error
    assert "--model" not in error


def test_the_detector_of_a_comparison_is_refused_by_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CropDetector, "__init__", lambda *_, **__: None)
    data = small(tmp_path).data
    words = ["evaluate", "rcnn", "--model", "regions.safetensors", "--data", str(data), "--detector", "nope"]
    assert "--detector nope: no such network or file" in refusal(words, capsys)


@pytest.mark.parametrize(
    "asked", [("--backbone", "resnet18"), ("--backbone", "cspdarknet_nano"), ("--set", "backbone=resnet18")]
)
def test_a_start_has_its_own_backbone(
    asked: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, "--start", "sightline-nano", *asked)) == 2
    assert "--backbone is of a fresh network; --start has its own" in capsys.readouterr().err
