"""The table of the manual says what each format keeps, and the formats say the same in their warnings."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from tracker.formats import FORMATS, find_format
from tracker.formats.core.annotations import Annotations
from tracker.formats.core.collector import Collector
from tracker.formats.core.rle import window_to_rle

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
COLUMNS = {
    "Tracks": "track ids",
    "Classes": "classes",
    "Scores": "scores",
    "Masks": "masks",
    "Outlines": "outlines",
    "Times": "time stamps",
    "Hidden": "whether an object is hidden",
    "Filled": "which boxes are interpolated",
    "Untracked": "objects without a track",
    "Crowds": "which objects are crowds",
}
"""The table's columns, and how a warning names what is lost."""


def everything() -> Annotations:
    """Two frames that make use of all there is."""
    rows = Collector("made", source="clip.mp4", labels=["person", "car"])
    for index in range(2):
        rows.frame(index, "made", time=index / 25, width=24, height=16)
    mask = window_to_rle(np.ones((4, 4), bool), left=2, top=2, width=24, height=16)
    outline = ((12.0, 2.0, 18.0, 2.0, 18.0, 8.0),)
    rows.add(0, (2, 2, 6, 6), "made", class_id=0, track_id=1, score=0.9, segmentation=mask)
    rows.add(0, (12, 2, 18, 8), "made", class_id=1, track_id=2, segmentation=outline, occluded=True)
    rows.add(1, (3, 2, 7, 6), "made", class_id=0, track_id=1, score=0.8, keyframe=False)
    rows.add(1, (12, 10, 14, 12), "made", class_id=1, crowd=True)
    return rows.finish()


def listed() -> dict[str, dict[str, str]]:
    """The cells of the table's columns by format."""
    text = PAGE.read_text(encoding="utf-8")
    header = re.search(r"^\| Format \|(.*)\|$", text, re.MULTILINE)
    assert header is not None
    names = [name.strip() for name in header.group(1).split("|")]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: dict(zip(names, (cell.strip() for cell in cells.split("|")), strict=True)) for name, cells in rows}


def test_every_format_has_its_row() -> None:
    assert list(listed()) == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_row_says_what_the_format_keeps(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        find_format(name).load().write(tmp_path / f"out{FORMATS[name].suffix}", everything())
    lost = " ".join(record.getMessage() for record in caplog.records if "cannot hold" in record.getMessage())
    cells = listed()[name]
    kept = {column: not re.search(f"[:,] {fact}", lost) for column, fact in COLUMNS.items()}
    assert {column: cells[column].startswith("✓") for column in COLUMNS} == kept
