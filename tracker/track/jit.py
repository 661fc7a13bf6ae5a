"""Array functions of the tracker, compiled by numba where it is installed (the `fast` extra), plain numpy elsewhere.

One source serves both, written in the part of numpy that numba knows; both give the same tracks. A call into numpy
costs about as much as ten objects' arithmetic, so compiling pays most where few objects are tracked.

numba takes a second to import, so nothing does until the first of these functions is called: a window opens without.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any, Generic, ParamSpec, TypeVar, cast

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")

_LOCK = threading.RLock()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """`function` compiled at its first call, the machine code kept beside the source; as it is without numba."""
    return function if importlib.util.find_spec("numba") is None else _Compiled(function)


class _Compiled(Generic[P, R]):
    """A function that is compiled when it is called first, and what it calls with it."""

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self._function = cast(FunctionType, function)
        self._machine: Callable[P, R] | None = None

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        machine = self._machine
        return (self.machine() if machine is None else machine)(*arguments, **named)

    def machine(self) -> Callable[P, R]:
        """The machine code.

        Machine code calls machine code only: numba is given a copy of the function that sees, in place of each
        compiled function of its module, that one's machine code. The module itself stays as it is.
        """
        with _LOCK:
            if self._machine is None:
                function, numba = self._function, cast(Any, importlib.import_module("numba"))
                known = dict(function.__globals__)
                for name in function.__code__.co_names:
                    called = known.get(name)
                    if isinstance(called, _Compiled):
                        known[name] = called.machine()
                copy = FunctionType(function.__code__, known, function.__name__, function.__defaults__)
                copy.__qualname__, copy.__module__ = function.__qualname__, function.__module__
                copy.__annotations__, copy.__kwdefaults__ = function.__annotations__, function.__kwdefaults__
                try:
                    self._machine = numba.njit(cache=True)(copy)
                except RuntimeError:  # no folder to keep the machine code in
                    self._machine = numba.njit(copy)
            return cast(Callable[P, R], self._machine)
