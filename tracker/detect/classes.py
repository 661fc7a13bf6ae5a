"""The classes a user asks for, by name, number or group, as the rows a network knows them by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32
from numpy import ndarray

from tracker.config import nearest
from tracker.config.coco_classes import CLASS_GROUPS
from tracker.errors import ConfigError

__all__ = ["choose_classes"]

ALL = "all"
"""Every class, as a group."""


def choose_classes(
    wanted: Sequence[str], labels: Sequence[str], *, option: str = "--classes"
) -> Int32[ndarray, " k"] | None:
    """Class ids for names, numbers or groups in any order, or None when all are wanted.

    A group (`CLASS_GROUPS`, or `all`) stands for those of its classes that the network knows. Raises ConfigError for a
    class the network does not know, and for a group of which it knows none.
    """
    if not wanted or any(name.strip().casefold() == ALL for name in wanted):
        return None
    by_name = {label.casefold(): index for index, label in enumerate(labels)}
    chosen = set()
    for name in wanted:
        key = name.strip().casefold()
        if key in by_name:
            chosen.add(by_name[key])
        elif key in CLASS_GROUPS:
            known = [by_name[member] for member in CLASS_GROUPS[key] if member in by_name]
            if not known:
                raise ConfigError(f"{option} {name}: the network knows none of them; it knows {_some(labels)}")
            chosen.update(known)
        elif key.isdigit() and int(key) < len(labels):
            chosen.add(int(key))
        elif key.isdigit():
            raise ConfigError(f"{option} {name}: the network knows the classes 0 to {len(labels) - 1}")
        else:
            known_names = [*labels, *CLASS_GROUPS, ALL]
            raise ConfigError(f"{option} {name}: the network knows no such class; {nearest(name, known_names)}")
    return np.array(sorted(chosen), np.int32)


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:6]) + (f" and {len(labels) - 6} more" if len(labels) > 6 else "")
