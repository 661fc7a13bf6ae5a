from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from tracker.errors import CheckpointError, ConfigError
from tracker.nets.reid import ReidConfig, load_reid, make_reid
from tracker.nets.saved import save_network


@pytest.mark.shared
def test_torchreids_weights_give_torchreids_vectors(shared: Path) -> None:
    network = load_reid(shared / "data/pretrained/osnet_x0_25_msmt17.pt")
    ramp = torch.linspace(0, 1, 128).expand(1, 3, 256, 128)
    with torch.no_grad():
        (vector,) = network(ramp)
    values, places = vector.topk(6)
    # what torchreid 0.2.5 itself gives
    assert places.tolist() == [340, 411, 173, 372, 386, 416]
    torch.testing.assert_close(
        values, torch.tensor([4.3885, 4.2163, 3.9407, 3.8691, 3.6672, 3.6314]), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize(
    ("backbone", "millions"), [("osnet_x1_0", 2.2), ("osnet_x0_75", 1.3), ("osnet_x0_5", 0.6), ("osnet_x0_25", 0.2)]
)
def test_omni_scale_networks_are_as_large_as_in_the_paper(backbone: str, millions: float) -> None:
    network = make_reid(ReidConfig(backbone=backbone))
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "resnet18", "cspdarknet_nano"])
def test_vectors_flow_forward_and_backward(backbone: str) -> None:
    network = make_reid(ReidConfig(backbone=backbone, identities=7, dimensions=32))
    vectors = network(torch.rand(3, 3, 64, 32))
    assert vectors.shape == (3, 32)
    logits = network.classifier(vectors)
    assert logits.shape == (3, 7)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_saved_network_is_the_same_network(tmp_path: Path) -> None:
    config = ReidConfig(identities=4, dimensions=16, height=64, width=32)
    network = make_reid(config).eval()
    path = tmp_path / "people.safetensors"
    save_network(path, network, kind="reid", description={"network": asdict(config)})
    loaded = load_reid(path)
    crops = torch.rand(2, 3, 64, 32)
    assert torch.equal(loaded(crops), network(crops))
    assert loaded.config == config


@pytest.mark.shared
def test_every_weight_of_a_published_file_is_used(shared: Path) -> None:
    path = shared / "data/pretrained/osnet_x0_25_msmt17.pt"
    published = torch.load(path, weights_only=True)
    ours = load_reid(path).state_dict()
    used = {name for name in published if not name.startswith("classifier.")}
    assert ours.keys() == used
    assert all(torch.equal(ours[name], published[name]) for name in used)


@pytest.mark.parametrize("change", ["one missing", "one foreign", "another shape"])
def test_an_osnet_file_with_one_thing_wrong_is_refused(tmp_path: Path, change: str) -> None:
    state = make_reid(ReidConfig()).state_dict()
    name = "conv4.1.conv3.bn.weight"
    value = state.pop(name)
    if change == "one foreign":
        state |= {name: value, "conv4.1.conv9.weight": value}
    elif change == "another shape":
        state[name] = value[1:].clone()
    path = tmp_path / "osnet.pt"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"osnet\.pt: an OSNet's stem, but the rest does not fit osnet_x0_25"):
        load_reid(path)


def test_a_state_dict_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(CheckpointError, match=r"other\.pt: not an OSNet state dict"):
        load_reid(path)


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"conv1.conv.weight": Path}, path)
    with pytest.raises(CheckpointError, match=r"not a state dict of tensors.*could run code"):
        load_reid(path)


def test_an_unknown_width_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown name 'osnet_x2'.*osnet_x0_25"):
        make_reid(ReidConfig(backbone="osnet_x2"))
