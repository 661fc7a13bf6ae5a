"""A summary has the published totals, shapes that follow from the formula, fields that back-propagation confirms."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from torch import Tensor, nn

from tracker.explain.layer_drawing import draw_layers
from tracker.explain.layer_summary import summarise
from tracker.explain.layer_table import Summary
from tracker.nets.backbones import BACKBONES
from tracker.nets.convolution import output_side
from tracker.nets.named_network import NAMES, build_network

TOTALS = {
    "vgg16": 138_357_544,
    "resnet50": 25_557_032,
    "alexnet": 61_100_840,
    "xception": 22_855_952,
    "lenet5": 60_850,
    "lenet5_common": 61_706,
    "torchvision:mobilenet_v2": 3_504_872,
    "torchvision:googlenet": 13_004_888,
    "torchvision:vit_b_16": 86_567_656,
    "timm:convnext_tiny": 28_589_128,
}
"""From the papers and the libraries' own tables."""


def summary_of(name: str) -> Summary:
    found = build_network(name)
    with torch.device("meta"):
        images = torch.zeros(1, found.channels, found.height, found.width)
    return summarise(found.network, images)


@pytest.mark.parametrize("name", TOTALS)
def test_the_totals_are_the_published_ones(name: str) -> None:
    assert summary_of(name).parameters == TOTALS[name]


ONE_OF_EACH = {BACKBONES.get(name, name).partition(":")[0]: name for name in reversed(NAMES)}.values()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ONE_OF_EACH else pytest.mark.slow) for name in NAMES]
)
def test_every_network_here_is_counted_whole(name: str) -> None:
    found = build_network(name)
    summary = summary_of(name)
    assert summary.parameters == sum(each.numel() for each in found.network.parameters())
    assert summary.resting == 0
    assert summary.multiply_adds > 0


@pytest.mark.parametrize("name", ["resnet18", "unet", "fcn8s", "yolo", "googlenet"])
def test_shapes_follow_from_the_formula(name: str) -> None:
    layers = summary_of(name).layers
    assert any(layer.window for layer in layers)
    before = {224: 224, 416: 416}
    sides = {side for layer in layers for side in layer.shape[-1:]} | set(before)
    for layer in layers:
        if layer.window is None or "Transpose" in layer.kind or "transposed" in layer.kind:
            continue
        options = {"stride": layer.window.stride[1], "padding": layer.window.padding[1]}
        possible = {
            output_side(side, layer.window.kernel[1], dilation=layer.window.dilation[1], **options) for side in sides
        }
        if "Pool" in layer.kind:  # GoogLeNet's round up
            possible |= {side + 1 for side in possible}
        assert layer.shape[-1] in possible, layer


def test_the_papers_fields() -> None:
    layers = {layer.name: layer for layer in summary_of("vgg16").layers}
    assert layers["backbone.features.30"].field == (212, 212)
    assert layers["backbone.features.30"].stride == 32
    assert layers["head.classifier.0"].whole
    assert summary_of("alexnet").layers[6].field == (163, 163)
    lenet = {layer.name.rpartition(".")[2]: layer for layer in summary_of("lenet5").layers}
    assert [lenet[name].field for name in ("c1", "s2", "c3", "s4", "c5")] == [(n, n) for n in (5, 6, 14, 16, 32)]
    assert lenet["s2"].parameters == 12
    assert lenet["c3"].parameters == 1516


class Tangled(nn.Module):
    """Strides, dilation, up-sampling both ways, padding by hand, a cut and a join, with weights that cannot cancel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.second = nn.Conv2d(2, 2, 3, padding=2, dilation=2)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1)
        self.depthwise = nn.Conv2d(4, 4, (3, 5), padding=(1, 2), groups=4)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.pad(self.first(images), (2, 1, 1, 2), mode="replicate")[:, :, 1:-2, 2:-1]
        y = self.up(self.pool(self.second(x)))
        z = nn.functional.interpolate(self.depthwise(torch.cat((x, y), dim=1)), scale_factor=2.0, mode="bilinear")
        return self.last(z.permute(0, 2, 3, 1).relu().permute(0, 3, 1, 2))  # type: ignore[no-any-return]


def positive(network: nn.Module) -> nn.Module:
    """The same with weights that cannot cancel, and without what cuts gradients off."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
        parameter.data /= math.prod(parameter.shape[1:]) or 1
    return network.double().eval()


def reached(network: nn.Module, layer: str, side: int) -> tuple[int, int]:
    """Rows and columns of the image with a gradient from one position near the middle of a layer's output."""
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    images = torch.rand(1, next(network.parameters()).shape[1], side, side, dtype=torch.float64, requires_grad=True)
    network(images)
    handle.remove()
    best = (0, 0)
    height, width = kept[0].shape[2:]
    for row in range(height // 2, height // 2 + 4):  # a field may differ between the phases of an up-sampling
        (gradient,) = torch.autograd.grad(
            kept[0][0, :, row, width // 2 + row - height // 2].sum(), images, retain_graph=True
        )
        rows, columns = gradient[0].sum(dim=0).nonzero(as_tuple=True)
        best = max(best[0], int(rows.max() - rows.min()) + 1), max(best[1], int(columns.max() - columns.min()) + 1)
    return best


def test_back_propagation_reaches_the_field_of_every_layer() -> None:
    torch.manual_seed(0)
    network = positive(Tangled())
    layers = summarise(network, torch.zeros(1, 1, 96, 96, dtype=torch.float64)).layers
    assert len(layers) == 7
    for layer in layers:
        if layer.name in ("first", "second", "pool", "up", "depthwise", "last"):
            assert layer.field == reached(network, layer.name, 96), layer.name


FAR = [("vgg11", "backbone.features.10", 96), ("resnet18", "backbone.layer2.1.conv2", 160)]


@pytest.mark.parametrize(("name", "layer", "side"), FAR)
def test_back_propagation_reaches_the_field_of_known_networks(name: str, layer: str, side: int) -> None:
    from tracker.nets.classifier import Classifier, ClassifierConfig

    torch.manual_seed(0)
    network = positive(Classifier(ClassifierConfig(name)).backbone)
    part = layer.removeprefix("backbone.")
    found = {each.name: each for each in summarise(network, torch.zeros(1, 3, side, side, dtype=torch.float64)).layers}
    assert found[part].field == reached(network, part, side)


def test_the_mode_of_each_module_stays_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))
    network[1].eval()
    summarise(network, torch.zeros(1, 1, 8, 8))
    assert [network.training, network[0].training, network[1].training] == [True, True, False]


def test_work_is_counted_by_the_textbook() -> None:
    up = nn.ConvTranspose2d(8, 4, 2, stride=2)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), up, nn.Flatten(), nn.Linear(1024, 10))
    layers = summarise(network, torch.zeros(1, 3, 8, 8)).layers
    assert [layer.multiply_adds for layer in layers] == [8 * 64 * 27, 64 * 8 * 4 * 4, 1024 * 10]
    assert [layer.flops for layer in layers] == [2 * layer.multiply_adds for layer in layers]


def test_what_took_no_part_is_reported() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3))
    network.register_module("aside", nn.Linear(3, 3))
    network.forward = network[0].forward  # type: ignore[method-assign]
    summary = summarise(network, torch.zeros(1, 1, 8, 8))
    assert summary.resting == 12
    assert "12 parameters took no part" in summary.table()


@pytest.mark.parametrize("name", ["lenet5", "resnet50", "unet"])
def test_the_drawing_is_an_svg_with_every_shape(name: str) -> None:
    summary = summary_of(name)
    root = ElementTree.fromstring(draw_layers(summary, "a < b"))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts[0] == "a < b"
    assert " x ".join(map(str, summary.layers[0].shape)) in texts
    assert f"{summary.parameters:,} parameters" in str(texts[1])


def test_slabs_of_different_layers_have_different_names() -> None:
    root = ElementTree.fromstring(draw_layers(summary_of("resnet18"), "resnet18"))
    names = [element.text for element in root.iter() if element.get("fill") == "#111"]
    assert "layer2.0.conv1" in names
    assert len(set(names)) == len(names)
