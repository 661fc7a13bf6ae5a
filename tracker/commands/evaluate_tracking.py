"""`associate`, `evaluate tracking` and `tune`: from detection files to tracks, scores and settings, without images."""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tracker.config import assign, parse_assignment, to_toml
from tracker.errors import ConfigError, FormatError, SinkError
from tracker.evaluate import tuning
from tracker.evaluate.benchmark_rules import rules_by_group
from tracker.evaluate.mot_files import Sequence as MotSequence
from tracker.evaluate.mot_files import (
    detections_by_frame,
    find_sequences,
    observation_lines,
    read_rows,
    result_lines,
    warn_of_assumed_rates,
)
from tracker.evaluate.tracking import TrackingScores, combine, evaluate_sequence, prepare
from tracker.observations import Observations
from tracker.track.presets import make_tracker, tracker_config
from tracker.track.refine.refinement import refine
from tracker.types import Detections

__all__ = ["add_parsers"]

COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW", "FP", "FN")


def add_parsers(subparsers: Any, evaluate_subparsers: Any) -> None:
    """Add `associate` and `tune`, and `tracking` to `evaluate`; either may be None to add the others alone."""
    if subparsers is not None:
        _add_associate(subparsers)
        _add_tune(subparsers)
    if evaluate_subparsers is not None:
        parser = evaluate_subparsers.add_parser("tracking", help="score tracks against ground truth: HOTA, MOTA, IDF1")
        parser.add_argument("--gt", type=Path, required=True, metavar="DIR", help="folder with <sequence>/gt/gt.txt")
        parser.add_argument(
            "--results", type=Path, required=True, metavar="DIR", help="folder with <sequence>.txt, as associate writes"
        )
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        parser.set_defaults(run=_run_evaluate)


def _add_associate(subparsers: Any) -> None:
    parser = subparsers.add_parser("associate", help="give the boxes of detection files lasting ids, without images")
    parser.add_argument("folder", type=Path, help="folder with <sequence>/det/det.txt (and seqinfo.ini)")
    parser.add_argument("--tracker", default="default", metavar="NAME", help="preset, or a YAML or TOML file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where <sequence>.txt files go")
    refining = argparse.BooleanOptionalAction
    parser.add_argument(
        "--refine", action=refining, default=False, help="refine the tracks offline: link, fill, smooth"
    )
    parser.add_argument(
        "--features", type=Path, metavar="DIR", help="folder with <sequence>.npz, one embedding for each detection"
    )
    text = "a tracker setting such as max_coast_s=2; may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    parser.set_defaults(run=_run_associate)


def _add_tune(subparsers: Any) -> None:
    parser = subparsers.add_parser("tune", help="search the tracker's settings against ground truth")
    parser.add_argument("folder", type=Path, help="folder with <sequence>/det/det.txt and gt/gt.txt")
    parser.add_argument("--trials", type=int, default=100, metavar="N", help="settings to try (default 100)")
    parser.add_argument("--tracker", default="default", metavar="NAME", help="preset or file to start from")
    parser.add_argument("--seed", type=int, default=0, help="the same seed tries the same settings")
    parser.add_argument("--out", type=Path, default=Path("tuned.toml"), metavar="FILE", help="where the best go")
    parser.set_defaults(run=_run_tune)


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for text in options.set:
        path, value = parse_assignment(text)
        assign(tree, path[1:] if path[0] == "tracker" and len(path) > 1 else path, value)
    return tree


def _run_associate(options: argparse.Namespace) -> int:
    overrides = _overrides(options)
    tracker_config(options.tracker, overrides)  # refuses bad settings before any work
    sequences = find_sequences(options.folder, "det/det.txt")
    warn_of_assumed_rates(sequences)
    for sequence in sequences:
        frames = _detections(sequence, options.features)
        lines = _associate(frames, sequence.frame_rate, options.tracker, overrides, refined=options.refine)
        path = options.out / f"{sequence.name}.txt"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            raise SinkError(f"{path}: cannot write it: {error.strerror}; try another --out") from error
        sys.stdout.write(f"{path}: {len(lines)} rows over {len(frames)} frames\n")
    return 0


def _detections(sequence: MotSequence, features: Path | None) -> list[Detections]:
    path = sequence.folder / "det/det.txt"
    rows = read_rows(path)
    embeddings = None if features is None else _read_features(features / f"{sequence.name}.npz", len(rows))
    return detections_by_frame(rows, sequence.length, embeddings)


def _read_features(path: Path, count: int) -> np.ndarray:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            embeddings: np.ndarray = stored[stored.files[0]].astype(np.float32)
    except (OSError, ValueError, IndexError, TypeError, EOFError, RuntimeError, BadZipFile, zlib.error) as error:
        raise FormatError(f"{path}: expected an .npz file with one array of features: {error}") from error
    if embeddings.ndim != 2 or len(embeddings) != count:
        raise FormatError(f"{path}: expected {count} rows, one for each detection, found {embeddings.shape}")
    return embeddings


def _associate(
    frames: Sequence[Detections], frame_rate: float, name: str, overrides: Mapping[str, Any], *, refined: bool
) -> list[str]:
    tracker = make_tracker(name, {"frame_rate": frame_rate, **overrides})
    times = np.arange(len(frames)) / frame_rate
    found, reported = [], []
    for detections, time in zip(frames, times.tolist(), strict=True):
        tracks = tracker.update(detections, time)
        found.append(tracks)
        reported.append(tracks[tracker.reported(tracks)])
    if refined:
        return list(observation_lines(refine(Observations.from_tracks(found, frames), times).observations))
    return [line for index, tracks in enumerate(reported) for line in result_lines(index + 1, tracks)]


def _run_evaluate(options: argparse.Namespace) -> int:
    sequences = find_sequences(options.gt, "gt/gt.txt")
    groups = sorted({sequence.group for sequence in sequences})
    truths = {sequence.name: read_rows(sequence.folder / "gt/gt.txt") for sequence in sequences}
    rules = rules_by_group(sequences, truths, options.gt)
    scores: dict[str, TrackingScores] = {}
    for group in groups:
        for member in (sequence for sequence in sequences if sequence.group == group):
            path = options.results / f"{member.name}.txt"
            result = read_rows(path)
            prepared = prepare(truths[member.name], result, member.length, rules=rules[group], where=str(path))
            scores[member.name] = evaluate_sequence(prepared)
    totals = {group: combine([scores[s.name] for s in sequences if s.group == group]) for group in groups if group}
    total = combine(list(scores.values()))
    if options.json:
        answer = {
            "sequences": {name: _numbers(score) for name, score in scores.items()},
            "groups": {name: _numbers(score) for name, score in totals.items()},
            "total": _numbers(total),
        }
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        sys.stdout.write(_table({**scores, **totals, "total": total}))
    return 0


def _numbers(score: TrackingScores) -> dict[str, float]:
    return {
        "HOTA": 100 * score.hota,
        "DetA": 100 * score.det_a,
        "AssA": 100 * score.ass_a,
        "LocA": 100 * score.loc_a,
        "MOTA": 100 * score.mota,
        "MOTP": 100 * score.motp,
        "IDF1": 100 * score.idf1,
        "IDSW": score.id_switches,
        "FP": score.clear_fp,
        "FN": score.clear_fn,
        "MT": score.mostly_tracked,
        "ML": score.mostly_lost,
        "Frag": score.fragments,
    }


def _table(scores: Mapping[str, TrackingScores]) -> str:
    width = max(map(len, scores))
    lines = [f"{'':{width}} " + " ".join(f"{column:>6}" for column in COLUMNS)]
    for name, score in scores.items():
        numbers = _numbers(score)
        cells = [f"{numbers[column]:6.2f}" if column[0] in "HDAM" or column == "IDF1" else f"{numbers[column]:6.0f}"
                 for column in COLUMNS]  # fmt: skip
        lines.append(f"{name:{width}} " + " ".join(cells))
    return "\n".join(lines) + "\n"


def _run_tune(options: argparse.Namespace) -> int:
    if options.trials < 1:
        raise ConfigError(f"--trials: expected 1 or more, found {options.trials}")
    if options.out.suffix.lower() != ".toml":
        raise ConfigError(f"--out {options.out}: settings are written as TOML; name a file that ends in .toml")
    problems = tuning.load_problems(options.folder)
    start = tracker_config(options.tracker, {})
    best = tuning.score(problems, start)
    sys.stdout.write(f"start: {best:.2f} (mean of HOTA, MOTA and IDF1 over groups)\n")
    config = start
    for trial, (candidate, value) in enumerate(tuning.search(problems, start, options.trials, seed=options.seed), 1):
        if value > best:
            best, config = value, candidate
            sys.stdout.write(f"trial {trial}: {best:.2f}\n")
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(to_toml(config), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"{options.out}: cannot write the settings: {error.strerror}; try another --out") from error
    sys.stdout.write(f"{options.out}: the best of {options.trials + 1}; use it with --tracker {options.out}\n")
    return 0
