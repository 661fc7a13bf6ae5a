from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.shapes import write_shapes
from tracker.embedded import trainable_file
from tracker.errors import CheckpointError, ConfigError
from tracker.evaluate.ground_truth import DataSet
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.export_detector import export_onnx
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet
from tracker.train.data.detection import load_data
from tracker.train.initial_weights import InitialNetwork, change_masks, start_network

ANCHORS = (((12.0, 11.0), (8.0, 26.0)), ((23.0, 28.0), (46.0, 70.0)), ((89.0, 174.0), (237.0, 317.0)))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return load_data(write_shapes(tmp_path_factory.mktemp("shapes") / "s", images=6))[0]["train"]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, YoloNet]:
    """A network that tells cars, boxes and dogs apart."""
    torch.manual_seed(5)
    network = YoloNet(NetworkConfig(classes=3)).eval()
    for head in network.heads:
        torch.nn.init.normal_(head.classes.bias)
    path = tmp_path_factory.mktemp("known") / "known.safetensors"
    save_detector(path, network, ModelCard(("car", "box", "dog"), ANCHORS, input_size=640, iou=0.7, voting=0.1))
    return path, network


def test_a_network_for_other_classes_keeps_all_but_the_answers_for_them(
    shapes: DataSet, known: tuple[Path, YoloNet]
) -> None:
    path, old = known
    torch.manual_seed(1)
    new, card, fresh = start_network(shapes, weights=str(path), input_size=320)
    assert card.labels == ("disc", "box")
    assert card.anchors == ANCHORS
    assert card.input_size == 320
    assert card.input_scale == 1
    assert (card.iou, card.voting) == (0.7, 0.1)
    assert start_network(shapes, weights=str(path), input_scale=0.8).card.input_scale == 0.8
    assert fresh == ["heads.0.classes", "heads.1.classes", "heads.2.classes"]
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        before, after = old(image), new.eval()(image)
    torch.testing.assert_close(after.prototypes, before.prototypes)
    for mine, theirs in zip(after.levels, before.levels, strict=True):
        torch.testing.assert_close(mine[:, :, :5], theirs[:, :, :5])
        torch.testing.assert_close(mine[:, :, 6], theirs[:, :, 6])  # both know the box, as number 1
        torch.testing.assert_close(mine[:, :, 7:], theirs[:, :, 8:])
        assert not torch.allclose(mine[:, :, 5], theirs[:, :, 5])


def test_a_network_for_the_same_classes_is_taken_as_it_is(shapes: DataSet, known: tuple[Path, YoloNet]) -> None:
    path, old = known
    same = replace(shapes, labels=("car", "box", "dog"), names=("car", "box", "dog"))
    new, card, fresh = start_network(same, weights=str(path))
    assert fresh == []
    assert card.labels == ("car", "box", "dog")
    assert all(torch.equal(value, old.state_dict()[name]) for name, value in new.state_dict().items())


@pytest.mark.parametrize(("labels", "fresh"), [(("dog", "car"), []), (("dog", "box", "cat"), ["heads.0.classes"])])
def test_answers_are_fresh_only_where_a_class_is_new(
    shapes: DataSet, known: tuple[Path, YoloNet], labels: tuple[str, ...], fresh: list[str]
) -> None:
    wanted = replace(shapes, labels=labels, names=labels)
    assert start_network(wanted, weights=str(known[0])).fresh[:1] == fresh


def test_a_fresh_network_takes_a_published_backbone_and_anchors_of_the_data(shapes: DataSet, tmp_path: Path) -> None:
    import torchvision

    published = torchvision.models.resnet18()
    torch.save(published.state_dict(), tmp_path / "resnet18.pth")
    network, card, _ = start_network(shapes, backbone="resnet18", pretrained=str(tmp_path / "resnet18.pth"))
    state = network.backbone.state_dict()
    assert torch.equal(state["layer4.1.conv2.weight"], published.state_dict()["layer4.1.conv2.weight"])
    widths = np.array([width for level in card.anchors for width, _ in level])
    assert widths.min() > 100  # shapes of 0.36 to 0.44 of the image, at 416 pixels
    assert widths.max() < 210


def test_a_fresh_network_takes_the_body_of_an_embedded_one(
    shapes: DataSet, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO", "tracker")
    path = trainable_file("sightline-anchors")
    network, card, _ = start_network(shapes, backbone="cspdarknet_nano", pretrained=str(path))
    assert "tensors of the backbone cspdarknet_nano taken, batch norm folded in" in caplog.text
    known, _ = load_detector(path)
    theirs = known.backbone.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in network.backbone.state_dict().items())
    save_detector(tmp_path / "again.safetensors", network, card)  # and is built again from what it says of itself
    again, _ = load_detector(tmp_path / "again.safetensors")
    assert again.config == network.config


def test_a_fresh_network_goes_without_batch_norm_and_residual_links(
    shapes: DataSet, known: tuple[Path, YoloNet]
) -> None:
    network, _, _ = start_network(shapes, norm=False, residual=False)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    assert not any(getattr(module, "shortcut", False) for module in network.backbone.modules())
    with pytest.raises(ConfigError, match="are of a fresh network; --start has its own"):
        start_network(shapes, weights=str(known[0]), residual=False)


def test_a_published_backbone_beside_whole_weights_is_refused(shapes: DataSet, known: tuple[Path, YoloNet]) -> None:
    with pytest.raises(ConfigError, match="leave out --start, or --pretrained"):
        start_network(shapes, weights=str(known[0]), pretrained="resnet18.pth")


def test_too_few_boxes_for_anchors_are_said(shapes: DataSet) -> None:
    with pytest.raises(ConfigError, match="6 anchors need as many labelled boxes"):
        start_network(replace(shapes, samples=shapes.samples[:1]))


def test_an_exported_network_of_ours_is_refused_with_what_to_take_instead(
    shapes: DataSet, known: tuple[Path, YoloNet]
) -> None:
    exported = known[0].with_suffix(".onnx")
    export_onnx(exported, *load_detector(known[0]))
    with pytest.raises(CheckpointError, match=r"\.onnx: not the published YOLOX nano.*\.safetensors"):
        start_network(shapes, weights=str(exported))


@pytest.mark.parametrize("head", ["offsets", "distances"])
def test_another_mask_branch_begins_fresh_and_leaves_the_rest(head: str) -> None:
    """Boxes and classes are answered as before, to the bit; what is fresh is named, so that it may learn faster."""
    torch.manual_seed(0)
    plain = NetworkConfig(classes=2)
    own = plain if head == "offsets" else replace(plain, backbone="yolo26_nano", neck="yolo26", head=head, anchors=1)
    network = YoloNet(own).eval()
    anchors = (((8.0, 8.0),) * own.anchors,) * 3
    before = InitialNetwork(network, ModelCard(("a", "b"), anchors), ["neck"])
    assert change_masks(before, prototypes="", prototype_width=0, mask_width=0) is before
    after = change_masks(before, prototypes="fused", prototype_width=16, mask_width=24)
    assert (after.network.config.prototypes, after.network.config.prototype_width) == ("fused", 16)
    branch = "coefficients" if head == "offsets" else "cv4"
    assert after.fresh == ["neck", "prototypes", *(f"heads.{level}.{branch}" for level in range(3))]
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        first, second = network(images), after.network.eval()(images)
    for old, new in zip(first.levels, second.levels, strict=True):
        assert torch.equal(old[:, :, :7], new[:, :, :7])
