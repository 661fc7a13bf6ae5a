from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from tracker.analytics import Rules
from tracker.config import (
    DetectorConfig,
    TrackerConfig,
    build,
    field_docs,
    nearest,
    parse_assignment,
    read_settings,
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
        ({"device": "gpu"}, "device 'gpu': no such device; use auto, cpu, cuda"),
        ({"device": "0,1"}, "one run uses one device"),
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


@pytest.mark.parametrize(
    ("typed", "device"), [(0, "cuda:0"), ("1", "cuda:1"), (" CPU ", "cpu"), ("cuda:2", "cuda:2"), ("mps", "mps")]
)
def test_a_device_goes_by_its_number_too(typed: object, device: str) -> None:
    assert build(DetectorConfig, {"device": typed, "classes": [0, "car"]}, "test").device == device


def test_a_setting_outside_its_section_is_reported_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match=r"imgsz is a setting of detector; write detector\.imgsz"):
        load_settings({"imgsz": 640}, "test")


def test_every_field_of_every_config_is_explained() -> None:
    for cls in (Settings, *(type(getattr(Settings(), name)) for name in field_docs(Settings) if name != "own_scores")):
        assert set(field_docs(cls)) == set(cls.__dataclass_fields__)


def test_settings_survive_toml() -> None:
    settings = load_settings({"detector": {"conf": 0.4, "classes": ["car"]}, "overlay": {"trails": True}}, "test")
    assert load_settings(tomllib.loads(to_toml(settings)), "again") == settings
    assert load_settings(yaml.safe_load(yaml.safe_dump(to_mapping(settings))), "again") == settings


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
        read_settings(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = b")
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_settings(broken)
    broken = tmp_path / "broken.yaml"
    for text, reason in (("a: [", "not a YAML file"), ("- 1", "'name: value' lines"), ("a: 2026-02-31", "not a YAML")):
        broken.write_text(text)
        with pytest.raises(ConfigError, match=reason):
            read_settings(broken)


def test_tracker_presets_are_adjusted_by_their_own_names() -> None:
    settings = load_settings({"tracker": {"preset": "bytetrack", "max_coast_s": 2}}, "test")
    assert settings.tracker.max_coast_s == 2
    assert settings.own_scores
    assert isinstance(load_settings({}, "test").tracker, TrackerConfig)
    with pytest.raises(ConfigError, match="bytetrack"):
        load_settings({"tracker": {"preset": "bytetrak"}}, "test")


def test_what_has_no_default_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"line.*: 'name' is missing"):
        build(Rules, {"line": [{"start": [0, 0], "end": [9, 9]}]}, "rules")
