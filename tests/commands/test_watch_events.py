"""Events of a watched set are asked for on the command line, and its alerts tried out."""

from __future__ import annotations

import csv
import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import main
from tests.watch.test_alerts import Hook
from tests.watch.test_event_store import EVENT
from tracker.watch.event_store import EventStore


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """A set with six events of two cameras, a minute apart."""
    path = tmp_path / "cameras.toml"
    path.write_text('[[camera]]\nname = "gate"\naddress = "0"\n[[camera]]\nname = "yard"\naddress = "1"\n')
    (tmp_path / "recordings").mkdir()
    with closing(EventStore(tmp_path / "recordings" / "events.sqlite")) as store:
        for number in range(6):
            camera, label = ("gate", "yard")[number % 2], "car" if number == 4 else "person"
            name = "door" if number < 3 else "lane"
            event = replace(EVENT, camera=camera, label=label, name=name, time=EVENT.time + 60 * number)
            store.add(event, thumbnail=b"jpeg" if number < 5 else b"")
    return path


def listed(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> list[int]:
    """The numbers of the events that are listed."""
    assert main.main(["watch", str(path), "--events", *options]) == 0
    return [int(line.split()[0].rstrip("*")) for line in capsys.readouterr().out.splitlines()]


def test_events_are_listed_by_what_is_asked(cameras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, cameras) == [6, 5, 4, 3, 2, 1]
    assert listed(capsys, cameras, "--camera", "gate") == [5, 3, 1]
    assert listed(capsys, cameras, "--camera", "gate", "--event-class", "person") == [3, 1]
    assert listed(capsys, cameras, "--zone", "lane") == [6, 5, 4]
    assert listed(capsys, cameras, "--kind", "line") == []
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(EVENT.time + 61))
    assert listed(capsys, cameras, "--since", since) == [6, 5, 4, 3]
    assert listed(capsys, cameras, "--until", since) == [2, 1]


def test_a_table_holds_what_is_asked(cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "events.csv"
    assert main.main(["watch", str(cameras), "--events-csv", str(out), "--zone", "door"]) == 0
    assert capsys.readouterr().out == f"3 events: {out}\n"
    assert [row["event"] for row in csv.DictReader(out.read_text().splitlines())] == ["1", "2", "3"]


def test_a_table_never_takes_the_place_of_the_set(cameras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = cameras.read_text()
    assert main.main(["watch", str(cameras), "--events-csv", str(cameras)]) == 2
    assert "expected a name ending in .csv" in capsys.readouterr().err
    assert cameras.read_text() == before


def test_times_between_which_nothing_can_be_are_refused(cameras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    span = ["--since", "2026-11-29", "--until", "2026-11-28"]
    assert main.main(["watch", str(cameras), "--events", *span]) == 2
    assert "--until: it is not after --since" in capsys.readouterr().err


def test_a_name_cannot_command_the_terminal(cameras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(EventStore(cameras.parent / "recordings" / "events.sqlite")) as store:
        store.add(replace(EVENT, name="\x1b[2Jdoor\n"))
    assert main.main(["watch", str(cameras), "--events", "--kind", "zone-enter"]) == 0
    assert "?[2Jdoor?" in capsys.readouterr().out


def test_thumbnails_of_what_is_asked_are_written(
    cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "seen"
    assert main.main(["watch", str(cameras), "--thumbnails", str(out), "--zone", "lane"]) == 0
    assert capsys.readouterr().out == f"2 thumbnails: {out}\n"
    assert sorted(path.name for path in out.iterdir()) == ["4.jpg", "5.jpg"]
    assert (out / "4.jpg").read_bytes() == b"jpeg"
    assert main.main(["watch", str(cameras), "--thumbnails", str(out / "4.jpg")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_events_are_marked_and_unmarked(cameras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["watch", str(cameras), "--mark", "3"]) == 0
    assert main.main(["watch", str(cameras), "--events", "--mark", "4", "--unmark", "3"]) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if "*" in line]
    assert [line.split()[0] for line in marked] == ["4*"]
    assert main.main(["watch", str(cameras), "--mark", "99"]) == 2
    assert "no such event" in capsys.readouterr().err


def test_what_makes_no_sense_is_refused(cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["watch", str(cameras), "--events", "--since", "yesterday"]) == 2
    assert "2026-11-28" in capsys.readouterr().err
    assert main.main(["watch", str(cameras), "--test-alerts"]) == 2
    (tmp_path / "recordings" / "events.sqlite").unlink()
    assert main.main(["watch", str(cameras), "--events"]) == 2
    assert "no events are kept there yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--kind", "zone-entre"), "did you mean 'zone-enter'?"),
        (("--camera", "gaet"), "did you mean 'gate'?"),
        (("--zone", "lanes"), "did you mean 'lane'?"),
        (("--event-class", "persons"), "did you mean 'person'?"),
    ],
)
def test_what_no_event_has_is_refused_with_the_nearest(
    cameras: Path, capsys: pytest.CaptureFixture[str], asked: tuple[str, str], told: str
) -> None:
    assert main.main(["watch", str(cameras), "--events", *asked]) == 2
    assert capsys.readouterr().err == f"sightline: {' '.join(asked)}: no event has it; {told}\n"


def test_every_alert_is_tried_out(cameras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hook = Hook()
    alerts = (
        f'[[alert]]\nwebhook = "{hook.address}"\nquiet = "00:00-23:59"\n[[alert]]\nwebhook = "http://127.0.0.1:9/"\n'
    )
    cameras.write_text(cameras.read_text() + alerts)
    assert main.main(["watch", str(cameras), "--test-alerts"]) == 1
    hook.close()
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"alert 1, {hook.address.removesuffix('hook')}***: delivered"
    assert second.startswith("alert 2, http://127.0.0.1:9/: not delivered (Connection refused)")
    assert json.loads(hook.bodies[0])["kind"] == "test"
