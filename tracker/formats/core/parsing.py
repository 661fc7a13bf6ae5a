"""Files read with errors that say where: text, JSON, and numbers in them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from tracker.errors import FormatError, refuse_special

__all__ = ["as_list", "as_mapping", "as_number", "read_json", "read_text", "to_float", "to_int"]


def read_text(path: Path | str) -> str:
    """The file's UTF-8 text. Raises FormatError where it cannot be read."""
    try:
        refuse_special(Path(path))
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte {error.start}: expected UTF-8 text") from error


def parse_json(text: str, path: Path | str, *, line: int = 1) -> Any:
    """The value of a JSON text that starts at that line. Raises FormatError with the line of the fault."""
    try:
        return json.loads(text, parse_constant=lambda name: _refuse_constant(name, path, line))
    except json.JSONDecodeError as error:
        raise FormatError(f"{path}: line {line + error.lineno - 1}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise FormatError(f"{path}: line {line}: nested too deeply") from error
    except ValueError as error:  # Python reads no numbers of thousands of digits
        raise FormatError(f"{path}: a number has too many digits") from error


def read_json(path: Path | str) -> Any:
    """The value of a JSON file. NaN and infinity, which are not JSON, are refused."""
    return parse_json(read_text(path), path)


def _refuse_constant(name: str, path: Path | str, line: int) -> NoReturn:
    raise FormatError(f"{path}: line {line}: {name} is not a JSON number")


def to_float(text: str, what: str, path: Path | str, where: str) -> float:
    """The number a text stands for. Raises FormatError for another text, NaN and infinity."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{path}: {where}: {what}: expected a number, found {_short(text.strip())!r}")
    return value


def to_int(text: str, what: str, path: Path | str, where: str) -> int:
    """The whole number a text stands for; 3.0 counts as one."""
    value = to_float(text, what, path, where)
    if value != int(value):
        raise FormatError(f"{path}: {where}: {what}: expected a whole number, found {_short(text.strip())!r}")
    return int(value)


def as_mapping(value: Any, what: str, path: Path | str) -> dict[str, Any]:
    """The value, which must be a JSON object."""
    if not isinstance(value, dict):
        raise FormatError(f"{path}: {what}: expected an object, found {_kind(value)}")
    return value


def as_list(value: Any, what: str, path: Path | str, *, length: int | None = None) -> list[Any]:
    """The value, which must be a JSON list, of that length where one is given."""
    if not isinstance(value, list):
        raise FormatError(f"{path}: {what}: expected a list, found {_kind(value)}")
    if length is not None and len(value) != length:
        raise FormatError(f"{path}: {what}: expected {length} values, found {len(value)}")
    return value


def as_number(value: Any, what: str, path: Path | str) -> float:
    """The value, which must be a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise FormatError(f"{path}: {what}: expected a number, found {_kind(value)}")
    return float(value)


def as_int(value: Any, what: str, path: Path | str) -> int:
    """The value, which must be a whole number."""
    found = as_number(value, what, path)
    if found != int(found):
        raise FormatError(f"{path}: {what}: expected a whole number, found {_kind(value)}")
    return int(value)


def as_text(value: Any, what: str, path: Path | str) -> str:
    """The value, which must be a text."""
    if not isinstance(value, str):
        raise FormatError(f"{path}: {what}: expected a text, found {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    return _short(json.dumps(value, default=str))


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
