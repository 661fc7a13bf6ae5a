"""What became of a recorded frame's detections is what the engine said when it was recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.store.recordings import INFO
from tests.track.scenes import detections, walk
from tracker.annotate.replay import recorded_tracker, replay, replay_stored
from tracker.config import TrackerConfig, to_mapping
from tracker.observations import Observations
from tracker.store import Recording, RecordingWriter
from tracker.track.engine import TrackingEngine
from tracker.types import Detections, Tracks, TrackState

RATE = 25.0
CONFIG = TrackerConfig(frame_rate=RATE, appearance="none", report="detection", confirm_first_frames=0)


def rows(frame: int, tracks: Tracks, found: Detections, *, confirmed: bool) -> Observations:
    chosen = (tracks.detection_rows >= 0) & ((tracks.states == TrackState.CONFIRMED) == confirmed)
    tracks = tracks[chosen]
    boxes = found.boxes[tracks.detection_rows]
    return Observations.rounded(frame, tracks=tracks.ids, class_ids=tracks.class_ids, scores=tracks.scores, boxes=boxes)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, list[Detections], list[list[str]]]:
    """A recording of a synthetic scene, its detections, and what the engine said of each."""
    scene, _ = walk(6, 90, clutter=0.3, seed=3)
    engine, path, said = TrackingEngine(CONFIG), tmp_path / "walk.sqlite", []
    settings = {"tracker": to_mapping(CONFIG), "own_scores": True}
    writer = RecordingWriter.create(path, replace(INFO, settings=settings))
    for frame, found in enumerate(scene):
        tracks = engine.update(found, frame / RATE)
        said.append([engine.explain(row) for row in range(len(found))])
        tentative = rows(frame, tracks, found, confirmed=False)
        writer.add(frame, frame / RATE, rows(frame, tracks, found, confirmed=True), [], tentative)
    writer.commit({})
    writer.close()
    return path, scene, said


def test_a_replayed_frame_is_explained_as_it_was_when_it_was_recorded(
    recorded: tuple[Path, list[Detections], list[list[str]]],
) -> None:
    path, scene, said = recorded
    with Recording(path) as recording:
        config = recorded_tracker(recording.info.settings, 0.5)
        assert config == CONFIG
        for frame in (0, 1, 40, 89):
            explain = replay(recording, frame, scene[frame], config)
            again = [explain(row) for row in range(len(scene[frame]))]
            beginnings = [words.split(",")[0].split(" (")[0] for words in said[frame]]
            assert [words.split(",")[0].split(" (")[0] for words in again] == beginnings


def test_a_detection_that_is_no_track_is_explained_with_the_recordings_ids(
    recorded: tuple[Path, list[Detections], list[list[str]]],
) -> None:
    path, scene, said = recorded
    row = next(row for row, words in enumerate(said[60]) if words.startswith("continues track"))
    name = said[60][row].removeprefix("continues ").split(",")[0]
    beside = np.concatenate([scene[60].boxes, scene[60].boxes[[row]] + 4])
    scores = np.append(scene[60].scores, 0.2)
    explain = replay_stored(path, 60, detections(beside, scores), 0.5)
    assert explain is not None
    words = explain(len(scores) - 1)
    assert name in words
    assert f"detection {row}" in words


def test_a_finished_recordings_tracks_go_on_as_confirmed_ones(
    recorded: tuple[Path, list[Detections], list[list[str]]],
) -> None:
    path, scene, said = recorded
    writer = RecordingWriter.resume(path)
    writer.complete_with(None)
    writer.close()
    for frame in (10, 40, 89):
        explain = replay_stored(path, frame, scene[frame], 0.5)
        assert explain is not None
        followed = [row for row, words in enumerate(said[frame]) if words.endswith(", confirmed")]
        assert followed
        assert [explain(row) for row in followed] == [said[frame][row] for row in followed]


def test_what_is_not_recorded_is_not_explained(
    recorded: tuple[Path, list[Detections], list[list[str]]], tmp_path: Path
) -> None:
    path, scene, _ = recorded
    assert replay_stored(path, 90, scene[0], 0.5) is None
    assert replay_stored(tmp_path / "other.sqlite", 0, scene[0], 0.5) is None
