"""Parts of pages that are made of the code while the documentation is built, so that they cannot go stale.

An mkdocs hook. A line `<!-- made of: NAME -->` in a page becomes what `MAKERS[NAME]` gives; pages that stand for a file
of the project's root are that file, its links turned to the pages.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MARKER = re.compile(r"^<!-- made of: ([a-z ]+) -->$", re.MULTILINE)
FILES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "GLOSSARY.md": "glossary.md",
    "weights/README.md": "networks.md",
}
"""Files that are pages too."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#]+)(#[^)]*)?\)")


def options() -> str:
    """Every command with its description, options and examples, in the groups of the overview."""
    from tracker.cli import GROUPS

    return "\n".join(line for names in GROUPS.values() for name in names for line in _command(name))


def settings() -> str:
    """Every setting of a run by section, with default and meaning."""
    from tracker.factory import Settings

    return "\n".join(_sections(Settings(), ""))


def import_order() -> str:
    """The layers of the import contract, top first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return "\n".join(["```text", *(layer.replace("tracker.", "") for layer in layers), "```"])


def project_file(name: str) -> str:
    """A file of the project as a page: links to what is no page become words, images that are none are left out."""
    folder = (ROOT / name).parent

    def relink(link: re.Match[str]) -> str:
        image, words, target, place = link.group(1), link.group(2), link.group(3), link.group(4) or ""
        file = (folder / target).resolve()
        inside = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else ""
        page = FILES.get(inside) or (inside.removeprefix("docs/") if inside.startswith("docs/") else "")
        return f"{image}[{words}]({page}{place})" if page else "" if image else words

    return LINK.sub(relink, (ROOT / name).read_text(encoding="utf-8"))


MAKERS: dict[str, Callable[[], str]] = {
    "options": options,
    "settings": settings,
    "import order": import_order,
    **{page.removesuffix(".md"): lambda file=file: project_file(file) for file, page in FILES.items()},  # type: ignore[misc]
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is made of the code in place of the markers."""
    sys.path.insert(0, str(ROOT))
    try:
        return MARKER.sub(lambda marker: MAKERS[marker.group(1)](), markdown)
    finally:
        sys.path.remove(str(ROOT))


def _command(name: str) -> Iterator[str]:
    """A command, or each of its kinds."""
    from tracker.cli import COMMANDS
    from tracker.commands.command_parser import CommandParser
    from tracker.commands.help_text import EXAMPLES, complete_help, leaves

    subparsers = CommandParser(prog="main.py").add_subparsers(parser_class=CommandParser)
    for module in COMMANDS[name].modules:
        importlib.import_module(module).add_parsers(subparsers)
    for words, parser in leaves(subparsers.choices[name], name):
        more = parser.epilog
        rows = len(parser._actions)
        complete_help(parser, words)
        yield from ("", f"## {words}", "")
        if parser.description:
            yield from (_cell(parser.description), "")
        yield from ("```", *(f"python main.py {example}" for example in EXAMPLES[words]), "```", "")
        yield from ("| Option | Meaning |", "|---|---|")
        formatter = parser._get_formatter()
        for action in parser._actions[1:rows]:  # without --help, and what all have
            yield f"| {_option(action)} | {_cell(formatter._expand_help(action) if action.help else '')} |"
        if more:
            yield from ("", "```text", more.strip(), "```")
        yield ""


def _option(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not value and action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not value and action.nargs != 0:
        value = action.dest.upper()
    if not action.option_strings:
        return f"`{value}`".replace("|", "\\|")
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    return names if action.nargs == 0 else f"{names} `{value}`"


def _cell(text: str) -> str:
    """One line that Markdown leaves as it is."""
    return re.sub(r"([*_<>|\[\]])", r"\\\1", " ".join(text.split()))


def _sections(settings: Any, prefix: str) -> Iterator[str]:
    from tracker.config import field_docs

    docs = field_docs(type(settings))
    plain = [
        field for field in dataclasses.fields(settings) if not dataclasses.is_dataclass(getattr(settings, field.name))
    ]
    if plain:
        yield from ("", f"## {prefix.rstrip('.') or 'At the top'}", "", "| Key | Default | Meaning |", "|---|---|---|")
        for field in plain:
            value = getattr(settings, field.name)
            shown = "" if value is None else f"`{_default(value)}`"
            yield f"| `{prefix}{field.name}` | {shown} | {_cell(docs.get(field.name, ''))} |"
        yield ""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from _sections(value, f"{prefix}{field.name}.")


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value) if str(value) else '""'
