"""One renderer for the window, the annotated file and the tests. May import geometry, config, types and errors."""

from tracker.overlay.draw import Figure, Overlay, OverlayConfig

__all__ = ["Figure", "Overlay", "OverlayConfig"]
