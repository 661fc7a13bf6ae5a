"""No command takes a file of another kind, or what it reads, for its output."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

import main
from tests.commands.test_segment import network as segmenter
from tracker.nets.localizer import LocalizerConfig, LocalizerNet
from tracker.nets.saved import save_network

__all__ = ["segmenter"]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with a photo and a film."""
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((32, 48, 3), np.uint8))
    (tmp_path / "rows.txt").write_text("1,1,10,20,30,40,0.9,-1,-1,-1\n")
    (tmp_path / "film.mp4").write_bytes(b"of a summer")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "suffix"),
    [
        ("detect a.jpg --out film.mp4", ".json"),
        ("detect a.jpg --out a.jpg", ".json"),
        ("classify a.jpg --model n.onnx --out a.jpg", ".csv or .json"),
        ("localize a.jpg --model n.onnx --out a.jpg", ".json"),
        ("convolve a.jpg --out film.mp4", ".png"),
        ("convolutionalize a.jpg --model n.onnx --out film.mp4", ".png"),
        ("counts a.sqlite --out film.mp4", ".csv"),
        ("report a.sqlite --out film.mp4", ".html or .htm"),
        ("across a.sqlite b.sqlite --project film.mp4", ".json"),
        ("import-annotations a.json --format coco --video film.mp4 --out film.mp4", ".sqlite"),
        (
            "convert rows.txt --from mot --to coco --size 48x32 --out film.mp4",
            "kind is called so; expected .*.json",
        ),
        ("convert rows.txt --from mot --to yolo --size 48x32 --out film.mp4", "another kind is called so; .* folder"),
        ("tune sub --out film.mp4", ".toml"),
    ],
)
def test_an_output_has_its_own_suffix(
    arguments: str, suffix: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(here)
    assert main.main(arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(suffix, line)
    assert contents(here) == before


@pytest.mark.parametrize("folder", [".", "..", "sub/.."])
def test_drawn_images_do_not_replace_those_that_are_read(
    folder: str,
    here: Path,
    network: Path,
    segmenter: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "sub").mkdir()
    before = contents(here)
    localizer = tmp_path_factory.mktemp("localizer") / "n.safetensors"
    net = LocalizerNet(LocalizerConfig("lenet5_common", classes=2, hidden=8)).eval()
    save_network(
        localizer,
        net,
        kind="localizer",
        description={"network": asdict(net.config), "labels": ["a", "b"], "image_size": 32},
    )
    for command in (
        ["detect", "*.jpg", "--model", network, "--draw", folder],
        ["localize", "*.jpg", "--model", localizer, "--draw", folder],
        ["segment", "a.jpg", "--model", segmenter, "--out", folder],
    ):
        assert main.main([str(word) for word in command]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "might be replaced" in line
    assert contents(here) == before


def test_images_of_one_name_in_two_folders_have_results_of_their_own(here: Path, segmenter: Path) -> None:
    (here / "sub").mkdir()
    cv2.imwrite(str(here / "sub" / "A.png"), np.zeros((8, 16, 3), np.uint8))
    assert main.main(["segment", "a.jpg", "sub/A.png", "--model", str(segmenter), "--out", "out"]) == 0
    for name, size in (("a.png", (32, 48)), ("sub/A.png", (8, 16))):
        labels = cv2.imread(str(here / "out/labels" / name))
        assert labels is not None, "called by the folder where names differ by nothing but case"
        assert labels.shape[:2] == size


@pytest.mark.parametrize(
    "arguments",
    [
        ["track", "a.jpg", "--semantic", ""],
        ["track", "a.jpg", "--classify-tracks", " "],
        ["track", "a.jpg", "--appearance", "reid", "--reid-model", ""],
        ["segment", "a.jpg", "--model", ""],
        ["search", "--like", "a.sqlite#1", ".", "--reid-model", ""],
    ],
)
def test_an_empty_name_of_a_network_is_not_taken_for_none(
    arguments: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected a name, found an empty text" in line
