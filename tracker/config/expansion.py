"""How large a document is once everything that it refers to is written out."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["DEEPEST", "MOST_VALUES", "is_too_deep", "is_too_large"]

MOST_VALUES = 1_000_000
DEEPEST = 200
_BRACKETS = re.compile(r"[\[\]{}]")
_RUNS = re.compile(r"^[ \t\[]*(?:[\w\"'-]+[ \t]*\.[ \t]*){200}|(?:[-?][ \t]+){200}", re.MULTILINE)
"""Keys of many parts, and lists that begin within lists on one line."""


def is_too_large(value: Any, most: int = MOST_VALUES) -> bool:
    """Whether lists and tables hold more values than that, each counted as often as it is referred to.

    A YAML file of a few lines can stand for more values than there is memory: each of its lists names the one before
    nine times.
    """
    waiting, count = [value], 0
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set):
            waiting.extend(item)
        count += 1
        if count + len(waiting) > most:
            return True
    return False


def is_too_deep(text: str) -> bool:
    """Whether a TOML, YAML or JSON text nests deeper than anybody writes; parsers take minutes for that, or fail.

    Brackets in strings count too: no text has a thousand more that open than close.
    """
    if _RUNS.search(text):
        return True
    depth = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            return True
    return False
