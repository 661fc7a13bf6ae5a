"""Settings of trainings: --config < what is typed < --set, refused with the nearest name, printed by one command."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.train.test_classifier import stripes
from tests.train.test_segmenter import shapes
from tracker.cli import main
from tracker.commands import train_classifier, train_reid, train_segmentation
from tracker.commands.config import TRAININGS
from tracker.commands.train_options import training_settings
from tracker.config import build
from tracker.errors import ConfigError
from tracker.nets.classifier import load_classifier
from tracker.nets.segmenter import load_segmentation

COMMANDS = {"classifier": train_classifier, "segmentation": train_segmentation, "reid": train_reid}


def settings(kind: str, *arguments: str) -> object:
    command = COMMANDS[kind]
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    needed = {"segmentation": ["--data", "d", "--names", "a"], "classifier": ["--data", "d"], "reid": []}[kind]
    options = parser.parse_args([kind, *needed, *arguments])
    return training_settings(options, command.DEFAULTS, command.KEYS)


@pytest.mark.parametrize("kind", COMMANDS)
def test_nothing_typed_gives_the_defaults_of_the_command(kind: str) -> None:
    assert settings(kind) == COMMANDS[kind].DEFAULTS


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_file_gives_way_to_what_is_typed_and_all_to_set(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[fit]\nepochs = 3\nweight_decay = 0.5\npatience = 2\n[network]\nbackbone = 'resnet34'\n")
    config = settings(kind, "--config", str(file), "--epochs", "4", "--patience", "5", "--set", "fit.patience=6")
    assert (config.fit.epochs, config.fit.weight_decay, config.fit.patience) == (4, 0.5, 6)
    assert config.network.backbone == "resnet34"


@pytest.mark.parametrize("kind", COMMANDS)
def test_unknown_settings_are_refused_with_the_nearest_name(kind: str) -> None:
    with pytest.raises(ConfigError, match="unknown setting 'weight_decey'; did you mean 'weight_decay'"):
        settings(kind, "--set", "fit.weight_decey=1")


@pytest.mark.parametrize(
    ("kind", "assignment", "message"),
    [
        ("classifier", "network.dropout=2", "dropout must be from 0 to below 1, found 2.0"),
        ("classifier", "batch=0", "batch must be 1 or more, found 0"),
        ("segmentation", "network.width=0", "width must be 1 or more, found 0"),
        ("segmentation", "crop=-1", "crop must be 0 or more, found -1"),
    ],
)
def test_values_that_make_no_sense_are_one_line(kind: str, assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(kind, "--set", assignment)


@pytest.mark.parametrize("kind", TRAININGS)
def test_what_config_prints_is_taken_again(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--of", kind]) == 0
    text = capsys.readouterr().out
    assert "# Stop after this many" in text
    if kind in COMMANDS:
        defaults = COMMANDS[kind].DEFAULTS
        assert build(type(defaults), tomllib.loads(text), "printed") == defaults


def test_a_classifier_without_norm_and_shortcuts_leaves_plots(tmp_path: Path) -> None:
    for name, data in (("train", stripes(24, size=32)), ("val", stripes(12, size=32, seed=1))):
        np.savez(tmp_path / f"{name}.npz", images=data.images[:, 0], labels=data.labels)
    options = [
        "--data",
        str(tmp_path / "train.npz"),
        "--val",
        str(tmp_path / "val.npz"),
        "--out",
        str(tmp_path / "run"),
    ]
    options += ["--set", "network.norm=false", "--set", "network.residual=false", "--epochs", "1", "--device", "cpu"]
    assert main(["train", "classifier", *options]) == 0
    network, _ = load_classifier(tmp_path / "run/best.safetensors")
    assert not network.config.norm
    assert not network.config.residual
    for name in ("results.png", "confusion.png"):
        image = cv2.imread(str(tmp_path / "run" / name))
        assert image is not None
        assert image.std() > 5


def test_the_training_s_ignored_labels_are_passed_over_when_it_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shapes(3)
    labels = data.labels.copy()
    labels[:, :6] = 9
    for part in ("train", "val"):
        for kind, images in (("images", data.images), ("labels", labels)):
            (tmp_path / part / kind).mkdir(parents=True)
            for number, image in enumerate(images):
                pixels = image.transpose(1, 2, 0) if kind == "images" else image
                cv2.imwrite(str(tmp_path / part / kind / f"{number}.png"), pixels)
    common = ["--data", str(tmp_path)]
    options = ["--names", "ground,square,disc", "--ignore", "9", "--image-size", "48x48", "--width", "2"]
    options += ["--epochs", "1", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main(["train", "segmentation", *common, *options]) == 0
    model = tmp_path / "run/best.safetensors"
    assert load_segmentation(model)[1]["ignore"] == [9]
    capsys.readouterr()
    assert main(["evaluate", "segmentation", *common, "--model", str(model)]) == 0
    assert "class-average accuracy" in capsys.readouterr().out
    assert main(["evaluate", "segmentation", *common, "--model", str(model), "--ignore", ""]) == 2
    assert "has label 9, there are 3 classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            ["--image-size", "24x24", "--no-padded"],
            "images of 24 x 24 are smaller than what this network's convolutions",
        ),
        (
            ["--pretrained", "sightline-anchors", "--backbone", "resnet18"],
            "holds a backbone cspdarknet_nano, not resnet18",
        ),
        (["--backbone", "lenet5"], "a U-Net needs a backbone with maps at strides 4, 8"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    extra: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shapes(1)
    for part in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / part / kind).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / part / "images/a.png"), data.images[0].transpose(1, 2, 0))
        cv2.imwrite(str(tmp_path / part / "labels/a.png"), data.labels[0])
    options = ["--data", str(tmp_path), "--names", "ground,square,disc", "--out", str(tmp_path / "run")]
    assert main(["train", "segmentation", *options, *extra]) == 2
    output = capsys.readouterr().err.splitlines()
    assert len(output) == 1
    assert message in output[0]


def test_the_recipe_of_the_embedded_segmentation_network_is_understood() -> None:
    recipe = Path(__file__).parents[2] / "weights/semantic/recipe.toml"
    config = settings("segmentation", "--config", str(recipe))
    assert (config.network.backbone, config.network.width, config.ignore) == ("yolo26_nano", 48, (11,))
