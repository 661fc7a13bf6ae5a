from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from tracker.errors import FormatError
from tracker.train.data.classification import AugmentImages, LabelledImages, augment_images, load_labelled_images, split


def write(path: Path, image: ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("cat", (0, 0, 255)), ("dog", (255, 0, 0))):
        for number, size in enumerate(((40, 60), (64, 32), (20, 20))):
            write(tmp_path / name / f"{number}.png", np.full((*size, 3), colour, np.uint8))
    return tmp_path


def test_a_folder_per_class_becomes_squares_in_rgb(folder: Path) -> None:
    data = load_labelled_images(folder, size=32)
    assert data.names == ("cat", "dog")
    assert data.images.shape == (6, 3, 32, 32)
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (data.images[0, 0] == 255).all()
    assert (data.images[0, 2] == 0).all()


def test_unreadable_images_are_listed_and_skipped(folder: Path) -> None:
    (folder / "cat" / "broken.jpg").write_bytes(b"not an image")
    data = load_labelled_images(folder, size=16)
    assert len(data) == 6
    assert len(data.skipped) == 1
    assert "broken.jpg: cannot be decoded" in data.skipped[0]


def test_classes_follow_the_training_data_and_strangers_are_refused(folder: Path) -> None:
    data = load_labelled_images(folder, size=16, names=("dog", "bird", "cat"))
    assert data.labels.tolist() == [2, 2, 2, 0, 0, 0]
    with pytest.raises(FormatError, match="unknown class 'cat'"):
        load_labelled_images(folder, size=16, names=("dog",))


def test_an_npz_is_read_with_and_without_colour(tmp_path: Path) -> None:
    grey = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    np.savez(tmp_path / "grey.npz", images=grey, labels=np.array([1, 0]))
    data = load_labelled_images(tmp_path / "grey.npz")
    assert data.images.shape == (2, 1, 8, 8)
    assert np.array_equal(data.images[:, 0], grey)
    np.savez(tmp_path / "rgb.npz", images=np.stack([grey] * 3, axis=3), labels=np.array([1, 0]), names=["a", "b"])
    colour = load_labelled_images(tmp_path / "rgb.npz", size=4)
    assert colour.images.shape == (2, 3, 4, 4)
    assert colour.names == ("a", "b")


@pytest.mark.parametrize("encrypted", [True, False])
def test_an_npz_that_cannot_be_unpacked_is_refused(encrypted: bool, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((90, 9, 9), np.uint8), labels=np.arange(90))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    if encrypted:
        content[content.index(b"PK\x01\x02") + 8] |= 1
    else:
        content[60:90] = b"\xff" * 30
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.npz: not a whole \.npz file"):
        load_labelled_images(tmp_path / "a.npz")


def test_class_numbers_of_an_npz_are_those_of_the_training_data_by_name(tmp_path: Path) -> None:
    content = {"images": np.zeros((3, 8, 8), np.uint8), "labels": np.array([0, 1, 0])}
    np.savez(tmp_path / "named.npz", **content, names=["dog", "cat"])
    data = load_labelled_images(tmp_path / "named.npz", names=("cat", "dog", "bird"))
    assert data.names == ("cat", "dog", "bird")
    assert data.labels.tolist() == [1, 0, 1]
    with pytest.raises(FormatError, match="unknown class 'dog'; the training data has cat, bird"):
        load_labelled_images(tmp_path / "named.npz", names=("cat", "bird"))
    np.savez(tmp_path / "bare.npz", **content)
    assert load_labelled_images(tmp_path / "bare.npz", names=("cat", "dog")).labels.tolist() == [0, 1, 0]


def test_an_npz_of_wide_images_is_the_same_when_asked_for_at_its_own_height(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 255, (2, 8, 12, 3), np.uint8)
    np.savez(tmp_path / "wide.npz", images=wide, labels=np.array([0, 1]))
    data = load_labelled_images(tmp_path / "wide.npz")
    assert np.array_equal(data.images, wide[:, :, 2:10].transpose(0, 3, 1, 2))
    assert np.array_equal(data.images, load_labelled_images(tmp_path / "wide.npz", size=8).images)


def test_images_come_with_the_channels_asked_for(folder: Path, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (2, 8, 8), np.uint8)
    np.savez(tmp_path / "grey.npz", images=grey, labels=np.array([0, 1]))
    colour = load_labelled_images(tmp_path / "grey.npz", channels=3, size=8)
    assert np.array_equal(colour.images, np.stack([grey] * 3, axis=1))
    np.savez(tmp_path / "rgb.npz", images=np.stack([grey] * 3, axis=3), labels=np.array([0, 1]))
    assert np.array_equal(load_labelled_images(tmp_path / "rgb.npz", channels=1).images, grey[:, None])
    assert load_labelled_images(folder, size=8, channels=1).images.shape == (6, 1, 8, 8)


def test_a_class_without_an_image_is_reported(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "eel").mkdir()
    assert load_labelled_images(folder, size=8).names == ("cat", "dog", "eel")
    assert "no image of the class eel" in caplog.text


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 4, 4), np.uint8)}, "expected arrays 'images' and 'labels', found images"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.zeros(2, int)}, "expected images uint8"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(3, int)}, "expected 2 whole-number labels"),
        ({"images": np.zeros((0, 4, 4), np.uint8), "labels": np.zeros(0, int)}, "holds no image"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0, -1])}, "labels run from -1 to 0"),
    ],
)
def test_a_wrong_npz_says_what_was_expected(tmp_path: Path, arrays: dict[str, ndarray], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=message):
        load_labelled_images(tmp_path / "x.npz")


def test_truncated_missing_and_empty_data_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 40, 40), np.uint8), labels=np.zeros(2, int))
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:500])
    with pytest.raises(FormatError, match="not a whole"):
        load_labelled_images(tmp_path / "x.npz")
    with pytest.raises(FormatError, match="with 'images' and 'labels', or a folder"):
        load_labelled_images(tmp_path / "none")
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(FormatError, match="no readable image"):
        load_labelled_images(tmp_path / "empty")


@settings(max_examples=20)
@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=4), share=st.floats(0.0, 0.5))
def test_splitting_keeps_every_image_once_and_each_class_share(counts: list[int], share: float) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    train, val = split(LabelledImages(images, labels, tuple("abcd"[: len(counts)])), share, seed=1)
    assert sorted([*train.images.ravel(), *val.images.ravel()]) == sorted(images.ravel())
    assert np.bincount(val.labels, minlength=len(counts)).tolist() == [round(share * count) for count in counts]


def test_no_augmentation_changes_nothing_and_the_same_seed_draws_the_same() -> None:
    images = torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    untouched = augment_images(images, AugmentImages(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(untouched, images.float() / 255)
    strong = AugmentImages(rotate=20, scale=0.2, shift=0.2, flip=True, colour=0.3)
    first = augment_images(images, strong, torch.Generator().manual_seed(5))
    second = augment_images(images, strong, torch.Generator().manual_seed(5))
    assert torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 1
    assert not torch.equal(first, untouched)


def test_flipping_mirrors_about_half_of_the_images_exactly() -> None:
    images = torch.randint(0, 256, (64, 1, 6, 6), dtype=torch.uint8)
    flipped = augment_images(images, AugmentImages(flip=True), torch.Generator().manual_seed(0))
    plain = images.float() / 255
    kept = [torch.allclose(a, b, atol=1e-5) for a, b in zip(flipped, plain, strict=True)]
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-5) for a, b in zip(flipped, plain, strict=True)]
    assert all(a or b for a, b in zip(kept, mirrored, strict=True))
    assert 16 < sum(mirrored) < 48


def test_a_shift_moves_by_at_most_its_share() -> None:
    images = torch.zeros(32, 1, 21, 21, dtype=torch.uint8)
    images[:, :, 10, 10] = 255
    moved = augment_images(images, AugmentImages(shift=0.1), torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing="ij")
    weight = moved[:, 0].sum(dim=(1, 2))
    dx = (moved[:, 0] * columns).sum(dim=(1, 2)) / weight - 10
    dy = (moved[:, 0] * rows).sum(dim=(1, 2)) / weight - 10
    assert dx.abs().max() <= 2.2
    assert dy.abs().max() <= 2.2
    assert dx.abs().max() > 0.5
