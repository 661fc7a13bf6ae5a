"""What a user may choose about the files that are written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_OPTIONS", "WriteOptions"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Choices that some formats offer; which, stands in `Format.options`."""

    outlines: bool | None = None
    """Outlines of all objects instead of their boxes. None: where any object has an outline or a mask."""
    track_ids: bool = False
    """The track id behind each row."""
    class_column: bool = False
    """The class number in the eighth column, as MOT16 to MOT20 have it in ground truth."""
    guard_cells: bool = False
    """An apostrophe before texts that a spreadsheet would take for formulas: those that begin with = + - @."""


DEFAULT_OPTIONS = WriteOptions()
