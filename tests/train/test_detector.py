from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.train.shapes import write_shapes
from tests.train.small_runs import ANCHORS, interrupt_at, small, started
from tracker import ending
from tracker.cli import main
from tracker.config import DetectorConfig
from tracker.detect.engines.onnx import OnnxDetector
from tracker.detect.engines.torch import TorchDetector
from tracker.errors import CheckpointError, ConfigError, TrackerError
from tracker.evaluate.detection import evaluate_detector
from tracker.factory import make_detector
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.yolo import RawMaps, YoloNet, is_mask_part
from tracker.train import detector as loop
from tracker.train.data.augment import AugmentConfig
from tracker.train.data.detection import load_data
from tracker.train.detector import train_detector
from tracker.train.detector_config import TrainConfig
from tracker.train.distil import ask_teachers, known_truth
from tracker.train.run_folder import RunFolder
from tracker.train.teacher import Teacher
from tracker.train.truth_batch import TruthTensors
from tracker.types import Detections

ROOT = Path(__file__).parents[2]
EPOCHS = {"cspdarknet_nano": 150, "resnet18": 80}
"""Enough to learn eight images by heart: about a minute of one core."""


def spoil_from(step: int, monkeypatch: pytest.MonkeyPatch, *, steps: int) -> None:
    """The losses of so many steps are not numbers."""
    whole, count = loop.yolo_loss, iter(range(10_000))

    def loss(*arguments: Any, **options: Any) -> Any:
        sums = whole(*arguments, **options)
        return sums._replace(box=sums.box * float("nan")) if step <= next(count) < step + steps else sums

    monkeypatch.setattr(loop, "yolo_loss", loss)


def test_a_network_that_scales_its_input_learns_from_what_it_will_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = loop.yolo_loss, []

    def loss(raw: RawMaps, truths: Sequence[TruthTensors], *arguments: Any, **options: Any) -> Any:
        seen.append((raw.levels[0].shape[-1], max(float(each.boxes.max()) for each in truths)))
        return whole(raw, truths, *arguments, **options)

    monkeypatch.setattr(loop, "yolo_loss", loss)
    best = train_detector(small(tmp_path, epochs=1, sizes=(128,), input_size=128, input_scale=0.5))
    assert [cells for cells, _ in seen] == [64 // 8] * len(seen)
    assert all(8 < edge <= 64 for _, edge in seen)
    _, card = load_detector(best)
    assert (card.input_size, card.input_scale, card.scaled_size) == (128, 0.5, 64)
    assert max(side for level in card.anchors for pair in level for side in pair) <= 64
    image = np.zeros((128, 128, 3), np.uint8)
    kinds = (DetectorConfig(model=str(best.with_suffix(suffix)), device="cpu") for suffix in (".safetensors", ".onnx"))
    for detector in (make_detector(config, threads=1) for config in kinds):
        assert detector.input_scale == 0.5  # type: ignore[attr-defined]
        detector.detect([image])


@pytest.mark.parametrize(
    "changes",
    [
        {"freeze": 1, "body_factor": 0.1},  # let go on the way, so that resuming has to know that too
        {"data_on_device": True, "epochs": 2, "evaluate_minutes": 60.0},
        {"start": "start.safetensors", "epochs": 2},  # saved after its start was measured, and not in the first epoch
    ],
)
def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    config = small(tmp_path, **changes)
    if config.start:
        config = started(tmp_path, epochs=config.epochs)
    train_detector(replace(config, out=tmp_path / "whole"))
    with monkeypatch.context() as patch:
        interrupt_at(3, patch)
        with pytest.raises(KeyboardInterrupt):
            train_detector(replace(config, out=tmp_path / "broken"))
    train_detector(replace(config, out=tmp_path / "broken", resume=True))
    whole, broken = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(value, broken[name]) for name, value in whole.items())


def test_a_signal_whose_exception_was_dropped_ends_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_noted", [KeyboardInterrupt])
    with pytest.raises(KeyboardInterrupt):
        train_detector(small(tmp_path))


def test_images_without_a_single_label_are_refused(tmp_path: Path) -> None:
    config = small(tmp_path)
    for labels in (config.data.parent / "labels").iterdir():
        labels.unlink()
    with pytest.raises(ConfigError, match=r"4 images without one usable label.*(?s:.*)labels/"):
        train_detector(config)


def test_a_frozen_backbone_does_not_move_nor_do_its_norms(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(classes=2))
    save_detector(tmp_path / "start.safetensors", network, ModelCard(("disc", "box"), ANCHORS))
    config = small(tmp_path, start=str(tmp_path / "start.safetensors"), epochs=1, freeze=1)
    train_detector(config)
    before, after = network.state_dict(), load_file(config.out / "last.safetensors")
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("backbone."))
    assert not torch.equal(after["heads.0.boxes.weight"], before["heads.0.boxes.weight"])


def test_masks_alone_are_taught_and_boxes_are_answered_as_before(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    save_detector(start, YoloNet(NetworkConfig(classes=2)), ModelCard(("disc", "box"), ANCHORS))
    best = train_detector(small(tmp_path, start=str(start), teacher="none", masks_only=True))
    before, after = load_file(start), load_file(best)
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved
    assert all(is_mask_part(name) for name in moved)


@pytest.mark.parametrize("lent", [None, False, True])
def test_masks_alone_need_outlines_or_a_teacher_that_has_masks(lent: bool | None, tmp_path: Path) -> None:
    """Without any nothing would be taught, at full cost; a teacher is asked for them though folders label all."""
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    save_detector(start, YoloNet(NetworkConfig(classes=2)), ModelCard(("disc", "box"), ANCHORS))
    config = small(tmp_path, start=str(start), teacher="known", masks_only=True, epochs=1)
    for file in (tmp_path / "shapes/labels").iterdir():
        file.write_text("0 0.125 0.125 0.125 0.125\n")  # the disc where Known sees one
    known = Known()
    if lent:
        see = known.detect
        known.detect = lambda images: [replace(f, masks=np.full((len(f), 64, 64), 255, np.uint8)) for f in see(images)]  # type: ignore[method-assign]
    teachers = [] if lent is None else [Teacher("known", known)]
    if lent:
        assert train_detector(config, teachers=teachers).is_file()
        return
    with pytest.raises(ConfigError, match=r"--masks-only: no object of 'train' in .* has an outline.*--teacher"):
        train_detector(config, teachers=teachers)
    assert known.asked == (0 if lent is None else 4)


def test_single_steps_without_a_number_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_from(2, monkeypatch, steps=1)
    train_detector(small(tmp_path))
    assert all(bool(value.isfinite().all()) for value in load_file(tmp_path / "run" / "last.safetensors").values())


def test_a_run_gone_wrong_for_good_leaves_its_last_finite_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_from(4, monkeypatch, steps=1000)
    with pytest.raises(TrackerError, match=r"20 steps in a row.*Go on by --resume from .*last\.safetensors"):
        train_detector(small(tmp_path, epochs=50, evaluate_minutes=60.0))
    weights = load_file(tmp_path / "run" / "last.safetensors")
    assert all(bool(value.isfinite().all()) for value in weights.values())


def test_a_resumed_run_takes_the_learning_rate_it_is_given(tmp_path: Path) -> None:
    config = small(tmp_path, epochs=1, learning_rate=1e-3)
    train_detector(config)
    train_detector(replace(config, epochs=2, resume=True, learning_rate=1e-5, weight_decay=0.5))
    state = torch.load(config.out / "last.state.pt", weights_only=True)
    groups = state["optimizer"]["param_groups"]
    assert {group["peak_lr"] for group in groups} == {1e-5}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.5}


def test_a_resumed_run_keeps_its_anchors_and_refuses_other_classes(tmp_path: Path) -> None:
    config = small(tmp_path, epochs=1)
    train_detector(config)
    begun = load_detector(config.out / "last.safetensors")[1]
    for labels in (tmp_path / "shapes/labels").iterdir():
        rows = [line.split()[0] for line in labels.read_text().splitlines()]
        labels.write_text("".join(f"{row} 0.5 0.5 0.9 {0.3 + 0.1 * n}\n" for n, row in enumerate(rows)))
    train_detector(replace(config, epochs=2, resume=True))
    assert load_detector(config.out / "last.safetensors")[1].anchors == begun.anchors
    config.data.write_text(config.data.read_text().replace("disc, box", "box, disc"))
    with pytest.raises(CheckpointError, match="learned the classes disc, box, the data have box, disc"):
        train_detector(replace(config, epochs=3, resume=True))


def test_no_training_is_overwritten_and_a_step_done_again_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", stop_at_call(RunFolder.save, 2))
        with pytest.raises(KeyboardInterrupt):  # after the rows of the second and the third epoch, before their state
            train_detector(config)
    with pytest.raises(ConfigError, match=r"holds a training already.*--resume"):
        train_detector(config)
    train_detector(replace(config, resume=True))
    with (config.out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "2"), ("2", "4"), ("3", "6")]


def stop_at_call(function: Any, call: int) -> Any:
    """The function, interrupted when it is called for that time."""
    count = iter(range(1, 10_000))

    def stopped(*arguments: Any, **options: Any) -> Any:
        if next(count) == call:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return stopped


def test_a_run_without_validation_or_progress_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = small(tmp_path, epochs=1)
    whole = config.data.read_text()
    config.data.write_text(whole.replace("val: images\n", ""))
    train_detector(config)
    assert "nothing is validated: 'best' is simply the last epoch" in caplog.text
    config.data.write_text(whole)
    caplog.clear()
    caplog.set_level("INFO", "tracker")
    train_detector(replace(config, out=tmp_path / "stale", epochs=50, patience=1, learning_rate=1e-12))
    assert "none of the last 1 was better" in caplog.text
    assert "nothing is validated" not in caplog.text


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"input_size": 100}, "input_size must be a multiple of 32, found 100; try 96"),
        ({"sizes": (64, 40)}, "each of sizes must be a multiple of 32, found 40"),
        ({"input_size": 100_000}, "input_size goes up to 8192 pixels, found 100000"),
        ({"sizes": (64, 16384)}, "each of sizes goes up to 8192 pixels, found 16384"),
        ({"input_scale": 0.3}, "input_scale must be 0, or from 0.5 to 1, found 0.3"),
        ({"input_scale": 0.777}, "input_scale must be in hundredths, found 0.777"),
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"threads": 0}, "threads must be 1 or more"),
        ({"freeze": 4}, "freeze must be from 0 to the 3 epochs, found 4"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"patience": -1}, "patience must be 0 or more"),
        ({"precision": 1.5}, "precision must be from 0 to 1"),
        ({"masks_only": True}, "masks_only keeps where and what objects are as the start answers it: give --start too"),
        ({"prototypes": "full"}, "prototypes must be light"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_read(
    tmp_path: Path, setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        small(tmp_path, **setting)


class Known:
    """A teacher that knows discs only and sees one in the same place of every image."""

    labels, engine, conf = ("cat", "disc"), "", 0.1

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, images: Any) -> list[Detections]:
        self.asked += len(images)
        box, score, cat = (
            np.array([[4, 4, 12, 12], [30, 30, 40, 40]], np.float32),
            np.array([0.9, 0.9]),
            np.array([1, 0]),
        )
        return [Detections(box, score.astype(np.float32), cat.astype(np.int32)) for _ in images]


def test_a_teacher_mentions_classes_that_a_folder_does_not_label(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By name, whatever its own classes are; asked once a run folder; the class nobody mentions is reported."""
    config = small(tmp_path, teacher="known")
    config.data.write_text(config.data.read_text() + "labelled: {images: []}\n")
    train = load_data(config.data)[0]["train"]
    teacher = Known()
    for labels in (("disc", "box"), ("disc", "box"), ("box", "disc")):
        data = replace(train, labels=labels)
        finds = ask_teachers(data, [Teacher("known", teacher)], tmp_path, config.teaching)
        assert [f.class_ids.tolist() for f in finds.values()] == [[labels.index("disc")]] * 4
    assert teacher.asked == 4  # once, whatever the classes are called here
    assert "the teacher knows no box" in caplog.text
    sample = replace(train.samples[0], labelled=(1,))
    from_teacher = known_truth(sample, train, finds[sample.path], config.teaching, train.targets(), taught=(0,))
    untaught = known_truth(sample, train, None, config.teaching, train.targets())
    assert from_teacher.unlabelled.tolist() == [0, 0]
    assert untaught.unlabelled.tolist() == [1, 0]
    assert untaught.join(from_teacher).unlabelled.tolist() == [1, 0]


def test_where_a_folder_blends_labels_and_teacher_share_the_truth(tmp_path: Path) -> None:
    """Targets of a mean of two losses: a labelled object counts 1 - b + b s, an unmarked one b s; 0 trusts labels."""
    config = small(tmp_path)
    config.data.write_text(config.data.read_text() + "blend: {images: 0.4}\n")
    train = load_data(config.data)[0]["train"]
    sample = replace(
        train.samples[0],
        boxes=np.array([[4, 4, 12, 12], [40, 40, 52, 52]], np.float32),
        class_ids=np.array([0, 0]),
        polygons=(None, None),
    )
    assert sample.blend == 0.4
    found = Detections(
        np.array([[4, 4, 12, 13], [20, 20, 30, 30], [40, 40, 52, 52]], np.float32),
        np.array([0.8, 0.5, 0.6], np.float32),
        np.array([0, 1, 1], np.int32),  # the same object; one without a label; another class in a labelled place
    )
    told = known_truth(sample, train, found, replace(config.teaching, believe=0.05), train.targets(), taught=(0, 1))
    assert told.weights == pytest.approx([1 - 0.4 + 0.4 * 0.8, 1 - 0.4, 0.4 * 0.5, 0.4 * 0.6])
    assert told.classes.argmax(axis=1).tolist() == [0, 0, 1, 1]
    labels_alone = replace(sample, blend=0.0)
    told = known_truth(labels_alone, train, found, replace(config.teaching, believe=0.05), train.targets())
    assert told.weights.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("labelled", "teacher", "asked"),
    [(["box"], "start", True), (["box"], "none", False), (["disc", "box"], "start", False)],
)
def test_what_a_network_knows_and_a_folder_does_not_label_is_taught_by_itself(
    tmp_path: Path, labelled: list[str], teacher: str, asked: bool
) -> None:
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    save_detector(start, YoloNet(NetworkConfig(classes=2)), ModelCard(("disc", "box"), ANCHORS))
    config = small(tmp_path)
    config.data.write_text(config.data.read_text() + f"labelled: {{images: {labelled}}}\n")
    options = ["--data", str(config.data), "--out", str(config.out), "--start", str(start), "--epochs", "1"]
    options += ["--imgsz", "64", "--batch", "2", "--device", "cpu", "--no-pictures", "--teacher", teacher]
    assert main(["train", "detector", *options]) == 0
    assert bool(list(config.out.glob("teacher/*/*.npz"))) == asked


def test_the_best_weights_come_as_a_model_ready_to_be_used(tmp_path: Path) -> None:
    config = small(tmp_path, epochs=1, pictures=True, tensorboard=False)
    best = train_detector(config)
    network, card = load_detector(best)
    assert card.accuracy["images"] == 4
    assert "AP50 disc" in card.accuracy
    assert 0.05 <= card.confidence <= 0.95
    deployed = OnnxDetector(config.out / "best.onnx", DetectorConfig(conf=0.01, device="cpu"))
    assert deployed.labels == ("disc", "box")
    image = np.full((48, 64, 3), 90, np.uint8)
    ours = TorchDetector((network, card), DetectorConfig(conf=0.01, device="cpu")).detect([image])[0]
    assert abs(len(deployed.detect([image])[0]) - len(ours)) <= 1
    for name in ("labels", "batch-0", "curves", "precision-recall", "confusion"):
        drawn = cv2.imread(str(config.out / f"{name}.png"))
        assert drawn is not None, name
        assert drawn.std() > 5
    with (config.out / "results.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["loss_box"]) > 0
    assert json.loads((config.out / "config.json").read_text())["epochs"] == 1


@pytest.mark.slow
def test_two_processes_find_the_loss_of_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    save_detector(start, YoloNet(NetworkConfig(classes=2, norm=False)), ModelCard(("disc", "box"), ANCHORS))
    config = small(tmp_path)
    options = ["main.py", "train", "detector", "--data", str(config.data), "--weights", str(start), "--epochs", "2"]
    options += ["--batch", "4", "--imgsz", "64", "--set", "sizes=[64]", "--device", "cpu", "--no-mixed-precision"]
    options += ["--no-pictures", "--learning-rate", "1e-4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    for name, launcher in (("one", []), ("two", two)):
        command = [sys.executable, *launcher, *options, "--out", str(tmp_path / name)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)
    losses = []
    for name in ("one", "two"):
        with (tmp_path / name / "results.csv").open() as file:
            _, *rows = csv.DictReader(file)  # without the start's, which has no losses
        losses.append([[float(v) for k, v in row.items() if k.startswith("loss_")] for row in rows])
    assert np.array(losses[0]).shape == (2, 4)
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", EPOCHS)
def test_eight_images_are_learned_by_heart(tmp_path: Path, backbone: str) -> None:
    boxes, masks = learn_by_heart(tmp_path, backbone, epochs=EPOCHS[backbone])
    assert min(part.ap50 for part in boxes.values()) > 0.95
    assert min(part.ap50 for part in masks.values()) > 0.9


def learn_by_heart(
    folder: Path, backbone: str, *, epochs: int, images: int = 8
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(box AP, mask AP) per class on the images trained on."""
    data = write_shapes(folder / "shapes", images=images, size=160)
    data.write_text(data.read_text() + "val: images\n")
    still = AugmentConfig(mosaic=0.0, mixup=0.0, copy_paste=0.0, flip=0.0, zoom=1.0, colour=0.0)
    config = TrainConfig(
        data=data,
        out=folder / "run",
        backbone=backbone,
        epochs=epochs,
        batch=images,
        sizes=(160,),
        input_size=160,
        learning_rate=3e-3 if backbone == "cspdarknet_nano" else 1e-3,
        average=0.9,
        evaluate_minutes=60.0,
        device="cpu",
        mixed_precision=False,
        pictures=False,
        augment=still,
    )
    train_detector(config)
    detector = TorchDetector(config.out / "last.safetensors", DetectorConfig(conf=0.01, device="cpu"))
    return evaluate_detector(detector, load_data(data)[0]["val"])
