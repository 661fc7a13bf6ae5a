from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tracker.cli import main
from tracker.explain.features import draw_maps, feature_maps
from tracker.explain.gradcam import find_evidence
from tracker.explain.summary import summarise
from tracker.nets.checkpoint import save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import NetworkConfig, YoloNet

ANCHORS = (((20.0, 20.0), (30.0, 20.0)), ((30.0, 30.0), (46.0, 40.0)), ((50.0, 50.0), (70.0, 60.0)))
CARD = ModelCard(("disc", "box"), ANCHORS, input_size=128, confidence=0.001)


@pytest.fixture(scope="module")
def network() -> YoloNet:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(classes=2)).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 3, 96, 96))
    return network.eval()


def scene() -> np.ndarray:
    image = np.full((96, 128, 3), 90, np.uint8)
    image[20:60, 70:110] = (240, 40, 30)
    return image


def test_evidence_covers_the_picture_and_leaves_the_network_as_it_was(network: YoloNet) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    box = np.array([70, 20, 110, 60], np.float32)
    evidence = find_evidence(network, CARD, scene(), box)
    assert evidence.heat.shape == (96, 128)
    assert evidence.heat.min() >= 0
    assert evidence.heat.max() == pytest.approx(1.0)
    x1, y1, x2, y2 = evidence.box
    assert max(x1, 70) < min(x2, 110)
    assert max(y1, 20) < min(y2, 60)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.backbone._forward_hooks


def test_evidence_is_zero_where_the_map_says_nothing(network: YoloNet) -> None:
    """Grad-CAM is a weighted sum of the map's channels: a map of zeros gives no heat at all."""

    class Blind(nn.Module):
        strides = network.backbone.strides
        padded = network.backbone.padded

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(torch.zeros_like(level) for level in network.backbone(images))

    copy = YoloNet(network.config)
    copy.load_state_dict(network.state_dict())
    copy.backbone = Blind()  # type: ignore[assignment]
    evidence = find_evidence(copy.eval(), CARD, scene(), np.array([70, 20, 110, 60], np.float32))
    assert evidence.heat.max() == 0


def test_a_stride_without_a_map_is_refused(network: YoloNet) -> None:
    with pytest.raises(ValueError, match="stride 64"):
        find_evidence(network, CARD, scene(), np.zeros(4, np.float32), stride=64)


def test_feature_maps_are_the_backbones(network: YoloNet) -> None:
    maps = feature_maps(network, scene(), size=128)
    assert set(maps) == set(network.backbone.strides)
    assert maps[8].shape[1:] == (12, 16)
    sheet = draw_maps(maps[8], count=9, side=32)
    assert sheet.shape == (3 * (24 + 2), 3 * (32 + 2), 3)
    assert sheet.std() > 5


def test_the_summary_counts_what_there_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.Flatten())
    network.append(nn.Linear(8 * 4 * 4, 10))
    summary = summarise(network, torch.zeros(1, 3, 8, 8))
    assert summary.parameters == sum(p.numel() for p in network.parameters())
    assert summary.multiply_adds == 8 * 8 * 8 * 27 + 128 * 10
    assert [layer.kind for layer in summary.layers] == ["Conv2d", "BatchNorm2d", "MaxPool2d", "Linear"]
    assert f"{summary.parameters:,} parameters" in summary.table()


def test_a_class_with_a_slash_in_its_name_still_gives_a_picture_in_the_folder(tmp_path: Path, network: YoloNet) -> None:
    labels = tuple(f"{label}/crate ü" for label in CARD.labels)
    save_detector(tmp_path / "n.safetensors", network, replace(CARD, labels=labels))
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    options = ["--model", str(tmp_path / "n.safetensors"), "--most", "1", "--conf", "0", "--out", str(tmp_path / "out")]
    assert main(["explain", str(tmp_path / "scene.png"), *options]) == 0
    (written,) = (tmp_path / "out").glob("evidence-*")
    assert written.is_file()


def test_the_command_leaves_pictures_and_a_summary(
    tmp_path: Path, network: YoloNet, capsys: pytest.CaptureFixture[str]
) -> None:
    save_detector(tmp_path / "n.safetensors", network, CARD)
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    options = ["--model", str(tmp_path / "n.safetensors"), "--most", "2", "--conf", "0", "--out", str(tmp_path / "out")]
    assert main(["explain", str(tmp_path / "scene.png"), *options]) == 0
    assert "multiply-adds" in capsys.readouterr().out
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sum(name.startswith("evidence-") for name in written) == 2
    assert "features-stride-16.png" in written
    assert "summary.txt" in written
    assert main(["explain", str(tmp_path / "scene.png"), *options, "--most", "1"]) == 0
    assert len(list((tmp_path / "out").glob("evidence-*"))) == 1
    assert main(["explain", str(tmp_path / "gone.png"), *options]) == 2
    assert "gone.png" in capsys.readouterr().err
