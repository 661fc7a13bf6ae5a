"""The manual's table of keys is what the window does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.gui.conftest import App

PAGE = Path(__file__).parents[3] / "docs" / "window.md"
ROW = re.compile(r"^\| [^|]+ \| (?:everywhere|live|recording) \| `[^|]+ \|$", re.MULTILINE)
PLACES = {"window": "everywhere"}


def test_the_manual_lists_every_key(app: App) -> None:
    wanted = []
    for command in app.start().commands.all():
        if command.default:
            text = command.action.text().replace("&", "").rstrip("\N{HORIZONTAL ELLIPSIS}")
            keys = ", ".join(f"`{key}`" for key in command.default)
            wanted.append(f"| {text} | {PLACES.get(command.scope, command.scope)} | {keys} |")
    listed = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(wanted), "docs/window.md must list:\n" + "\n".join(sorted(wanted))
