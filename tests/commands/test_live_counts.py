"""`track --count`, `--info` and `--rules`: counts and events while a run goes on."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import main
from tests.annotate.conftest import clip, network
from tests.overlay.scenes import crowd, make_result, make_tracks
from tracker.analytics import load_rules
from tracker.commands.live_counts import COLUMNS
from tracker.overlay import Overlay, OverlayConfig
from tracker.store import Recording
from tracker.types import Detections, TrackState

__all__ = ["clip", "network"]

GATE = """
size = [100, 100]

[[line]]
name = "gate"
start = [50, 0]
end = [50, 100]

[[zone]]
name = "left half"
polygon = [[0, 0], [50, 0], [50, 100], [0, 100]]
"""


def run(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text(GATE, encoding="utf-8")
    return path


def test_only_what_is_confirmed_and_detected_is_counted() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]], np.float32)
    states = np.array([TrackState.CONFIRMED] * 3 + [TrackState.TENTATIVE], np.uint8)
    tracks = make_tracks(boxes, class_ids=np.array([1, 0, 1, 1], np.int32), states=states)
    result = make_result(replace(tracks, detection_rows=np.array([0, 1, -1, 2], np.int32)), crowd(80, 40).frame.image)
    assert result.counts() == {result.labels[0]: 1, result.labels[1]: 1}


def test_detections_are_counted_where_nothing_is_tracked() -> None:
    found = Detections(
        boxes=np.tile(np.array([0, 0, 5, 5], np.float32), (3, 1)),
        scores=np.ones(3, np.float32),
        class_ids=np.array([1, 9, 1], np.int32),
    )
    result = replace(crowd(80, 40), detections=found, tracked=False, labels=("person", "car"))
    assert result.counts() == {"car": 2, "class 9": 1}


def test_the_counts_stand_in_the_corner_only_where_they_are_asked_for() -> None:
    result = crowd(480, 270)
    plain, counted = (Overlay(OverlayConfig(counts=counts))(result) for counts in (False, True))
    changed = np.argwhere((plain != counted).any(axis=2))
    assert len(changed)
    assert changed.max(axis=0)[0] < 120
    assert changed.max(axis=0)[1] < 200


def test_each_frame_has_its_line(tmp_path: Path, network: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("track", clip, "--model", network, "--info", "--project", tmp_path, "--progress", "none") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("frame ")]
    assert len(lines) == 200
    written = [json.loads(line) for line in (tmp_path / "run" / "clip.jsonl").read_text().splitlines()[1:]]
    for line, row in zip(lines, written, strict=True):
        named = Counter(each["class"] for each in row["objects"] if each["state"] == "confirmed")
        reported = Counter({name: int(count) for name, count in re.findall(r"(person|car) (\d+)", line)})
        assert reported == named


def test_events_are_printed_and_written_as_a_recording_has_them(
    tmp_path: Path, network: Path, clip: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", network, "--rules", rules, "--progress", "none")
    assert run("track", clip, *options, "--save", "--count", "--project", tmp_path / "runs") == 0
    out = capsys.readouterr().out
    with (tmp_path / "runs" / "run" / "clip-events.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert run("annotate", clip, *options, "--no-refine", "--out", tmp_path / "out") == 0
    with Recording(tmp_path / "out" / "clip.sqlite") as recording:
        stored = [each.event for each in recording.events()]
    assert [(row["kind"], row["name"], int(row["id"])) for row in rows] == [
        (event.kind, event.name, event.track_id) for event in stored
    ]
    crossings = [event for event in stored if event.kind == "line"]
    assert crossings
    inward = sum(event.value > 0 for event in crossings)
    assert f"gate: in {inward}" in out
    assert out.count("crossed gate") == len(crossings)
    assert "left half: " in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--info", "--progress", "json"), "--info: prints lines on stdout"),
        (("--count",), "--count: writes onto the frames; add --save or --show"),
        (("--rules", "gone.toml"), "gone.toml"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, network: Path, clip: Path, options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("track", clip, "--model", network, "--project", tmp_path / "runs", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_rules_about_a_class_that_the_network_does_not_know_are_refused(
    tmp_path: Path, network: Path, clip: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules.write_text(GATE + 'classes = ["unicorn"]\n', encoding="utf-8")
    assert load_rules(rules).zone[0].classes == ("unicorn",)
    assert run("track", clip, "--model", network, "--project", tmp_path / "runs", "--rules", rules) == 2
    assert "unknown class 'unicorn'" in capsys.readouterr().err
