"""How modules know each other: in no circle, and by names that tell them apart."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules() -> dict[str, Path]:
    """Every module of the product, a package under its own name."""
    found = {}
    for top in ("tracker", "gui"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if path.name == "__init__.py" else parts)] = path
    return found


def imports(source: str, known: set[str]) -> set[str]:
    """What a file imports of `known`: at its head, inside functions and for types alike."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here, and not understood below"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                found.add(below if below in known else str(node.module))
    return found & known


def in_order(graph: dict[str, set[str]]) -> list[str]:
    return list(TopologicalSorter(graph).static_order())


def test_no_files_import_each_other_in_a_circle() -> None:
    paths = modules()
    graph = {name: imports(path.read_text(), set(paths)) for name, path in paths.items()}
    assert len(graph) > 300
    assert sum(map(len, graph.values())) > 1000
    try:
        in_order(graph)
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_a_circle_is_found_wherever_its_imports_stand() -> None:
    late = "def work():\n    from tracker.b import thing\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tracker import a\n"
    known = {"tracker", "tracker.a", "tracker.b"}
    graph = {"tracker.a": imports(late, known), "tracker.b": imports(typed, known)}
    assert graph == {"tracker.a": {"tracker.b"}, "tracker.b": {"tracker.a"}}
    with pytest.raises(CycleError):
        in_order(graph)


def test_no_name_stands_for_modules_of_three_packages() -> None:
    places = defaultdict(set)
    for name in modules():
        package, _, last = name.rpartition(".")
        places[last].add(package)
    assert {last: sorted(packages) for last, packages in places.items() if len(packages) > 2} == {}
