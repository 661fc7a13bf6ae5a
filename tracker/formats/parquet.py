"""Parquet: the CSV's columns with types; needs the extra `pip install "sightline[parquet]"`.

What belongs to no object (source, labels, frames without objects) is JSON in the file's own metadata. The frames are
zlib-compressed JSON in base 64 there, `[[frame, time, width, height, image], ...]`, as there may be millions.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import ConfigError, FormatError, SinkError
from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import MOST_FRAMES, Collector
from tracker.formats.core.parsing import as_int, as_list, as_mapping, as_number, as_text, parse_json
from tracker.formats.core.table import COLUMNS, ROWS_AT_ONCE, add_row, table_rows
from tracker.lock import alone

__all__ = ["read", "write"]

_KEY = b"sightline"
FRAME_BYTES = 64
"""What a frame takes as JSON, on average at most."""
_NEEDED = ("frame", "x1", "y1", "x2", "y2")


def _library() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError('Parquet needs pyarrow: pip install "sightline[parquet]"') from error
    return pyarrow, pyarrow.parquet


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """All rows. Raises FormatError with the row of one that breaks the format."""
    arrow, parquet = _library()
    try:
        table = parquet.read_table(path)
        names = [name for name in table.column_names if name in COLUMNS]
        columns = {name: table.column(name).to_pylist() for name in names if names.count(name) == 1}
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise FormatError(f"{path}: not a Parquet file: {' '.join(str(error).split())[:200]}") from error
    if any(name not in columns for name in _NEEDED):
        found = ", ".join(map(str, table.column_names))[:200]
        raise FormatError(f"{path}: expected the columns {', '.join(_NEEDED)} once each, found {found}")
    meta = (table.schema.metadata or {}).get(_KEY, b"{}").decode("utf-8", "replace")
    head = as_mapping(parse_json(meta, path), "metadata", path)
    labels = [as_text(name, "labels", path) for name in as_list(head.get("labels", []), "labels", path)]
    source = known.source or as_text(head.get("source", ""), "source", path)
    rows = Collector(path, source=source, labels=known.labels or labels or None)
    for entry in _unpack_frames(as_text(head.get("frames", ""), "frames", path), path):
        index, time, width, height, name = as_list(entry, "frames", path, length=5)
        rows.frame(
            as_int(index, "frames", path),
            "frames",
            time=math.nan if time is None else as_number(time, "frames", path),
            width=as_int(width, "frames", path),
            height=as_int(height, "frames", path),
            name=as_text(name, "frames", path),
        )
    nothing = [None] * table.num_rows
    ordered = [columns.get(name, nothing) for name in COLUMNS]
    for row, values in enumerate(zip(*ordered, strict=True)):
        where = f"row {row + 1}"
        named = {
            name: _checked(name, value, f"{where}: {name}", path) for name, value in zip(COLUMNS, values, strict=True)
        }
        named["class"] = named["class"] or "object"
        add_row(rows, tuple(named.values()), where)
    return rows.finish()


def _unpack_frames(packed: str, path: Path | str) -> list[Any]:
    """What `_pack_frames` was given."""
    if not packed:
        return []
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(base64.b64decode(packed, validate=True), MOST_FRAMES * FRAME_BYTES)
    except (ValueError, zlib.error) as error:
        raise FormatError(f"{path}: frames: not what was packed: {error}") from error
    if not unpacker.eof:
        raise FormatError(f"{path}: frames: cut off, or more than {MOST_FRAMES:,}")
    return as_list(parse_json(text.decode("utf-8", "replace"), path), "frames", path)


def _pack_frames(annotations: AnnotationParts) -> str:
    """The frames without objects: the others stand in the rows."""
    packer = zlib.compressobj()
    packed, between = [packer.compress(b"[")], ""
    for part in annotations.by_frames():
        frames, empty = part.frames, np.ones(len(part.frames), bool)
        empty[part.objects.frames] = False
        for row in np.flatnonzero(empty).tolist():
            time = float(frames.times[row])
            size = int(frames.widths[row]), int(frames.heights[row])
            entry = [int(frames.indices[row]), None if math.isnan(time) else time, *size, frames.names[row]]
            packed.append(packer.compress((between + json.dumps(entry, ensure_ascii=False)).encode()))
            between = ","
    packed += [packer.compress(b"]"), packer.flush()]
    return base64.b64encode(b"".join(packed)).decode()


def _checked(name: str, value: Any, where: str, path: Path | str) -> Any:
    """The value when it is of its column's kind; None is allowed where the column may be empty."""
    if value is None and name not in _NEEDED:
        return None
    if name in ("frame", "width", "height", "track_id", "class_id"):
        return as_int(value, where, path)
    if name in ("image", "class", "segmentation"):
        return as_text(value, where, path)
    return value if name in ("occluded", "keyframe", "crowd") else as_number(value, where, path)


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """The whole of the annotations; the file appears under its name complete or not at all."""
    arrow, parquet = _library()
    whole, real, text, truth = arrow.int64(), arrow.float64(), arrow.string(), arrow.bool_()
    kinds = [whole, real, whole, whole, text, whole, whole, text, *[real] * 5, truth, truth, text, truth]
    head = {"version": 2, "source": annotations.source, "labels": annotations.labels}
    head["frames"] = _pack_frames(annotations)
    fields = [arrow.field(name, kind) for name, kind in zip(COLUMNS, kinds, strict=True)]
    schema = arrow.schema(fields, metadata={_KEY: json.dumps(head, ensure_ascii=False).encode()})
    rows = table_rows(annotations)
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target.with_name(target.name + ".lock"), str(target)):
            try:
                with parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
                    while part := list(itertools.islice(rows, ROWS_AT_ONCE)):
                        values = zip(zip(*part, strict=True), kinds, strict=True)
                        columns = [arrow.array(list(column), kind) for column, kind in values]
                        # not write_batch, which holds a million rows before it writes any
                        writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
                partial.replace(target)
            finally:
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"{target}: cannot be written: {error}. Choose another folder.") from error
