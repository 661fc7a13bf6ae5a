from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import ConfigError
from tracker.nets.layers import SpatialPyramid, fold_batch_norm
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import YoloNet, is_mask_part


@settings(max_examples=4, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_maps_follow_the_size_of_the_image(batch: int, rows: int, columns: int) -> None:
    network = YoloNet(NetworkConfig(anchors=3, classes=2, coefficients=5)).eval()
    with torch.inference_mode():
        raw = network(torch.rand(batch, 3, 32 * rows, 32 * columns))
    for level, stride in zip(raw.levels, (8, 16, 32), strict=True):
        assert level.shape == (batch, 3, 5 + 2 + 5, 32 * rows // stride, 32 * columns // stride)
    assert raw.prototypes.shape == (batch, 5, 8 * rows, 8 * columns)


@pytest.mark.parametrize("name", ["xception", "googlenet", "vgg11", "resnet18", "regnet_y_400mf", "timm:resnet10t"])
def test_any_backbone_with_the_three_strides_carries_it(name: str) -> None:
    with torch.device("meta"):
        network = YoloNet(NetworkConfig(backbone=name, classes=2, anchors=3))
        raw = network(torch.empty(1, 3, 96, 160))
    assert [level.shape for level in raw.levels] == [(1, 3, 31, 96 // s, 160 // s) for s in network.strides]
    assert raw.prototypes.shape == (1, 24, 24, 40)
    assert raw.features.shape[2:] == ((12, 20) if name == "xception" else (24, 40))


def test_every_weight_gets_a_gradient() -> None:
    network = YoloNet(NetworkConfig()).train()
    raw = network(torch.rand(2, 3, 64, 64))
    (sum(level.square().mean() for level in raw.levels) + raw.prototypes.square().mean()).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_a_backbone_without_the_three_strides_is_refused() -> None:
    with pytest.raises(ConfigError, match="strides 8, 16 and 32"):
        YoloNet(NetworkConfig(backbone="lenet5"))


def test_an_unknown_backbone_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="resnet_18"):
        YoloNet(NetworkConfig(backbone="resnet_18"))


def test_folding_batch_norm_changes_nothing() -> None:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig())
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 3, 64, 64))
    network.eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = network(image)
        folded = fold_batch_norm(network)
        after = folded(image)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    for one, other in zip((*before.levels, before.prototypes), (*after.levels, after.prototypes), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_chained_pooling_equals_the_wide_windows() -> None:
    torch.manual_seed(0)
    pyramid = SpatialPyramid(8, 8).eval()
    image = torch.rand(1, 8, 15, 17)
    with torch.inference_mode():
        x = pyramid.conv1(image)
        pools = [torch.nn.functional.max_pool2d(x, size, 1, size // 2) for size in (5, 9, 13)]
        expected = pyramid.conv2(torch.cat((x, *pools), dim=1))
        assert torch.equal(pyramid(image), expected)


def test_fused_prototypes_are_made_of_every_map_and_serve_masks_alone() -> None:
    body = {"backbone": "yolo26_nano", "neck": "yolo26", "head": "distances", "anchors": 1, "prototype_width": 16}
    network = YoloNet(NetworkConfig(prototypes="fused", classes=2, coefficients=5, **body)).eval()
    images = torch.rand(1, 3, 64, 96)
    before = network(images)
    assert before.prototypes.shape == (1, 5, 16, 24)
    maps = [torch.rand(1, width, 64 // s, 96 // s, requires_grad=True) for width, s in ((64, 8), (128, 16), (256, 32))]
    fine = torch.rand(1, 64, 16, 24, requires_grad=True)
    network.prototypes(tuple(maps), fine).square().sum().backward()
    assert all(part.grad is not None and part.grad.abs().min() > 0 for part in (*maps, fine))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if is_mask_part(name):
                weight.add_(0.1)
    after = network(images)
    assert not torch.equal(before.prototypes, after.prototypes)
    for first, second in zip(before.levels, after.levels, strict=True):
        assert torch.equal(first[:, :, :7], second[:, :, :7])
        assert not torch.equal(first[:, :, 7:], second[:, :, 7:])


def test_fused_prototypes_without_a_map_at_stride_4_are_refused() -> None:
    with pytest.raises(ConfigError, match="fused prototypes need its map at stride 4"):
        YoloNet(NetworkConfig(backbone="xception", prototypes="fused"))
