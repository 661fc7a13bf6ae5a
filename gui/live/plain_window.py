"""A plain live window: the newest frame of one running source, its rate, latency and dropped frames."""

from __future__ import annotations

import signal
from typing import cast

import numpy as np
from PyQt6.QtCore import QRectF, QSize, Qt, QTimer
from PyQt6.QtGui import QCloseEvent, QImage, QKeyEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QApplication, QWidget

from gui.qt.application import application
from tracker.runner import Runner
from tracker.types import Image

__all__ = ["LiveWindow", "application", "show"]

POLL_MS = 16
"""As often as a screen of 60 Hz shows anything."""


def show(runner: Runner, title: str) -> None:
    """Show a started runner until its window closes or the run ends; q or Esc closes."""
    app = application()
    window = LiveWindow(runner, title)
    window.show()
    previous = signal.signal(signal.SIGINT, lambda *_: window.close())
    try:
        app.exec()
    finally:
        signal.signal(signal.SIGINT, previous)


class LiveWindow(QWidget):
    """Polls the runner and paints its newest result, keeping the frame's aspect."""

    def __init__(self, runner: Runner, title: str) -> None:
        super().__init__()
        self._runner = runner
        self._title = title
        self._image: QImage | None = None
        self._pixels: Image | None = None
        self.setWindowTitle(title)
        self.setAccessibleName(self.tr("Live frames of {0}").format(title))
        self.resize(QSize(960, 540))
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        self._timer.start(POLL_MS)

    def _poll(self) -> None:
        result = self._runner.poll()
        if result is not None:
            first = self._image is None
            self._pixels = np.ascontiguousarray(result.frame.image if result.canvas is None else result.canvas)
            height, width = self._pixels.shape[:2]
            memory = cast(bytes, self._pixels.data)  # Qt takes any buffer
            self._image = QImage(memory, width, height, 3 * width, QImage.Format.Format_RGB888)
            if first:
                self._fit(width, height)
            progress = self._runner.progress()
            self.setWindowTitle(
                f"{self._title} - {progress.rate:.0f} frames/s, {progress.latency_s * 1000:.0f} ms, "
                + self.tr("{0} dropped").format(progress.dropped)
            )
            self.update()
        if not self._runner.running:
            self.close()

    def _fit(self, width: int, height: int) -> None:
        screen = self.screen()
        room = screen.availableGeometry().size() * 0.9 if screen is not None else QSize(1280, 720)
        self.resize(
            QSize(width, height).scaled(room, Qt.AspectRatioMode.KeepAspectRatio).boundedTo(QSize(width, height))
        )

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw the newest frame in the middle, black around it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        if self._image is not None:
            size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
            left, top = (self.width() - size.width()) / 2, (self.height() - size.height()) / 2
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(QRectF(left, top, size.width(), size.height()), self._image)
        painter.end()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Close on q or Esc."""
        if event is not None and event.key() in (Qt.Key.Key_Q, Qt.Key.Key_Escape):
            self.close()
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Stop polling and end the event loop."""
        self._timer.stop()
        super().closeEvent(event)
        app = QApplication.instance()
        if app is not None:
            app.quit()
