"""The presets against the papers' own implementations and their PyPI packages."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tracker.evaluate.mot_files import MotRows, detections_by_frame, find_sequences, read_rows
from tracker.evaluate.tracking import evaluate_sequence, prepare
from tracker.evaluate.tuning import Problem, evaluate, load_problems
from tracker.track.presets import make_tracker, tracker_config

ROUNDING = 0.0011
"""Reference boxes are written with three decimals."""


@pytest.mark.shared
@pytest.mark.parametrize("group", ["MOT15", "MOT17", "KITTI-Car"])
@pytest.mark.parametrize("preset", ["sort", "deepsort"])
def test_the_preset_gives_the_boxes_and_ids_of_the_original(
    preset: str, group: str, mot: Path, reference: Path
) -> None:
    for sequence in find_sequences(mot / group, "det/det.txt"):
        embeddings = None
        if preset == "deepsort":
            with np.load(reference / "features" / group / f"{sequence.name}.npz") as stored:
                embeddings = stored[stored.files[0]].astype(np.float32)
        frames = detections_by_frame(read_rows(sequence.folder / "det/det.txt"), sequence.length, embeddings)
        expected = read_rows(reference / preset / group / f"{sequence.name}.txt")
        cuts = expected.frames.searchsorted(np.arange(1, len(frames) + 2))
        tracker = make_tracker(preset, {"frame_rate": sequence.frame_rate})
        ours_of, theirs_of = {}, {}
        for index, detections in enumerate(frames):
            tracks = tracker.update(detections, index / sequence.frame_rate)
            tracks = tracks[tracker.reported(tracks)]
            here = slice(cuts[index], cuts[index + 1])
            where = f"{sequence.name}, frame {index + 1}"
            ids, boxes = expected.ids[here], expected.boxes[here]
            assert len(tracks) == len(ids), where
            if len(ids) == 0:
                continue
            apart = np.abs(boxes[:, None] - tracks.boxes[None]).max(axis=2)
            nearest = apart.argmin(axis=1)
            assert apart.min(axis=1).max() <= ROUNDING, where
            assert len(set(nearest.tolist())) == len(ids), where
            for theirs, ours in zip(ids.tolist(), tracks.ids[nearest].tolist(), strict=True):
                assert ours_of.setdefault(theirs, ours) == ours, where
                assert theirs_of.setdefault(ours, theirs) == theirs, where


class _Boxes:
    """Detections as ultralytics' trackers read them."""

    def __init__(self, xyxy: np.ndarray, conf: np.ndarray) -> None:
        self.xyxy, self.conf, self.cls = xyxy, conf, np.zeros(len(conf), np.float32)

    @property
    def xywh(self) -> np.ndarray:
        return np.concatenate([(self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2, self.xyxy[:, 2:] - self.xyxy[:, :2]], axis=1)

    def __getitem__(self, rows: np.ndarray) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.conf[rows])

    def __len__(self) -> int:
        return len(self.conf)


def _ultralytics_bytetrack(problem: Problem) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    settings = {
        "track_high_thresh": 0.25,
        "track_low_thresh": 0.1,
        "new_track_thresh": 0.25,
        "track_buffer": 30,
        "match_thresh": 0.8,
        "fuse_score": True,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("ultralytics.trackers.byte_tracker")
    tracker = module.BYTETracker(SimpleNamespace(**settings))
    for detections in problem.frames:
        rows = tracker.update(_Boxes(detections.boxes, detections.scores)).reshape(-1, 8)
        yield rows[:, 4].astype(np.int64), rows[:, :4]


def _roboflow_ocsort(problem: Problem) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        supervision, trackers = pytest.importorskip("supervision"), pytest.importorskip("trackers")
    tracker: Any = trackers.OCSORTTracker()
    for detections in problem.frames:
        given = supervision.Detections(detections.boxes, confidence=detections.scores, class_id=detections.class_ids)
        found = tracker.update(given)
        known = found.tracker_id >= 0
        yield found.tracker_id[known], found.xyxy[known]


@pytest.mark.shared
@pytest.mark.parametrize(("preset", "peer"), [("bytetrack", _ultralytics_bytetrack), ("ocsort", _roboflow_ocsort)])
def test_the_preset_scores_as_the_package_from_pypi_does(preset: str, peer: Any, mot: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("YOLO_AUTOINSTALL", "false")
    (problem,) = load_problems(mot / "MOT17")
    found = list(peer(problem))
    frames = np.concatenate([np.full(len(ids), index + 1) for index, (ids, _) in enumerate(found)])
    ids, boxes = (np.concatenate(part) for part in zip(*found, strict=True))
    rows = MotRows(frames, ids, boxes.astype(np.float64), np.ones(len(ids)), np.ones(len(ids), np.int64), 10)
    theirs = evaluate_sequence(prepare(problem.ground_truth, rows, problem.length, rules=problem.rules, where=preset))
    ours = evaluate(problem, tracker_config(preset, {"frame_rate": problem.frame_rate}))
    assert 100 * ours.hota == pytest.approx(100 * theirs.hota, abs=0.3)
