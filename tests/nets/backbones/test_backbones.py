"""Every backbone against its published counterpart: same weights, same maps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from tracker.errors import CheckpointError, ConfigError
from tracker.nets.backbones import BACKBONES, make_backbone
from tracker.nets.backbones.googlenet import GoogLeNet
from tracker.nets.backbones.regnet import Design

CHANNELS = {"lenet5": 1, "lenet5_common": 1}
SMALLEST = {"lenet5": 28, "lenet5_common": 28, "nin": 16, "alexnet": 64}
VGG_ENDS = {
    "vgg11": (2, 5, 10, 15, 20),
    "vgg13": (4, 9, 14, 19, 24),
    "vgg16": (4, 9, 16, 23, 30),
    "vgg19": (4, 9, 18, 27, 36),
    "vgg11_bn": (3, 7, 14, 21, 28),
    "vgg16_bn": (6, 13, 23, 33, 43),
}
"""Where the poolings stand in torchvision's `features`."""
PUBLISHED = {
    "alexnet": ("features.1", "features.4", "features.11"),
    **{name: tuple(f"features.{end}" for end in ends) for name, ends in VGG_ENDS.items()},
    "googlenet": ("conv1", "conv3", "inception3b", "inception4e", "inception5b"),
    **{f"resnet{depth}": ("relu", "layer1", "layer2", "layer3", "layer4") for depth in (18, 34, 50, 101)},
    **{
        f"regnet_{size}": ("stem", *(f"trunk_output.block{stage}" for stage in (1, 2, 3, 4)))
        for size in ("x_400mf", "x_800mf", "x_1_6gf", "y_400mf", "y_800mf", "y_1_6gf")
    },
}
"""torchvision's modules that give the same maps as ours, shallow to deep."""


def randomize(network: nn.Module) -> None:
    """Weights and norm statistics that let no branch hide: nothing stays zero or one."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not value.dtype.is_floating_point:
                continue
            noise = torch.rand(value.shape, generator=generator)
            if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
                value.copy_(0.5 + noise)
            elif value.ndim == 1:
                value.copy_(0.2 * (noise - 0.5))
            else:
                value.copy_((noise - 0.5) * (12.0 / value[0].numel()) ** 0.5)


def published_network(name: str) -> nn.Module:
    with warnings.catch_warnings(), torch.device("cpu" if name.startswith("regnet") else "meta"):
        warnings.simplefilter("ignore")
        network: nn.Module = torchvision.models.get_model(name, weights=None)
    for head in ("classifier", "fc"):
        if hasattr(network, head):
            setattr(network, head, nn.Identity())
    network.to_empty(device="cpu")
    randomize(network)
    return network.eval()


def maps_of(network: nn.Module, images: Tensor, modules: tuple[str, ...]) -> list[Tensor]:
    maps: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            maps.setdefault(name, output.clone())

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in modules]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return [maps[name] for name in modules]


@pytest.mark.parametrize("name", PUBLISHED)
def test_maps_equal_torchvisions_on_the_same_weights(name: str) -> None:
    theirs = published_network(name)
    ours = make_backbone(name).eval()
    ours.load_published(theirs.state_dict(), where=name)
    images = torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = ours(images)
    expected = maps_of(theirs, images, PUBLISHED[name])
    assert len(maps) == len(expected)
    for found, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, wanted.relu() if name == "alexnet" else wanted, rtol=1e-4, atol=1e-4)


def test_xception_maps_equal_timms_on_the_same_weights() -> None:
    theirs = timm.create_model("legacy_xception", pretrained=False).eval()
    randomize(theirs)
    ours = make_backbone("xception").eval()
    ours.load_published(theirs.state_dict(), where="xception")
    images = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = ours(images)
        _, expected = theirs.forward_intermediates(images)
    assert len(found) == len(expected)
    for ours_map, theirs_map in zip(found, expected, strict=True):
        torch.testing.assert_close(ours_map, theirs_map, rtol=1e-4, atol=1e-4)


SHARED_NAMES = sorted(name for name in BACKBONES if name in torchvision.models.list_models())


@pytest.mark.parametrize(
    "name", sorted(name for name in SHARED_NAMES if name.split("_")[-1] not in {"16gf", "32gf", "128gf"})
)
def test_every_parameter_and_buffer_has_torchvisions_name_and_shape(name: str) -> None:
    theirs = published_network(name).state_dict()
    with torch.device("meta"):
        ours = make_backbone(name).state_dict()
    features = {key: value for key, value in theirs.items() if key.split(".")[0] not in {"aux1", "aux2"}}
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in features.items()}


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        backbone = make_backbone(name)
        head: nn.Module = backbone.paper_head(1000, dropout=0.0) or nn.Linear(backbone.channels[-1], 1000)
    count = sum(parameter.numel() for network in (backbone, head) for parameter in network.parameters())
    assert count == next(iter(torchvision.models.get_model_weights(name))).meta["num_params"]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_goes_forward_and_backward_with_the_channels_it_states(name: str) -> None:
    torch.manual_seed(0)
    heavy = name.split("_")[-1] in {"8gf", "16gf", "32gf", "128gf"}
    channels, side = CHANNELS.get(name, 3), SMALLEST.get(name, 32)
    with torch.device("meta" if heavy else "cpu"):
        backbone = make_backbone(name)
        images = torch.rand(2, channels, 2 * side, side)
    maps = backbone(images)
    sum(each.float().mean() for each in maps).backward()
    assert tuple(each.shape[1] for each in maps) == backbone.channels
    assert len(backbone.strides) == len(maps)
    for parameter_name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert heavy or bool(parameter.grad.isfinite().all()), parameter_name


@pytest.mark.parametrize("name", sorted(BACKBONES.keys() - {"lenet5", "lenet5_common", "alexnet"}))
def test_exact_strides_hold_for_every_multiple_of_the_last(name: str) -> None:
    with torch.device("meta"):
        backbone = make_backbone(name).eval()
        assert backbone.exact_strides
        last = backbone.strides[-1]
        for height, width in ((2 * last, 3 * last), (7 * last, 5 * last), (13 * last, 20 * last)):
            maps = backbone(torch.empty(1, CHANNELS.get(name, 3), height, width))
            for each, stride in zip(maps, backbone.strides, strict=True):
                if backbone.padded or stride >= 8:
                    assert tuple(each.shape[2:]) == (height // stride, width // stride)


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("lenet5_common", 10, 156 + 2416 + 48_120 + 10_164 + 850),
        ("lenet5", 10, 156 + 12 + 1516 + 32 + 48_120 + 10_164 + 850),  # section II B; the last layer is ours
        ("nin", 10, 966_986),
        ("vgg16c", 1000, 138_357_544 - 8 * (256 * 256 + 2 * 512 * 512)),  # D with three 1 x 1: table 2 says 134 M
        ("xception", 1000, 22_855_952),
    ],
)
def test_parameter_counts_are_the_papers(name: str, classes: int, parameters: int) -> None:
    with torch.device("meta"):
        backbone = make_backbone(name)
        head: nn.Module = backbone.paper_head(classes, dropout=0.0) or nn.Linear(backbone.channels[-1], classes)
    assert sum(each.numel() for network in (backbone, head) for each in network.parameters()) == parameters


def test_the_googlenet_of_the_paper_convolves_five_by_five() -> None:
    with torch.device("meta"):
        backbone = GoogLeNet(wide_branch=True)
    kernels = {tuple(m.kernel_size) for m in backbone.inception4a.branch3.modules() if isinstance(m, nn.Conv2d)}
    assert kernels == {(1, 1), (5, 5)}


def test_regnet_stages_follow_the_quantised_linear_rule() -> None:
    # RegNetX-400MF in the paper's table: d = (1, 2, 7, 12), w = (32, 64, 160, 384 -> 400), g = 16
    assert Design(22, 24, 24.48, 2.54, 16).stages() == [(32, 1, 16), (64, 2, 16), (160, 7, 16), (400, 12, 16)]


def test_any_timm_network_can_be_a_backbone(tmp_path: Path) -> None:
    theirs = timm.create_model("resnet10t", pretrained=False).eval()
    file = tmp_path / "resnet10t.safetensors"
    save_file(theirs.state_dict(), file)
    ours = make_backbone("timm:resnet10t", pretrained=file).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = ours(images)
        torch.testing.assert_close(maps[-1], theirs.forward_features(images))
    assert tuple(each.shape[1] for each in maps) == ours.channels
    assert tuple(64 // each.shape[2] for each in maps) == ours.strides


def test_a_published_file_loads_by_path_without_unpickling(tmp_path: Path) -> None:
    theirs = published_network("resnet18")
    file = tmp_path / "resnet18.pth"
    torch.save(theirs.state_dict(), file)
    ours = make_backbone("resnet18", pretrained=file)
    assert torch.equal(ours.conv1.weight, theirs.conv1.weight)


def test_weights_of_another_network_are_refused_with_the_first_difference(tmp_path: Path) -> None:
    file = tmp_path / "resnet18.safetensors"
    save_file(make_backbone("resnet18").state_dict(), file)
    with pytest.raises(CheckpointError, match=r"resnet18\.safetensors: not weights of this ResNet: it lacks layer1\.2"):
        make_backbone("resnet34", pretrained=file)
    with pytest.raises(CheckpointError, match="it has the unknown"):
        make_backbone("resnet18", in_channels=3).load_published(
            {**make_backbone("resnet18").state_dict(), "layer9.weight": torch.zeros(1)}, where="x"
        )
    with pytest.raises(CheckpointError, match=r"conv1\.weight of shape \(64, 3, 7, 7\) where \(64, 1, 7, 7\)"):
        make_backbone("resnet18", in_channels=1, pretrained=file)


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(ConfigError, match=r"unknown name 'resnet19'.*resnet18"):
        make_backbone("resnet19")
    with pytest.raises(ConfigError, match="timm:nothing_like_it"):
        make_backbone("timm:nothing_like_it")
