"""One renderer for the window, the annotated file and the tests. May import geometry, config, types and errors."""

from tracker.overlay.draw import AskFigures, Figure, Overlay, OverlayConfig

__all__ = ["AskFigures", "Figure", "Overlay", "OverlayConfig"]
