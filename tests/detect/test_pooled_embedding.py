from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.utils
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn import functional

from tracker.commands.demo_clip import frames
from tracker.config import DetectorConfig
from tracker.detect.pooled_embedding import STRIPES, describe
from tracker.embedded import embedded_networks
from tracker.errors import ConfigError
from tracker.factory import make_detector
from tracker.geometry import iou
from tracker.types import Image

ONNX = embedded_networks()["sightline-nano"]
HEIGHT, WIDTH = 96, 160
COORDINATES = st.floats(-500, 500, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 1e38])


def feature_map(seed: int = 0, channels: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(channels, HEIGHT // 4, WIDTH // 4)).astype(np.float32)


@given(arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(4)), elements=COORDINATES))
def test_vectors_are_finite_and_of_unit_length_whatever_the_boxes(boxes: np.ndarray) -> None:
    vectors = describe(feature_map(), boxes, width=WIDTH, height=HEIGHT)
    assert vectors.shape == (len(boxes), 6 * STRIPES)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_points_are_read_as_torch_reads_them() -> None:
    features = feature_map(1)
    boxes = np.array([[8, 8, 60, 90], [100.5, 20.25, 130, 31], [-20, 50, 40, 120]], np.float32)
    sampled = features[:, ::4, ::4].reshape(6, -1)
    standard = (features - sampled.mean(axis=1)[:, None, None]) / sampled.std(axis=1)[:, None, None]
    x1, y1, x2, y2 = torch.from_numpy(boxes)[:, :, None, None].unbind(1)
    across, down = (torch.arange(4) + 0.5) / 4, (torch.arange(2 * STRIPES) + 0.5) / (2 * STRIPES)
    x, y = torch.broadcast_tensors(x1 + (x2 - x1) * across[None, None], y1 + (y2 - y1) * down[None, :, None])
    where = torch.stack((x / WIDTH, y / HEIGHT), dim=-1) * 2 - 1
    maps = torch.from_numpy(standard).expand(3, -1, -1, -1)
    values = functional.grid_sample(maps, where, padding_mode="border", align_corners=False)
    stripes = values.unflatten(2, (STRIPES, 2)).mean(dim=(3, 4)).transpose(1, 2).flatten(1)
    expected = functional.normalize(stripes, dim=1).numpy()
    np.testing.assert_allclose(describe(features, boxes, width=WIDTH, height=HEIGHT), expected, atol=1e-5)


def test_the_same_look_elsewhere_is_the_same_and_another_is_not() -> None:
    features = feature_map(2) * np.float32(0.1)
    patch, other = (np.random.default_rng(seed).normal(size=(6, 12, 5)).astype(np.float32) for seed in (5, 6))
    features[:, 2:14, 3:8] = features[:, 7:19, 20:25] = patch
    features[:, 4:16, 30:35] = other
    boxes = np.array([[12, 8, 32, 56], [80, 28, 100, 76], [120, 16, 140, 64]], np.float32)
    one, again, third = describe(features, boxes, width=WIDTH, height=HEIGHT)
    assert one @ again > 0.999
    assert one @ third < 0.7


def test_an_image_of_one_colour_is_like_nothing() -> None:
    flat = np.full((3, 24, 40), 7, np.float32)
    assert not describe(flat, np.array([[10, 10, 40, 60]], np.float32), width=WIDTH, height=HEIGHT).any()


@pytest.fixture(scope="module")
def images() -> list[Image]:
    clip = [frame.image for frame in frames()]
    return [clip[0], clip[2], clip[-1]]


def config(model: Path = ONNX, **more: object) -> DetectorConfig:
    return DetectorConfig(model=str(model), device="cpu", imgsz=320, masks=False, **more)  # type: ignore[arg-type]


def test_onnx_and_torch_tell_the_same_looks(images: list[Image]) -> None:
    for image in images:
        (a,), (b,) = (
            make_detector(config(ONNX.with_suffix(kind)), threads=1, appearance="native").detect([image])
            for kind in (".onnx", ".safetensors")
        )
        assert a.embeddings is not None
        assert b.embeddings is not None
        assert len(a) == len(b) > 0
        assert (a.embeddings * b.embeddings).sum(axis=1).min() > 0.999


def test_a_batch_gives_what_the_images_give_alone_and_a_person_is_like_itself_soon_after(
    images: list[Image],
) -> None:
    detector = make_detector(config(), threads=1, appearance="native")
    together = detector.detect(images)
    alone = [detector.detect([image])[0] for image in images]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.embeddings, other.embeddings, atol=1e-4)
    first, soon, _ = together
    partner = iou(first.boxes, soon.boxes).argmax(axis=1)
    likeness = first.embeddings @ soon.embeddings[partner].T  # type: ignore[operator, index]
    assert likeness.diagonal().min() > 0.95
    assert likeness[~np.eye(len(first), dtype=bool)].max() < 0.8


def test_without_being_asked_nothing_is_reported_and_of_nobody_nothing(images: list[Image]) -> None:
    (found,) = make_detector(config(), threads=1).detect(images[:1])
    assert len(found) > 0
    assert found.embeddings is None
    (nobody,) = make_detector(config(conf=1.0), threads=1, appearance="native").detect(images[:1])
    assert nobody.embeddings is not None
    assert nobody.embeddings.shape == (0, 32 * STRIPES)


def test_networks_without_feature_map_say_what_to_do(tmp_path: Path) -> None:
    older = tmp_path / "older.onnx"
    onnx.utils.extract_model(str(ONNX), str(older), ["images"], ["p3", "p4", "p5", "prototypes"])
    stripped, card = onnx.load(older), onnx.load(ONNX).metadata_props
    del stripped.metadata_props[:]
    stripped.metadata_props.extend(card)
    onnx.save(stripped, older)
    assert len(make_detector(config(older), threads=1).labels) == 80
    with pytest.raises(ConfigError, match=r"--appearance native: .*older\.onnx gives no feature map; .*export"):
        make_detector(config(older), threads=1, appearance="native")
    with pytest.raises(ConfigError, match=r"a model of ultralytics, gives no feature map"):
        make_detector(config(tmp_path / "yolo11n.pt"), threads=1, appearance="native")


@pytest.mark.shared
def test_yolox_has_no_feature_map(shared: Path) -> None:
    published = DetectorConfig(model=str(shared / "data/pretrained/yolox_nano.onnx"), device="cpu", masks=False)
    with pytest.raises(ConfigError, match=r"yolox_nano\.onnx gives no feature map"):
        make_detector(published, threads=1, appearance="native")
