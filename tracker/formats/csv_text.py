"""CSV with a header line: one row per object; frames without objects and unused classes have no place in it.

`frame` counts from 0, `time` is in seconds, corners are pixels, `track_id` is empty for an object without a track,
`segmentation` is JSON. Reading needs the columns `frame x1 y1 x2 y2` in any order; others may be missing or empty,
unknown ones are passed over. Spreadsheets take a text that begins with = + - or @ for a formula: where files come from
strangers, `guard_cells` puts an apostrophe before class and image names that do, which reading leaves there.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.parsing import read_text, to_float, to_int
from tracker.formats.core.table import COLUMNS, add_row, table_rows
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions

__all__ = ["read", "write"]

FORMULA_STARTS = ("=", "+", "-", "@")

_WHOLE = {"frame", "width", "height", "track_id", "class_id"}
_NUMBERS = {"time", "x1", "y1", "x2", "y2", "score"}
_TRUTHS = {"occluded", "keyframe", "crowd"}
_NEEDED = ("frame", "x1", "y1", "x2", "y2")
_NUMBER_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """All rows. Raises FormatError with the line of one that breaks the format."""
    rows = Collector(path, source=known.source, labels=known.labels or None)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        missing = [name for name in _NEEDED if name not in head]
        if missing or len(set(head)) < len(head):
            rows.refuse("line 1", f"expected the columns {', '.join(_NEEDED)} once each, found {', '.join(head)[:200]}")
        table = []
        for cells in reader:
            where = f"line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(head):
                rows.refuse(where, f"expected {len(head)} columns, found {len(cells)}")
            table.append((where, dict(zip(head, cells, strict=True))))
    except csv.Error as error:
        rows.refuse(f"line {reader.line_num}", f"not CSV: {error}")
    if not known.labels:
        _number_classes(rows, table)
    for where, named in table:
        values = {name: _value(name, text, rows, where) for name, text in named.items() if name in COLUMNS}
        values["class"] = values.get("class") or "object"
        values["width"], values["height"] = (
            values.get("width") or known.width,
            values.get("height") or known.height,
        )
        for name in _NEEDED:
            if values[name] is None:
                rows.refuse(where, f"{name} is empty")
        add_row(rows, tuple(values.get(name) for name in COLUMNS), where)
    return rows.finish()


def _number_classes(rows: Collector, table: list[tuple[str, dict[str, str]]]) -> None:
    """Give classes the numbers that stand in the file where they count from 0 without gaps."""
    pairs = {(named.get("class_id", ""), named.get("class", "")) for _, named in table}
    numbers = sorted((int(number), name) for number, name in pairs if re.fullmatch("[0-9]{1,9}", number) and name)
    if len(numbers) == len(pairs) and [number for number, _ in numbers] == list(range(len(numbers))):
        for _, name in numbers:
            rows.class_id(name, "class")


def _value(name: str, text: str, rows: Collector, where: str) -> Any:
    text = text if name in ("class", "image") else text.strip()
    if text == "":
        return None
    if name in _WHOLE:
        return to_int(text, name, rows.path, where)
    if name in _NUMBERS:
        return to_float(text, name, rows.path, where)
    if name in _TRUTHS:
        if text.lower() not in _NUMBER_TRUTHS:
            rows.refuse(where, f"{name}: expected true or false, found {text!r}")
        return _NUMBER_TRUTHS[text.lower()]
    return text


def write(path: Path | str, annotations: AnnotationParts, options: WriteOptions = DEFAULT_OPTIONS) -> None:
    """All objects."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    texts = [COLUMNS.index(name) for name in ("image", "class")] if options.guard_cells else []
    with AtomicText(path) as file:
        writer.writerow(COLUMNS)
        for values in table_rows(annotations):
            cells = [_text(value) for value in values]
            for place in texts:
                cells[place] = _guarded(cells[place])
            writer.writerow(cells)
            file.write(buffer.getvalue())
            buffer.seek(0)
            buffer.truncate()
        file.write(buffer.getvalue())


def _guarded(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
