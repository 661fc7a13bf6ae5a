"""Array functions of the tracker, compiled by numba where it is installed (the `fast` extra), plain numpy elsewhere.

One source serves both, written in the part of numpy that numba knows; both give the same tracks. A call into numpy
costs about as much as ten objects' arithmetic, so compiling pays most where few objects are tracked.

numba takes a second to import, so nothing does until the first of these functions is called: a window opens without.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")

_STAND_INS: dict[Callable[..., Any], Callable[..., Any]] = {}
"""The function of each stand-in."""
_MACHINES: dict[Callable[..., Any], Callable[..., Any]] = {}
"""What has taken its place."""
_LOCK = threading.RLock()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """`function` compiled at its first call, the machine code kept beside the source; as it is without numba."""
    if importlib.util.find_spec("numba") is None:
        return function

    @functools.wraps(function)
    def stand_in(*arguments: P.args, **named: P.kwargs) -> R:
        with _LOCK:
            if stand_in not in _MACHINES:
                _replace_stand_ins()
        machine: Callable[P, R] = _MACHINES[stand_in]
        return machine(*arguments, **named)

    _STAND_INS[stand_in] = function
    return stand_in


def _replace_stand_ins() -> None:
    """Put numba's functions in the place of all stand-ins, in every module of the tracker that calls them."""
    numba: Any = importlib.import_module("numba")
    for stand_in, function in _STAND_INS.items():
        if stand_in not in _MACHINES:
            try:
                _MACHINES[stand_in] = numba.njit(cache=True)(function)
            except RuntimeError:  # no folder to keep the machine code in
                _MACHINES[stand_in] = numba.njit(function)
    package = __name__.rpartition(".")[0] + "."
    for module in [module for name, module in sys.modules.items() if name.startswith(package)]:
        for name, value in list(vars(module).items()):
            if getattr(value, "__wrapped__", None) is not None and value in _MACHINES:
                setattr(module, name, _MACHINES[value])
