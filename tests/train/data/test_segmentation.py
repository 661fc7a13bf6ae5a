from __future__ import annotations

import struct
import tarfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tracker.errors import FormatError
from tracker.train.data.classification import AugmentImages
from tracker.train.data.segmentation import IGNORED, augment_pixels, load_pixel_labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, count in (("train", 3), ("val", 2)):
        for kind in ("images", "labels"):
            (tmp_path / "set" / part / kind).mkdir(parents=True)
        for number in range(count):
            label = np.zeros((24, 32), np.uint8)
            label[:, 16:] = 1 + number % 2
            label[:4] = 11
            image = np.repeat(60 * label[:, :, None], 3, axis=2)
            cv2.imwrite(str(tmp_path / f"set/{part}/images/{number}.png"), image)
            cv2.imwrite(str(tmp_path / f"set/{part}/labels/{number}.png"), label)
    return tmp_path / "set"


def test_a_folder_and_a_tar_hold_the_same(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(folder, "set")
    one = load_pixel_labels(folder, "train", classes=3, size=(12, 16), ignore=[11])
    other = load_pixel_labels(tmp_path / "set.tar", "train", classes=3, size=(12, 16), ignore=[11])
    assert one.images.shape == (3, 3, 12, 16)
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.labels, other.labels)
    assert set(np.unique(one.labels)) == {0, 1, 2, IGNORED}
    np.testing.assert_allclose(one.shares(3), [1 / 2, 2 / 6, 1 / 6], rtol=1e-6)


def test_a_label_without_a_class_is_refused_with_its_file(folder: Path) -> None:
    with pytest.raises(FormatError, match=r"train/labels/0\.png has label 11, there are 3 classes"):
        load_pixel_labels(folder, "train", classes=3, size=(12, 16))


def test_more_classes_than_a_byte_has_numbers_are_refused(folder: Path) -> None:
    assert len(load_pixel_labels(folder, "train", classes=255, size=(12, 16)))
    with pytest.raises(FormatError, match="256 classes; there may be 255"):
        load_pixel_labels(folder, "train", classes=256, size=(12, 16))


def write_palette_png(path: Path, numbers: np.ndarray, palette: list[tuple[int, int, int]]) -> None:
    """As Pascal VOC, CVAT and Pillow write class numbers."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = numbers.shape
    rows = b"".join(b"\0" + row.tobytes() for row in numbers.astype(np.uint8))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes(value for colour in palette for value in colour))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_numbers_are_read_at_any_depth_from_a_palette_and_from_grey_saved_as_colours(folder: Path) -> None:
    path = folder / "train/labels/0.png"
    label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert label is not None
    wanted = load_pixel_labels(folder, "train", classes=3, size=(24, 32), ignore=[11]).labels[0]
    palette = [(128, 0, 0), (0, 128, 0), (128, 128, 0), *[(0, 0, 0)] * 8, (7, 7, 7)]
    for write in (
        lambda: cv2.imwrite(str(path), label.astype(np.uint16)),
        lambda: cv2.imwrite(str(path), np.repeat(label[..., None], 3, axis=2)),
        lambda: write_palette_png(path, label, palette),
    ):
        write()
        read = load_pixel_labels(folder, "train", classes=3, size=(24, 32), ignore=[11]).labels[0]
        assert np.array_equal(read, wanted)
    few = np.where(label == 2, 0, label % 2)
    cv2.imwrite(str(path), few, [cv2.IMWRITE_PNG_BILEVEL, 1])
    read = load_pixel_labels(folder, "train", classes=3, size=(24, 32), ignore=[11]).labels[0]
    assert np.array_equal(read, few)


def test_a_number_beyond_a_byte_is_named_whole(folder: Path) -> None:
    cv2.imwrite(str(folder / "train/labels/0.png"), np.full((24, 32), 900, np.uint16))
    with pytest.raises(FormatError, match=r"train/labels/0\.png has label 900, there are 3 classes"):
        load_pixel_labels(folder, "train", classes=3, size=(12, 16))


def test_a_label_image_in_colours_is_refused(folder: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 3, (24, 32, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "train/labels/0.png"), colours)
    with pytest.raises(FormatError, match=r"train/labels/0\.png is in colours; expected a grey value"):
        load_pixel_labels(folder, "train", classes=3, size=(12, 16))


def test_broken_and_lonely_images_are_listed_and_skipped(folder: Path) -> None:
    (folder / "train/images/1.png").write_bytes(b"nothing")
    (folder / "train/labels/2.png").unlink()
    data = load_pixel_labels(folder, "train", classes=3, size=(12, 16), ignore=[11])
    assert len(data) == 1
    assert len(data.skipped) == 2
    assert "cannot be decoded" in data.skipped[0]
    assert "no label image of its size" in data.skipped[1]


def test_a_label_image_of_another_size_is_reported_with_both_sizes(folder: Path) -> None:
    cv2.imwrite(str(folder / "train/labels/2.png"), np.zeros((12, 16), np.uint8))
    data = load_pixel_labels(folder, "train", classes=3, size=(12, 16), ignore=[11])
    assert len(data) == 2
    assert data.skipped[0].endswith("train/images/2.png is 32 x 24, its label image 16 x 12")


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no archive")
    with pytest.raises(FormatError, match="expected a folder or a"):
        load_pixel_labels(tmp_path / "x.tar", "train", classes=2, size=(8, 8))
    with pytest.raises(FormatError, match="no pairs found"):
        load_pixel_labels(tmp_path, "train", classes=2, size=(8, 8))


def test_labels_move_with_their_image() -> None:
    labels = torch.zeros(6, 40, 60, dtype=torch.uint8)
    labels[:, 10:30, 20:45] = 1
    images = (labels * 255)[:, None].expand(-1, 3, -1, -1).contiguous()
    config = AugmentImages(rotate=15, scale=0.3, shift=0.2, flip=True)
    moved, targets = augment_pixels(images, labels, config, torch.Generator().manual_seed(3))
    known = targets != IGNORED
    agree = (moved[:, 0] > 0.5) == (targets == 1)
    assert agree[known].float().mean() > 0.99
    assert not known.all()
    unmoved, same = augment_pixels(images, labels, AugmentImages(), torch.Generator().manual_seed(3))
    assert torch.equal(same, labels.long())
    torch.testing.assert_close(unmoved, images.float() / 255)


def test_elastic_deformation_bends_image_and_labels_alike_and_smoothly() -> None:
    ramp = torch.linspace(0, 255, 60).round().to(torch.uint8).expand(4, 40, 60).contiguous()
    images = ramp[:, None].expand(-1, 3, -1, -1).contiguous()
    config = AugmentImages(elastic=4.0)
    moved, targets = augment_pixels(images, ramp, config, torch.Generator().manual_seed(1))
    known = targets != IGNORED
    assert (255 * moved[:, 0] - targets)[known].abs().max() <= 4  # a step of the ramp: nearest against bilinear
    assert (255 * moved[:, 0] - ramp)[known].abs().mean() > 2  # it did move
    steps = (255 * moved[:, 0]).diff(dim=2)
    assert steps.abs().max() < 14  # no tears: 4.3 a column before


def test_crops_are_cut_out_of_image_and_labels_at_the_same_places() -> None:
    labels = torch.arange(40 * 60).view(1, 40, 60).remainder(199).to(torch.uint8).expand(5, -1, -1).contiguous()
    images = labels[:, None].expand(-1, 3, -1, -1).contiguous()
    moved, targets = augment_pixels(images, labels, AugmentImages(), torch.Generator().manual_seed(1), crop=24)
    assert moved.shape == (5, 3, 24, 24)
    torch.testing.assert_close((255 * moved[:, 0]).round().long(), targets)
    assert len(set(targets[:, 0, 0].tolist())) > 1
    whole, _ = augment_pixels(images, labels, AugmentImages(), torch.Generator().manual_seed(1), crop=50)
    assert whole.shape == (5, 3, 40, 50)
