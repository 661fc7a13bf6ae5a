from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tracker.config import (
    DetectorConfig,
    TrackerConfig,
    build,
    field_docs,
    nearest,
    parse_assignment,
    read_toml,
    to_mapping,
    to_toml,
)
from tracker.errors import ConfigError
from tracker.factory import Settings, load_settings
from tracker.overlay import OverlayConfig


def test_an_unknown_key_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"my\.toml: unknown setting 'imgzs'; did you mean 'imgsz'\?"):
        build(DetectorConfig, {"imgzs": 640}, "my.toml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"conf": "high"}, "conf: expected a number"),
        ({"conf": 1.5}, "conf must be from 0 to 1"),
        ({"imgsz": 630}, "imgsz must be a multiple of 32, found 630; try 640"),
        ({"imgsz": 64.5}, "imgsz: expected a whole number"),
        ({"masks": 3}, "masks: expected true or false"),
        ({"classes": 3}, "classes: expected a list"),
        ({"batch": True}, "batch: expected a whole number"),
        ({"conf": float("nan")}, "expected a number, found nan"),
    ],
)
def test_a_value_that_does_not_fit_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(DetectorConfig, values, "--set")


def test_values_of_near_types_are_taken() -> None:
    config = build(DetectorConfig, {"conf": 1, "classes": "person, car", "imgsz": "none"}, "test")
    assert config == DetectorConfig(conf=1.0, classes=("person", "car"), imgsz=None)


def test_every_field_of_every_config_is_explained() -> None:
    for cls in (Settings, *(type(getattr(Settings(), name)) for name in field_docs(Settings) if name != "own_scores")):
        assert set(field_docs(cls)) == set(cls.__dataclass_fields__)


def test_settings_survive_toml() -> None:
    settings = load_settings({"detector": {"conf": 0.4, "classes": ["car"]}, "overlay": {"trails": True}}, "test")
    assert load_settings(tomllib.loads(to_toml(settings)), "again") == settings


def test_plain_values_leave_out_what_is_unset() -> None:
    assert "conf" not in to_mapping(DetectorConfig())
    assert to_mapping(OverlayConfig(blur_classes=("person",)))["blur_classes"] == ["person"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("detector.conf=0.4", (["detector", "conf"], 0.4)),
        ("output.save = true", (["output", "save"], True)),
        ("detector.model=a b.onnx", (["detector", "model"], "a b.onnx")),
        ("detector.classes=[1, 2]", (["detector", "classes"], [1, 2])),
    ],
)
def test_assignments_are_read_as_toml_or_text(text: str, expected: tuple[list[str], object]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["conf", "=3", ""])
def test_an_assignment_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected key=value"):
        parse_assignment(text)


def test_nearest_lists_all_when_nothing_comes_close() -> None:
    assert nearest("confidense", ["confidence", "iou"]) == "did you mean 'confidence'?"
    assert nearest("zzz", ["iou", "conf"]) == "known: conf, iou"


def test_a_missing_or_broken_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the settings file"):
        read_toml(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = b")
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_toml(broken)


def test_tracker_presets_are_adjusted_by_their_own_names() -> None:
    settings = load_settings({"tracker": {"preset": "bytetrack", "max_coast_s": 2}}, "test")
    assert settings.tracker.max_coast_s == 2
    assert settings.own_scores
    assert isinstance(load_settings({}, "test").tracker, TrackerConfig)
    with pytest.raises(ConfigError, match="bytetrack"):
        load_settings({"tracker": {"preset": "bytetrak"}}, "test")
