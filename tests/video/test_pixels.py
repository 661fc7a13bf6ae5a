"""Colours against the standards' own formulas; orientation against all eight ways to hold a camera."""

from __future__ import annotations

from collections import deque
from itertools import product

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from tracker.types import Image
from tracker.video import pixels
from tracker.video.pixels import RgbConverter, apply_orientation

LUMA_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593), 2: (0.299, 0.114)}
LIMITED, FULL = 1, 2


def by_the_standard(y: np.ndarray, cb: np.ndarray, cr: np.ndarray, space: int, value_range: int) -> np.ndarray:
    """RGB 0..255 from 8-bit Y'CbCr: ITU-R BT.601, BT.709 and BT.2020 state it alike, with other luma weights."""
    red, blue = LUMA_WEIGHTS[space]
    if value_range == LIMITED:
        luma, chroma_scale = (y - 16) * 255 / 219, 255 / 224
    else:
        luma, chroma_scale = y.astype(float), 1.0
    b = luma + 2 * (1 - blue) * (cb - 128) * chroma_scale
    r = luma + 2 * (1 - red) * (cr - 128) * chroma_scale
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], -1), 0, 255)


def colour_chart(bits: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Planes of 4:2:0 blocks 8 pixels wide, with values that stay mostly inside RGB."""
    random = np.random.default_rng(seed)
    luma = random.integers(50, 200, (8, 16))
    chroma = random.integers(90, 166, (2, 8, 16))
    scale = 1 << (bits - 8)
    y = np.kron(luma * scale, np.ones((8, 8), int))
    cb, cr = (np.kron(plane * scale, np.ones((4, 4), int)) for plane in chroma)
    return y, cb, cr


def frame_of(y: np.ndarray, cb: np.ndarray, cr: np.ndarray, pixel_format: str) -> av.VideoFrame:
    frame = av.VideoFrame(y.shape[1], y.shape[0], pixel_format)
    for plane, values in zip(frame.planes, (y, cb, cr), strict=True):
        dtype = np.uint16 if "10" in pixel_format else np.uint8
        rows = np.zeros((plane.height, plane.line_size // dtype().itemsize), dtype)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


@pytest.mark.parametrize("space", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("value_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_colours_follow_the_streams_matrix_and_range(space: int, value_range: int, pixel_format: str) -> None:
    bits = 10 if "10" in pixel_format else 8
    planes = colour_chart(bits)
    frame = frame_of(*planes, pixel_format)
    frame.colorspace, frame.color_range = space, value_range
    image = RgbConverter()(frame)
    y, cb, cr = (plane / (1 << (bits - 8)) for plane in planes)
    expected = by_the_standard(y, cb.repeat(2, 0).repeat(2, 1), cr.repeat(2, 0).repeat(2, 1), space, value_range)
    difference = np.abs(image - expected)[2::8, 2::8]  # inside the blocks
    assert difference.mean() < 2.2  # swscale rounds down
    assert difference.max() <= 4


def test_a_stream_that_does_not_tell_is_read_as_bt601_in_limited_range() -> None:
    frame = frame_of(*colour_chart(8), "yuv420p")
    plain = RgbConverter()(frame)
    frame.colorspace, frame.color_range = 6, LIMITED
    assert np.array_equal(plain, RgbConverter()(frame))


def random_frame(width: int, height: int, pixel_format: str, seed: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    random = np.random.default_rng(seed)
    for plane in frame.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    return frame


def test_one_converter_takes_frames_of_any_kind_as_swscale_itself_does() -> None:
    converter = RgbConverter()
    formats = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p10le", "nv12", "yuyv422", "gbrp", "bgr24", "rgba", "gray"]
    for pixel_format, (width, height), space in product(formats, [(64, 48), (17, 9)], [1, 2, 9]):
        frame = random_frame(width, height, pixel_format)
        frame.colorspace = space
        expected = VideoReformatter().reformat(frame, format="rgb24", threads=1).to_ndarray()
        assert np.array_equal(converter(frame), expected), (pixel_format, width, space)


@pytest.mark.parametrize("every", [3, 1000])
def test_memory_is_used_again_but_never_while_anything_looks_at_it(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.setattr(pixels, "POOL_CHECK", every)
    converter, frames = RgbConverter(), [random_frame(640, 8, "yuv420p", seed) for seed in range(5)]
    kept = [converter(frame) for frame in frames]
    copies = [image.copy() for image in kept]
    corner, frozen = kept[0][2:4, 10:20], memoryview(kept[1])
    addresses = {image.ctypes.data for image in kept}
    del kept[:2]
    for frame in frames * 20:
        converter(frame)
    assert np.array_equal(corner, copies[0][2:4, 10:20])
    assert np.array_equal(frozen, copies[1])
    assert all(np.array_equal(image, copy) for image, copy in zip(kept, copies[2:], strict=True))
    del kept, corner, frozen
    later = [converter(frame) for frame in frames]
    assert all(np.array_equal(image, copy) for image, copy in zip(later, copies, strict=True))
    if every == 1000:
        assert len(addresses | {image.ctypes.data for image in later}) <= len(addresses) + 1


def test_a_pool_is_begun_anew_after_a_jam_only(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    make = pixels._conversion
    monkeypatch.setattr(pixels, "_conversion", lambda *kind: begun.append(kind) or make(*kind))
    monkeypatch.setattr(pixels, "POOL_CHECK", 10)
    converter, frame = RgbConverter(), random_frame(64, 8, "yuv420p")
    recent: deque[Image] = deque(maxlen=4)
    for _ in range(50):
        recent.append(converter(frame))
    assert len(begun) == 1
    jam = [converter(frame) for _ in range(15)]
    del jam
    for _ in range(50):
        recent.append(converter(frame))
    assert len(begun) == 2


@pytest.mark.parametrize("width", [2, 16, 17, 161, 640])
def test_any_width_comes_out_contiguous_and_read_only(width: int) -> None:
    frame = av.VideoFrame(width, 9, "yuv444p")
    image = RgbConverter()(frame)
    assert image.shape == (9, width, 3)
    assert image.flags.c_contiguous
    assert not image.flags.writeable


@pytest.mark.parametrize("orientation", list(product([False, True], repeat=3)))
def test_each_orientation_is_a_transpose_then_flips(orientation: tuple[bool, bool, bool]) -> None:
    image: Image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    transpose, left_right, top_bottom = orientation
    expected = image.transpose(1, 0, 2) if transpose else image
    expected = expected[:, ::-1] if left_right else expected
    expected = expected[::-1] if top_bottom else expected
    turned = apply_orientation(image, orientation)
    assert np.array_equal(turned, expected)
    assert turned.flags.c_contiguous
