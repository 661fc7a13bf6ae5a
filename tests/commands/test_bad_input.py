"""What cannot work is refused in one clear line, whatever it is: settings, sizes, labels, layers, processes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.commands.refusals import refusal
from tests.test_classify import write_classifier
from tracker.cli import main
from tracker.errors import ConfigError
from tracker.train.detector import train_detector
from tracker.train.detector_config import TrainConfig
from tracker.train.run_folder import LOCK_FILE, RunFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images of each kind of data, good and bad, and a classifier."""
    folder = tmp_path_factory.mktemp("bad")
    rng = np.random.default_rng(0)
    np.savez(folder / "grey.npz", images=rng.integers(0, 255, (8, 28, 28), np.uint8), labels=np.arange(8) % 2)
    np.savez(folder / "colour.npz", images=rng.integers(0, 255, (8, 32, 32, 3), np.uint8), labels=np.arange(8) % 2)
    np.savez(folder / "beyond.npz", images=np.zeros((2, 28, 28), np.uint8), labels=np.array([0, 3]), names=["a", "b"])
    for name, highest, side in (("good", 2, 48), ("strange", 7, 48), ("other-size", 2, 40)):
        for part in ("train", "val"):
            for kind in ("images", "labels"):
                (folder / name / part / kind).mkdir(parents=True)
            image = rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / name / part / "images" / "a.png"), image)
            labels = np.zeros((side, side), np.uint8)
            labels[5:20] = highest
            cv2.imwrite(str(folder / name / part / "labels" / "a.png"), labels)
    write_classifier(folder / "classifier.safetensors")
    cv2.imwrite(str(folder / "small.png"), rng.integers(0, 255, (20, 24, 3), dtype=np.uint8))
    return folder


SEGMENTS = "train segmentation --names a,b,c --image-size 48x48 --device cpu --out {out} --data {folder}"
CLASSIFIES = "train classifier --device cpu --epochs 1 --out {out} --data {folder}"
JUDGES = "evaluate detector --data {folder}/none.yaml"
CASES = {
    "a size between the steps": (f"{JUDGES} --imgsz 333", "imgsz must be a multiple of 32, found 333; try 320"),
    "no size": (f"{JUDGES} --imgsz 0", "imgsz must be a multiple of 32, found 0; try 32"),
    "a size that no memory holds": (f"{JUDGES} --imgsz 100000", "imgsz goes up to 8192 pixels, found 100000"),
    "a size too large to detect at": ("detect {folder}/small.png --imgsz 100000", "imgsz goes up to 8192 pixels"),
    "a size too large to track at": ("track {folder}/small.png --imgsz 100000", "imgsz goes up to 8192 pixels"),
    "a size too large to annotate at": (
        "annotate {folder}/small.png --out {out} --imgsz 100000",
        "imgsz goes up to 8192 pixels",
    ),
    "a size too large to train at": (
        "train detector --data {folder}/none.yaml --imgsz 100000",
        "input_size goes up to 8192 pixels, found 100000",
    ),
    "a size too large to be taught at": (
        "train detector --data {folder}/none.yaml --set teaching.size=100000",
        "teaching.size goes up to 8192 pixels, found 100000",
    ),
    "images too large to classify": (f"{CLASSIFIES}/colour.npz --image-size 100000", "must be from 1 to 8192"),
    "pixels too many to label": (
        "train segmentation --names a --image-size 100000x5 --data {folder}/good",
        "expected sides from 1 to 8192",
    ),
    "images too large to localize": (
        "train localizer --data {folder}/none.yaml --image-size 100000",
        "image_size goes up to 8192 pixels",
    ),
    "a summary of too many pixels": ("summary {folder}/classifier.safetensors --imgsz 100000", "up to 8192"),
    **{
        f"a seed below nothing for a {kind}": (
            f"train {kind} {more} --out {{out}} --seed -1",
            "seed must be from 0 to 4294967295, found -1",
        )
        for kind, more in {
            "detector": "--data {folder}/none.yaml",
            "classifier": "--data {folder}/grey.npz",
            "localizer": "--data {folder}/none.yaml",
            "segmentation": "--names a --data {folder}/good",
            "reid": "--images {folder}/none.yaml",
        }.items()
    },
    "a seed too large": ("train reid --images none.yaml --seed 4294967296", "seed must be from 0 to 4294967295"),
    "no images to judge ways by": (
        "evaluate rcnn --model none.safetensors --data {folder}/none.yaml --images 0",
        "--images 0: must be 1 or more; leave it out for all",
    ),
    **{
        f"{key}={value} for a {kind}": (f"train {kind} {more} --out {{out}} --set {key}={value}", message)
        for kind, more, key, value, message in (
            ("detector", "--data {folder}/none.yaml", "augment.mosaic", 3, "mosaic must be from 0 to 1, found 3.0"),
            ("detector", "--data {folder}/none.yaml", "augment.flip", -0.1, "flip must be from 0 to 1, found -0.1"),
            ("detector", "--data {folder}/none.yaml", "augment.zoom", 0.5, "zoom must be 1 or more, found 0.5"),
            ("detector", "--data {folder}/none.yaml", "losses.mask", -1, "mask must be 0 or more, found -1.0"),
            ("detector", "--data {folder}/none.yaml", "losses.answers", 0, "answers must be 1 or more, found 0"),
            ("detector", "--data {folder}/none.yaml", "teaching.believe", 2, "believe must be from 0 to 1, found 2.0"),
            ("detector", "--data {folder}/none.yaml", "teaching.fusion.overlap", 2, "overlap must be from 0 to 1"),
            ("classifier", "--data {folder}/grey.npz", "augment.shift", 2, "shift must be from 0 to 1, found 2.0"),
            ("classifier", "--data {folder}/grey.npz", "augment.coarse", 0, "coarse must be above 0, up to 1"),
            ("reid", "--images {folder}/none.yaml", "label_smoothing", 2, "label_smoothing must be from 0 to 1"),
            ("reid", "--images {folder}/none.yaml", "people", 0, "people must be 1 or more, found 0"),
        )
    },
    "an overlap above all": (f"{JUDGES} --iou 2", "iou must be from 0 to 1, found 2.0"),
    "an overlap that is no number": (f"{JUDGES} --iou nan", "iou: expected a number, found nan"),
    "an overlap below nothing": (f"{JUDGES} --iou -1", "iou must be from 0 to 1, found -1.0"),
    "a device that is not there": (f"{JUDGES} --device cud", "device 'cud': no such device; use auto, cpu, cuda"),
    "fewer threads than one": (f"{JUDGES} --threads -3", "--threads -3: must be 1 or more"),
    "a device that does not classify": (
        "classify {folder}/small.png --model {folder}/classifier.safetensors --device cud",
        "device 'cud': no such device",
    ),
    "a device that does not segment": ("segment {folder}/small.png --device cud", "device 'cud': no such device"),
    "a score above all": (
        "explain {folder}/small.png --model sightline-nano --conf 2 --out {out}",
        "conf must be from 0 to 1, found 2.0",
    ),
    "dropout": (f"{CLASSIFIES}/grey.npz --dropout 2", "dropout must be from 0 to below 1, found 2.0"),
    "a batch of one": (
        f"{CLASSIFIES}/colour.npz --backbone resnet18 --batch 1",
        "a batch of one image has nothing to normalise over where maps are one pixel; give a larger --batch",
    ),
    "a transformer at 32 pixels": (
        f"{CLASSIFIES}/colour.npz --backbone timm:vit_tiny_patch16_224",
        "images of 32 x 32 do not fit 'timm:vit_tiny_patch16_224'",
    ),
    "images below the field": (
        f"{CLASSIFIES}/grey.npz --backbone lenet5 --set network.padding=false",
        "images of 28 x 28 do not fit 'lenet5'",
    ),
    "padding that is needed": (
        f"{CLASSIFIES}/colour.npz --backbone resnet18 --set network.padding=false",
        "backbone resnet18: cannot be without padding",
    ),
    "no width": (f"{SEGMENTS}/good --width 0", "width must be 1 or more, found 0"),
    "a valid network on small images": (
        f"{SEGMENTS}/good --no-padded --image-size 24x24",
        "images of 24 x 24 are smaller than what this network's convolutions",
    ),
    "class numbers beyond the names": (
        f"{SEGMENTS}/strange",
        "has label 7, there are 3 classes. Name it, or ignore it",
    ),
    "class numbers beyond those of a set": (f"{CLASSIFIES}/beyond.npz", "labels run from 0 to 3, there are 2 classes"),
    "a layer that is not there": (
        "explain {folder}/small.png --model {folder}/classifier.safetensors --layer backbone.layer9 --out {out}",
        "no layer 'backbone.layer9'; did you mean 'backbone.layer",
    ),
    "a label that is not there": (
        "explain {folder}/small.png --model {folder}/classifier.safetensors --label vam --out {out}",
        "--label vam: the network has no such class; did you mean 'van'?",
    ),
    "an image below the window": (
        "convolutionalize {folder}/small.png --model {folder}/classifier.safetensors",
        "24 x 20 pixels, smaller than the classifier's windows of 32",
    ),
    "a summary of too few pixels": (
        "summary {folder}/classifier.safetensors --imgsz 0",
        "--imgsz 0: expected a side in pixels",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_line(case: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, message = CASES[case]
    assert message in refusal(command.format(folder=folder, out=tmp_path / "out").split(), capsys)
    assert not (tmp_path / "out" / "best.safetensors").exists()


def test_a_label_image_of_another_size_is_named_and_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main(f"{SEGMENTS}/other-size".format(folder=folder, out=tmp_path / "out").split()) == 2
    assert "no pairs found" in capsys.readouterr().err
    assert "images/a.png is 48 x 48, its label image 40 x 40" in caplog.text


@pytest.mark.parametrize("command", [f"{CLASSIFIES}/grey.npz --backbone lenet5", f"{SEGMENTS}/good --width 2"])
def test_torchrun_does_not_train_twice_into_one_folder(
    command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    error = refusal(command.format(folder=folder, out=tmp_path / "out").split(), capsys)
    assert "torchrun started 2 processes, which would all train into this folder" in error
    assert not (tmp_path / "out").exists()


def test_a_folder_another_training_writes_into_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = f"{CLASSIFIES}/grey.npz --backbone lenet5".format(folder=folder, out=out).split()
    with RunFolder(out).claimed(resume=False):
        assert f"{out}: another training is writing into it" in refusal(command, capsys)
        assert [each.name for each in out.iterdir()] == [LOCK_FILE]
    assert main(command) == 0
    assert not (out / LOCK_FILE).exists()


def test_the_training_of_a_detector_holds_its_folder_too(tmp_path: Path) -> None:
    """Its loop is another than `fit`, which the other kinds share."""
    out = tmp_path / "runs" / "out"
    config = TrainConfig(data=tmp_path / "none.yaml", out=out)
    with RunFolder(out).claimed(resume=False), pytest.raises(ConfigError, match="another training is writing into it"):
        train_detector(config)
    assert not out.parent.exists()


def test_the_processes_of_one_torchrun_share_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFolder(tmp_path).claimed(resume=False):
        monkeypatch.setenv("RANK", "1")
        with RunFolder(tmp_path).claimed(resume=False):
            assert (tmp_path / LOCK_FILE).exists()
        assert (tmp_path / LOCK_FILE).exists()


def test_torchrun_leaves_the_start_of_a_detector_to_us() -> None:
    """--start is the beginning of two of torchrun's own options; --weights is ours and of no other."""
    from torch.distributed.run import get_args_parser

    from tracker.commands.command_parser import CommandParser
    from tracker.commands.train import add_parsers

    words = ["main.py", "train", "detector", "--data", "d.yaml", "--weights", "sightline-nano"]
    options = get_args_parser().parse_args(["--nproc_per_node=2", *words])
    assert [options.training_script, *options.training_script_args] == words
    parser = CommandParser(prog="main.py")
    add_parsers(parser.add_subparsers(required=True, parser_class=CommandParser))
    assert str(parser.parse_args(words[1:]).start) == str(
        parser.parse_args(["train", "detector", "--data", "d.yaml", "--start", "sightline-nano"]).start
    )
