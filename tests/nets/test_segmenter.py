from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tracker.errors import ConfigError
from tracker.nets.backbones import make_backbone
from tracker.nets.fcn import FCN
from tracker.nets.unet import UNet


def test_the_papers_u_net_takes_572_pixels_and_gives_388() -> None:
    with torch.device("meta"):
        network = UNet(2, in_channels=1, batch_norm=False, padded=False)
        assert network(torch.empty(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    convolutions = sum(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in network.modules())
    assert convolutions == 23  # "in total the network has 23 convolutional layers"
    assert sum(p.numel() for p in network.parameters()) == 31_030_658


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_u_net_labels_images_of_any_size(height: int, width: int) -> None:
    network = UNet(3, width=2, depth=3).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, height, width)).shape == (1, 3, height, width)


@pytest.mark.parametrize(
    ("backbone", "hidden", "finest"),
    [("vgg11", 64, 8), ("resnet18", 0, 8), ("resnet18", 0, 16), ("resnet18", 0, 32), ("regnet_x_400mf", 0, 8)],
)
def test_fcn_goes_forward_and_backward_at_any_size(backbone: str, hidden: int, finest: int) -> None:
    network = FCN(make_backbone(backbone), 4, finest=finest, hidden=hidden)  # type: ignore[arg-type]
    for score in network.score:
        nn.init.normal_(score.weight, std=0.1)
    logits = network(torch.rand(2, 3, 40, 33))
    assert logits.shape == (2, 4, 40, 33)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_papers_fcn_has_wide_layers_of_4096() -> None:
    with torch.device("meta"):
        network = FCN(make_backbone("vgg16"), 21, finest=8, hidden=4096)
    # VGG-16 as convolutions, then 1 x 1 scores from 4096, 512 and 256 channels, then two learned 4 x 4 up-samplings
    wide = 138_357_544 - 4_097_000
    scores = 21 * (4096 + 1) + 21 * (512 + 1) + 21 * (256 + 1)
    assert sum(p.numel() for p in network.parameters()) == wide + scores + 2 * 21 * 21 * 16


def test_learned_upsampling_starts_bilinear() -> None:
    network = FCN(make_backbone("resnet18"), 5, finest=16)
    x = torch.rand(1, 5, 6, 7)
    expected = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network.upward[0](x)[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])


def test_a_backbone_without_the_strides_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"FCN-8s needs a backbone with maps at strides \(32, 16, 8\), this LeNet5"):
        FCN(make_backbone("lenet5"), 2)
