from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import main
from tracker.config.tracking import TrackerConfig
from tracker.evaluate.mot_files import read_rows
from tracker.track.presets import tracker_config

INFO = "[Sequence]\nframeRate=25\nseqLength=40\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two objects crossing in one sequence of a group and a still one in another; the truth is what is detected."""
    walks = {
        "group/crossing": [(frame, 1 + k, (10 + 8 * frame, 400 - 8 * frame)[k], 20 * k) for frame in range(1, 41)
                           for k in (0, 1)],
        "still": [(frame, 1, 50, 50) for frame in range(1, 21)],
    }  # fmt: skip
    for name, rows in walks.items():
        sequence = tmp_path / "set" / name
        for kind in ("det", "gt"):
            (sequence / kind).mkdir(parents=True)
            lines = [f"{f},{-1 if kind == 'det' else track},{x},{y},40,90,1,1,1" for f, track, x, y in rows]
            (sequence / kind / f"{kind}.txt").write_text("\n".join(lines) + "\n")
        if name != "still":
            (sequence / "seqinfo.ini").write_text(INFO)
    return tmp_path / "set"


def run(*words: object) -> int:
    return main.main([str(word) for word in words])


def test_a_frame_rate_that_nobody_tells_is_warned_of(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = "no frameRate in a seqinfo.ini; 30 frames a second are assumed, by which times of the tracker go"
    assert run("associate", folder, "--out", tmp_path / "out") == 0
    assert caplog.messages == [f"still: {words}"]
    (folder / "group/crossing/seqinfo.ini").write_text("[Sequence]\nseqLength=40\n")
    caplog.clear()
    assert run("associate", folder, "--out", tmp_path / "out") == 0
    assert caplog.messages == [f"group/crossing and 1 more: {words}"]


def test_associated_detections_score_well_and_refined_ones_perfectly(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("associate", folder, "--out", tmp_path / "out") == 0
    assert "group/crossing.txt: " in capsys.readouterr().out
    rows = read_rows(tmp_path / "out/group/crossing.txt")
    assert rows.columns == 10
    assert set(rows.ids.tolist()) == {1, 2}
    assert run("associate", folder, "--out", tmp_path / "refined", "--refine") == 0
    capsys.readouterr()
    assert run("evaluate", "tracking", "--gt", folder, "--results", tmp_path / "refined", "--json") == 0
    output = json.loads(capsys.readouterr().out)
    assert set(output) == {"sequences", "groups", "total"}
    assert set(output["sequences"]) == {"group/crossing", "still"}
    assert output["total"]["IDF1"] == 100
    assert output["total"]["MOTA"] == 100
    assert output["groups"]["group"]["HOTA"] > 95
    assert run("evaluate", "tracking", "--gt", folder, "--results", tmp_path / "out") == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:3] == ["HOTA", "DetA", "AssA"]
    assert [line.split()[0] for line in table[1:]] == ["still", "group/crossing", "group", "total"]


@pytest.mark.parametrize("damage", ["cut off", "encrypted", "other bytes", "one array"])
def test_features_that_cannot_be_read_are_refused(
    folder: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "features/group/crossing.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, features=np.zeros((80, 8)))
    content = bytearray(path.read_bytes())
    if damage == "encrypted":
        content[content.index(b"PK\x01\x02") + 8] |= 1
    elif damage == "cut off":
        del content[len(content) // 2 :]
    elif damage == "other bytes":
        middle = len(content) // 3
        content[middle : middle + 40] = bytes(40)
    else:
        with path.open("wb") as file:
            np.save(file, np.zeros((80, 8)))
        content = bytearray(path.read_bytes())
    path.write_bytes(content)
    assert run("associate", folder, "--features", tmp_path / "features", "--out", tmp_path / "out") == 2
    assert "crossing.npz: expected an .npz file" in capsys.readouterr().err


def test_presets_settings_and_features_reach_the_tracker(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "embeddings/group").mkdir(parents=True)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "embeddings/group/crossing.npz", rng.normal(size=(80, 4)))
    np.savez(tmp_path / "embeddings/still.npz", rng.normal(size=(20, 4)))
    words = [
        "associate",
        folder,
        "--tracker",
        "deepsort",
        "--features",
        tmp_path / "embeddings",
        "--out",
        tmp_path / "out",
    ]
    assert run(*words, "--set", "n_init=7") == 0
    assert read_rows(tmp_path / "out/still.txt").frames.min() == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tracker", "srot"], "no tracker 'srot'"),
        (["--set", "max_aje=3"], "unknown setting 'max_aje'"),
        (["--features", "nowhere"], "expected an .npz file"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run("associate", folder, "--out", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_sequences_and_results_that_are_missing_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("associate", tmp_path / "none", "--out", tmp_path / "out") == 2
    assert "no such folder" in capsys.readouterr().err
    assert run("evaluate", "tracking", "--gt", folder, "--results", tmp_path / "none") == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def truth(tmp_path: Path, row: str, *, head: str = "", result: str = "{f},{i},{x},30,15,40,0.9,-1,-1,-1") -> list[str]:
    """The words of `evaluate tracking` for one sequence of three tracks, each line written as the rows tell."""
    (tmp_path / "gt/clip/gt").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    places = [{"f": frame, "i": track, "x": 20 * track + frame} for frame in range(1, 21) for track in (1, 2, 3)]
    for path, line in ((tmp_path / "gt/clip/gt/gt.txt", row), (tmp_path / "results/clip.txt", result)):
        path.write_text(head + "".join(line.format(**place) + "\n" for place in places), encoding="utf-8")
    return ["evaluate", "tracking", "--gt", str(tmp_path / "gt"), "--results", str(tmp_path / "results"), "--json"]


@pytest.mark.parametrize(
    "row",
    [
        "{f},{i},{x},30,15,40,1,1,1",
        "{f},{i},{x},30,15,40,1,1,1,",
        "{f}, {i}, {x}, 30, 15, 40, 1, 1, 1.0",
        "{f} {i} {x} 30 15 40 1 1 1.0",
        "{f};{i};{x};30;15;40;1;1;1.0",
        "{f}.0,{i}.0,{x},30,15,40,1,1.0,1",
        "{f},{i},{x},30,15,40",
        "{f},{i},{x},30,15,40,1",
        "{f},{i},{x},30,15,40,1,1",
        "{f},{i},{x},30,15,40,1,-1,-1,-1",
        "{f},{i},{x},30,15,40,-1,-1,-1,-1",
    ],
)
@pytest.mark.parametrize("head", ["", "\ufeff"])
def test_ground_truth_of_every_kind_scores_the_same_tracks_full(
    row: str, head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*truth(tmp_path, row, head=head)) == 0
    assert json.loads(capsys.readouterr().out)["sequences"]["clip"]["HOTA"] == 100


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{f},{i},{x},30,15,40,1,-1,1", "column 8 has the class -1, expected 1 "),
        ("{f},{i},{x},30,15,40,1,-1,-1", "column 8 has the class -1"),
        ("{f},{i},{x},30,15,40,1,0,1", "column 8 has the class 0"),
        ("{f},{i},{x},30,15,40,1,14,1", "column 8 has the class 14"),
        ("{f},{i},{x},30,15,40,1,3,1", "none of its 60 rows has the class 1 in column 8, found 3"),
        ("{f},{i},{x},30,15,40,0,1,1", "all 60 rows have a 0 in column 7"),
        ("{f},{i},{x},30,15,40,0,-1,-1,-1", "all 60 rows have a 0 in column 7"),
        ("", "has no rows"),
    ],
)
def test_ground_truth_that_leaves_everything_out_is_refused(
    row: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = truth(tmp_path, row)
    assert run(*words) == 2
    assert reason in capsys.readouterr().err
    (tmp_path / "gt/clip/det").mkdir()
    (tmp_path / "gt/clip/det/det.txt").write_text("1,-1,10,10,20,20,1\n")
    assert run("tune", tmp_path / "gt", "--trials", 1, "--out", tmp_path / "tuned.toml") == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "tuned.toml").exists()


def test_a_sequence_of_several_without_any_object_is_reported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    gt = folder / "still/gt/gt.txt"
    gt.write_text(gt.read_text().replace(",1,1,1\n", ",1,3,1\n"))
    assert run("associate", folder, "--out", tmp_path / "out") == 0
    assert run("evaluate", "tracking", "--gt", folder, "--results", tmp_path / "out", "--json") == 0
    said = capsys.readouterr().out
    assert "still/gt/gt.txt: none of its 20 rows has the class 1" in caplog.text
    assert json.loads(said[said.index("{") :])["sequences"]["group/crossing"]["HOTA"] > 90


BROKEN = [
    ("1.5,1,10,10,5,5,1", "line 2: frame: expected a whole number, found '1.5'"),
    ("1,1.5,10,10,5,5,1", "line 2: id: expected a whole number, found '1.5'"),
    ("1,nan,10,10,5,5,1", "line 2: id: expected a number"),
    ("1,7,10,10,5,5,1", "line 2: track 7 stands twice in frame 1"),
    ("0,1,10,10,5,5,1", "line 2: frames count from 1"),
    ("1,1,10,10,-5,5,1", "line 2: expected a size of 0 or more"),
    ("1,1,10,10,5,inf,1", "line 2: height: expected a number"),
    ("1,1,10", "line 2: expected 6 to 10 columns, found 3"),
]


@pytest.mark.parametrize(("row", "reason"), BROKEN)
def test_one_rule_for_what_a_row_may_be_holds_in_every_command(
    row: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = truth(tmp_path, "{f},{i},{x},30,15,40,1,1,1")
    text = f"\ufeff1,7,10,10,5,5,1\n{row}\n"
    (tmp_path / "gt/clip/det").mkdir()
    for name in ("gt/clip/det/det.txt", "results/clip.txt"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert (
        run("convert", tmp_path / "results/clip.txt", "--from", "mot", "--to", "csv", "--out", tmp_path / "a.csv") == 2
    )
    assert reason in capsys.readouterr().err
    assert run("associate", tmp_path / "gt", "--out", tmp_path / "out") == 2
    assert reason in capsys.readouterr().err
    assert run(*words) == 2
    assert reason in capsys.readouterr().err
    (tmp_path / "gt/clip/gt/gt.txt").write_text(text, encoding="utf-8")
    assert run(*words) == 2
    assert reason in capsys.readouterr().err


def test_tuning_writes_settings_that_score_at_least_as_well_and_load_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "tuned.toml"
    assert run("tune", folder, "--trials", 6, "--seed", 3, "--out", out) == 0
    first = capsys.readouterr().out
    scores = [float(line.split(": ")[1].split()[0]) for line in first.splitlines()[:-1]]
    assert scores == sorted(scores)
    assert isinstance(tracker_config(str(out), {}), TrackerConfig)
    assert run("associate", folder, "--tracker", out, "--out", tmp_path / "out") == 0
    capsys.readouterr()
    assert run("tune", folder, "--trials", 6, "--seed", 3, "--out", out) == 0
    assert capsys.readouterr().out == first
    assert run("tune", folder, "--trials", 0, "--out", out) == 2
    assert "--trials: expected 1 or more" in capsys.readouterr().err
    assert run("tune", folder, "--trials", 6, "--out", tmp_path / "tuned.yaml") == 2
    assert "ends in .toml" in capsys.readouterr().err
