"""Frozen, typed settings built from mappings: unknown keys are refused with the nearest known name.

The docstring below a field is its help on the command line, its tooltip in the window and its comment in TOML.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import inspect
import math
import textwrap
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from tracker.config.expansion import DEEPEST, MOST_VALUES, is_too_deep, is_too_large
from tracker.errors import ConfigError, refuse_special

__all__ = [
    "assign",
    "assign_tables",
    "build",
    "field_docs",
    "nearest",
    "parse_assignment",
    "read_settings",
    "to_mapping",
    "to_toml",
]

YAML_SUFFIXES = (".yaml", ".yml")
Settings = TypeVar("Settings")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as "did you mean 'conf'?", or the list of what is known when nothing comes close."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def build(cls: type[Settings], mapping: Mapping[str, Any], where: str) -> Settings:
    """The settings of `cls` with the values of `mapping` in place of its defaults.

    `where` names the origin in errors, such as a file or "--set". Nested dataclasses take nested mappings.
    Raises ConfigError for an unknown key, a value of the wrong type or one the settings themselves refuse.
    """
    hints = _hints(cls)  # type: ignore[arg-type]
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values = {}
    for key, value in mapping.items():
        if key not in known:
            raise ConfigError(f"{where}: unknown setting {key!r}; {nearest(str(key), known)}")
        values[key] = _convert(hints[key], value, f"{where}: {key}")
    required = dataclasses.MISSING
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name not in values and field.default is required and field.default_factory is required:
            raise ConfigError(f"{where}: {field.name!r} is missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return build(hint, value, where)
        raise ConfigError(f"{where}: expected a table of settings, found {value!r}")
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is Literal:
        if value in arguments:
            return value
        choices = ", ".join(repr(choice) for choice in arguments)
        raise ConfigError(f"{where}: expected one of {choices}, found {value!r}")
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if hint is float and not isinstance(value, bool) and isinstance(value, Real):  # those of NumPy too
        if math.isnan(value):
            raise ConfigError(f"{where}: expected a number, found nan")
        return float(value)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is bool and value in ("true", "false"):
        return value == "true"
    if hint is str and not isinstance(value, bool) and isinstance(value, Integral):
        return str(value)
    if hint is int and not isinstance(value, bool) and isinstance(value, Integral):
        return int(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: expected {_type_name(hint)}, found {value!r}")


def _convert_union(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if (value is None or value == "none") and type(None) in choices:
        return None
    errors = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _convert(choice, value, where)
        except ConfigError as error:
            errors.append(error)
    raise errors[0]


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Mapping) and dataclasses.is_dataclass(arguments[0]):
        key = where.rpartition(": ")[2]
        raise ConfigError(f"{where}: expected a list of tables; write [[{key}]] in place of [{key}]")
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: expected a list, found {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        places = [_place(where, item, number, len(value)) for number, item in enumerate(value, start=1)]
        return tuple(_convert(arguments[0], item, place) for item, place in zip(value, places, strict=True))
    if len(arguments) != len(value):
        raise ConfigError(f"{where}: expected {len(arguments)} values, found {len(value)}")
    return tuple(_convert(hint, item, where) for hint, item in zip(arguments, value, strict=True))


def _place(where: str, item: Any, number: int, count: int) -> str:
    """Which table of several it is, by its number and what it is called."""
    if count == 1 or not isinstance(item, Mapping):
        return where
    name = item.get("name")
    return f"{where} {number} ({name})" if isinstance(name, str) and name else f"{where} {number}"


def _type_name(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names.get(hint, str(hint))


def field_docs(cls: type[Any]) -> dict[str, str]:
    """The docstring below each field of a settings class, by field name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        named = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if named and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            docs[statement.target.id] = " ".join(str(following.value.value).split())  # type: ignore[attr-defined]
    return docs


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """The key path and value of `section.key=value`; the value is read as TOML, else taken as text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}: expected key=value, for example --set detector.conf=0.4")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        parsed = value.strip()
    return [part.strip() for part in key.split(".")], parsed


def assign(tree: dict[str, Any], path: Iterable[str], value: Any) -> None:
    """Put a value into nested dictionaries, making those on the way."""
    *parents, last = path
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {'.'.join([*parents, last])}: {parent!r} is a value, not a table of settings")
    tree[last] = value


def assign_tables(tree: dict[str, Any], tables: Mapping[str, Any]) -> None:
    """Put what a settings file says over a tree, one value after the other: what it does not name stays."""
    for section, values in tables.items():
        if isinstance(values, dict):
            for key, value in values.items():
                assign(tree, [section, key], value)
        else:
            tree[section] = values


def read_settings(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, or by its suffix a YAML file. Raises ConfigError when it is missing or malformed."""
    is_yaml = path.suffix.lower() in YAML_SUFFIXES
    kind = "YAML" if is_yaml else "TOML"
    try:
        refuse_special(path)
        text = path.read_text(encoding="utf-8-sig")
        if is_too_deep(text):
            raise ConfigError(f"{path}: nests deeper than {DEEPEST} levels; no settings do")
        tables = yaml.safe_load(text) if is_yaml else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the settings file: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a {kind} file: {error}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:  # the last three for dates that are none
        raise ConfigError(f"{path}: not a {kind} file: {error}") from error
    if is_too_large(tables):
        raise ConfigError(f"{path}: stands for more than {MOST_VALUES} values; no settings are that many")
    if tables is None:
        return {}
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: expected settings as 'name: value' lines, found {type(tables).__name__}")
    return {str(name): value for name, value in tables.items()}


def to_mapping(settings: Any) -> dict[str, Any]:
    """The settings as nested plain values, ready for TOML, YAML or JSON; None values are left out."""
    tree: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            tree[field.name] = to_mapping(value)
        elif isinstance(value, tuple):
            tree[field.name] = list(value)
        elif value is not None:
            tree[field.name] = str(value) if isinstance(value, Path) else value
    return tree


def to_toml(settings: Any) -> str:
    """The settings as TOML text with each field's docstring as a comment."""
    return "\n".join(_toml_lines(settings, "")).strip() + "\n"


def _toml_lines(settings: Any, prefix: str) -> list[str]:
    docs = field_docs(type(settings))
    lines: list[str] = []
    tables: list[str] = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            name = f"{prefix}{field.name}"
            tables += ["", f"[{name}]", *_toml_lines(value, f"{name}.")]
            continue
        lines += [f"# {line}" for line in textwrap.wrap(docs.get(field.name, ""), 110)]
        lines.append(f"# {field.name} =" if value is None else f"{field.name} = {_toml_value(value)}")
    return lines + tables


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
