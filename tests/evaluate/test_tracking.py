from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trackeval.datasets import Kitti2DBox, MotChallenge2DBox
from trackeval.metrics import CLEAR, HOTA, Identity

from tests.track.conftest import mot, mpntrack, reference  # noqa: F401
from tracker.errors import FormatError
from tracker.evaluate.benchmark_rules import Rules, rules_of
from tracker.evaluate.mot_files import MotRows, find_sequences, read_rows
from tracker.evaluate.tracking import TrackingScores, combine, evaluate_sequence, prepare

QUIET = {"PRINT_CONFIG": False}


def trackeval_mot(ground_truth: Path, sequence: str, result: Path, length: int, benchmark: str) -> Any:
    """TrackEval's prepared data for one MOTChallenge sequence."""
    data = result.parent / "trackers" / "tracker" / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / f"{sequence}.txt").write_text(result.read_text())
    return MotChallenge2DBox(
        QUIET
        | {
            "GT_FOLDER": str(ground_truth),
            "TRACKERS_FOLDER": str(result.parent / "trackers"),
            "BENCHMARK": benchmark,
            "SEQ_INFO": {sequence: length},
            "SKIP_SPLIT_FOL": True,
            "TRACKERS_TO_EVAL": ["tracker"],
        }
    )


def trackeval_kitti(ground_truth: MotRows, sequence: str, result: MotRows, length: int, folder: Path) -> Any:
    """TrackEval's prepared data for one KITTI sequence, written out in KITTI's own format."""
    names = {1: "Car", 2: "Van", 3: "DontCare"}
    labels, found = folder / "gt" / "label_02", folder / "trackers" / "tracker" / "data"
    labels.mkdir(parents=True)
    found.mkdir(parents=True)
    (folder / "gt" / "evaluate_tracking.seqmap.training").write_text(f"{sequence} empty 000000 {length:06d}\n" * 2)

    def lines(rows: MotRows, kinds: list[str]) -> str:
        return "".join(
            f"{frame - 1} {track} {kind} 0 0 -10 {x1!r} {y1!r} {x2!r} {y2!r} -1 -1 -1 -1000 -1000 -1000 -10 1\n"
            for frame, track, kind, (x1, y1, x2, y2) in zip(
                rows.frames.tolist(), rows.ids.tolist(), kinds, rows.boxes.tolist(), strict=True
            )
        )

    (labels / f"{sequence}.txt").write_text(lines(ground_truth, [names[c] for c in ground_truth.class_ids.tolist()]))
    (found / f"{sequence}.txt").write_text(lines(result, ["Car"] * len(result)))
    return Kitti2DBox(
        QUIET
        | {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "CLASSES_TO_EVAL": ["car"],
            "TRACKERS_TO_EVAL": ["tracker"],
        }
    )


def collect(hota: Any, clear: Any, identity: Any) -> dict[str, float]:
    return {
        "hota": hota["HOTA"].mean(),
        "det_a": hota["DetA"].mean(),
        "ass_a": hota["AssA"].mean(),
        "loc_a": hota["LocA"].mean(),
        "mota": clear["MOTA"],
        "motp": clear["MOTP"],
        "id_switches": clear["IDSW"],
        "fragments": clear["Frag"],
        "mostly_tracked": clear["MT"],
        "mostly_lost": clear["ML"],
        "idf1": identity["IDF1"],
    }


def ours(score: TrackingScores, names: Any) -> dict[str, float]:
    return {name: getattr(score, name) for name in names}


@pytest.mark.shared
@pytest.mark.parametrize("group", ["MOT15", "MOT17", "KITTI-Car"])
def test_every_sequence_and_their_sum_score_as_trackeval_does(
    group: str,
    mot: Path,  # noqa: F811
    reference: Path,  # noqa: F811
    mpntrack: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    results = {"sort": reference / "sort" / group}
    if group != "KITTI-Car":
        results["mpntrack"] = mpntrack / group
    for source, folder in results.items():
        scores, theirs = [], []
        for sequence in find_sequences(mot / group, "gt/gt.txt"):
            ground_truth, file = read_rows(sequence.folder / "gt/gt.txt"), folder / f"{sequence.name}.txt"
            result = read_rows(file)
            rules = rules_of([ground_truth], group)
            assert rules == {"MOT15": "mot15", "MOT17": "mot17", "KITTI-Car": "kitti"}[group]
            assert sequence.length
            score = evaluate_sequence(prepare(ground_truth, result, sequence.length, rules=rules, where=sequence.name))
            where = tmp_path / source / sequence.name
            if group == "KITTI-Car":
                dataset = trackeval_kitti(ground_truth, sequence.name, result, sequence.length, where)
            else:
                where.mkdir(parents=True)
                (where / "result.txt").write_text(file.read_text())
                dataset = trackeval_mot(mot / group, sequence.name, where / "result.txt", sequence.length, group)
            name = "car" if group == "KITTI-Car" else "pedestrian"
            data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("tracker", sequence.name), name)
            expected = (
                HOTA().eval_sequence(data),
                CLEAR(QUIET).eval_sequence(data),
                Identity(QUIET).eval_sequence(data),
            )
            wanted = collect(*expected)
            assert ours(score, wanted) == pytest.approx(wanted, abs=1e-9), sequence.name
            scores.append(score)
            theirs.append(expected)
        hota, clear, identity = (dict(enumerate(column)) for column in zip(*theirs, strict=True))
        wanted = collect(
            HOTA().combine_sequences(hota),
            CLEAR(QUIET).combine_sequences(clear),
            Identity(QUIET).combine_sequences(identity),
        )
        assert ours(combine(scores), wanted) == pytest.approx(wanted, abs=1e-9)


def rows(*values: tuple[float, ...], columns: int = 9) -> MotRows:
    table = np.array(values, float).reshape(-1, 8)
    frames, ids, x, y, w, h, score, kind = table.T
    return MotRows(
        frames.astype(int), ids.astype(int), np.stack([x, y, x + w, y + h], 1), score, kind.astype(int), columns
    )


def score(ground_truth: MotRows, result: MotRows, *, rules: Rules = "mot17") -> TrackingScores:
    return evaluate_sequence(prepare(ground_truth, result, None, rules=rules, where="here"))


TRUTH = rows(*((frame, 7, 10.0 * frame, 10, 20, 40, 1, 1) for frame in range(1, 11)))


def test_the_truth_itself_scores_one() -> None:
    perfect = score(TRUTH, TRUTH)
    assert (perfect.hota, perfect.mota, perfect.idf1) == pytest.approx((1, 1, 1))


def test_no_tracks_at_all_score_nothing_and_miss_everything() -> None:
    empty = score(TRUTH, rows())
    assert (empty.hota, empty.mota, empty.idf1, empty.clear_fn) == (0, 0, 0, 10)


def test_tracks_without_any_truth_are_all_false() -> None:
    assert (score(rows(), TRUTH).clear_fp, score(rows(), rows()).clear_fp) == (10, 0)


def test_a_box_on_a_distractor_is_neither_right_nor_wrong() -> None:
    ground_truth = rows(*((frame, 7, 10.0 * frame, 10, 20, 40, 1, 8) for frame in range(1, 11)))
    ignored = score(ground_truth, TRUTH)
    assert (ignored.clear_tp, ignored.clear_fp, ignored.clear_fn) == (0, 0, 0)


def test_kitti_ignores_small_spare_boxes_and_regions() -> None:
    ground_truth = rows((1, 1, 0, 0, 50, 50, 1, 1), (1, -1, 500, 0, 100, 100, 0, 3))
    result = rows((1, 1, 0, 0, 50, 50, 1, 1), (1, 2, 510, 10, 50, 50, 1, 1), (1, 3, 200, 0, 50, 25, 1, 1))
    counted = score(ground_truth, result, rules="kitti")
    assert (counted.clear_tp, counted.clear_fp) == (1, 0)
    assert score(ground_truth, rows((1, 3, 200, 0, 50, 26, 1, 1)), rules="kitti").clear_fp == 1


def test_the_same_id_twice_in_a_frame_is_refused_with_its_place() -> None:
    twice = rows((1, 1, 0, 0, 5, 5, 1, 1), (1, 1, 50, 0, 5, 5, 1, 1))
    with pytest.raises(FormatError, match="here: frame 1: the same id"):
        score(TRUTH, twice)


def test_rows_behind_the_last_frame_are_refused() -> None:
    with pytest.raises(FormatError, match="has 5 frames, found a row for frame 10"):
        prepare(TRUTH, TRUTH, 5, rules="mot17", where="here")


def test_a_file_that_is_no_table_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("1,2,three\n")
    with pytest.raises(FormatError, match=r"result\.txt: line 1: expected 6 to 10 columns, found 3"):
        read_rows(path)
    path.write_text("")
    assert len(read_rows(path)) == 0
