"""What stands in an ONNX file, read without the package onnx, which a light install lacks.

An ONNX file is one Protocol Buffers message; of it only what is asked for is understood (field numbers of onnx.proto3),
and the weights themselves are stepped over. Nothing in the file is run.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.errors import CheckpointError

__all__ = ["OnnxFile", "OnnxNode", "read_onnx", "with_outputs"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
INT64, INT32, FLOAT, DOUBLE = 7, 6, 1, 11
SMALL = 4096
"""Constants of more bytes are weights, whose values nobody asks for."""
Value = int | bytes


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One operation."""

    kind: str
    """Such as Conv."""
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """Numbers, texts, lists of numbers; tensors of a few values as lists."""


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The graph in the order it runs."""

    nodes: tuple[OnnxNode, ...]
    weights: Mapping[str, tuple[int, ...]]
    """The shape of each constant tensor."""
    constants: Mapping[str, list[Any]]
    """The values of small whole-number and float ones."""
    indices: frozenset[str]
    """Which of the constant tensors are whole numbers of 32 or 64 bits: shapes and places, no weights."""
    inputs: tuple[str, ...]
    """Names, without those of weights."""
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]


def read_onnx(path: Path) -> OnnxFile:
    """The graph and metadata of a file. Raises CheckpointError where it is no ONNX file, or not a whole one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        model = _fields(content)
        graph = _merge(model.get(7, []))
        metadata = {
            _text(entry.get(1)): _text(entry.get(2)) for entry in (_fields(_bytes(each)) for each in model.get(14, []))
        }
        weights: dict[str, tuple[int, ...]] = {}
        constants: dict[str, list[Any]] = {}
        indices: set[str] = set()
        for each in graph.get(5, []):
            name, shape, values, kind = _tensor(_bytes(each))
            weights[name] = shape
            if kind in (INT64, INT32):
                indices.add(name)
            if values is not None:
                constants[name] = values
        inputs = [_text(_fields(_bytes(each)).get(1)) for each in graph.get(11, [])]
        outputs = [_text(_fields(_bytes(each)).get(1)) for each in graph.get(12, [])]
        nodes = [_node(_bytes(each)) for each in graph.get(1, [])]
    except (IndexError, ValueError, TypeError, struct.error) as error:
        raise CheckpointError(f"{path}: not a whole ONNX file ({error}); copy or download it again") from error
    if not nodes:
        raise CheckpointError(f"{path}: no ONNX file: it has no operations")
    for node in nodes:
        if node.kind == "Constant" and isinstance(node.attributes.get("value"), list):
            constants[node.outputs[0]] = node.attributes["value"]
    named = tuple(name for name in inputs if name not in weights)
    return OnnxFile(tuple(nodes), weights, constants, frozenset(indices), named, tuple(outputs), metadata)


def with_outputs(content: bytes, names: Iterator[str]) -> bytes:
    """The same model giving the tensors of these names too: a message of the same field behind it is added to it."""
    extra = b"".join(_packed(12, _packed(1, name.encode())) for name in names)
    return content + _packed(7, extra)


def _packed(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(content: bytes) -> dict[int, list[Value]]:
    """Each field's values by its number, in their order."""
    found: dict[int, list[Value]] = {}
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        number, kind = key >> 3, key & 7
        value: Value
        if kind == VARINT:
            value, place = _read_varint(content, place)
        elif kind in (BYTES, FIXED64, FIXED32):
            length, place = _read_varint(content, place) if kind == BYTES else ({FIXED64: 8, FIXED32: 4}[kind], place)
            if place + length > len(content):
                raise ValueError("it ends too soon")
            value = content[place : place + length]
            place += length
        else:
            raise ValueError(f"unknown kind of field {kind}")
        found.setdefault(number, []).append(value)
    return found


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _merge(parts: list[Value]) -> dict[int, list[Value]]:
    """A message that came in several parts is one."""
    return _fields(b"".join(_bytes(part) for part in parts))


def _node(content: bytes) -> OnnxNode:
    fields = _fields(content)
    attributes = dict(_attribute(_bytes(each)) for each in fields.get(5, []))
    inputs, outputs = (tuple(_text([each]) for each in fields.get(number, [])) for number in (1, 2))
    return OnnxNode(_text(fields.get(4)), _text(fields.get(3)), inputs, outputs, attributes)


def _attribute(content: bytes) -> tuple[str, Any]:
    fields = _fields(content)
    name = _text(fields.get(1))
    if 8 in fields:
        return name, _whole_numbers(fields[8])
    if 7 in fields:
        return name, [value for (value,) in struct.iter_unpack("<f", b"".join(_bytes(each) for each in fields[7]))]
    if 3 in fields:
        return name, _signed(fields[3][0])
    if 2 in fields:
        return name, struct.unpack("<f", _bytes(fields[2][0]))[0]
    if 4 in fields:
        return name, _text(fields.get(4))
    if 5 in fields:
        return name, _tensor(_bytes(fields[5][0]))[2]
    return name, None


def _tensor(content: bytes) -> tuple[str, tuple[int, ...], list[Any] | None, int]:
    """(name, shape, values, kind); values of large or other tensors are None."""
    fields = _fields(content)
    shape = tuple(_whole_numbers(fields.get(1, [])))
    kind = _signed(fields.get(2, [0])[0])
    raw = b"".join(_bytes(each) for each in fields.get(9, []))
    letter = {INT64: "q", INT32: "i", FLOAT: "f", DOUBLE: "d"}.get(kind)
    values: list[Any] | None = None
    if letter is not None and len(content) <= SMALL:
        if raw:
            values = [value for (value,) in struct.iter_unpack(f"<{letter}", raw)]
        elif kind in (FLOAT, DOUBLE):
            packed = b"".join(map(_bytes, fields.get(4 if kind == FLOAT else 10, [])))
            values = [value for (value,) in struct.iter_unpack(f"<{letter}", packed)]
        else:
            values = _whole_numbers(fields.get(7 if kind == INT64 else 5, []))
    return _text(fields.get(8)), shape, values, kind


def _whole_numbers(values: list[Value]) -> list[int]:
    """Repeated numbers, one by one or packed."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(_signed(value))
            continue
        place = 0
        while place < len(value):
            number, place = _read_varint(value, place)
            found.append(_signed(number))
    return found


def _signed(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError("a number was expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("bytes were expected")
    return value


def _text(values: list[Value] | None) -> str:
    return _bytes(values[-1]).decode("utf-8", "replace") if values else ""
