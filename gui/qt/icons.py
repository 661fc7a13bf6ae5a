"""The app's own icons: strokes on a grid of 24, drawn in the colour of the text around them."""

from __future__ import annotations

from PyQt6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPalette, QPixmap, QPixmapCache
from PyQt6.QtSvg import QSvgRenderer
from PyQt6.QtWidgets import QApplication

__all__ = ["app_icon", "dot", "icon"]

RED = "#d55e00"
# fmt: off
SHAPES = {
    "play": '<path d="M7 4.5v15l12-7.5z" fill="C"/>',
    "pause": '<path d="M7 5h3.6v14H7zM13.4 5H17v14h-3.6z" fill="C" stroke="none"/>',
    "step-back": '<path d="M18 5v14L8 12zM6 5v14"/>',
    "step": '<path d="M6 5v14l10-7zM18 5v14"/>',
    "record": f'<circle cx="12" cy="12" r="6.5" fill="{RED}" stroke="none"/>',
    "stop": '<rect x="6" y="6" width="12" height="12" rx="1.5" fill="C" stroke="none"/>',
    "snapshot": '<path d="M4 8h3.5L9 5.5h6L16.5 8H20v11H4z"/><circle cx="12" cy="13.2" r="3.6"/>',
    "line": '<path d="M5 19L19 5"/><circle cx="5" cy="19" r="2" fill="C"/><circle cx="19" cy="5" r="2" fill="C"/>',
    "zone": '<path d="M5 8l8-4 7 6-4 9-10 0z"/>',
    "area": '<path d="M4 7l7-3 9 5-4 11-9-2z"/><circle cx="12" cy="11.5" r="2.6" fill="C"/>',
    "blur": '<path d="M5 5h4v4H5zM13 5h4v4h-4zM9 9h4v4H9zM5 13h4v4H5zM13 13h4v4h-4z" fill="C" stroke="none"/>',
    "pointer": '<path d="M6 4l12 8.5-5.5 1L9.5 19z"/>',
    "home": '<path d="M4 11.5L12 4l8 7.5M6.5 10v9.5h11V10"/>',
    "grid": '<path d="M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z"/>',
    "film": (
        '<rect x="4" y="5" width="16" height="14" rx="1.5"/>'
        '<path d="M8 5v14M16 5v14M4 9.7h4M4 14.3h4M16 9.7h4M16 14.3h4"/>'
    ),
    "network": (
        '<circle cx="5" cy="7" r="2"/><circle cx="5" cy="17" r="2"/><circle cx="12" cy="12" r="2"/>'
        '<circle cx="19" cy="12" r="2"/><path d="M7 8l3.4 2.8M7 16l3.4-2.8M14 12h3"/>'
    ),
    "file": '<path d="M6 3.5h8l4 4.5v12.5H6zM14 3.5V8h4"/>',
    "folder": '<path d="M3.5 6h6l2 2.5h9v10h-17z"/>',
    "stream": (
        '<circle cx="6" cy="18" r="1.8" fill="C"/><path d="M4.5 11.5a8 8 0 0 1 8 8M4.5 5.5a14 14 0 0 1 14 14"/>'
    ),
    "camera": '<rect x="3.5" y="7" width="11.5" height="10" rx="1.5"/><path d="M15 11l5.5-3v8L15 13z"/>',
    "close": '<path d="M6 6l12 12M18 6L6 18"/>',
    "undo": '<path d="M8.5 5L4.5 9l4 4M4.5 9H14a5 5 0 0 1 0 10H9"/>',
    "redo": '<path d="M15.5 5l4 4-4 4M19.5 9H10a5 5 0 0 0 0 10h5"/>',
    "merge": '<path d="M5 5c0 5 7 3 7 8v6M19 5c0 5-7 3-7 8M9.2 16.5L12 19.5l2.8-3"/>',
    "split": '<path d="M12 4v5c0 5-6 4-6 10M12 9c0 5 6 4 6 10M3.5 16.5L6 19.5l2.5-3M15.5 16.5l2.500 3 2.5-3"/>',
    "trash": '<path d="M5 7h14M10 7V4.500h4V7M7 7l1 12.500h8L17 7M10.500 10.500v6M13.500 10.500v6"/>',
    "tag": '<path d="M4 4.500h8L20 12.500l-7.500 7.500-8.500-8z"/><circle cx="8.500" cy="8.800" r="1.300" fill="C"/>',
    "export": '<path d="M12 15V4M8 8l4-4 4 4M5 14v5.500h14V14"/>',
    "box": '<path d="M5 7h14v11H5zM12 10v5M9.500 12.500h5"/>',
    "loop": (
        '<path d="M5 12V9.500a2.500 2.500 0 0 1 2.500-2.500H18M15 4l3 3-3 3'
        'M19 12v2.500a2.500 2.500 0 0 1-2.500 2.500H6M9 20l-3-3 3-3"/>'
    ),
    "full": '<path d="M4.500 9V4.500H9M15 4.500h4.500V9M19.500 15v4.500H15M9 19.500H4.500V15"/>',
    "retry": '<path d="M19 12a7 7 0 1 1-2-5M17.500 3v4.300h-4.300"/>',
    "heat": (
        '<circle cx="12" cy="12" r="2.200" fill="C"/><circle cx="12" cy="12" r="5"/>'
        '<circle cx="12" cy="12" r="8.500"/>'
    ),
    "alert": '<path d="M12 4l9 15.500H3zM12 10v4.500M12 16.700v.3"/>',
    "clip": (
        '<rect x="3.500" y="6" width="17" height="12" rx="1.500"/><path d="M10 9.200v5.600l4.800-2.800z" fill="C"/>'
    ),
    "solo": '<circle cx="12" cy="12" r="3"/><path d="M3 12c3-5 6-7 9-7s6 2 9 7c-3 5-6 7-9 7s-6-2-9-7z"/>',
    "inspect": '<circle cx="10.500" cy="10.500" r="6"/><path d="M15 15l5 5M8 10.500h5M10.500 8v5"/>',
    "jobs": '<path d="M4 6h3M4 12h3M4 18h3M10 6h10M10 12h10M10 18h10"/>',
    "settings": '<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2"/><circle cx="9" cy="17" r="2"/>',
    "interpolate": (
        '<path d="M5 18L19 6"/><path d="M5 15.500v5M2.500 18h5M19 3.500v5M16.500 6h5"/>'
        '<circle cx="12" cy="12" r="1.700" fill="C"/>'
    ),
    "finish": '<path d="M6 20.500V4.500M6 5h12l-3 3.700 3 3.800H6"/>',
    "mark-in": '<path d="M9 4H5v16h4M11 12h8M16 9l3 3-3 3"/>',
    "mark-out": '<path d="M15 4h4v16h-4M13 12H5M8 9l-3 3 3 3"/>',
    "range": '<path d="M8 4H4v16h4M16 4h4v16h-4"/><path d="M8 12h8" stroke-width="4"/>',
    "float-panel": '<path d="M8.500 8V3H21v12.500h-5M3 8.500h12.500V21H3z" stroke-width="2.600"/>',
    "close-panel": '<path d="M3.500 3.500l17 17M20.500 3.500l-17 17" stroke-width="3"/>',
    "more": '<path d="M3 3l8.500 9L3 21M12.500 3l8.500 9-8.500 9" stroke-width="3"/>',
    "person": '<circle cx="12" cy="8" r="3.500"/><path d="M5 20c.5-5 3-7 7-7s6.500 2 7 7"/>',
}


APP_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#0066a1"/>'
    '<path d="M4.500 8.500v-4h4M15.500 4.500h4v4M19.500 15.500v4h-4M8.500 19.500h-4v-4" fill="none" stroke="#f0e442" '
    'stroke-width="1.800" stroke-linecap="round" stroke-linejoin="round"/>'
    '<path d="M4.5 12c2.4-3.6 4.9-5 7.5-5s5.1 1.4 7.5 5c-2.4 3.6-4.9 5-7.5 5s-5.1-1.400-7.500-5z" '
    'fill="#ffffff"/><circle cx="12" cy="12" r="2.800" fill="#0066a1"/></svg>'
)


class _Strokes(QIconEngine):
    """Draws a shape in the text colour of the moment, so that icons follow the theme."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def clone(self) -> QIconEngine:
        """Another of the same shape."""
        return _Strokes(self._name)

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """The shape, into a painter."""
        device = painter.device() if painter is not None else None
        if painter is not None and device is not None:
            painter.drawPixmap(rect, self.pixmap(rect.size() * device.devicePixelRatioF(), mode, state))

    def pixmap(self, size: QSize, mode: QIcon.Mode, _state: QIcon.State) -> QPixmap:
        """The shape, drawn once for each size and colour."""
        group = QPalette.ColorGroup.Disabled if mode == QIcon.Mode.Disabled else QPalette.ColorGroup.Active
        colour = QApplication.palette().color(group, QPalette.ColorRole.ButtonText).name()
        key = f"{self._name} {colour} {size.width()}x{size.height()}"
        known = QPixmapCache.find(key)
        if known is None or known.isNull():
            known = _draw(self._name, colour, size)
            QPixmapCache.insert(key, known)
        return known


def icon(name: str) -> QIcon:
    """The icon in the application's text colour, also after that has changed, sharp at any size."""
    return QIcon(_Strokes(name))


def app_icon() -> QIcon:
    """The program's own: a box around an eye."""
    found = QIcon()
    for side in (16, 24, 32, 48, 64, 128, 256):
        pixmap = QPixmap(QSize(side, side))
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        QSvgRenderer(QByteArray(APP_ICON.encode())).render(painter, QRectF(0, 0, side, side))
        painter.end()
        found.addPixmap(pixmap)
    return found


def dot(colour: str, *, side: int = 32) -> QIcon:
    """A disc of a colour, with a little room around it."""
    pixmap = QPixmap(QSize(side, side))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(QRectF(0.18 * side, 0.18 * side, 0.64 * side, 0.64 * side))
    painter.end()
    return QIcon(pixmap)


def _draw(name: str, colour: str, size: QSize) -> QPixmap:
    frame = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke-width="1.7" '
    text = f'{frame}stroke="{colour}" stroke-linejoin="round" stroke-linecap="round">{SHAPES[name]}</svg>'
    renderer = QSvgRenderer(QByteArray(text.replace('"C"', f'"{colour}"').encode()))
    pixmap = QPixmap(size)
    pixmap.fill(Qt.GlobalColor.transparent)
    side = min(size.width(), size.height())
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF((size.width() - side) / 2, (size.height() - side) / 2, side, side))
    painter.end()
    return pixmap
