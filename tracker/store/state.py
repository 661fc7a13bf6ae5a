"""Stages' states as bytes and back: plain values as JSON, arrays exactly, never pickled objects."""

from __future__ import annotations

import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tracker.errors import FormatError

__all__ = ["pack_state", "unpack_state"]

TREE = "tree"
ARRAY = "__array__"
BROKEN = (zipfile.BadZipFile, zlib.error, tokenize.TokenError)
"""What numpy lets through of the readers it uses."""


def pack_state(state: Mapping[str, Any]) -> bytes:
    """The bytes of a nested mapping of plain values, lists and arrays; equal states give equal bytes."""
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_without_arrays(state, arrays), separators=(",", ":"))
    arrays[TREE] = np.frombuffer(tree.encode(), np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack_state(packed: bytes) -> dict[str, Any]:
    """What `pack_state` was given, tuples become lists. Raises FormatError for other bytes."""
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            tree = json.loads(arrays[TREE].tobytes().decode())
            state: dict[str, Any] = _with_arrays(tree, arrays)
            return state
    except (ValueError, KeyError, OSError, EOFError, RuntimeError, *BROKEN) as error:
        raise FormatError(f"checkpoint: not a state this program wrote ({error}). Annotate again.") from error


def _without_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"a state holds plain arrays, found {value.dtype}")
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {ARRAY: name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == ARRAY:
                raise TypeError(f"keys of a state are texts, found {key!r}")
        return {key: _without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(item, arrays) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a state holds plain values and arrays, found {type(value).__name__}")


def _with_arrays(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {ARRAY}:
            return arrays[value[ARRAY]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    return value
