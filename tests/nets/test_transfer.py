from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tracker.embedded import trainable_file
from tracker.errors import CheckpointError, ConfigError
from tracker.nets.backbones import make_backbone
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.classifier import Classifier, ClassifierConfig
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.saved import save_network
from tracker.nets.segmenter import SegmentationConfig, SegmentationNet
from tracker.nets.transfer import fill_backbone, read_backbone
from tracker.nets.yolo import YoloNet

EMBEDDED = {
    "sightline-anchors": "cspdarknet_nano",
    "sightline-nano": "yolo26_nano",
    "sightline-small": "yolo26_nano",
}


@pytest.mark.parametrize(("name", "backbone"), EMBEDDED.items())
def test_an_embedded_detector_starts_any_network_with_its_backbone(name: str, backbone: str) -> None:
    path = trainable_file(name)
    start = read_backbone(path)
    assert (start.name, start.folded) == (backbone, True)
    ours = make_backbone(backbone, norm=False)
    line = fill_backbone(ours, start, name=backbone)
    assert f"tensors of the backbone {backbone} taken, batch norm folded in; " in line
    assert line.startswith(str(path))
    image = torch.rand(1, 3, 64, 96)
    detector, _ = load_detector(path)
    with torch.inference_mode():
        for mine, theirs in zip(ours.eval()(image), detector.backbone(image), strict=True):
            assert torch.equal(mine, theirs)


def _saved(kind: str, path: Path) -> torch.nn.Module:
    labels = ["a", "b"]
    if kind == "detector":
        anchors = (((8.0, 8.0), (16.0, 16.0)),) * 3
        network = YoloNet(NetworkConfig(backbone="resnet18", classes=2))
        save_detector(path, network, ModelCard(("a", "b"), anchors))
        return network.backbone
    if kind == "classifier":
        classifier = Classifier(ClassifierConfig(backbone="resnet18", classes=2))
        description = {"network": {"backbone": "resnet18", "classes": 2}, "labels": labels}
        save_network(path, classifier, kind=kind, description=description)
        return classifier.backbone
    config = SegmentationConfig("fcn", backbone="resnet18")
    segmenter = SegmentationNet(config)
    description = {"network": {"architecture": "fcn", "backbone": "resnet18"}, "labels": labels}
    save_network(path, segmenter, kind=kind, description=description)
    assert segmenter.backbone is not None
    return segmenter.backbone


@pytest.mark.parametrize("kind", ["detector", "classifier", "segmentation"])
def test_every_kind_of_our_files_gives_its_backbone_and_leaves_the_head_out(kind: str, tmp_path: Path) -> None:
    theirs = _saved(kind, tmp_path / "x.safetensors")
    ours = make_backbone("resnet18")
    start = read_backbone(tmp_path / "x.safetensors")
    line = fill_backbone(ours, start, name="resnet18")
    assert not start.folded
    assert start.left_out > 0
    assert line.endswith(f"; {start.left_out} tensors of neck and heads left out")
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


def test_a_backbone_for_grey_images_answers_as_for_grey_rgb(tmp_path: Path) -> None:
    theirs = _saved("classifier", tmp_path / "x.safetensors").eval()
    ours = make_backbone("resnet18", in_channels=1)
    fill_backbone(ours, read_backbone(tmp_path / "x.safetensors"), name="resnet18")
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        for mine, other in zip(ours.eval()(grey), theirs(grey.expand(-1, 3, -1, -1)), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_another_backbone_than_the_file_holds_is_refused_with_the_right_name() -> None:
    start = read_backbone(trainable_file("sightline-anchors"))
    with pytest.raises(CheckpointError, match=r"holds a backbone cspdarknet_nano, not resnet18\. Give --backbone csp"):
        fill_backbone(make_backbone("resnet18"), start, name="resnet18")


def test_a_network_of_ours_without_a_backbone_is_refused(tmp_path: Path) -> None:
    network = SegmentationNet(SegmentationConfig("unet", width=2, depth=2))
    description = {"network": {"architecture": "unet", "backbone": ""}, "labels": ["a", "b"]}
    save_network(tmp_path / "u.safetensors", network, kind="segmentation", description=description)
    with pytest.raises(CheckpointError, match=r"u\.safetensors: a segmentation network without a backbone"):
        read_backbone(tmp_path / "u.safetensors")


@pytest.mark.shared
def test_a_published_yolo_gives_its_body(shared: Path) -> None:
    start = read_backbone(shared / "data/pretrained/yolo26n.safetensors")
    ours = make_backbone("yolo26_nano", norm=False)
    assert "batch norm folded in" in fill_backbone(ours, start, name="yolo26_nano")


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "regnet_y_400mf", "googlenet", "cspdarknet_nano"])
def test_any_backbone_goes_without_batch_norm(name: str) -> None:
    plain = make_backbone(name, norm=False)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())


def test_a_backbone_that_needs_its_batch_norm_says_so() -> None:
    with pytest.raises(ConfigError, match="xception: its batch norm cannot be left out"):
        make_backbone("xception", norm=False)
