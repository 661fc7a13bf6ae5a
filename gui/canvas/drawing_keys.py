"""The keys that draw on a frame and what is to be done then, the same for cameras and recordings."""

from __future__ import annotations

from PyQt6.QtCore import QCoreApplication

from gui.canvas.video_view import Tool

__all__ = ["DRAWING_KEYS", "drawing_hint"]

DRAWING_KEYS: dict[Tool, tuple[str, ...]] = {
    "line": ("Shift+L",), "zone": ("Shift+Z",), "blur": ("Shift+H",), "area": ("Shift+D",),
}  # fmt: skip


def drawing_hint(tool: Tool) -> str:
    """What to do with a tool, in a line."""
    hints: dict[Tool, str] = {
        "line": "Click the two ends of the line; the arrow shows which way counts as in. F2 over it renames it",
        "zone": "Click the corners of the zone; double-click or Return closes it. F2 over it renames it",
        "blur": "Drag a rectangle that is to be unrecognisable",
        "area": "Click the corners of an area; double-click or Return closes it. Nothing is detected outside all areas",
        "box": "Drag a box around the object: of the selected track, or of a new one where none is selected",
    }
    return QCoreApplication.translate("Drawing", hints.get(tool, ""))
