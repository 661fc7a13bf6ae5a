"""ImageSource: natural order, upright, whatever can be read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.video.synthetic import numbered_image, read_number
from tracker.errors import SourceError
from tracker.video import ImageSource
from tracker.video.image_source import natural_key


def write_image(path: Path, number: int, *, width: int = 160, height: int = 96) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(numbered_image(number, width=width, height=height), cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(path.suffix, bgr)[1].tobytes())
    return path


def with_exif_orientation(jpeg: bytes, value: int) -> bytes:
    """The JPEG with an Exif segment that holds nothing but the orientation."""
    tiff = (
        b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01" + value.to_bytes(2, "big") + b"\x00\x00" * 3
    )
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def test_images_come_in_natural_order_at_the_nominal_rate(tmp_path: Path) -> None:
    for number in (10, 2, 1, 33):
        write_image(tmp_path / f"image{number}.jpg", number)
    source = ImageSource(tmp_path, rate=10)
    frames = list(source)
    assert [read_number(frame.image) for frame in frames] == [1, 2, 10, 33]
    assert [frame.source for frame in frames] == ["image1.jpg", "image2.jpg", "image10.jpg", "image33.jpg"]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert (source.info.rate, source.info.frame_count, source.info.time_base) == (10, 4, Fraction(1, 10))
    assert source.name == tmp_path.name
    assert not frames[0].image.flags.writeable


def test_the_default_rate_is_thirty_a_second(tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / f"{number}.png", number)
    assert [frame.time for frame in ImageSource(tmp_path)] == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30])


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_every_image_format_is_read(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", 77)
    assert [read_number(frame.image) for frame in ImageSource(tmp_path)] == [77]


def test_sizes_may_differ_and_strides_keep_the_index(tmp_path: Path) -> None:
    for number, width in enumerate([160, 200, 320, 100, 64]):
        write_image(tmp_path / f"{number}.png", number, width=width, height=width // 2)
    frames = list(ImageSource(tmp_path, vid_stride=2))
    assert [(frame.index, frame.image.shape) for frame in frames] == [
        (0, (80, 160, 3)),
        (2, (160, 320, 3)),
        (4, (32, 64, 3)),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, lambda image: image),
        (3, lambda image: np.rot90(image, 2)),
        (6, lambda image: np.rot90(image, -1)),
        (8, lambda image: np.rot90(image, 1)),
        (2, np.fliplr),
    ],
)
def test_exif_orientation_is_applied(tmp_path: Path, value: int, expected: object) -> None:
    jpeg = write_image(tmp_path / "plain.jpg", 5).read_bytes()
    plain = next(iter(ImageSource(tmp_path / "plain.jpg"))).image
    (tmp_path / "turned.jpg").write_bytes(with_exif_orientation(jpeg, value))
    turned = next(iter(ImageSource(tmp_path / "turned.jpg"))).image
    assert np.array_equal(turned, expected(plain))  # type: ignore[operator]


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    for name, shape in (("grey", (20, 30)), ("clear", (20, 30, 4))):
        (tmp_path / f"{name}.png").write_bytes(cv2.imencode(".png", np.full(shape, 99, np.uint8))[1].tobytes())
    for frame in ImageSource(tmp_path):
        assert frame.image.shape == (20, 30, 3)
        assert (frame.image == 99).all()


def test_unreadable_images_are_skipped_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        write_image(tmp_path / f"{number}.jpg", number)
    (tmp_path / "1.jpg").write_bytes(b"not an image")
    (tmp_path / "3.jpg").write_bytes(b"")
    source = ImageSource(tmp_path)
    for _ in range(2):
        assert [frame.index for frame in source] == [0, 2, 4]
        assert source.damage == 2
    assert "1.jpg" in caplog.text


def test_a_cut_off_jpeg_is_used_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = write_image(tmp_path / "a.jpg", 5, width=640, height=480)
    image.write_bytes(image.read_bytes()[:-60])
    source = ImageSource(tmp_path)
    assert [read_number(frame.image) for frame in source] == [5]
    assert source.damage == 1
    assert "a.jpg was cut off" in caplog.text


def test_globs_and_lists_choose_images(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.png", "b/3.jpg"):
        write_image(tmp_path / name, int(name[2]))
    assert [read_number(frame.image) for frame in ImageSource(str(tmp_path / "a" / "*.jpg"))] == [1]
    assert [read_number(frame.image) for frame in ImageSource(str(tmp_path / "**" / "*.jpg"))] == [1, 3]
    assert [frame.source for frame in ImageSource([tmp_path / "b/3.jpg", tmp_path / "a/1.jpg"])] == ["3.jpg", "1.jpg"]


def test_folders_without_images_are_refused_with_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file at all"):
        ImageSource(tmp_path)
    (tmp_path / "film.mp4").touch()
    with pytest.raises(SourceError, match=r"1 other files \(\.mp4\)"):
        ImageSource(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(SourceError, match="none of its 1 images can be read"):
        ImageSource(tmp_path)


def test_numbers_in_names_sort_by_value() -> None:
    names = ["b10", "b9", "a2c10", "a2c9", "10", "9", "B11", "a"]
    assert sorted(map(Path, names), key=natural_key) == list(
        map(Path, ["9", "10", "a", "a2c9", "a2c10", "b9", "b10", "B11"])
    )


def test_what_was_assumed_is_reported_once_and_what_is_not_read_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((48, 64, 3), 2000 + number, np.uint16))
    (tmp_path / "phone.HEIC").write_bytes(b"x")
    assert len(list(ImageSource(tmp_path))) == 3
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert "phone.HEIC" in messages[0]
    assert messages[1].startswith("0.png: its 16-bit values go no higher than 2000")
