"""What people type, in the words and the ways of other programs, is understood or answered with the right option."""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import main
from tests.video.cameras import MjpegCamera
from tracker.commands.command_parser import CommandParser, comma_list
from tracker.commands.track import add_parsers
from tracker.config import to_mapping
from tracker.errors import ConfigError

ROOT = Path(__file__).parents[2]


def parse(*arguments: str) -> argparse.Namespace:
    parser = CommandParser(prog="sightline")
    add_parsers(parser.add_subparsers(parser_class=CommandParser))
    options: argparse.Namespace = parser.parse_args(["track", *arguments])
    return options


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "source", "classes"),
    [
        (("street.mp4", "--classes", "0", "2"), "street.mp4", ("0", "2")),
        (("street.mp4", "--classes", "0,2"), "street.mp4", ("0", "2")),
        (("street.mp4", "--classes", "0,", "2", "--save"), "street.mp4", ("0", "2")),
        (("--classes", "traffic light", "car", "street.mp4"), "street.mp4", ("traffic light", "car")),
        (("--classes", "0", "2", "rtsp://camera/1"), "rtsp://camera/1", ("0", "2")),
        (("--classes", "0", "2", "--save", "street.mp4"), "street.mp4", ("0", "2")),
        (("--classes", "person", "0"), "0", ("person",)),
        (("--classes=person", "0"), "0", ("person",)),
        (("--classes", "person", "footage"), "footage", ("person",)),
    ],
)
def test_lists_take_commas_and_blanks(
    arguments: tuple[str, ...], source: str, classes: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "footage").mkdir()
    options = parse(*arguments)
    assert (options.source, options.classes) == (source, classes)


def test_two_lists_and_a_source_between(tmp_path: Path) -> None:
    options = parse("--format", "mot", "jsonl", "a/b", "--classes", "car", "bus")
    assert (options.source, options.format, options.classes) == ("a/b", ("mot", "jsonl"), ("car", "bus"))


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("a.mp4", "conf=0.3"), "conf=0.3: write --conf 0.3"),
        (("conf=0.3", "a.mp4"), "conf=0.3: write --conf 0.3"),
        (("a.mp4", "max_det=5"), "write --max-det 5"),
        (("a.mp4", "weights=a.pt"), "write --model a.pt"),
        (("source=a.mp4",), "write a.mp4 alone, without source="),
        (("a.mp4", "save=True"), "write --save"),
        (("a.mp4", "save=False"), "write --no-save"),
        (("a.mp4", "show=False"), "write nothing: without --show it is off"),
        (("a.mp4", "overlay.scale=2"), "write --set overlay.scale=2"),
        (("a.mp4", "nonsense"), "unexpected argument 'nonsense'"),
        (
            ("--source", "a.mp4", "b.mp4"),
            "unknown option --source; what is read stands without a name: `sightline track street.mp4`",
        ),
        (("a.mp4", "--weights", "a.pt"), "unknown option --weights; here it is --model"),
        (("a.mp4", "--out", "runs"), "unknown option --out; here it is --project"),
        (("a.mp4", "--save-dir", "runs"), "unknown option --save-dir; here it is --project"),
        (("a.mp4", "output=runs"), "write --project runs"),
        (("a.mp4", "--max_det", "5"), "did you mean '--max-det'"),
        (("a.mp4", "--conf-thres=0.3"), "did you mean '--conf'"),
        (("b.mp4", "-dash.mp4"), "-dash.mp4 is read as an option; write ./-dash.mp4"),
        ((), "the following arguments are required: source"),
    ],
)
def test_words_of_other_programs_are_answered_with_ours(
    arguments: tuple[str, ...], answer: str, tmp_path: Path
) -> None:
    (tmp_path / "-dash.mp4").touch()
    with pytest.raises(ConfigError) as refusal:
        parse(*arguments)
    assert answer in str(refusal.value)


def test_a_file_or_a_value_with_an_equals_sign_is_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "conf=0.3").touch()
    options = parse("conf=0.3", "--set", "overlay.scale=2", "--name", "conf=1")
    assert (options.source, options.set, options.name) == ("conf=0.3", ["overlay.scale=2"], "conf=1")


@pytest.mark.parametrize(
    ("word", "answer"), [("predict", "detect"), ("trak", "did you mean 'track'"), ("--conf", "name the command first")]
)
def test_commands_of_other_programs(word: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([word]) == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize("stray", ["--help", "missing.mp4"])
def test_a_source_beside_what_is_none_is_told_which_of_them_is_wrong(
    stray: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "a.mp4"
    clip.touch()
    assert main.main([str(clip), stray]) == 2
    said = capsys.readouterr().err
    assert f"sightline: {stray}: no existing file and no address" in said
    assert f"track {clip} ..." in said


def test_the_settings_of_a_run_are_taken_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tracker.commands.options import settings_from
    from tracker.commands.outputs import write_settings

    typed = ("a.mp4", "--tracker", "sort", "--conf", "0.4", "--classes", "0", "2", "--set", "overlay.scale=2")
    settings = settings_from(parse(*typed))
    write_settings(tmp_path, "track", "a.mp4", settings)
    assert settings_from(parse("b.mp4", "--config", "args.yaml")) == settings
    changed = settings_from(parse("b.mp4", "--config", "args.yaml", "--tracker", "ocsort", "--conf", "0.5"))
    assert changed.tracker == settings_from(parse("b.mp4", "--tracker", "ocsort")).tracker
    assert (changed.detector.conf, changed.overlay) == (0.5, settings.overlay)
    assert "--tracker ocsort replaces the tracker's settings" in caplog.text
    scores = settings_from(parse("b.mp4", "--set", "tracker.high_score=0.7", "--config", "args.yaml"))
    assert scores.own_scores
    assert scores.tracker.high_score == 0.7
    assert to_mapping(scores)["detector"] == to_mapping(settings)["detector"]


def test_a_reader_that_goes_away_ends_a_run_quietly() -> None:
    command = [sys.executable, str(ROOT / "main.py"), "track", "--imgsz", "64", "--progress", "json"]
    with (
        MjpegCamera(10) as camera,  # nothing else would end this run
        subprocess.Popen([*command, camera.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run,
    ):
        assert run.stdout is not None
        assert run.stderr is not None
        patience = threading.Timer(120, run.kill)
        patience.start()
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait() == 141
        patience.cancel()


def test_comma_lists_leave_out_what_is_empty() -> None:
    assert comma_list(" a, b,,") == ("a", "b")
