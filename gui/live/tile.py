"""One live source in the grid: its frame, its name and its numbers."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from gui.canvas.heat_layer import HeatLayer
from gui.canvas.video_view import VideoView
from gui.live.camera_settings import description_of
from gui.live.session import Session, SessionState
from gui.qt.background import Background
from gui.qt.elided_label import ElidedLabel
from gui.qt.icons import icon

__all__ = ["LiveTile"]

NARROW = 340
"""Pixels below which a tile's numbers get a line of their own."""
DOT = {
    SessionState.OPENING: "#8d97a1",
    SessionState.WAITING: "#e69f00",
    SessionState.LIVE: "#009e73",
    SessionState.SILENT: "#e69f00",
    SessionState.ENDED: "#8d97a1",
    SessionState.FAILED: "#d55e00",
    SessionState.CLOSED: "#8d97a1",
}


RETRIED = (SessionState.FAILED, SessionState.ENDED, SessionState.WAITING)
"""Where the user may try again at once."""


class LiveTile(QWidget):
    """Shows a session and passes on what the user does with it."""

    chosen = pyqtSignal(object)
    enlarged = pyqtSignal(object)
    closed = pyqtSignal(object)

    def __init__(self, session: Session, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._chosen = False
        self.view = VideoView()
        self.heat = HeatLayer(self.view, session.heat, background, self)
        self.view.explain = session.explain
        self._dot = _Dot()
        self._name = ElidedLabel(Qt.TextElideMode.ElideMiddle)  # the end of a file's name stays
        self._name.setProperty("role", "heading")
        self._numbers = QLabel()
        self._numbers.setProperty("role", "quiet")
        self._recording = QLabel()
        self._recording.setStyleSheet("color: #d55e00; font-weight: 600")
        self._retry = self._button("retry", self.tr("Try again"))
        self._retry.clicked.connect(session.open)
        self._close = self._button("close", self.tr("Close this source"))
        self._close.clicked.connect(lambda: self.closed.emit(self))
        head = QHBoxLayout()
        head.setContentsMargins(6, 1, 2, 1)
        head.setSpacing(6)
        for widget, stretch in (
            (self._dot, 0), (self._name, 1), (self._recording, 0), (self._numbers, 0), (self._retry, 0),
            (self._close, 0),
        ):  # fmt: skip
            head.addWidget(widget, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.view, 1)
        self._head, self._column, self._narrow = head, layout, False
        self.view.resized.connect(lambda: self.fit(visible=self.view.isVisible()))
        self.view.activated.connect(lambda: self.enlarged.emit(self))
        self.view.clicked_track.connect(self._clicked)
        self.view.focused.connect(lambda: self.chosen.emit(self))
        session.frame_rendered.connect(self._show_rendered)
        session.changed.connect(self._changed)
        self._changed()

    def mark(self, *, chosen: bool) -> None:
        """Frame the tile that the panels are about."""
        if chosen != self._chosen:
            self._chosen = chosen
            self.update()

    def fit(self, *, visible: bool) -> None:
        """Have frames made as this tile can show them, or none."""
        self.session.show_at(self.view.wanted_size() if visible else None, self.view.devicePixelRatioF())

    def refresh_numbers(self) -> None:
        """Write the numbers anew; a few times a second is enough for eyes."""
        session = self.session
        progress = session.progress()
        if session.state is SessionState.SILENT or progress is None:
            text = ""
        else:
            age = session.shown_age_s
            late = self.tr("{0} ms").format(round(age * 1000)) if age is not None else ""
            parts = [self.tr("{0} fps").format(f"{progress.rate:.0f}"), late]
            if progress.dropped:
                parts.append(self.tr("{0} dropped").format(progress.dropped))
            if progress.damage:
                parts.append(self.tr("{0} damaged").format(progress.damage))
            text = "  ".join(part for part in parts if part)
        if text != self._numbers.text():
            self._numbers.setText(text)
            self._numbers.setToolTip(
                self.tr("Frames per second, age of the frame when shown, frames left out because a newer one was there")
            )
        recorder = session.recorder
        minutes, seconds = divmod(int(recorder.seconds), 60)
        since = f" {minutes}:{seconds:02}" if recorder.recording else ""
        self._recording.setText(f"\N{BLACK CIRCLE}{since}" if session.recording else "")
        by_set = self.tr("Recorded by the rules of its set")
        self._recording.setToolTip(by_set if session.recording and not recorder.recording else "")
        if recorder.problem:
            self.view.show_message(self.tr("The recording ended: {0}").format(recorder.problem))

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """A frame around the chosen tile."""
        super().paintEvent(event)
        if self._chosen:
            painter = QPainter(self)
            painter.setPen(self.palette().color(self.palette().ColorRole.Accent))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
            painter.end()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Where there is little room, the numbers stand below the name."""
        super().resizeEvent(event)
        narrow = self.width() < NARROW
        if narrow != self._narrow:
            self._narrow = narrow
            if narrow:
                self._column.insertWidget(1, self._numbers)
            else:
                self._head.insertWidget(self._head.indexOf(self._recording) + 1, self._numbers)
            sideways = QSizePolicy.Policy.Ignored if narrow else QSizePolicy.Policy.Preferred
            self._numbers.setSizePolicy(sideways, QSizePolicy.Policy.Fixed)
            self._numbers.setContentsMargins(6 if narrow else 0, 0, 0, 2 if narrow else 0)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Choose the tile by its header too."""
        self.chosen.emit(self)
        super().mousePressEvent(event)

    def _button(self, image: str, text: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(image))
        button.setToolTip(text)
        button.setAccessibleName(text)
        return button

    def _show_rendered(self) -> None:
        self.view.show_frame(self.session.rendered)

    def _changed(self) -> None:
        session = self.session
        self._name.setText(session.name.partition("://")[2] or session.name)
        own = "" if session.camera is None else description_of(session.camera)
        self._name.setToolTip(f"{session.name}\n{own}".rstrip())
        self.setAccessibleName(self.tr("Source {0}, {1}").format(session.name, session.state.value))
        self._dot.show_colour(DOT[session.state], session.state.value)
        self._retry.setVisible(session.state in RETRIED)
        self.view.show_message(session.message)

    def _clicked(self, track_id: int) -> None:
        self.chosen.emit(self)
        self.view.select([track_id] if track_id else [])


class _Dot(QWidget):
    """The connection's state as a coloured dot, and in words for tooltips and screen readers."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(12, 12)
        self._colour = QColor("#8d97a1")

    def show_colour(self, colour: str, text: str) -> None:
        """Another state."""
        self._colour = QColor(colour)
        self.setToolTip(text)
        self.setAccessibleName(text)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """The dot."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        painter.drawEllipse(2, 2, 8, 8)
        painter.end()
