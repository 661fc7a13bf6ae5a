"""Every command with every kind of network: it works, or says in one line why not, as the table in the pages has it."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.segment.test_labeller import saved
from tests.test_classify import write_classifier
from tracker.cli import main
from tracker.commands.demo_data import SHAPES, write_datasets
from tracker.errors import ConfigError
from tracker.explain.evidence import explain_objective
from tracker.explain.localizer_objective import LOCALIZED, LocalizerObjective
from tracker.explain.opened import open_network
from tracker.nets.checkpoint import save_detector
from tracker.nets.localizer import LocalizerConfig, LocalizerNet, load_localizer
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.saved import save_network
from tracker.nets.segmenter import SegmentationConfig
from tracker.nets.yolo import YoloNet

KINDS = ("detector", "classifier", "segmenter", "localizer")
PAGE = Path(__file__).parents[2] / "docs" / "training.md"
ANCHORS = (((20.0, 20.0), (30.0, 20.0)), ((30.0, 30.0), (46.0, 40.0)), ((50.0, 50.0), (70.0, 60.0)))


def table() -> dict[str, dict[str, bool]]:
    """Of docs/training.md: command -> kind -> whether it works."""
    lines = PAGE.read_text(encoding="utf-8").partition("| Command | detector |")[2].splitlines()[2:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name.strip("`")] = {kind: cell == "yes" for kind, cell in zip(KINDS, cells, strict=True)}
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny network of each kind, an image, and data to judge each by."""
    folder = tmp_path_factory.mktemp("kinds")
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(classes=len(SHAPES))).eval()
    save_detector(folder / "detector.safetensors", network, ModelCard(SHAPES, ANCHORS, input_size=64, confidence=0.0))
    write_classifier(folder / "classifier.safetensors", backbone="lenet5_common", channels=1, size=28)
    saved(folder / "segmenter.safetensors", SegmentationConfig("unet", classes=3, width=4, depth=2))
    localizer = LocalizerNet(LocalizerConfig("lenet5_common", classes=len(SHAPES), hidden=8)).eval()
    description = {"network": asdict(localizer.config), "labels": list(SHAPES), "image_size": 32}
    save_network(folder / "localizer.safetensors", localizer, kind="localizer", description=description)
    rng = np.random.default_rng(0)
    cv2.imwrite(str(folder / "image.png"), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    write_datasets(folder / "data", images=6)
    np.savez(folder / "data" / "three.npz", images=rng.integers(0, 255, (9, 28, 28), np.uint8), labels=np.arange(9) % 3)
    np.savez(folder / "data" / "d.npz", images=rng.integers(0, 255, (3, 28, 28), np.uint8), labels=np.arange(3))
    for part in ("images", "labels"):
        (folder / "data" / "streets" / "val" / part).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 255 if part == "images" else 3, (48, 64, 3), dtype=np.uint8)
            pixels = pixels if part == "images" else pixels[..., 0]
            cv2.imwrite(str(folder / "data" / "streets" / "val" / part / f"{number}.png"), pixels)
    return folder


DATA = {
    "detector": "detect/data.yaml",
    "classifier": "three.npz",
    "segmentation": "streets",
    "localizer": "localize/data.yaml",
}
EVALUATED = {"detector": "detector", "classifier": "classifier", "segmentation": "segmenter", "localizer": "localizer"}
"""What `evaluate` calls each kind."""


def arguments(command: str, kind: str, folder: Path, out: Path) -> list[str]:
    model, image = str(folder / f"{kind}.safetensors"), str(folder / "image.png")
    if command == "summary":
        return ["summary", model]
    if command == "export":
        return ["export", model, "--out", str(out / f"{kind}.onnx")]
    if command.startswith("evaluate "):
        data = folder / "data" / DATA[command.partition(" ")[2]]
        return [*command.split(), "--model", model, "--data", str(data)]
    written = {
        "explain": ["--most", "1", "--out", str(out)],
        "segment": ["--out", str(out)],
        "localize": ["--draw", str(out)],
    }
    detect = ["--out", str(out / "d.json"), "--device", "cpu"] if command == "detect" else []
    return [command, image, "--model", model, *written.get(command, []), *detect]


CELLS = [(command, kind) for command, row in table().items() for kind in row]


def test_the_table_in_the_pages_is_whole() -> None:
    commands = ("detect", "classify", "segment", "localize", "explain", "summary", "export")
    assert list(table()) == [*commands, *(f"evaluate {name}" for name in DATA)]
    for command, row in table().items():
        own = [EVALUATED[command.partition(" ")[2]]] if command.startswith("evaluate") else None
        assert own is None or [kind for kind, works in row.items() if works] == own


@pytest.mark.parametrize(("command", "kind"), CELLS, ids=lambda each: str(each).replace(" ", "-"))
def test_a_command_takes_a_kind_or_says_in_one_line_why_not(
    command: str, kind: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(arguments(command, kind, folder, tmp_path))
    said = capsys.readouterr()
    if table()[command][kind]:
        assert code == 0, said.err
        assert said.out or command == "detect"
        return
    assert code == 2
    assert said.err.count("\n") == 1
    assert re.search(rf"{kind}\.safetensors: expected a \w+, found a {kind}, which is for `", said.err), said.err


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_seen_inside(kind: str, folder: Path) -> None:
    opened = open_network(folder / f"{kind}.safetensors")
    assert opened.kind == kind
    assert len(opened.layers) >= 2
    canvas = opened.canvas(np.zeros((50, 70, 3), np.uint8))
    with torch.inference_mode():
        opened.network(canvas)


def test_the_evidence_of_a_localizer_is_that_of_class_and_box(folder: Path) -> None:
    network, _ = load_localizer(folder / "localizer.safetensors")
    image = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    heats = []
    for quantity in LOCALIZED:
        objective = LocalizerObjective.of(network, image, size=32, quantity=quantity)
        heat, largest = explain_objective(objective, method="hirescam")
        assert heat.shape == (40, 60)
        assert heat.max() == pytest.approx(1) or largest == 0
        heats.append(explain_objective(objective, method="occlusion")[0])
    assert not np.allclose(*heats)
    with pytest.raises(ConfigError, match="a localizer has no 'objectness'; there are class, box"):
        LocalizerObjective.of(network, image, size=32, quantity="objectness")
