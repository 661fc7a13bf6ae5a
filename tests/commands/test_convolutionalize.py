"""`convolutionalize` compares one pass with the windows, says what padding does, and draws what it found."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.commands.refusals import refusal
from tests.test_classify import LABELS, write_classifier
from tracker.cli import main
from tracker.nets.classifier import Classifier, ClassifierConfig
from tracker.nets.saved import save_network


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet without padding, which reads 32 x 32."""
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig("lenet5", classes=3, in_channels=1, padding=False)).eval()
    description = {"network": asdict(network.config), "labels": list(LABELS), "image_size": 32}
    path = tmp_path_factory.mktemp("model") / "slides.safetensors"
    save_network(path, network, kind="classifier", description=description)
    return path


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8))
    return path


def test_an_unpadded_classifier_gives_the_same_by_one_pass(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.png"
    assert main(["convolutionalize", str(photo), "--model", str(model), "--label", "bus", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "90 x 70 pixels: 10 x 15 answers (down x across), windows of 32 every 4" in said
    assert "120 -> 84, 1 x 1, 84 -> 3, 1 x 1" in said
    apart = re.search(r"largest difference of a probability (\S+); the same class in 100% of the windows", said)
    assert apart is not None
    assert float(apart[1]) < 1e-5
    assert "are padded" not in said
    work = [float(line.split()[-1]) for line in said.splitlines() if re.match("windows|one pass", line)]
    assert work[0] == work[1] > 4 * work[2]
    assert re.search(r"^bus 0\.\d+ in the window at \d+, \d+ to", said, re.MULTILINE)
    assert cv2.imread(str(out)).std() > 10


def test_a_padded_classifier_says_why_its_answers_differ(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    padded = write_classifier(tmp_path / "padded.safetensors")
    assert main(["convolutionalize", str(photo), "--model", str(padded), "--imgsz", "96x64"]) == 0
    said = capsys.readouterr().out
    assert "96 x 64 pixels: 2 x 3 answers" in said
    assert "layers of resnet18 are padded" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--imgsz", "20"], "20 x 20 pixels, smaller than the classifier's windows of 32"),
        (["--imgsz", "big"], "--imgsz big: expected a side in pixels or WIDTHxHEIGHT"),
        (["--label", "buss"], "--label buss: the network has no such class; did you mean 'bus'?"),
        (["--out", "found.jpg"], "--out: expected a name ending in .png, found 'found.jpg'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    options: list[str], message: str, model: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(["convolutionalize", str(photo), "--model", str(model), *options], capsys)
