"""Whose settings win: defaults, the user's file, the environment, --config, options, --set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from tracker.commands.options import settings_from
from tracker.commands.user_settings import user_file, user_settings
from tracker.errors import ConfigError


def conf(tmp_path: Path, **options: Any) -> float | None:
    return settings_from(argparse.Namespace(config=None, **{"set": [], **options})).detector.conf


def test_the_later_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert conf(tmp_path) is None
    mine = tmp_path / "mine.toml"
    mine.write_text("[detector]\nconf = 0.1\nimgsz = 320\n")
    monkeypatch.setenv("SIGHTLINE_CONFIG", str(mine))
    assert conf(tmp_path) == 0.1
    monkeypatch.setenv("SIGHTLINE_DETECTOR_CONF", "0.2")
    assert conf(tmp_path) == 0.2
    given = tmp_path / "given.yaml"
    given.write_text("detector: {conf: 0.3}")
    options: dict[str, Any] = {"config": given}
    found = settings_from(argparse.Namespace(**options, set=[]))
    assert (found.detector.conf, found.detector.imgsz) == (0.3, 320)
    assert settings_from(argparse.Namespace(**options, set=[], conf=0.4)).detector.conf == 0.4
    everything = argparse.Namespace(**options, set=["detector.conf=0.5"], conf=0.4)
    assert settings_from(everything).detector.conf == 0.5


def test_the_settings_of_an_earlier_run_stand_for_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "args.yaml").write_text("command: track\ninput: a.mp4\ndetector: {model: auto}\n")
    monkeypatch.setenv("SIGHTLINE_DETECTOR_CONF", "0.2")
    assert settings_from(argparse.Namespace(config=tmp_path / "args.yaml", set=[])).detector.conf is None


def test_a_tracker_that_is_named_replaces_that_of_the_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SIGHTLINE_TRACKER_PRESET", "bytetrack")
    monkeypatch.setenv("SIGHTLINE_TRACKER_MAX_COAST_S", "7")
    settings = settings_from(argparse.Namespace(config=None, set=[]))
    assert (settings.tracker.max_coast_s, settings.own_scores) == (7.0, True)
    named = settings_from(argparse.Namespace(config=None, set=[], tracker="sort"))
    assert named.tracker.max_coast_s != 7.0
    assert "SIGHTLINE_TRACKER_MAX_COAST_S" in caplog.text


def test_what_is_unknown_is_refused_and_what_is_no_setting_let_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"SIGHTLINE_DETECTOR_CONFF: no such setting.*SIGHTLINE_DETECTOR_CONF"):
        user_settings({"SIGHTLINE_CONFIG": "", "SIGHTLINE_DETECTOR_CONFF": "1"})
    with pytest.raises(ConfigError, match="cannot read the settings file"):
        user_settings({"SIGHTLINE_CONFIG": str(tmp_path / "none.toml")})
    assert user_settings({"SIGHTLINE_CONFIG": "", "SIGHTLINE_SHARED": "x", "HOME": "y"}) == ({}, "")


def test_the_file_lies_where_the_system_keeps_such_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, environment, expected in (
        ("linux", {"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path / "sightline" / "config.toml"),
        ("linux", {}, Path.home() / ".config" / "sightline" / "config.toml"),
        ("win32", {"APPDATA": str(tmp_path)}, tmp_path / "sightline" / "config.toml"),
        ("darwin", {}, Path.home() / "Library" / "Application Support" / "sightline" / "config.toml"),
    ):
        monkeypatch.setattr("sys.platform", platform)
        assert user_file(environment) == expected
    assert user_file({"SIGHTLINE_CONFIG": ""}) is None
