"""The timeline: what is annotated, a bar for each track in its class's colour, events, the range that is repeated."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QAbstractScrollArea, QToolTip, QWidget

from gui.canvas.zoom_view import WHEEL_NOTCH
from gui.qt.theme import accent
from gui.recording.timeline_layout import SHORTEST_S, Bar, Span, bar_at, clock, pack_lanes, ticks
from tracker.overlay.palette import colour_of, text_colour_on

__all__ = ["Timeline"]

ZOOM_STEP, PAN_STEP = 1.25, 0.1
"""By a step of the wheel: a factor, and a fraction of what is shown."""
RULER = 20
STRIP = 7
"""Height of the strip that fills with what is annotated."""
MARKS = 11
"""Height of the row of events."""
LANE = 14
LEAST_LANE = 7
HEAD = RULER + STRIP + MARKS


class Timeline(QAbstractScrollArea):
    """Shows a recording from left to right; a click goes there, the wheel zooms, a click on a bar selects the track."""

    sought = pyqtSignal(float)
    """To this time."""
    scrubbed = pyqtSignal(bool)
    """Dragging began or ended."""
    clicked_track = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Timeline"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        viewport = self.viewport()
        assert viewport is not None
        viewport.setMouseTracking(True)
        self._span = Span.whole(0.0, 1.0, 1.0)
        self._bars: list[Bar] = []
        self._labels: Sequence[str] = ()
        self._events: list[tuple[float, str]] = []
        self._keyframes: list[tuple[int, float]] = []
        self._annotated: tuple[float, float] | None = None
        self._now_s = 0.0
        self._range: tuple[float, float] | None = None
        self._selected: frozenset[int] = frozenset()
        self._dragging = False
        self._known = False
        self._still: QPixmap | None = None
        """All but the position, which moves with every frame."""

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Room for some lanes."""
        return QSize(600, HEAD + 6 * LANE)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """The head and two lanes."""
        return QSize(200, HEAD + 2 * LEAST_LANE)

    # what is shown

    @property
    def span(self) -> Span:
        """The times shown."""
        return self._span

    @property
    def bars(self) -> list[Bar]:
        """The tracks with their lanes."""
        return list(self._bars)

    @property
    def annotated(self) -> tuple[float, float] | None:
        """Times of the first and the last frame that are annotated; None where nothing is."""
        return self._annotated

    def show_times(self, start_s: float, end_s: float) -> None:
        """The recording's first and last moment."""
        if not self._known or (start_s, end_s) != (self._span.start_s, self._span.end_s):
            self._known = True
            self._span = Span.whole(start_s, end_s, self._width())
            self._repaint()

    def show_tracks(self, bars: Sequence[Bar], labels: Sequence[str]) -> None:
        """A bar for each track."""
        self._bars, self._labels = pack_lanes(bars), labels
        self._fit_bar()
        self._repaint()

    def show_events(self, events: Sequence[tuple[float, str]]) -> None:
        """Marks with words."""
        self._events = sorted(events)
        self._repaint()

    @property
    def keyframes(self) -> list[tuple[int, float]]:
        """Track and time of each mark on a bar."""
        return list(self._keyframes)

    def show_keyframes(self, keyframes: Sequence[tuple[int, float]]) -> None:
        """Mark on the tracks' bars the times of boxes that a person set."""
        if list(keyframes) != self._keyframes:
            self._keyframes = list(keyframes)
            self._repaint()

    def show_annotated(self, times: tuple[float, float] | None) -> None:
        """Fill the strip from the first to the last of these times."""
        if times != self._annotated:
            self._annotated = times
            self._repaint()

    def show_position(self, seconds: float, *, follow: bool) -> None:
        """Where the frame is; with `follow` the times shown go along."""
        if seconds != self._now_s:
            self._now_s = seconds
            span = self._span.showing(seconds) if follow and not self._dragging else self._span
            if span != self._span:
                self._span = span
                self._repaint()
            self._update()

    def show_range(self, times: tuple[float, float] | None) -> None:
        """The range that is repeated."""
        if times != self._range:
            self._range = times
            self._repaint()

    def select(self, track_ids: frozenset[int]) -> None:
        """Mark these bars."""
        if track_ids != self._selected:
            self._selected = track_ids
            self._show_selected()
            self._repaint()

    def zoom(self, factor: float) -> None:
        """Nearer or farther around the position."""
        self._span = self._span.zoomed(factor, self._span.x(self._now_s))
        self._repaint()

    def zoom_all(self) -> None:
        """The whole recording."""
        self._span = Span.whole(self._span.start_s, self._span.end_s, self._width())
        self._repaint()

    # Qt

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Ruler, strip, events, bars, position."""
        if self._still is None:
            self._still = self._paint_still()
        painter = QPainter(self.viewport())
        painter.drawPixmap(0, 0, self._still)
        self._paint_position(painter, self.palette())
        painter.end()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802 - Qt's name
        """Another theme has other colours."""
        super().changeEvent(event)
        self._still = None

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """The same times in the new width."""
        super().resizeEvent(event)
        self._span = self._span.resized(self._width())
        self._fit_bar()
        self._still = None

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:  # noqa: N802 - Qt's name
        """Other lanes."""
        self._repaint()

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 - Qt's name
        """Zoom at the pointer; with Shift or sideways pan; with Alt up and down."""
        if event is None:
            return
        across, along = event.angleDelta().x() / WHEEL_NOTCH, event.angleDelta().y() / WHEEL_NOTCH
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier or (across and not along):
            self._span = self._span.panned(-(across or along) * self._span.shown_s * PAN_STEP)
        elif event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            bar = self.verticalScrollBar()
            assert bar is not None
            bar.setValue(bar.value() - round(along * 2 * LANE))
        else:
            self._span = self._span.zoomed(ZOOM_STEP**along, event.position().x())
        self._repaint()
        event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Select a bar, or go there and begin to scrub."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self.setFocus()
        bar = self._bar_below(event.position())
        if bar is not None:
            self.clicked_track.emit(bar.track_id)
            return
        self._dragging = True
        self.scrubbed.emit(True)
        self.sought.emit(self._span.time(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Scrub."""
        if event is not None and self._dragging:
            self.sought.emit(self._span.time(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """End scrubbing."""
        if event is not None and self._dragging:
            self._dragging = False
            self.scrubbed.emit(False)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """A bar's beginning."""
        bar = self._bar_below(event.position()) if event is not None else None
        if bar is not None:
            self.sought.emit(bar.start_s)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Leave all keys to the page's commands."""
        if event is not None:
            event.ignore()

    def viewportEvent(self, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Words for what is below the pointer."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self._words_at(QPointF(event.pos())), self)
            return True
        return super().viewportEvent(event)

    # parts

    def _width(self) -> int:
        viewport = self.viewport()
        return viewport.width() if viewport is not None else 1

    def _repaint(self) -> None:
        self._still = None
        self._update()

    def _update(self) -> None:
        viewport = self.viewport()
        if viewport is not None:
            viewport.update()

    @property
    def _lanes(self) -> int:
        return max((bar.lane for bar in self._bars), default=-1) + 1

    @property
    def _lane_height(self) -> float:
        room = self.height() - HEAD - 4
        return min(max(room / max(self._lanes, 1), LEAST_LANE), LANE)

    def _fit_bar(self) -> None:
        bar = self.verticalScrollBar()
        if bar is not None:
            room = self.height() - HEAD - 4
            bar.setRange(0, max(0, round(self._lanes * self._lane_height - room)))
            bar.setPageStep(max(room, 1))

    def _scrolled(self) -> int:
        bar = self.verticalScrollBar()
        return bar.value() if bar is not None else 0

    def _show_selected(self) -> None:
        """Scroll to the bar of the only selected track."""
        chosen = [bar for bar in self._bars if bar.track_id in self._selected]
        scroll = self.verticalScrollBar()
        if len(chosen) == 1 and scroll is not None:
            top = round(chosen[0].lane * self._lane_height)
            room = self.height() - HEAD - 4
            if not scroll.value() <= top <= scroll.value() + room - self._lane_height:
                scroll.setValue(top - room // 2)

    def _bar_below(self, at: QPointF) -> Bar | None:
        if at.y() < HEAD:
            return None
        lane = int((at.y() - HEAD - 2 + self._scrolled()) / self._lane_height)
        return bar_at(self._bars, self._span, at.x(), lane)

    def _words_at(self, at: QPointF) -> str:
        bar = self._bar_below(at)
        if bar is not None:
            name = self._labels[bar.class_id] if 0 <= bar.class_id < len(self._labels) else ""
            start, end = clock(bar.start_s, parts=1), clock(bar.end_s, parts=1)
            words = f"{name} {bar.track_id}\n{start} \N{EN DASH} {end}"
            own = [clock(seconds, parts=2) for track, seconds in self._keyframes if track == bar.track_id]
            return words + ("\n" + self.tr("set by hand at {0}").format(", ".join(own[:8])) if own else "")
        if RULER + STRIP <= at.y() < HEAD:
            near = [text for time, text in self._events if abs(self._span.x(time) - at.x()) <= 5]
            return "\n".join(near[:8])
        return clock(self._span.time(at.x()), parts=2)

    def _paint_still(self) -> QPixmap:
        palette, ratio = self.palette(), self.devicePixelRatioF()
        still = QPixmap(QSize(self._width(), self.height()) * ratio)
        still.setDevicePixelRatio(ratio)
        painter = QPainter(still)
        painter.setFont(self.font())
        painter.fillRect(0, 0, self._width(), self.height(), palette.color(QPalette.ColorRole.Base))
        self._paint_bars(painter, palette)
        painter.fillRect(0, 0, self._width(), HEAD, palette.color(QPalette.ColorRole.Base))
        self._paint_ruler(painter, palette)
        self._paint_strip(painter, palette)
        self._paint_events(painter, palette)
        painter.end()
        return still

    def _paint_ruler(self, painter: QPainter, palette: QPalette) -> None:
        quiet = palette.color(QPalette.ColorRole.PlaceholderText)
        font = painter.font()
        font.setPointSizeF(8)
        painter.setFont(font)
        times = ticks(self._span)
        parts = 1 if len(times) > 1 and times[1] - times[0] < 1 else 0
        for seconds in times:
            x = round(self._span.x(seconds))
            painter.setPen(palette.color(QPalette.ColorRole.Mid))
            painter.drawLine(x, RULER - 5, x, RULER - 1)
            painter.setPen(quiet)
            painter.drawText(QPointF(x + 3, RULER - 7), clock(seconds, parts=parts))

    def _paint_strip(self, painter: QPainter, palette: QPalette) -> None:
        painter.fillRect(0, RULER, self._width(), STRIP - 2, palette.color(QPalette.ColorRole.Midlight))
        if self._annotated is not None:
            start_s, end_s = self._annotated
            left = max(self._span.x(start_s), 0.0)
            right = min(self._span.x(max(end_s, start_s + SHORTEST_S)), float(self._width()))
            if right > left:
                painter.fillRect(QRectF(left, RULER, right - left, STRIP - 2), accent(palette))
        if self._range is not None:
            start, end = (self._span.x(seconds) for seconds in self._range)
            shade = QColor("#e69f00")
            painter.fillRect(QRectF(start, RULER, max(end - start, 1.0), STRIP - 2), shade)
            shade.setAlpha(34)
            painter.fillRect(QRectF(start, HEAD, max(end - start, 1.0), self.height()), shade)

    def _paint_events(self, painter: QPainter, palette: QPalette) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(QPalette.ColorRole.Text))
        y, last = RULER + STRIP + 4.0, -10
        for seconds, _ in self._events:
            x = round(self._span.x(seconds))
            if 0 <= x <= self._width() and x > last + 2:
                last = x
                marker = [QPointF(x, y - 4), QPointF(x + 3.5, y), QPointF(x, y + 4), QPointF(x - 3.5, y)]
                painter.drawPolygon(QPolygonF(marker))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)

    def _paint_bars(self, painter: QPainter, palette: QPalette) -> None:
        height, top = self._lane_height, HEAD + 2 - self._scrolled()
        font = painter.font()
        font.setPointSizeF(7.5)
        painter.setFont(font)
        outline = palette.color(QPalette.ColorRole.Text)
        for bar in self._bars:
            left, right = self._span.x(bar.start_s), self._span.x(bar.end_s)
            y = top + bar.lane * height
            if right < 0 or left > self._width() or y > self.height() or y + height < HEAD:
                continue
            box = QRectF(left, y, max(right - left, 2.0), height - 2)
            colour = colour_of(bar.class_id + 1)
            shade = QColor(*colour)
            chosen = bar.track_id in self._selected
            if self._selected and not chosen:
                shade.setAlpha(120)
            painter.fillRect(box, shade)
            if chosen:
                painter.setPen(QPen(outline, 2))
                painter.drawRect(box.adjusted(1, 1, -1, -1))
            if height >= 11 and box.width() > 24:
                painter.setPen(QColor(*text_colour_on(colour)))
                room = QRectF(max(left, 0.0) + 4, y, box.width(), height - 2)
                painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter), str(bar.track_id))

        self._paint_keyframes(painter, palette)

    def _paint_keyframes(self, painter: QPainter, palette: QPalette) -> None:
        height, top = self._lane_height, HEAD + 2 - self._scrolled()
        lanes = {bar.track_id: bar.lane for bar in self._bars}
        half = min(4.0, height / 2 - 1)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Text), 1))
        painter.setBrush(palette.color(QPalette.ColorRole.Base))
        for track, seconds in self._keyframes:
            if track in lanes:
                x, y = self._span.x(seconds), top + lanes[track] * height + height / 2 - 1
                corners = [QPointF(x, y - half), QPointF(x + half, y), QPointF(x, y + half), QPointF(x - half, y)]
                painter.drawPolygon(QPolygonF(corners))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)

    def _paint_position(self, painter: QPainter, palette: QPalette) -> None:
        x = self._span.x(self._now_s)
        colour = palette.color(QPalette.ColorRole.BrightText)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour, 1.5))
        painter.drawLine(QPointF(x, RULER - 8), QPointF(x, self.height()))
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawPolygon(QPolygonF([QPointF(x - 5, RULER - 11), QPointF(x + 5, RULER - 11), QPointF(x, RULER - 3)]))
