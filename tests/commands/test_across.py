"""`annotate --across`, `across`, `search` and exports with the ids they give, on one clip recorded twice."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import main
from tests.annotate.tiny import write_clip
from tracker.annotate import appearance
from tracker.annotate.across import read_across
from tracker.store import Recording


@pytest.fixture(scope="module")
def cameras(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cameras")
    shutil.copyfile(write_clip(home / "north.mp4", 60), home / "south.mp4")
    options = ["--model", str(network), "--progress", "none", "--across"]
    videos = [str(home / "north.mp4"), str(home / "south.mp4")]
    assert main.main(["annotate", *videos, "--out", str(home / "out"), *options]) == 0
    return home / "out"


def test_every_track_has_an_identity_in_project_and_table(cameras: Path) -> None:
    across = read_across(cameras / "identities.json")
    with (cameras / "identities.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(each.members) for each in across.identities)
    for path in across.recordings:
        with Recording(path) as recording:
            tracks = {track.track_id for track in recording.tracks()}
        assert tracks == set(across.numbers_in(path))
        assert tracks == {int(row["track"]) for row in rows if row["recording"] == path.stem}


def test_found_again_without_the_video_ids_are_the_same(
    cameras: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_across(cameras / "identities.json")
    monkeypatch.setattr(appearance, "open_source", lambda path: pytest.fail("reads the video again"))
    assert main.main(["across", str(cameras / "north.sqlite"), str(cameras / "south.sqlite")]) == 0
    assert read_across(cameras / "identities.json").identities == before.identities
    assert "of 2 recordings" in capsys.readouterr().out


def test_the_track_of_the_same_clip_is_ranked_first(cameras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Recording(cameras / "north.sqlite") as recording:
        track = max(recording.tracks(), key=lambda track: track.observations).track_id
    capsys.readouterr()
    assert main.main(["search", "--like", f"{cameras}/north.sqlite#{track}", str(cameras), "--json"]) == 0
    first, *others = json.loads(capsys.readouterr().out)
    assert (first["recording"], first["track"]) == ("south", track)
    assert first["similarity"] == pytest.approx(1, abs=1e-3)
    assert [each["similarity"] for each in others] == sorted((each["similarity"] for each in others), reverse=True)
    assert main.main(["search", "--like", f"{cameras}/north.sqlite#{track}", "--top", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "north"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--like", "north.sqlite"], "expected a recording, # and a track's id"),
        (["search", "--like", "north.sqlite#999"], "no track 999"),
        (["across", "north.sqlite"], "two or more"),
        (["across", "north.sqlite", "south.sqlite", "--start", "east=3"], "no recording is called 'east'"),
        (["across", "north.sqlite", "south.sqlite", "--start", "north=soon"], "expected NAME=SECONDS"),
        (["export-annotations", "north.sqlite", "--format", "mot", "--out", "x", "--identities", "no.json"], "no.json"),
    ],
)
def test_what_cannot_be_is_refused(
    cameras: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(cameras)
    assert main.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_exports_have_the_ids_of_the_project(cameras: Path, tmp_path: Path) -> None:
    project = cameras / "identities.json"
    options = ["--format", "mot,coco", "--out", str(tmp_path), "--identities", str(project)]
    assert main.main(["export-annotations", str(cameras / "south.sqlite"), *options]) == 0
    numbers = read_across(project).numbers_in(cameras / "south.sqlite")
    rows = [line.split(",") for line in (tmp_path / "south.txt").read_text().splitlines()]
    assert {int(row[1]) for row in rows} == set(numbers.values())
    with Recording(cameras / "south.sqlite") as recording:
        assert len(rows) == recording.observation_count()
    coco = json.loads((tmp_path / "south.json").read_text())
    assert len(coco["annotations"]) == len(rows)
