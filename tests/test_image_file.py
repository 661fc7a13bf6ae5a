"""A still image looks the same whatever kind of file holds it, and what had to be assumed is reported."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy import ndarray
from PIL import Image as PillowImage

from tests.video.synthetic import numbered_image, read_number
from tracker.image_file import ImageFinder, decode_image, is_image, read_image

IMAGE = numbered_image(619)
BGR = np.ascontiguousarray(IMAGE[..., ::-1])


def encoded(suffix: str, pixels: ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".jp2", ".png", ".gif", ".bmp", ".webp", ".avif", ".tiff", ".ppm"])
def test_every_kind_shows_the_same_image(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    PillowImage.fromarray(IMAGE).save(path)
    pixels, whole, note = read_image(path)
    assert pixels is not None
    assert np.abs(pixels.astype(int) - IMAGE).mean() < 8
    assert read_number(pixels) == 619
    assert (whole, note, pixels.flags.writeable) == (True, "", False)
    assert is_image(path) == (suffix != ".gif")  # which may be an animation: a video


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_values_of_a_sensor_are_spread_over_the_whole_range(bits: int) -> None:
    pixels, _, note = decode_image(encoded(".png", BGR.astype(np.uint16) << (bits - 8)))
    assert pixels is not None
    np.testing.assert_array_equal(pixels, IMAGE)
    assert (f"taken for {bits} bits" in note) == (bits < 16)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "pbm"])
def test_dots_of_black_and_white_become_shades_again(tmp_path: Path, suffix: str) -> None:
    path, grey = tmp_path / f"a.{suffix}", PillowImage.fromarray(IMAGE).convert("L")
    grey.convert("1").save(path)
    pixels, _, note = read_image(path)
    assert pixels is not None
    assert "black and white only" in note
    assert np.abs(pixels[..., 0].astype(int) - np.array(grey)).mean() < 25  # the dots lie 90 away


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_of_several_images_is_used_and_reported(tmp_path: Path, suffix: str) -> None:
    first, path = PillowImage.fromarray(IMAGE), tmp_path / f"a.{suffix}"
    first.save(path, save_all=True, append_images=[PillowImage.fromarray(numbered_image(3))])
    pixels, _, note = read_image(path)
    assert pixels is not None
    assert read_number(pixels) == 619
    assert "several images" in note


@pytest.mark.parametrize(
    "content", [b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"GIF89a", b"RIFF....WEBPVP8X" + b"\0" * 8]
)
def test_broken_content_is_no_image(content: bytes) -> None:
    assert decode_image(content)[:2] == (None, False)


def test_fractions_are_not_guessed_at() -> None:
    assert decode_image(encoded(".tiff", BGR.astype(np.float32) / 255)).pixels is None


def test_an_image_is_found_by_its_stem_in_any_case(tmp_path: Path) -> None:
    for name in ("a.JPG", "b.Png", "c.d.TIFF", "e.txt"):
        (tmp_path / name).touch()
    images = ImageFinder()
    found = [images.find(tmp_path / stem) for stem in ("a", "b", "c.d", "c", "e")]
    assert [path and path.name for path in found] == ["a.JPG", "b.Png", "c.d.TIFF", None, None]
    assert images.find(tmp_path / "nothing" / "a") is None
