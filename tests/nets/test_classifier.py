from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import pytest
import torch
import torchvision
from torch import nn

from tests.nets.backbones.test_backbones import randomize
from tracker.errors import CheckpointError, ConfigError
from tracker.nets.backbones import BACKBONES
from tracker.nets.classifier import Classifier, ClassifierConfig, load_classifier
from tracker.nets.saved import save_network


def published(name: str, *, classes: int = 5) -> nn.Module:
    with warnings.catch_warnings(), torch.device("cpu" if name.startswith("regnet") else "meta"):
        warnings.simplefilter("ignore")
        network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
    network.to_empty(device="cpu")
    randomize(network)
    return network.eval()


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "googlenet", "resnet18", "regnet_y_400mf"])
def test_logits_equal_torchvisions_with_a_whole_published_file(name: str) -> None:
    theirs = published(name)
    with torch.device("meta"):
        ours = Classifier(ClassifierConfig(backbone=name, classes=5))
    ours = ours.to_empty(device="cpu").eval()
    ours.normalize = type(ours.normalize)(ours.backbone.mean, ours.backbone.std, channels=3)
    ours.load_published(theirs.state_dict(), where=name)
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs((images - ours.normalize.mean) / ours.normalize.std)
        found = ours(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found.std() > 1e-3


def test_other_classes_leave_only_the_last_layer_fresh() -> None:
    theirs = published("resnet18", classes=7)
    ours = Classifier(ClassifierConfig(backbone="resnet18", classes=3))
    before = ours.head.fc.weight.clone()
    ours.load_published(theirs.state_dict(), where="x")
    assert torch.equal(ours.head.fc.weight, before)
    assert torch.equal(ours.backbone.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)


@pytest.mark.parametrize("head", ["paper", "pooled"])
@pytest.mark.parametrize("name", sorted(name for name in BACKBONES if "gf" not in name and "vgg1" not in name))
def test_every_backbone_carries_both_heads(name: str, head: Literal["paper", "pooled"]) -> None:
    grey = name.startswith("lenet5")
    config = ClassifierConfig(backbone=name, classes=4, head=head, dropout=0.2, in_channels=1 if grey else 3)
    with torch.device("meta"):
        network = Classifier(config)
        logits = network(torch.empty(2, 1 if grey else 3, 64, 64))
    assert logits.shape == (2, 4)


def test_a_saved_classifier_is_the_same_network(tmp_path: Path) -> None:
    config = ClassifierConfig(backbone="lenet5", classes=3, in_channels=1)
    network = Classifier(config).eval()
    path = tmp_path / "digits.safetensors"
    description = {"network": asdict(config), "labels": ["a", "b", "c"], "image_size": 28}
    save_network(path, network, kind="classifier", description=description)
    loaded, found = load_classifier(path)
    assert found == description
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(loaded(images), network(images))


def test_foreign_truncated_and_mismatched_files_say_what_they_are(tmp_path: Path) -> None:
    config = ClassifierConfig(backbone="lenet5", classes=3, in_channels=1)
    network = Classifier(config)
    path = tmp_path / "digits.safetensors"
    save_network(path, network, kind="classifier", description={"network": asdict(config), "labels": ["a"]})
    with pytest.raises(CheckpointError, match="head has 3 classes, labels list 1"):
        load_classifier(path)
    save_network(path, network, kind="reid", description={})
    with pytest.raises(CheckpointError, match=r"expected a classifier, found a re-identification network, which"):
        load_classifier(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_classifier(path)
    with pytest.raises(CheckpointError, match="no such file"):
        load_classifier(tmp_path / "none.safetensors")


def test_a_network_of_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown name 'lenet'"):
        Classifier(ClassifierConfig(backbone="lenet"))
