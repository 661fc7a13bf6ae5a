"""How large a document is once everything that it refers to is written out."""

from __future__ import annotations

from typing import Any

__all__ = ["MOST_VALUES", "is_too_large"]

MOST_VALUES = 1_000_000


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
