from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy import ndarray

from tests.train.running import run_training
from tracker.commands import train_classifier as classifier_command
from tracker.embedded import trainable_file
from tracker.errors import ConfigError
from tracker.nets.classifier import ClassifierConfig, classify, load_classifier
from tracker.train.classifier import ClassifierTraining, train_classifier
from tracker.train.data.classification import LabelledImages
from tracker.train.trainer import FitConfig


def stripes(count: int, *, size: int = 28, seed: int = 0) -> LabelledImages:
    """Images with a bright bar: upright is class 0, lying is class 1."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, 1, size, size), np.uint8)
    labels = random.integers(0, 2, count)
    for image, label in zip(images, labels, strict=True):
        place = random.integers(4, size - 6)
        if label == 0:
            image[:, :, place : place + 3] = 220
        else:
            image[:, place : place + 3, :] = 220
    return LabelledImages(images, labels.astype(np.int64), ("upright", "lying"))


def error(network_path: Path, data: LabelledImages) -> float:
    network, _ = load_classifier(network_path)
    predicted: ndarray = classify(network, data.images).argmax(axis=1)
    return float((predicted != data.labels).mean())


def test_lenet_learns_what_it_is_shown_and_its_file_gives_the_labels(tmp_path: Path) -> None:
    config = ClassifierTraining(
        network=ClassifierConfig(backbone="lenet5"),
        batch=32,
        fit=FitConfig(epochs=6, learning_rate=5e-3, average=0.9, device="cpu"),
    )
    result = train_classifier(config, stripes(256), stripes(64, seed=1), tmp_path, report=lambda _: None)
    assert error(result.best, stripes(100, seed=2)) < 0.05
    _, description = load_classifier(result.best)
    assert description["labels"] == ["upright", "lying"]
    assert description["image_size"] == 28
    assert description["accuracy"]["error"] == result.measures["error"]


def test_a_run_of_few_steps_keeps_what_it_learned(tmp_path: Path) -> None:
    config = ClassifierTraining(
        network=ClassifierConfig(backbone="lenet5"), fit=FitConfig(epochs=30, learning_rate=5e-3, device="cpu")
    )
    result = train_classifier(config, stripes(256), stripes(64, seed=1), tmp_path, report=lambda _: None)
    assert error(result.best, stripes(100, seed=2)) < 0.05  # of 60 steps; 0.5 where the average keeps its beginning


def test_validation_data_with_other_classes_is_refused(tmp_path: Path) -> None:
    other = LabelledImages(np.zeros((2, 1, 28, 28), np.uint8), np.zeros(2, np.int64), ("cat",))
    with pytest.raises(ConfigError, match="validation data has classes cat, training data upright, lying"):
        train_classifier(ClassifierTraining(), stripes(8), other, tmp_path, report=lambda _: None)


def run(*arguments: str) -> int:
    return run_training(classifier_command, "classifier", *arguments)


def test_images_to_judge_by_take_the_form_of_those_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val = stripes(96), stripes(40, seed=1)
    np.savez(tmp_path / "train.npz", images=train.images[:, 0], labels=train.labels, names=train.names)
    colour = val.images[:, 0, :, :, None].repeat(2, axis=1).repeat(2, axis=2).repeat(3, axis=3)
    np.savez(tmp_path / "val.npz", images=colour, labels=1 - val.labels, names=val.names[::-1])
    data, other, out = (str(tmp_path / name) for name in ("train.npz", "val.npz", "run"))
    options = ["--backbone", "lenet5", "--learning-rate", "0.005", "--epochs", "15", "--batch", "16"]
    assert run("--data", data, "--val", other, "--out", out, *options, "--augment", "none", "--device", "cpu") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert float(line.split("validation error ")[1].split()[0]) < 10


def test_too_few_images_to_set_some_aside_are_trained_on_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = stripes(6)
    np.savez(tmp_path / "few.npz", images=data.images[:, 0], labels=data.labels)
    options = ["--data", str(tmp_path / "few.npz"), "--out", str(tmp_path / "run"), "--epochs", "2"]
    assert run(*options, "--backbone", "lenet5", "--device", "cpu") == 0
    assert "nothing to judge by; give --val" in capsys.readouterr().out


def test_the_command_trains_gives_progress_and_measures_on_test_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in (("train", stripes(160)), ("test", stripes(50, seed=3))):
        np.savez(tmp_path / f"{name}.npz", images=data.images[:, 0], labels=data.labels)
    data, test, out = (str(tmp_path / name) for name in ("train.npz", "test.npz", "run"))
    options = ["--backbone", "lenet5", "--data", data, "--test", test, "--out", out, "--epochs", "2", "--batch", "32"]
    assert run(*options, "--augment", "none", "--device", "cpu") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("160 images of 2 classes")
    assert lines[1].startswith("epoch 1/2")
    assert "test error" in lines[-1]
    assert run(*options, "--augment", "none", "--device", "cpu", "--resume") == 0
    assert not any(line.startswith("epoch") for line in capsys.readouterr().out.splitlines())


@pytest.mark.slow
@pytest.mark.shared
def test_lenet_reaches_the_papers_error_on_mnist(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, test = (str(shared / f"data/mnist-{part}.npz") for part in ("train", "test"))
    assert run("--backbone", "lenet5", "--data", data, "--test", test, "--out", str(tmp_path)) == 0
    found = capsys.readouterr().out.splitlines()[-1]
    assert float(found.split()[2]) < 1.0, found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "0"], r"batch must be 1 or more, found 0"),
        (["--image-size", "0"], r"--image-size 0: must be from 1 to 8192"),
        (["--epochs", "0"], r"epochs must be 1 or more"),
        (["--freeze", "-1"], r"freeze must be from 0"),
        (["--backbone", "alexnet"], r"images of 28 x 28 do not fit 'alexnet'.*another --image-size"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_training(
    tmp_path: Path, options: list[str], message: str
) -> None:
    data = stripes(8)
    np.savez(tmp_path / "data.npz", images=data.images[:, 0], labels=data.labels)
    usual = ["--backbone", "lenet5", "--data", str(tmp_path / "data.npz"), "--out", str(tmp_path / "run")]
    with pytest.raises(ConfigError, match=message):
        run(*usual, "--device", "cpu", *options)
    assert not (tmp_path / "run").exists()


def test_the_embedded_detector_starts_a_classifier_of_grey_images(tmp_path: Path) -> None:
    lines: list[str] = []
    config = ClassifierTraining(
        network=ClassifierConfig(backbone="cspdarknet_nano"),
        pretrained=trainable_file("sightline-anchors"),
        batch=32,
        fit=FitConfig(epochs=1, learning_rate=1e-6, device="cpu"),
    )
    result = train_classifier(config, stripes(32, size=32), stripes(8, size=32), tmp_path, report=lines.append)
    assert "tensors of the backbone cspdarknet_nano taken, batch norm folded in" in lines[0]
    network, _ = load_classifier(result.best)
    assert not network.config.norm

    again = replace(config, pretrained=result.best)  # a classifier of ours starts the next one
    train_classifier(again, stripes(32, size=32), stripes(8, size=32), tmp_path / "again", report=lines.append)
    assert any(str(result.best) in line and "tensors of the backbone" in line for line in lines)
