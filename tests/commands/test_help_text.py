"""Every command has an example that parses, and a help that gives defaults; the program reports as much as is asked."""

from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import main
from tests.annotate.conftest import clip, network
from tracker.cli import COMMANDS, GROUPS
from tracker.commands.command_parser import CommandParser
from tracker.commands.help_text import EXAMPLES, complete_help, leaves

__all__ = ["clip", "network"]


@pytest.fixture(scope="module")
def parser() -> Iterator[CommandParser]:
    """All commands, as they are listed for somebody who typed `sightline`."""
    parser = CommandParser(prog="sightline")
    subparsers = parser.add_subparsers(parser_class=CommandParser)
    for module in dict.fromkeys(module for command in COMMANDS.values() for module in command.modules):
        importlib.import_module(module).add_parsers(subparsers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sightline"])
        for words, leaf in leaves(parser):
            complete_help(leaf, words)
        yield parser


def test_each_command_stands_in_one_group() -> None:
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)


def test_each_command_has_examples_that_parse(parser: CommandParser) -> None:
    commands = dict(leaves(parser))
    assert set(EXAMPLES) == set(commands)
    for words, examples in EXAMPLES.items():
        for example in examples:
            assert example.startswith(words)
            options = parser.parse_args(shlex.split(example.partition(" > ")[0]))
            assert callable(options.run)
            assert f"  sightline {example}" in commands[words].format_help()


def test_defaults_stand_in_the_help(parser: CommandParser) -> None:
    text = " ".join(dict(leaves(parser))["track"].format_help().split())
    for default in ("(default auto)", "(default mot,jsonl)", "(default runs/track)", "(default 300)", "(default on)"):
        assert default in text
    assert "Write the annotated video. (default off)" in text
    assert not any("(default: " in text and "(default " in text.partition("(default: ")[2] for text in texts(parser))


def texts(parser: CommandParser) -> list[str]:
    return [action.help or "" for _, leaf in leaves(parser) for action in leaf._actions]


def test_quiet_and_verbose(clip: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*more: str) -> str:
        command = [sys.executable, str(Path(main.__file__)), "track", str(clip), "--model", str(network)]
        options = ["--vid-stride", "20", "--project", str(tmp_path), "--tracker", "bytetrack.yaml", *more]
        return subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path).stderr

    assert "the preset bytetrack is used" in run()
    assert run("-q") == ""
    assert run("--quiet", "--set", "detector.conf=7").count("\n") == 1
    assert "is used" in run("-v")


def test_the_completion_knows_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "tcsh"):
        assert main.main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert "export-annotations" in script
        assert "imgsz" in script
