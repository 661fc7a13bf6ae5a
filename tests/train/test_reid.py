from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.archives import unpack
from tests.train.data.test_identity_crops import walk  # noqa: F401 (a fixture)
from tests.train.running import run_training
from tracker.commands import train_reid as reid_command
from tracker.errors import CheckpointError, ConfigError
from tracker.nets.reid import ReidConfig, load_reid, make_reid
from tracker.nets.saved import save_network
from tracker.train.data.identity_crops import Crops, cut_crops
from tracker.train.reid import (
    ReidTraining,
    batch_hard_triplet_loss,
    describe_crops,
    score_reid,
    teacher_loss,
    train_reid,
)
from tracker.train.trainer import FitConfig


def clothes(people: int, crops: int, *, seed: int = 0) -> Crops:
    """Crops of people told apart by the colours of their upper and lower half."""
    random = np.random.default_rng(seed)
    colours = random.integers(40, 215, (people, 2, 3))
    ids = np.repeat(np.arange(people), crops)
    images = np.empty((len(ids), 3, 32, 16), np.uint8)
    for image, identity in zip(images, ids, strict=True):
        upper, lower = colours[identity] + random.integers(-25, 25, (2, 3))
        image[:, :16], image[:, 16:] = upper[:, None, None].clip(0, 255), lower[:, None, None].clip(0, 255)
        image[:] = np.clip(image + random.normal(0, 12, image.shape), 0, 255)
    return Crops(images, ids, np.tile(np.arange(crops), people))


def test_the_triplet_loss_is_that_of_its_definition() -> None:
    vectors = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    ids = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
    unit = functional.normalize(vectors, dim=1)
    total = 0.0
    for anchor in range(12):
        positives = [(unit[anchor] - unit[i]).norm() for i in range(12) if ids[i] == ids[anchor] and i != anchor]
        negatives = [(unit[anchor] - unit[i]).norm() for i in range(12) if ids[i] != ids[anchor]]
        if positives:
            total += max(0.0, float((0.3 + max(positives) - min(negatives)).detach()))
    loss = batch_hard_triplet_loss(vectors, ids, margin=0.3)
    assert float(loss.detach()) == pytest.approx(total / 12, abs=1e-5)
    loss.backward()
    assert vectors.grad is not None
    assert bool(vectors.grad.isfinite().all())


def test_equal_vectors_give_a_finite_gradient() -> None:
    vectors = torch.ones(4, 3, requires_grad=True)
    loss = batch_hard_triplet_loss(vectors, torch.tensor([0, 0, 1, 1]), margin=0.2)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.2, abs=1e-4)
    assert vectors.grad is not None
    assert bool(vectors.grad.isfinite().all())


def test_people_never_seen_in_training_are_found_again(tmp_path: Path) -> None:
    config = ReidTraining(
        network=ReidConfig(dimensions=32, height=32, width=16),
        people=8,
        crops=4,
        fit=FitConfig(epochs=3, learning_rate=3e-3, average=0.9, device="cpu"),
    )
    strangers = clothes(6, 5, seed=9)
    result = train_reid(config, clothes(20, 20), strangers, tmp_path, report=lambda _: None)
    network = load_reid(result.best)
    score = score_reid(network, strangers)
    assert score.rank1 > 0.9
    assert score.mean_average_precision > 0.8
    assert score.mean_average_precision == pytest.approx(result.measures["map"])
    assert network.config.identities == 20


def test_people_seen_once_cannot_be_judged_by_and_the_last_epoch_is_kept(tmp_path: Path) -> None:
    config = ReidTraining(
        network=ReidConfig(dimensions=8, height=32, width=16),
        people=2,
        crops=2,
        fit=FitConfig(epochs=1, device="cpu"),
    )
    result = train_reid(config, clothes(3, 2), clothes(2, 1, seed=9), tmp_path, report=lambda _: None)
    assert load_reid(result.best).config.identities == 3
    assert not result.measures


def test_a_network_to_start_from_must_fit(tmp_path: Path) -> None:
    other = make_reid(ReidConfig(backbone="osnet_x0_5", dimensions=32))
    save_network(
        tmp_path / "x.safetensors",
        other,
        kind="reid",
        description={"network": {"backbone": "osnet_x0_5", "dimensions": 32}},
    )
    with pytest.raises(CheckpointError, match=r"x\.safetensors: does not fit this network"):
        train_reid(
            ReidTraining(pretrained=tmp_path / "x.safetensors"), clothes(3, 2), None, tmp_path, report=lambda _: None
        )


def test_a_teacher_is_learned_from_by_the_cosine_of_those_it_was_asked_about() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], requires_grad=True)
    taught = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    loss = teacher_loss(vectors, taught)
    assert float(loss.detach()) == pytest.approx(0.5)
    loss.backward()
    assert vectors.grad is not None
    assert not vectors.grad[2].any()
    assert float(teacher_loss(vectors, torch.zeros(3, 2)).detach()) == 0


def test_a_network_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    crops = clothes(30, 4)
    colours = crops.images.reshape(120, 3, 2, -1).mean(axis=3).reshape(120, 6).astype(np.float32) - 128
    config = ReidTraining(
        network=ReidConfig(dimensions=6, height=32, width=16, layout="openvino"),
        people=8,
        crops=2,
        identity_weight=0,
        triplet_weight=0,
        fit=FitConfig(epochs=8, learning_rate=3e-3, average=0.9, device="cpu"),
    )
    result = train_reid(config, replace(crops, taught=colours), None, tmp_path, report=lambda _: None)
    found = describe_crops(load_reid(result.best), crops)
    wanted = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    strangers = np.roll(wanted, 4, axis=0)
    assert (found * wanted).sum(axis=1).mean() > (found * strangers).sum(axis=1).mean() + 0.2
    with pytest.raises(ConfigError, match="--dimensions 6"):
        train_reid(replace(config, network=ReidConfig()), replace(crops, taught=colours), None, tmp_path, report=print)


def test_one_identity_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least two identities"):
        train_reid(ReidTraining(), clothes(1, 3), None, tmp_path, report=lambda _: None)


def run(*arguments: str) -> int:
    return run_training(reid_command, "reid", *arguments)


def test_the_command_cuts_crops_along_tracks_and_trains(
    walk: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--data", f"{walk / 'frames'}={walk / 'gt/gt.txt'}", "--every", "1", "--height", "32", "--width", "16"]
    options += ["--people", "2", "--crops", "2", "--epochs", "1", "--out", str(walk / "run"), "--device", "cpu"]
    assert run(*options, "--validation-share", "0.34") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "16 crops of 2 to train on, 8 of 1 others to judge by"
    assert "rank-1" in lines[-1]
    assert load_reid(walk / "run/best.safetensors").config.height == 32
    with pytest.raises(ConfigError, match="expected VIDEO=TRACKS"):
        run("--data", "video.mp4")


@pytest.mark.shared
def test_a_published_network_finds_people_of_a_real_video_again(shared: Path, tmp_path: Path) -> None:
    wanted = ("PETS09-S2L1/gt/gt.txt", "PETS09-S2L1/seqinfo.ini")
    unpack(shared / "data/tracking/mot.tar.xz", tmp_path, lambda name: name.endswith(wanted))
    (ground_truth,) = tmp_path.rglob("gt.txt")
    crops = cut_crops(shared / "data/video/vtest.avi", ground_truth, size=(256, 128), every=25)
    assert len(set(crops.ids.tolist())) > 15
    trained = score_reid(load_reid(shared / "data/pretrained/osnet_x0_25_msmt17.pt"), crops)
    torch.manual_seed(0)
    fresh = score_reid(make_reid(ReidConfig()).eval(), crops)
    assert trained.mean_average_precision > fresh.mean_average_precision + 0.1
    assert trained.rank1 > fresh.rank1
