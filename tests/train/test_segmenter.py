from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.train.running import run_training
from tracker.commands import train_segmentation as segmentation_command
from tracker.embedded import trainable_file
from tracker.errors import ConfigError
from tracker.nets.saved import save_network
from tracker.nets.segmenter import SegmentationConfig, SegmentationNet, load_segmentation
from tracker.segment.labeller import PixelLabeller
from tracker.train.data.segmentation import IGNORED, PixelLabels, load_pixel_labels
from tracker.train.segmenter import (
    SegmentationTraining,
    class_weights,
    fill_path,
    one_in,
    overlap_loss,
    score_segmentation,
    train_segmentation,
)
from tracker.train.trainer import FitConfig


def shapes(count: int, *, size: int = 48, seed: int = 0) -> PixelLabels:
    """Reddish squares (class 1) and bluish discs (class 2) on a noisy ground (class 0)."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, size, size, 3), np.uint8)
    labels = np.zeros((count, size, size), np.uint8)
    for image, label in zip(images, labels, strict=True):
        x, y = (int(each) for each in random.integers(4, size // 2 - 14, 2))
        cv2.rectangle(label, (x, y), (x + 14, y + 14), 1, -1)
        cv2.circle(label, (size - 12 - x // 2, size - 12 - y // 2), 8, 2, -1)
        image[label == 1, 0] += np.uint8(random.integers(120, 190))
        image[label == 2, 2] += np.uint8(random.integers(120, 190))
    return PixelLabels(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels, ())


def repeat(data: PixelLabels, times: int) -> PixelLabels:
    """The same images many times, so that few epochs make many steps."""
    return PixelLabels(np.concatenate([data.images] * times), np.concatenate([data.labels] * times), ())


@pytest.mark.parametrize(
    ("network", "bar", "times"),
    [
        (SegmentationConfig("unet", width=8, depth=3), 0.9, 30),
        (SegmentationConfig("fcn", backbone="regnet_y_400mf"), 0.7, 15),
    ],
    ids=["unet", "fcn"],
)
def test_eight_images_are_learned_by_heart(network: SegmentationConfig, bar: float, times: int, tmp_path: Path) -> None:
    data = shapes(8)
    config = SegmentationTraining(
        network=network, batch=4, fit=FitConfig(epochs=2, learning_rate=3e-3, average=0.8, device="cpu")
    )
    names = ("ground", "square", "disc")
    result = train_segmentation(config, names, repeat(data, times), data, tmp_path, report=lambda _: None)
    assert result.measures["mean_iou"] > bar
    labeller = PixelLabeller(result.best)
    assert labeller.labels == names
    assert labeller.size == (48, 48)
    predicted = labeller(np.ascontiguousarray(data.images[0].transpose(1, 2, 0)))
    assert (predicted == data.labels[0]).mean() > 0.9


@pytest.mark.shared
def test_a_u_net_learns_real_streets_by_heart(shared: Path, tmp_path: Path) -> None:
    whole = load_pixel_labels(shared / "data/camvid.tar", "val", classes=11, size=(48, 64), ignore=[11])
    data = PixelLabels(whole.images[::30], whole.labels[::30], ())
    config = SegmentationTraining(
        network=SegmentationConfig("unet", width=8, depth=3),
        batch=4,
        fit=FitConfig(epochs=2, learning_rate=5e-3, average=0.9, device="cpu"),
    )
    names = [str(number) for number in range(11)]
    result = train_segmentation(config, names, repeat(data, 50), data, tmp_path, report=lambda _: None)
    assert result.measures["pixel_accuracy"] > 0.85
    assert result.measures["mean_iou"] > 0.4


def test_the_saved_file_gives_the_figures_that_it_states(tmp_path: Path) -> None:
    data = shapes(4)
    config = SegmentationTraining(
        network=SegmentationConfig("unet", width=4, depth=2), fit=FitConfig(epochs=1, device="cpu")
    )
    result = train_segmentation(config, ("a", "b", "c"), data, data, tmp_path, report=lambda _: None)
    network, description = load_segmentation(result.best)
    score = score_segmentation(network, data, classes=3)
    assert description["accuracy"]["mean_iou"] == score.mean_iou
    assert description["image_size"] == [48, 48]


def test_rare_classes_weigh_more_absent_ones_nothing_and_the_mean_is_one() -> None:
    labels = np.zeros((1, 10, 10), np.uint8)
    labels[0, 0, :4] = 1
    labels[0, 9] = IGNORED
    data = PixelLabels(np.zeros((1, 3, 10, 10), np.uint8), labels, ())
    weights = class_weights(data, 3, 0.5)
    assert weights[1] / weights[0] == pytest.approx((86 / 4) ** 0.5, rel=1e-5)
    assert weights[2] == 0
    assert (weights * data.shares(3)).sum() == pytest.approx(1.0)
    np.testing.assert_allclose(class_weights(data, 2, 0.0), [1, 1], rtol=1e-6)


def test_a_u_net_takes_a_detectors_body_and_reports_it(tmp_path: Path) -> None:
    lines: list[str] = []
    config = SegmentationTraining(
        network=SegmentationConfig("unet", backbone="yolo26_nano", width=8),
        pretrained=trainable_file("sightline-small"),
        overlap=0.5,
        crop=32,
        fit=FitConfig(epochs=1, learning_rate=1e-6, device="cpu"),
    )
    result = train_segmentation(config, ("a", "b", "c"), shapes(4), shapes(2), tmp_path, report=lines.append)
    assert "80 tensors of the backbone yolo26_nano taken, batch norm folded in" in lines[0]
    network, description = load_segmentation(result.best)
    assert not network.config.norm
    assert network(torch.zeros(1, 3, 50, 70)).shape == (1, 3, 50, 70)
    assert set(result.measures) == {"score", "mean_iou", "class_accuracy", "pixel_accuracy"}
    assert description["network"]["backbone"] == "yolo26_nano"


@pytest.mark.parametrize(
    ("labels", "width", "says"),
    [
        (("a", "b", "c"), 8, "tensors behind the backbone taken"),
        (("a", "c", "b"), 8, "taken, those of its classes left out"),
        (("a", "b"), 8, "taken, those of its classes left out"),
        (("a", "b", "c"), 16, "are others than this network's, and begin fresh"),
    ],
)
def test_a_segmentation_network_gives_all_that_fits(
    labels: tuple[str, ...], width: int, says: str, tmp_path: Path
) -> None:
    config = SegmentationConfig("unet", backbone="resnet18", width=8, classes=3)
    other = SegmentationNet(config)
    path = tmp_path / "other.safetensors"
    description = {"network": asdict(config), "labels": ["a", "b", "c"], "image_size": [64, 64]}
    save_network(path, other, kind="segmentation", description=description)
    network = SegmentationNet(replace(config, width=width, classes=len(labels)))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert says in fill_path(network, path, labels)
    given = other.state_dict()
    for key, value in network.state_dict().items():
        own = key.startswith("network.backbone.") or width != 8
        own |= "classify" in key and labels != ("a", "b", "c")
        assert torch.equal(value, before[key] if own else given[key]), key


def test_a_u_net_without_a_backbone_refuses_weights_for_one() -> None:
    with pytest.raises(ConfigError, match="this U-Net has no backbone to fill; name one by --backbone"):
        train_segmentation(
            SegmentationTraining(pretrained=trainable_file("sightline-nano")),
            "ab",
            shapes(1),
            None,
            Path("x"),
            report=lambda _: None,
        )


def test_an_fcn_without_a_backbone_and_a_u_net_on_unfit_maps_are_refused() -> None:
    with pytest.raises(ConfigError, match="an FCN needs one"):
        SegmentationNet(SegmentationConfig("fcn"))
    with pytest.raises(ConfigError, match="a U-Net needs a backbone with maps at strides 4, 8"):
        SegmentationNet(SegmentationConfig("unet", backbone="lenet5"))


def test_valid_convolutions_are_trained_on_the_centre_of_the_labels(tmp_path: Path) -> None:
    data = shapes(4, size=76)
    config = SegmentationTraining(
        network=SegmentationConfig("unet", width=4, depth=2, padded=False), fit=FitConfig(epochs=1, device="cpu")
    )
    result = train_segmentation(config, ("a", "b", "c"), data, data, tmp_path, report=lambda _: None)
    assert result.measures["mean_iou"] > 0
    network, _ = load_segmentation(result.best)
    assert network(torch.zeros(1, 3, 76, 76)).shape[2:] == (36, 36)


def test_the_overlap_loss_is_one_minus_the_iou_of_certain_answers() -> None:
    labels = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, IGNORED]]])
    answers = torch.tensor([[[0, 0, 0, 1], [0, 0, 1, 0]]])
    logits = 100 * torch.nn.functional.one_hot(answers, 3).permute(0, 3, 1, 2).float()
    expected = 1 - (4 / 5 + 2 / 3) / 2  # class 2 does not occur, the ignored pixel counts for nobody
    assert float(overlap_loss(logits, labels)) == pytest.approx(expected, abs=1e-4)


def test_the_command_trains_on_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / part / kind).mkdir(parents=True)
        for number, (image, label) in enumerate(zip(shapes(2).images, shapes(2).labels, strict=True)):
            cv2.imwrite(str(tmp_path / part / "images" / f"{number}.png"), image.transpose(1, 2, 0))
            cv2.imwrite(str(tmp_path / part / "labels" / f"{number}.png"), label)
    options = ["--data", str(tmp_path), "--names", "ground,square,disc", "--image-size", "32x24", "--width", "2"]
    options += ["--epochs", "1", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert run_training(segmentation_command, "segmentation", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 images to train on, 2 to judge by, 0 pairs skipped"
    assert "mean IoU" in lines[-1]
    network, description = load_segmentation(tmp_path / "run/best.safetensors")
    assert description["image_size"] == [24, 32]
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 24, 32)).shape == (1, 3, 24, 32)


@pytest.mark.parametrize("text", ["480", "480x", "0x3", "axb"])
def test_a_wrong_image_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--image-size"):
        segmentation_command.image_size(text)


def test_a_network_learns_by_scores_of_its_own_stride_at_every_phase_of_the_labels() -> None:
    network = SegmentationNet(SegmentationConfig("unet", classes=3, backbone="yolo26_nano", width=8)).eval()
    images = torch.rand(1, 3, 45, 71)
    with torch.inference_mode():
        own, whole = network.own_scores(images), network(images)
    assert (network.finest, own.shape, whole.shape) == (2, (1, 3, 22, 35), (1, 3, 45, 71))
    torch.testing.assert_close(whole[..., 10, 10], (own[..., 4:6, 4:6] * _bilinear(0.25, 0.75)).sum(dim=(2, 3)))
    labels = torch.arange(45 * 71).view(1, 45, 71)
    found = torch.cat([one_in(labels, 2) for _ in range(60)])
    assert found.shape == (60, 22, 35)
    assert set(found[:, 0, 0].tolist()) == {0, 1, 71, 72}
    assert (found[:, 1, 1] - found[:, 0, 0] == 144).all()


def _bilinear(near: float, far: float) -> torch.Tensor:
    weights = torch.tensor([near, far])
    return torch.outer(weights, weights)
