"""Classifiers answer the same from their file, its export and the command; tracks are named by a vote over views."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.light_install import run_without
from tracker.classify import ImageClassifier, around
from tracker.cli import main
from tracker.embedded import embedded_networks
from tracker.errors import CheckpointError
from tracker.nets.classifier import Classifier, ClassifierConfig, load_classifier
from tracker.nets.export_kinds import export_kind
from tracker.nets.saved import save_network
from tracker.track.track_classes import MOST, TrackClasses
from tracker.types import Tracks

LABELS = ("van", "taxi", "bus")


def write_classifier(path: Path, *, backbone: str = "resnet18", channels: int = 3, size: int = 32) -> Path:
    """A file with fresh weights that answer differently for different images."""
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig(backbone, classes=len(LABELS), in_channels=channels)).eval()
    for parameter in network.head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    description = {"network": asdict(network.config), "labels": list(LABELS), "image_size": size}
    save_network(path, network, kind="classifier", description=description)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("model") / "kinds.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (40, 50 + number, 3), dtype=np.uint8))
    return folder


NETWORKS = [("resnet18", 3, 32), ("lenet5", 1, 28), ("alexnet", 3, 64)]


@pytest.mark.parametrize(("backbone", "channels", "size"), NETWORKS)
def test_the_export_answers_as_the_file_does(backbone: str, channels: int, size: int, tmp_path: Path) -> None:
    path = write_classifier(tmp_path / "a.safetensors", backbone=backbone, channels=channels, size=size)
    network, description = load_classifier(path)
    form = {"description": description, "size": (size, size), "channels": channels}
    export_kind(tmp_path / "a.onnx", network, kind="classifier", **form)
    images = list(np.random.default_rng(1).integers(0, 255, (3, 45, 60, 3), dtype=np.uint8))
    first, second = ImageClassifier(path), ImageClassifier(tmp_path / "a.onnx")
    assert first.labels == second.labels == LABELS
    np.testing.assert_allclose(first(images), second(images), atol=1e-4)
    np.testing.assert_allclose(first(images).sum(axis=1), 1.0, atol=1e-5)
    assert first([]).shape == (0, 3)


def test_the_command_gives_every_image(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answers.csv"
    assert main(["classify", str(photos), "--model", str(model), "--out", str(out), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 4
    images = [cv2.imread(str(photos / f"{number}.png"))[..., ::-1] for number in range(4)]
    expected = ImageClassifier(model)([np.ascontiguousarray(image) for image in images])
    for row, line, answer in zip(rows, lines, expected, strict=False):
        best = LABELS[int(answer.argmax())]
        assert row["label"] == best
        assert line.split(": ")[1].startswith(f"{best} {answer.max():.3f}, ")
        assert float(row["taxi"]) == pytest.approx(answer[1], abs=1e-5)
    assert lines[4].startswith("4 images: ")
    assert main(["classify", str(photos), "--model", str(model), "--out", str(tmp_path / "a.json")]) == 0
    assert [each["label"] for each in json.loads((tmp_path / "a.json").read_text())] == [row["label"] for row in rows]


def test_a_video_is_reported_as_a_whole(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.annotate.tiny import write_clip

    clip = tmp_path / "clip.mp4"
    write_clip(clip, 30)
    out = tmp_path / "times.csv"
    assert main(["classify", str(clip), "--model", str(model), "--vid-stride", "3", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert f"over {len(rows)} frames" in capsys.readouterr().out
    assert float(rows[1]["time"]) > float(rows[0]["time"])


def test_another_kind_of_network_is_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nano = embedded_networks()["sightline-nano"]
    for path in (nano, nano.with_suffix(".safetensors")):
        assert main(["classify", str(photos), "--model", str(path)]) == 2
        assert "expected a classifier, found a detector, which is for `detect`" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match="expected a classifier in a"):
        ImageClassifier(Path("model.pt"))


def test_an_exported_classifier_needs_no_torch(model: Path, photos: Path, tmp_path: Path) -> None:
    network, description = load_classifier(model)
    path = tmp_path / "kinds.onnx"
    export_kind(path, network, kind="classifier", description=description, size=(32, 32), channels=3)
    command = ["classify", str(photos), "--model", str(path)]
    code = f"import sys; from tracker.cli import main; sys.exit(main({command}))"
    ran = run_without(("torch", "onnx", "safetensors"), code)
    assert "4 images: " in ran.stdout


def test_the_square_about_a_box_repeats_the_edge() -> None:
    image = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    inside = around(image, np.array([10, 4, 16, 10], np.float32))
    np.testing.assert_array_equal(inside, image[4:10, 10:16])
    beyond = around(image, np.array([-2, 0, 6, 4], np.float32))
    assert beyond.shape == (8, 8, 3)
    np.testing.assert_array_equal(beyond[2], np.repeat(image[0, [0]], 2, axis=0).tolist() + image[0, :6].tolist())


def tracks_at(age: float, ids: list[int], class_ids: list[int], *, seen: bool = True) -> Tracks:
    count = len(ids)
    boxes = np.tile(np.array([0, 0, 20, 20], np.float32), (count, 1))
    boxes[:, [0, 2]] += 30 * np.arange(count, dtype=np.float32)[:, None]
    rows = np.arange(count, dtype=np.int32) if seen else np.full(count, -1, np.int32)
    return replace(
        Tracks.empty()[np.zeros(0, int)],
        ids=np.array(ids),
        boxes=boxes,
        velocities=np.zeros((count, 2), np.float32),
        scores=np.ones(count, np.float32),
        class_ids=np.array(class_ids, np.int32),
        states=np.ones(count, np.uint8),
        ages=np.full(count, age, np.float32),
        unseen=np.zeros(count, np.float32),
        detection_rows=rows,
    )


class Answers:
    """A classifier that says what it is told to, and counts."""

    def __init__(self, *rows: list[float]) -> None:
        self.rows, self.asked = list(rows), 0

    def __call__(self, images: list[np.ndarray]) -> np.ndarray:
        self.asked += len(images)
        return np.array([self.rows.pop(0) if len(self.rows) > 1 else self.rows[0] for _ in images], np.float32)


def test_one_bad_view_is_outvoted() -> None:
    naming = TrackClasses(Answers([0.9, 0.1], [0.2, 0.8], [0.3, 0.7]), around, first=6)
    image = np.zeros((40, 90, 3), np.uint8)
    named = [naming(image, tracks_at(age, [5], [2])).class_ids.tolist() for age in (0.0, 1.0, 2.0)]
    assert named == [[6], [6], [7]]


def test_views_are_apart_and_no_more_than_enough() -> None:
    answers = Answers([0.4, 0.6])
    naming = TrackClasses(answers, around, first=3)
    image = np.zeros((40, 90, 3), np.uint8)
    for frame in range(400):
        assert naming(image, tracks_at(frame / 25, [1], [0])).class_ids.tolist() == [4]
    assert answers.asked == MOST
    asked = answers.asked
    assert naming(image, tracks_at(20.0, [1, 2], [0, 0], seen=False)).class_ids.tolist() == [4, 0]
    assert answers.asked == asked


def test_only_the_classes_asked_for_are_named_and_votes_are_resumed() -> None:
    naming = TrackClasses(Answers([0.4, 0.6]), around, first=3, of=np.array([2], np.int32))
    image = np.zeros((40, 90, 3), np.uint8)
    assert naming(image, tracks_at(0.0, [1, 2], [0, 2])).class_ids.tolist() == [0, 4]
    again = TrackClasses(Answers([1.0, 0.0]), around, first=3, of=np.array([2], np.int32))
    again.restore(json.loads(json.dumps(naming.state())))
    assert again(image, tracks_at(0.1, [1, 2], [0, 2])).class_ids.tolist() == [0, 4]
    assert again.state() == naming.state()


def test_export_writes_a_classifier_and_says_how_near_it_is(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(model), "--out", str(tmp_path / "a.onnx")]) == 0
    assert "largest difference of the answers" in capsys.readouterr().out
    assert ImageClassifier(tmp_path / "a.onnx").labels == LABELS
    assert main(["export", str(model), "--half"]) == 2
    assert "a classifier is exported as plain ONNX" in capsys.readouterr().err
