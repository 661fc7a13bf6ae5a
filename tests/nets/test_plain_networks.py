"""Residual links that are left out: the plain network of the ResNet paper."""

from __future__ import annotations

import pytest
import torch

from tracker.errors import ConfigError
from tracker.nets.backbones import make_backbone


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cspdarknet_nano", "yolo26_nano"])
def test_a_plain_network_has_no_projections_and_still_passes_signals(name: str) -> None:
    torch.manual_seed(0)
    residual, plain = make_backbone(name), make_backbone(name, residual=False)
    assert sum(p.numel() for p in plain.parameters()) <= sum(p.numel() for p in residual.parameters())
    assert "layer2.0.downsample.0.weight" not in plain.state_dict()
    with torch.inference_mode():
        maps = plain.train()(torch.rand(2, 3, 64, 64))
    assert all(each.std() > 1e-4 for each in maps)  # a norm that starts at zero would end it


def test_the_first_block_of_a_plain_resnet_is_its_two_convolutions() -> None:
    block = make_backbone("resnet18", residual=False).layer1[0].eval()
    x = torch.rand(1, 64, 8, 8)
    with torch.inference_mode():
        expected = torch.relu(block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x))))))
        torch.testing.assert_close(block(x), expected)


def test_a_network_without_residual_links_says_so() -> None:
    with pytest.raises(ConfigError, match="backbone vgg11: has no residual links to leave out"):
        make_backbone("vgg11", residual=False)
