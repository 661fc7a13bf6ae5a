"""Array functions of the tracker, compiled by numba where it is installed (the `fast` extra), plain numpy elsewhere.

One source serves both, written in the part of numpy that numba knows; both give the same tracks. A call into numpy
costs about as much as ten objects' arithmetic, so compiling pays most where few objects are tracked.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """`function` compiled at its first call, the machine code kept beside the source; as it is without numba."""
    if importlib.util.find_spec("numba") is None:
        return function
    numba: Any = importlib.import_module("numba")
    machine: Callable[P, R]
    try:
        machine = numba.njit(cache=True)(function)
    except RuntimeError:  # no folder to keep the machine code in
        machine = numba.njit(function)
    return machine
