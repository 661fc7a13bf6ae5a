"""Trainings on data that are small, empty, crowded or oddly named: each gives a network, or is refused in one line."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tracker.cli import main

ROWS = "".join("{kind" + str(place) + f"}} {0.2 + 0.1 * place:.1f} 0.4 0.{3 + place} 0.3\n" for place in range(6))
GRID = "".join(f"0 {0.02 + 0.04 * (k % 24):.3f} {0.02 + 0.045 * (k // 24):.3f} 0.03 0.03\n" for k in range(500))


def write(
    root: Path, *, count: int = 4, size: tuple[int, int] = (96, 96), names: tuple[str, ...] = ("box",), rows: str = ROWS
) -> Path:
    """A data.yaml of so many images with a bright patch, each with the rows given or with six of turning classes."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    width, height = size
    for number in range(count):
        image = np.full((height, width, 3), 60 + number, np.uint8)
        image[height // 4 : height // 2, width // 4 : width // 2 + number % 3] = 230
        cv2.imwrite(str(root / f"images/p{number}.png"), image)
        kinds = {f"kind{place}": (number + place) % len(names) for place in range(6)}
        (root / f"labels/p{number}.txt").write_text(rows.format(**kinds))
    data = {"path": ".", "train": "images", "val": "images", "names": list(names)}
    (root / "data.yaml").write_text(yaml.safe_dump(data, allow_unicode=True))
    return root / "data.yaml"


def train(data: Path, *more: str) -> int:
    words = ["--start", "", "--epochs", "2", "--imgsz", "64", "--batch", "8", "--device", "cpu"]
    return main(["train", "detector", "--data", str(data), "--out", str(data.parent / "run"), *words, *more])


NAMES = ("a/b", "ü ñ 日本", "x" * 200, "a,b: 'c' \"d\" #e", "../../etc", "%s {0} <b>", "$x_", "_")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("one image", {"count": 1}),
        ("tiny", {"size": (8, 8)}),
        ("strip", {"size": (3000, 20), "count": 3}),
        ("thousand classes", {"names": tuple(f"c{number}" for number in range(1000))}),
        ("odd names", {"names": NAMES}),
        ("box over all", {"rows": "0 0.5 0.5 1 1\n0 0.5 0.5 0.9 0.9\n"}),
        ("500 boxes", {"count": 2, "size": (400, 400), "rows": GRID}),
    ],
)
def test_odd_data_train_to_a_network_that_runs(kind: str, options: dict[str, object], tmp_path: Path) -> None:
    data = write(tmp_path / kind, **options)  # type: ignore[arg-type]
    assert train(data) == 0
    with (data.parent / "run/results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(math.isfinite(float(row[name])) for row in rows for name in row if name.startswith("loss_"))
    onnx = data.parent / "run/best.onnx"
    words = ["--imgsz", "64", "--out", str(tmp_path / "d.json")]
    assert main(["detect", str(data.parent / "images"), "--model", str(onnx), *words]) == 0
    confusion = cv2.imread(str(data.parent / "run/confusion.png"))
    assert confusion is None or max(confusion.shape) < 4000


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"rows": ""}, "without one usable label"),
        ({"size": (1, 1), "count": 3}, "without one usable label"),
        ({"names": ("x" * 300,)}, "1 class names of up to 300 letters"),
    ],
)
def test_data_that_nothing_can_be_learnt_from_are_refused(
    options: dict[str, object], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(write(tmp_path / "set", **options)) == 2  # type: ignore[arg-type]
    assert reason in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_that_is_done_can_be_resumed_without_harm(tmp_path: Path) -> None:
    data = write(tmp_path / "set")
    assert train(data, "--patience", "1", "--no-pictures") == 0
    table = data.parent / "run/results.csv"
    first = table.read_text().splitlines()
    assert train(data, "--patience", "1", "--no-pictures", "--resume") in (0, 2)
    assert table.read_text().splitlines()[: len(first)] == first
    assert train(data, "--patience", "1", "--no-pictures", "--resume", "--epochs", "3") in (0, 2)
    assert table.read_text().splitlines()[: len(first)] == first
