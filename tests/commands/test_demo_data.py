"""The data sets that the program draws have exact truth, follow from their seed, and are read by every training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracker.cli import main
from tracker.commands.demo_data import SHAPES, _coverage, _outline, draw_digits, draw_shapes, write_datasets
from tracker.train.data.classification import load_labelled_images
from tracker.train.data.detection import load_data
from tracker.train.data.segmentation import load_pixel_labels


def test_boxes_and_labels_are_those_of_the_shapes() -> None:
    for seed in range(30):
        drawing = draw_shapes(np.random.default_rng(seed), most=3, smallest=0.12, largest=0.3)
        assert len(drawing.boxes) == len(drawing.classes) >= 1
        found = np.zeros(drawing.labels.shape, bool)
        for (x1, y1, x2, y2), class_id in zip(drawing.boxes.astype(int), drawing.classes, strict=True):
            inside = drawing.labels[y1:y2, x1:x2] == 1 + class_id
            assert inside.any(axis=0)[[0, -1]].all()
            assert inside.any(axis=1)[[0, -1]].all()
            found[y1:y2, x1:x2] = True
        assert not drawing.labels[~found].any()


@pytest.mark.parametrize(
    ("shape", "share", "corners"),
    [
        ("square", 2.0, 4),
        ("triangle", 3 * 3**0.5 / 4, 3),
        ("star", 5 * 0.42 * np.sin(np.pi / 5), 10),
        ("cross", 0.64 * (4 * 0.95 - 0.64), 12),
    ],
)
def test_an_outline_is_the_shape_it_is_named(shape: str, share: float, corners: int) -> None:
    """Its area in squares of the radius by the shoelace formula, and no two of its sides cross."""
    points = _outline(shape, 0.3)
    assert len(points) == corners
    x, y = points.T
    assert abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2 == pytest.approx(share, rel=1e-6)
    filled = _coverage(shape, np.array([48.0, 48.0], np.float32), 80.0, 0.3, 96)
    assert filled.sum() == pytest.approx(share * 40**2, rel=0.02)


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (draw_shapes(np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    digits, labels = draw_digits(np.random.default_rng(0), 200)
    np.testing.assert_array_equal(digits, draw_digits(np.random.default_rng(0), 200)[0])
    assert set(labels.tolist()) == set(range(10))
    assert (digits.reshape(200, -1).max(axis=1) > 128).all()


def test_every_training_reads_its_part(tmp_path: Path) -> None:
    write_datasets(tmp_path, images=12)
    assert len(load_labelled_images(tmp_path / "digits.npz")) == 120
    classify = load_labelled_images(tmp_path / "classify" / "val", size=96, names=SHAPES)
    assert len(classify) == 6
    for name, most in (("localize", 1), ("detect", 4)):
        splits, check = load_data(tmp_path / name / "data.yaml")
        assert (len(splits["train"].samples), len(splits["val"].samples)) == (12, 6)
        assert splits["train"].labels == SHAPES
        assert all(1 <= len(sample.boxes) <= most for sample in splits["train"].samples)
        assert not check.counts
    pixels = load_pixel_labels(tmp_path / "segment", "train", classes=7, size=(96, 96))
    assert len(pixels) == 12
    assert not pixels.skipped


def test_the_command_says_what_to_train_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--datasets", str(tmp_path / "data"), "--images", "6"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert len(written) == 5
    assert all(Path(line).exists() for line in written)
    assert main(["demo", "--datasets", str(tmp_path), "--images", "2"]) == 2
    assert "must be 6 or more" in capsys.readouterr().err
