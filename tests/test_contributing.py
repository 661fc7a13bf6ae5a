"""What CONTRIBUTING.md and the map of the code name: each file is there, and defines what it is said to."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (?P<question>[^|]+\?) \| `(?P<file>[^`]+)` \| `(?P<symbol>[^`]+)` \|$", re.MULTILINE)
FILE = re.compile(r"`(?P<file>(?:tracker|gui|tests|benchmarks|examples|docs|weights|engines|formats)/[\w./]*)[^`]*`")
ANSWERS = [match.groups() for match in ROW.finditer((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))]


def defined(tree: ast.Module | ast.ClassDef) -> dict[str, ast.stmt]:
    """The functions, classes and constants that stand directly in a module or class."""
    names: dict[str, ast.stmt] = {}
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names[name] = statement
    return names


def test_there_are_twenty_questions_at_least() -> None:
    assert len({question for question, _, _ in ANSWERS}) >= 20


@pytest.mark.parametrize(("question", "file", "symbol"), ANSWERS, ids=[question for question, _, _ in ANSWERS])
def test_the_answer_is_where_it_is_said_to_be(question: str, file: str, symbol: str) -> None:
    tree: ast.Module | ast.ClassDef = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    *owners, name = symbol.split(".")
    for owner in owners:
        found = defined(tree)[owner]
        assert isinstance(found, ast.ClassDef)
        tree = found
    assert name in defined(tree), f"{file} no longer defines {symbol}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = {match["file"] for match in FILE.finditer((ROOT / page).read_text(encoding="utf-8"))}
    assert len(named) > 5
    homes = (ROOT, ROOT / "tracker", ROOT / "tracker" / "detect")
    assert [file for file in sorted(named) if not any((home / file).exists() for home in homes)] == []
