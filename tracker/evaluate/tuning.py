"""Random search of the tracker's settings against ground truth, first wide, then around the best found."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tracker.config import TrackerConfig
from tracker.evaluate.benchmark_rules import Rules, rules_by_group
from tracker.evaluate.mot_files import MotRows, detections_by_frame, find_sequences, read_rows, warn_of_assumed_rates
from tracker.evaluate.tracking import TrackingScores, combine, evaluate_sequence, prepare
from tracker.track.engine import TrackingEngine
from tracker.types import Detections

__all__ = ["Problem", "load_problems", "score", "score_by_group", "search"]

SPACE: Mapping[str, Sequence[Any]] = {
    "low_score": (0.05, 0.1, 0.2, 0.3),
    "high_score": (0.3, 0.4, 0.5, 0.6, 0.7),
    "new_score": (0.4, 0.5, 0.6, 0.7, 0.8),
    "new_max_overlap": (1.0, 0.9, 0.7, 0.5),
    "filter": ("xywh", "xyah", "xysr"),
    "position_noise": (0.03, 0.05, 0.07, 0.1),
    "velocity_noise": (0.004, 0.00625, 0.01, 0.02),
    "wander_noise": (0.0, 0.3, 0.5, 0.8),
    "start_speed": (0.0, 1.0, 1.875, 4.0),
    "measurement_noise": (0.3, 0.5, 0.7, 1.0, 1.4),
    "score_adaptive_noise": (False, True),
    "freeze_lost_size": (False, True),
    "reupdate": (False, True),
    "similarity": ("iou", "height_iou"),
    "buffer": (0.0, 0.05, 0.1, 0.2),
    "buffer_per_s2": (0.0, 2.5, 5.0, 10.0),
    "fuse_score": (False, True),
    "direction_weight": (0.0, 0.1, 0.2),
    "high_min_similarity": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    "low_min_similarity": (0.3, 0.4, 0.5),
    "tentative_separately": (False, True),
    "tentative_min_similarity": (0.2, 0.3, 0.4),
    "recover": (False, True),
    "recover_min_similarity": (0.2, 0.3),
    "confirm_hits": (2, 3, 4),
    "instant_score": (2.0, 0.99, 0.95, 0.9),
    "max_coast_s": (0.7, 1.0, 1.5, 2.0, 3.0),
    "report": ("filter", "detection"),
    "report_coast_s": (0.0, 0.1, 0.3, 0.5),
    "report_coast_residual": (0.03, 0.05, 0.08),
}
"""What is searched, and the values tried."""
WIDE_SHARE = 0.4
"""This share of the trials looks everywhere, the others change a few settings of the best so far."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One sequence to track and its truth."""

    name: str
    group: str
    rules: Rules
    frame_rate: float
    length: int
    frames: list[Detections]
    ground_truth: MotRows


def load_problems(folder: Path) -> list[Problem]:
    """Every sequence below `folder` with detections and ground truth."""
    sequences = [s for s in find_sequences(folder, "det/det.txt") if (s.folder / "gt/gt.txt").is_file()]
    find_sequences(folder, "gt/gt.txt")  # refuses a folder without any truth
    warn_of_assumed_rates(sequences)
    truths = {sequence.name: read_rows(sequence.folder / "gt/gt.txt") for sequence in sequences}
    rules = rules_by_group(sequences, truths, folder)
    problems = []
    for sequence in sequences:
        ground_truth = truths[sequence.name]
        frames = detections_by_frame(read_rows(sequence.folder / "det/det.txt"), sequence.length)
        problems.append(
            Problem(
                sequence.name,
                sequence.group,
                rules[sequence.group],
                sequence.frame_rate,
                max(len(frames), int(ground_truth.frames[-1]) if len(ground_truth) else 0),
                frames,
                ground_truth,
            )
        )
    return problems


def evaluate(problem: Problem, config: TrackerConfig) -> TrackingScores:
    """The scores of one setting on one sequence."""
    tracker = TrackingEngine(replace(config, frame_rate=config.frame_rate or problem.frame_rate))
    frames, ids, boxes, scores = [], [], [], []
    for index, detections in enumerate(problem.frames):
        tracks = tracker.update(detections, index / problem.frame_rate)
        tracks = tracks[tracker.reported(tracks)]
        frames.append(np.full(len(tracks), index + 1))
        ids.append(tracks.ids)
        boxes.append(tracks.boxes)
        scores.append(tracks.scores)
    count = sum(map(len, ids))
    result = MotRows(
        np.concatenate(frames),
        np.concatenate(ids),
        np.concatenate(boxes).astype(np.float64),
        np.concatenate(scores).astype(np.float64),
        np.ones(count, np.int64),
        10,
    )
    return evaluate_sequence(
        prepare(problem.ground_truth, result, problem.length, rules=problem.rules, where=problem.name)
    )


def score_by_group(problems: Sequence[Problem], config: TrackerConfig) -> dict[str, TrackingScores]:
    """The scores of one setting on each group of sequences."""
    scores: dict[str, list[TrackingScores]] = {}
    for problem in problems:
        scores.setdefault(problem.group, []).append(evaluate(problem, config))
    return {group: combine(members) for group, members in scores.items()}


def score(problems: Sequence[Problem], config: TrackerConfig) -> float:
    """Mean of HOTA, MOTA and IDF1, in percent, over the groups."""
    groups = score_by_group(problems, config).values()
    return 100 * float(np.mean([(group.hota, group.mota, group.idf1) for group in groups]))


def search(
    problems: Sequence[Problem], start: TrackerConfig, trials: int, *, seed: int
) -> Iterator[tuple[TrackerConfig, float]]:
    """Each setting tried and its score; the same seed tries the same ones."""
    chance = random.Random(seed)
    best, best_score = start, score(problems, start)
    for trial in range(trials):
        names = sorted(SPACE) if trial < WIDE_SHARE * trials else chance.sample(sorted(SPACE), chance.randint(1, 4))
        candidate = replace(best, **{name: chance.choice(SPACE[name]) for name in names})
        value = score(problems, candidate)
        if value > best_score:
            best, best_score = candidate, value
        yield candidate, value
