"""The classes a user asks for, by name or number, as the rows a network knows them by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32
from numpy import ndarray

from tracker.config import nearest
from tracker.errors import ConfigError

__all__ = ["choose_classes"]


def choose_classes(wanted: Sequence[str], labels: Sequence[str]) -> Int32[ndarray, " k"] | None:
    """Class ids for names or numbers in any order, or None when all are wanted.

    Raises ConfigError for a class the network does not know.
    """
    if not wanted:
        return None
    by_name = {label.casefold(): index for index, label in enumerate(labels)}
    chosen = set()
    for name in wanted:
        key = name.strip().casefold()
        if key in by_name:
            chosen.add(by_name[key])
        elif key.isdigit() and int(key) < len(labels):
            chosen.add(int(key))
        elif key.isdigit():
            raise ConfigError(f"--classes {name}: the network knows the classes 0 to {len(labels) - 1}")
        else:
            raise ConfigError(f"--classes {name}: the network knows no such class; {nearest(name, labels)}")
    return np.array(sorted(chosen), np.int32)
