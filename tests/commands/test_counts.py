"""Many recordings at once: those of sub-folders may share their names, and one table counts all."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

import main
from tests.annotate.conftest import clip, network
from tests.store.recordings import INFO, objects
from tracker.commands.recording_files import find_recordings
from tracker.errors import ConfigError
from tracker.store import Recording, RecordingWriter
from tracker.types import Event, EventKind

__all__ = ["clip", "network"]


@pytest.fixture(scope="module")
def labels(clip: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of one name in two folders, counted at a line."""
    home = tmp_path_factory.mktemp("home")
    for folder in ("north", "south"):
        (home / "in" / folder).mkdir(parents=True)
        (home / "in" / folder / "gate.mp4").symlink_to(clip)
    rules = home / "lines.toml"
    rules.write_text('[[line]]\nname = "middle"\nstart = [0, 60]\nend = [160, 60]\n')
    options = ["--model", str(network), "--vid-stride", "4", "--progress", "none", "--rules", str(rules)]
    assert main.main(["annotate", str(home / "in"), "--recursive", "--out", str(home / "labels"), *options]) == 0
    return home / "labels"


def test_counts_are_those_of_the_recordings(labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.main(["counts", str(labels), "--out", str(tmp_path / "all" / "counts.csv")]) == 0
    shown = capsys.readouterr().out.splitlines()
    with (tmp_path / "all" / "counts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(shown) == len(rows) + 1
    assert {row["recording"] for row in rows} == {"north/gate", "south/gate"}
    with Recording(labels / "north" / "gate.sqlite") as recording:
        own = [row for row in rows if row["recording"] == "north/gate"]
        assert sum(int(row["count"]) for row in own if row["what"] == "tracks") == len(recording.tracks())
        assert sum(int(row["count"]) for row in own if row["name"] == "middle") == recording.event_count()


def test_lines_are_counted_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = RecordingWriter.create(tmp_path / "gate.sqlite", INFO)
    for frame, (track, value) in enumerate([(1, 1.0), (2, 1.0), (3, -1.0)]):
        events = [Event(EventKind.LINE, "gate", frame / 2, track, 0, value)]
        events += [Event(EventKind.ZONE_ENTER, "bench", frame / 2, track, 0)]
        writer.add(frame, frame / 2, objects(frame, 1, 2, 3), events)
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    assert main.main(["counts", str(tmp_path), "--out", str(tmp_path / "counts.csv")]) == 0
    assert (tmp_path / "counts.csv").read_text().splitlines() == [
        "recording,what,name,class,direction,count",
        "gate,tracks,,person,,3",
        "gate,line,gate,person,in,2",
        "gate,line,gate,person,out,1",
        "gate,zone-enter,bench,person,,3",
    ]
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown[2:4] == [["gate", "line", "gate", "person", way, count] for way, count in (("in", "2"), ("out", "1"))]


def test_exports_and_reports_of_a_folder_lie_as_it_does(labels: Path, tmp_path: Path) -> None:
    assert main.main(["export-annotations", str(labels), "--format", "mot,yolo", "--out", str(tmp_path / "out")]) == 0
    for folder in ("north", "south"):
        assert (tmp_path / "out" / folder / "gate.txt").is_file()
        assert (tmp_path / "out" / folder / "gate.yolo").is_dir()
    assert main.main(["report", str(labels), "--out", str(tmp_path / "pages")]) == 0
    names = sorted(path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.*"))
    assert names == ["counts.csv", "north/gate.html", "south/gate.html"]


@pytest.mark.parametrize(
    "command",
    [
        ("counts", "--out", "out/counts.csv"),
        ("report", "--out", "out"),
        ("export-annotations", "--format", "mot", "--out", "out"),
    ],
)
def test_a_damaged_recording_among_others_is_named_and_left_out(
    command: tuple[str, ...],
    labels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    mixed = Path(shutil.copytree(labels, "mixed", ignore=shutil.ignore_patterns("*.lock")))
    (mixed / "north" / "gate.sqlite").write_bytes(b"not this one")
    assert main.main([command[0], "mixed", *command[1:]]) == 3
    assert "north/gate.sqlite: not a recording" in caplog.text
    assert "1 of 2 recordings could not be read" in caplog.text
    written = [path for path in Path("out").rglob("*.*") if path.is_file()]
    assert written
    assert all("north" not in path.read_text() and "north" not in path.parts for path in written)
    (mixed / "south" / "gate.sqlite").write_bytes(b"nor that")
    shutil.rmtree("out")
    assert main.main([command[0], "mixed", *command[1:]]) == 2
    assert not [path for path in Path("out").rglob("*.*") if path.is_file()]


def test_files_of_one_name_are_told_apart_by_their_folders(labels: Path, tmp_path: Path) -> None:
    both = [labels / "north" / "gate.sqlite", labels / "south" / "gate.sqlite"]
    assert [name for _, name in find_recordings(both)] == ["north/gate", "south/gate"]
    assert [name for _, name in find_recordings([labels / "north", labels / "south"])] == ["north/gate", "south/gate"]
    assert [name for _, name in find_recordings(both[:1])] == ["gate"]
    assert len(find_recordings([labels, *both])) == 2
    with pytest.raises(ConfigError, match="no recording in it"):
        find_recordings([tmp_path])


@pytest.mark.parametrize(
    ("more", "reason"), [(("--out", "a.html"), "need a folder"), (("--out", "a", "--video", "b.mp4"), "one recording")]
)
def test_a_report_of_several_is_a_folder(
    more: tuple[str, ...], reason: str, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["report", str(labels), *more]) == 2
    assert reason in capsys.readouterr().err
