"""The Dockerfile, read with the rules that a linter of such files has, since most machines cannot build it."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """Each instruction and the rest of its line, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).strip().splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def test_every_instruction_is_known() -> None:
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in instructions()} <= known
    assert instructions()[0][0] == "FROM"


def test_the_base_has_a_version_and_the_last_stage_is_not_root() -> None:
    assert all(re.match(r"python:3\.\d+-slim-\w+( AS \w+)?$", base) for base in of("FROM"))
    last = [name for name, _ in instructions()]
    stage = instructions()[len(last) - last[::-1].index("FROM") :]
    assert [rest for name, rest in stage if name == "USER"][-1] not in ("root", "0")


def test_folders_are_absolute_and_commands_are_lists() -> None:
    assert all(folder.startswith("/") for folder in of("WORKDIR"))
    for command in (*of("ENTRYPOINT"), *of("CMD")):
        assert isinstance(json.loads(command), list)


def test_packages_are_installed_small_and_leave_no_lists() -> None:
    for command in of("RUN"):
        if "apt-get install" in command:
            assert "apt-get update" in command
            assert "--yes" in command
            assert "--no-install-recommends" in command
            assert "rm -rf /var/lib/apt/lists/*" in command
        if "pip install" in command:
            assert "--no-cache-dir" in command
        assert not re.search(r"\bsudo\b|\bcd /|\bcurl\b|\bwget\b", command)


def test_nothing_beside_the_program_is_sent_to_the_builder() -> None:
    """Folders of the project that no installed program needs; `.*` stands for .git and the caches of tools."""
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".*", "**/__pycache__", "benchmarks", "docs", "examples", "runs", "tests"} <= set(left_out)
    assert not {"tracker", "gui", "weights", "pyproject.toml", "README.md", "LICENSE"} & set(left_out)
