"""What the documentation says of commands, files and settings is so."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import tracker
from tests.scripts import load_script
from tracker.analytics import load_rules
from tracker.cli import COMMANDS
from tracker.commands.command_parser import CommandParser
from tracker.factory import Settings
from tracker.train.data.data_yaml import OWN_KEYS, read_description

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "weights" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"python (?:-m tracker|main\.py)((?: (?! )[^\n|]*?)?)(?=$| {2,}| && | \|)", re.MULTILINE)


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """The hook that makes parts of pages of the code."""
    return load_script(ROOT / "docs" / "generated.py")


def written_commands() -> Iterator[tuple[str, str]]:
    """Each page's name and the arguments of each command in its blocks of code."""
    for page in PAGES:
        for block in FENCE.finditer(page.read_text(encoding="utf-8")):
            for command in COMMAND.finditer(block.group(3)):
                yield page.name, command.group(1).strip().replace("[", "").replace("]", "")  # what may be left out


def test_commands_are_found_in_the_pages() -> None:
    assert len(set(written_commands())) > 20


def test_every_command_in_the_pages_is_understood() -> None:
    parsers: dict[str, argparse.ArgumentParser] = {}
    for page, line in written_commands():
        if "$(" in line:
            continue  # the shell makes the rest of it
        words = shlex.split(line)
        if not words or words[0] not in COMMANDS:
            sources = all(re.search(r"\.\w{2,4}$|://", word) for word in words)
            assert sources or words[0] in ("COMMAND", "--version"), f"{page}: {line}"
            continue
        if words[-1] == "..." or words[-1] == "--help":
            continue
        if words[0] not in parsers:
            parsers[words[0]] = CommandParser(prog="main.py")
            subparsers = parsers[words[0]].add_subparsers(required=True, parser_class=CommandParser)
            for module in COMMANDS[words[0]].modules:
                importlib.import_module(module).add_parsers(subparsers)
        assert parsers[words[0]].parse_args(words) is not None, f"{page}: {line}"


def test_the_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    whole = set(re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE))
    members = {name.strip() for listed in re.findall(r"members: \[(.*)\]", page) for name in listed.split(",")}
    single = {entry.rpartition(".")[2] for entry in whole} | members
    for name in tracker.__all__:
        if name != "__version__":
            assert name in single or tracker._HOME_OF[name] in whole, name


def test_every_room_is_on_the_map() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for init in sorted(ROOT.glob("tracker/*/__init__.py")):
        assert f"`tracker/{init.parent.name}/`" in page
    for init in sorted(ROOT.glob("gui/*/__init__.py")):
        assert f"`{init.parent.name}/`" in page


def test_the_rules_in_the_page_are_understood(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    (block,) = [fence.group(3) for fence in FENCE.finditer(page) if fence.group(2) == "toml"]
    (tmp_path / "lines.toml").write_text(block, encoding="utf-8")
    rules = load_rules(tmp_path / "lines.toml")
    assert rules.line
    assert rules.zone
    assert rules.speed is not None


def test_the_data_yaml_in_the_page_is_understood(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (block,) = [fence.group(3) for fence in FENCE.finditer(page) if fence.group(2) == "yaml"]
    for folder in ("images/train", "images/val"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data.yaml").write_text(block, encoding="utf-8")
    description = read_description(tmp_path / "data.yaml")
    assert description.labels == ("person", "bicyclist")
    assert set(description.splits) == {"train", "val"}
    assert set(re.findall(r"^\| `(\w+): ", page, re.MULTILINE)) == set(OWN_KEYS)


def test_the_page_of_options_has_each_command_and_option(generated: ModuleType) -> None:
    page = generated.on_page_markdown("<!-- made of: options -->")
    for name in COMMANDS:
        assert f"\n## {name}" in page
    for option in ("`--conf` `SCORE`", "`--masks`, `--no-masks`", "`--classes` `A,B`", "`--freeze` `VALUE`"):
        assert option in page


def test_the_page_of_settings_has_each_setting(generated: ModuleType) -> None:
    page = generated.on_page_markdown("<!-- made of: settings -->")
    for field in dataclasses.fields(Settings):
        section = getattr(Settings(), field.name)
        inner = dataclasses.fields(section) if dataclasses.is_dataclass(section) else ()
        for key in [f"{field.name}.{one.name}" for one in inner] or [field.name]:
            assert f"| `{key}` |" in page


def test_links_of_files_outside_the_pages_lead_somewhere() -> None:
    for page in (
        ROOT / "README.md",
        ROOT / "weights" / "README.md",
        *map(ROOT.joinpath, ("CONTRIBUTING.md", "CHANGELOG.md")),
    ):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_marker_is_left_in_a_page(generated: ModuleType) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for name in generated.MARKER.findall(page.read_text(encoding="utf-8")):
            assert name in generated.MAKERS, f"{page.name}: {name}"
