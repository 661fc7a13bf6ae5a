"""One pass of the convolutional network gives what the classifier gives for every window by itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tracker.errors import ConfigError
from tracker.nets.backbones.vgg import VGGHead
from tracker.nets.classifier import Classifier, ClassifierConfig
from tracker.nets.convolutionalize import convolutionalize, padded_layers, slide
from tracker.nets.localizer import LocalizerConfig, LocalizerNet


def unpadded(backbone: str, *, channels: int = 3, head: str = "paper") -> Classifier:
    torch.manual_seed(0)
    config = ClassifierConfig(backbone, classes=5, in_channels=channels, padding=False, head=head)  # type: ignore[arg-type]
    network = Classifier(config).eval()
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.1 if module.in_features < 1000 else 0.01)
    return network


CASES = [
    ("lenet5", 1, "paper", 32, 4, 52, 6),
    ("lenet5_common", 3, "pooled", 40, 4, 60, 6),
    ("alexnet", 3, "paper", 224, 32, 288, 3),
    ("alexnet", 3, "pooled", 200, 16, 232, 3),
    ("nin", 3, "paper", 33, 4, 44, 3),
]


@pytest.mark.parametrize(("backbone", "channels", "head", "window", "stride", "side", "rows"), CASES)
def test_one_pass_equals_the_windows_one_by_one(
    backbone: str, channels: int, head: str, window: int, stride: int, side: int, rows: int
) -> None:
    network = unpadded(backbone, channels=channels, head=head)
    whole = convolutionalize(network, window)
    image = torch.rand(1, channels, side, side)
    with torch.inference_mode():
        (logits, _), cut = whole(image), slide(network, image, window=window, stride=whole.stride)
    assert (whole.stride, whole.window) == (stride, window)
    assert logits.shape == (1, 5, rows, rows)
    torch.testing.assert_close(logits, cut.logits, atol=1e-5, rtol=1e-4)
    windows_differ = float(cut.logits.std(dim=(2, 3)).max())
    assert float((logits - cut.logits).abs().max()) < 0.01 * windows_differ


def test_the_grid_of_the_lecture_is_eight_by_eight() -> None:
    """448 pixels, windows of 224 every 32: the dense layers of VGG as convolutions."""
    network = unpadded("vgg11", head="pooled")
    whole = convolutionalize(network, 224)
    image = torch.rand(1, 3, 448, 448)
    with torch.inference_mode():
        logits, _ = whole(image)
        assert logits.shape == (1, 5, 8, 8)
        for row, column in ((0, 0), (3, 4), (7, 7)):
            window = image[:, :, 32 * row : 32 * row + 224, 32 * column : 32 * column + 224]
            torch.testing.assert_close(logits[:, :, row, column], network(window), atol=1e-5, rtol=1e-4)


def test_the_wide_dense_layers_of_vgg_become_kernels_of_the_map() -> None:
    network = unpadded("vgg11", head="pooled")
    with torch.device("meta"):  # the paper's 4096 are many weights for a test
        network.head = VGGHead(3, dropout=0.0)
    for place, inputs, outputs in ((0, 512 * 7 * 7, 16), (3, 16, 16), (6, 16, 3)):
        network.head.classifier[place] = nn.Linear(inputs, outputs)
        nn.init.normal_(network.head.classifier[place].weight, std=0.05)
    for window, rows in ((188, 2), (224, 1)):  # maps of 1 x 1 and 3 x 3, which the head averages to 7 x 7
        whole = convolutionalize(network.eval(), window)
        image = torch.rand(1, 3, 224, 252)
        with torch.inference_mode():
            logits, cut = whole(image).logits, slide(network, image, window=window, stride=32).logits
        assert logits.shape[1:3] == (3, rows)
        torch.testing.assert_close(logits, cut, atol=1e-5, rtol=1e-4)
    kernels = [tuple(layer.weight.shape) for layer in whole.modules() if isinstance(layer, nn.Conv2d)][-3:]
    assert kernels == [(16, 512, 3, 3), (16, 16, 1, 1), (3, 16, 1, 1)]


def test_a_localizer_answers_classes_and_boxes_for_each_window() -> None:
    torch.manual_seed(0)
    network = LocalizerNet(LocalizerConfig("vgg11", classes=4)).eval()
    network.backbone = unpadded("vgg11", head="pooled").backbone
    whole = convolutionalize(network, 188)
    image = torch.rand(1, 3, 220, 252)
    with torch.inference_mode():
        one, cut = whole(image), slide(network, image, window=188, stride=32)
    assert one.logits.shape == (1, 4, 2, 3)
    assert one.boxes is not None
    assert cut.boxes is not None
    torch.testing.assert_close(one.logits, cut.logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one.boxes, cut.boxes, atol=1e-5, rtol=1e-4)


def test_padding_makes_a_difference_that_is_not_hidden() -> None:
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig("resnet18", classes=3)).eval()
    nn.init.normal_(network.head.fc.weight, std=0.5)  # type: ignore[union-attr,arg-type]
    whole = convolutionalize(network, 64)
    assert padded_layers(network) > 10
    image = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        assert not torch.allclose(whole(image).logits, slide(network, image, window=64, stride=32).logits, atol=1e-3)
        torch.testing.assert_close(whole(image[..., :64, :64]).logits[..., 0, 0], network(image[..., :64, :64]))


@pytest.mark.parametrize("backbone", ["resnet18", "googlenet", "cspdarknet_nano"])
def test_branches_that_need_padding_are_refused(backbone: str) -> None:
    with pytest.raises(ConfigError, match="cannot be without padding"):
        Classifier(ClassifierConfig(backbone, padding=False))


def test_a_window_smaller_than_the_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="windows of 20 pixels are too small for 'vgg11'"):
        convolutionalize(unpadded("vgg11", head="pooled"), 20)
