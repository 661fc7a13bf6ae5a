from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.shapes import write_shapes
from tracker.cli import main
from tracker.nets.checkpoint import save_detector
from tracker.nets.classifier import Classifier, ClassifierConfig
from tracker.nets.export_detector import export_onnx
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.saved import save_network
from tracker.nets.yolo import YoloNet

ANCHORS = (((20.0, 20.0), (30.0, 20.0)), ((30.0, 30.0), (46.0, 40.0)), ((50.0, 50.0), (70.0, 60.0)))


@pytest.fixture(scope="module")
def network() -> tuple[YoloNet, ModelCard]:
    torch.manual_seed(0)
    return YoloNet(NetworkConfig(classes=2)).eval(), ModelCard(("disc", "box"), ANCHORS, input_size=96)


def answer_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["evaluate", *arguments, "--json"]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_the_same_network_scores_the_same_in_both_files(
    tmp_path: Path, network: tuple[YoloNet, ModelCard], capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_shapes(tmp_path / "shapes", images=4, size=96)
    save_detector(tmp_path / "n.safetensors", *network)
    export_onnx(tmp_path / "n.onnx", *network)
    common = ("detector", "--data", str(data), "--split", "train", "--device", "cpu", "--per-folder")
    answers = [answer_of(capsys, *common, "--model", str(tmp_path / name)) for name in ("n.safetensors", "n.onnx")]
    first, second = (answer["all"] for answer in answers)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["images"] == 4
    assert set(first["boxes"]) == {"disc", "box"}
    for label, score in first["boxes"].items():
        assert score["ap"] == pytest.approx(second["boxes"][label]["ap"], abs=0.02)
    assert list(answers[0]["folders"]) == ["shapes"]  # type: ignore[call-overload]
    assert main(["evaluate", *common, "--model", str(tmp_path / "n.onnx")]) == 0
    assert "all classes, mean" in capsys.readouterr().out


def test_folders_of_one_name_are_judged_apart_and_repeated_images_once(
    tmp_path: Path, network: tuple[YoloNet, ModelCard], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, (name, images) in enumerate((("north", 2), ("south", 3))):
        write_shapes(tmp_path / name / "val", images=images, size=64, seed=seed)
    data = tmp_path / "data.yaml"
    sources = "[north/val/images, south/val/images]"
    data.write_text(f"train: {sources}\nval: {sources}\nnames: [disc, box]\nrepeat: {{south/val/images: 4}}\n")
    save_detector(tmp_path / "n.safetensors", *network)
    options = ("detector", "--data", str(data), "--device", "cpu", "--model", str(tmp_path / "n.safetensors"))
    for split in ("val", "train", "all"):
        answer = answer_of(capsys, *options, "--split", split, "--per-folder")
        assert answer["all"]["images"] == 5  # type: ignore[index]
        folders: dict[str, dict[str, int]] = answer["folders"]  # type: ignore[assignment]
        assert {name: one["images"] for name, one in folders.items()} == {"north/val/images": 2, "south/val/images": 3}


def test_a_coco_file_is_judged_on_all_its_images(
    tmp_path: Path, network: tuple[YoloNet, ModelCard], capsys: pytest.CaptureFixture[str]
) -> None:
    write_shapes(tmp_path / "shapes", images=12, size=64)
    images = sorted((tmp_path / "shapes" / "images").iterdir())
    content = {
        "images": [{"id": row, "file_name": image.name} for row, image in enumerate(images)],
        "annotations": [{"image_id": row, "category_id": 3, "bbox": [4, 4, 20, 20]} for row in range(12)],
        "categories": [{"id": 3, "name": "disc"}],
    }
    notes = tmp_path / "shapes" / "notes.json"
    notes.write_text(json.dumps(content))
    save_detector(tmp_path / "n.safetensors", *network)
    options = ("detector", "--data", str(notes), "--device", "cpu", "--model", str(tmp_path / "n.safetensors"))
    whole, train = answer_of(capsys, *options)["all"], answer_of(capsys, *options, "--split", "train")["all"]
    assert whole["images"] == 12  # type: ignore[index]
    assert train["images"] < 12  # type: ignore[index]


def test_a_model_that_knows_none_of_the_classes_is_refused(
    tmp_path: Path, network: tuple[YoloNet, ModelCard], capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_shapes(tmp_path / "shapes", images=2, size=64)
    data.write_text(data.read_text().replace("disc, box", "cat, dog"))
    save_detector(tmp_path / "n.safetensors", *network)
    options = ["--data", str(data), "--split", "train", "--device", "cpu", "--model", str(tmp_path / "n.safetensors")]
    assert main(["evaluate", "detector", *options]) == 2
    assert "none of its classes" in capsys.readouterr().err
    assert main(["evaluate", "detector", *options, "--split", "val"]) == 2
    assert "--split val" in capsys.readouterr().err


@pytest.mark.shared
def test_yolox_at_another_size_runs_as_the_network_it_becomes(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_shapes(tmp_path / "shapes", images=2, size=64)
    data.write_text(data.read_text().replace("disc, box", "person, car"))
    model = str(shared / "data/pretrained/yolox_nano.onnx")
    answer = answer_of(
        capsys,
        "detector",
        "--data",
        str(data),
        "--split",
        "train",
        "--device",
        "cpu",
        "--model",
        model,
        "--imgsz",
        "96",
    )
    assert set(answer["all"]["boxes"]) == {"person", "car"}  # type: ignore[index, call-overload]


def test_a_classifier_is_judged_per_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig(backbone="lenet5", classes=3, in_channels=1))
    description = {
        "network": {"backbone": "lenet5", "classes": 3, "in_channels": 1},
        "labels": ["a", "b", "c"],
        "image_size": 28,
    }
    save_network(tmp_path / "c.safetensors", network, kind="classifier", description=description)
    images = np.random.default_rng(0).integers(0, 255, (12, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", images=images, labels=np.arange(12) % 3)
    answer = answer_of(
        capsys, "classifier", "--model", str(tmp_path / "c.safetensors"), "--data", str(tmp_path / "d.npz")
    )
    confusion = np.array(answer["confusion"])
    assert confusion.sum(axis=1).tolist() == [4, 4, 4]
    assert answer["accuracy"] == pytest.approx(np.trace(confusion) / 12)
