from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tracker.config.tracking import TrackerConfig
from tracker.errors import ConfigError
from tracker.track.presets import PRESETS, UNUSED, tracker_config

ULTRALYTICS = """
tracker_type: bytetrack
track_high_thresh: 0.3
track_low_thresh: 0.15
new_track_thresh: 0.35
track_buffer: 60
match_thresh: 0.7
fuse_score: True
"""


def files_of_ultralytics() -> list[Path]:
    """Those of the installed package, which is not imported for that."""
    found = find_spec("ultralytics")
    assert found is not None
    assert found.origin is not None
    return sorted((Path(found.origin).parent / "cfg" / "trackers").glob("*.yaml"))


def test_a_settings_file_of_ultralytics_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(ULTRALYTICS)
    expected = replace(
        tracker_config("bytetrack", {}),
        high_score=0.3,
        low_score=0.15,
        new_score=0.35,
        max_coast_s=2.0,
        high_min_similarity=pytest.approx(0.3),
    )
    assert tracker_config(str(path), {}) == expected


def test_a_file_of_ultralytics_goes_by_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracker_config("bytetrack.yaml", {}) == tracker_config("bytetrack", {})
    assert "the preset bytetrack is used" in caplog.text
    (tmp_path / "bytetrack.yaml").write_text("tracker_type: bytetrack\ntrack_buffer: 90\n")
    assert tracker_config("bytetrack.yaml", {}).max_coast_s == 3.0


@pytest.mark.parametrize("file", files_of_ultralytics(), ids=lambda path: path.stem)
def test_each_file_of_ultralytics_is_taken_and_what_has_no_use_is_reported(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs, ours = yaml.safe_load(file.read_text()), tracker_config(str(file), {})
    assert (ours.high_score, ours.low_score) == (theirs["track_high_thresh"], theirs["track_low_thresh"])
    assert (ours.new_score, ours.max_coast_s) == (theirs["new_track_thresh"], theirs["track_buffer"] / 30)
    assert ours.high_min_similarity == pytest.approx(1 - theirs["match_thresh"])
    assert ours.camera_motion == (theirs.get("gmc_method", "") != "none")
    export_columns = [name for name in theirs if f" {name}" in caplog.text.replace(",", " ")]
    assert set(export_columns) == UNUSED & theirs.keys()
    assert ("is none of ours" in caplog.text) == (theirs["tracker_type"] not in PRESETS)


@pytest.mark.parametrize(
    ("text", "appearance", "model"),
    [
        ("with_reid: False\nmodel: auto", "none", ""),
        ("with_reid: True\nmodel: auto", "native", ""),
        ("with_reid: True\nmodel: osnet.pt", "reid", "osnet.pt"),
        ("track_buffer: 30", "auto", ""),
    ],
)
def test_appearance_in_a_file_of_ultralytics(text: str, appearance: str, model: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"tracker_type: botsort\nappearance_thresh: 0.8\n{text}\n")
    config = tracker_config(str(path), {})
    assert (config.appearance, config.reid_model) == (appearance, model)
    assert config.max_cosine_distance == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("preset", "theirs", "ours"),
    [
        ("sort", {"max_age": 15, "min_hits": 2, "iou_threshold": 0.4}, {"max_coast_s": 0.5, "confirm_hits": 2}),
        ("deepsort", {"max_cosine_distance": 0.3, "nn_budget": 50}, {"max_cosine_distance": 0.3, "gallery": 50}),
        ("deepsort", {"n_init": 5, "max_iou_distance": 0.6}, {"confirm_hits": 5, "high_min_similarity": 0.4}),
        ("ocsort", {"delta_t": 2, "inertia": 0.3, "use_byte": True}, {"direction_span": 2, "low_match": True}),
        ("ocsort", {"lost_track_buffer": 60, "minimum_consecutive_frames": 4}, {"max_coast_s": 2.0}),
    ],
)
def test_parameters_go_by_the_names_their_users_know(
    preset: str, theirs: dict[str, float], ours: dict[str, float]
) -> None:
    config = tracker_config(preset, theirs)
    assert {name: getattr(config, name) for name in ours} == {
        name: pytest.approx(value) for name, value in ours.items()
    }


def test_counts_of_frames_become_seconds_at_the_frame_rate_given() -> None:
    assert tracker_config("sort", {"max_age": 10, "frame_rate": 10.0}).max_coast_s == 1.0
    assert tracker_config("bytetrack", {"frame_rate": 10.0}).max_coast_s == 3.0


def test_a_toml_file_may_name_the_preset_it_starts_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('tracker = "ocsort"\nconfirm_hits = 5\n')
    assert tracker_config(str(path), {}) == replace(tracker_config("ocsort", {}), confirm_hits=5)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("bytetrak", {}, "no tracker 'bytetrak'.*bytetrack"),
        ("sort", {"max_aje": 3}, "unknown setting 'max_aje'.*max_age"),
        ("sort", {"max_age": "long"}, "max_age: expected a number, found 'long'"),
        ("sort", {"confirm_hits": 0}, "confirm_hits must be 1 or more"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tracker_config(name, settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1\n", "'name: value' lines, found list"), ("a: [", "not a YAML"), ("a: b: c", "not a YAML")],
)
def test_a_file_that_holds_no_settings_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        tracker_config(str(path), {})
    with pytest.raises(ConfigError, match="cannot read"):
        tracker_config(str(tmp_path / "missing.yml"), {})


def test_the_default_preset_is_the_default_configuration() -> None:
    assert tracker_config("default", {}) == TrackerConfig()
    assert {"sort", "deepsort", "bytetrack", "botsort", "ocsort", "default"} == set(PRESETS)


def test_a_detectors_own_threshold_sets_the_scores_that_continue_and_start_tracks() -> None:
    config = TrackerConfig().for_threshold(0.6)
    assert (config.high_score, config.new_score) == (0.6, pytest.approx(0.7))
    assert TrackerConfig().for_threshold(1.0).new_score == 1.0
