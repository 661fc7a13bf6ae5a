"""Sound and a desktop notice when a rule notices something: never more often than one can take in."""

from __future__ import annotations

import time
from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QApplication, QCheckBox, QHBoxLayout, QPushButton, QSystemTrayIcon, QWidget

from gui.live.notices import Notice
from gui.qt.preferences import Preferences
from gui.rules.event_text import describe_event

__all__ = ["Notifier", "NotifierBar"]

SOUND, DESKTOP = "notify/sound", "notify/desktop"
SOUND_EVERY_S, DESKTOP_EVERY_S = 1.0, 5.0
"""Least time between two sounds and between two notices; what comes sooner is counted into the next notice."""
SHOWN_MS = 8000
"""How long a notice stays, where the desktop asks."""


class Notifier(QObject):
    """Beeps and shows notices as the preferences want it; what comes too soon is counted into the next notice."""

    said = pyqtSignal(str)

    def __init__(
        self, preferences: Preferences, window: QWidget, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(window)
        self._preferences, self._window, self._clock = preferences, window, clock
        self._tray: QSystemTrayIcon | None = None
        self._sounded = self._shown = float("-inf")
        self._left_out = 0

    @property
    def has_notices(self) -> bool:
        """Whether the desktop shows notices of programs; else the window asks for attention in the task bar."""
        return QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages()

    def notify(self, notice: Notice) -> None:
        """Tell of an event."""
        self._notify(notice.source, describe_event(notice.event, notice.label))

    def test(self) -> None:
        """Tell of nothing, past all limits, by every way that is switched on; say so where none is."""
        if not (self._preferences.flag(SOUND) or self._preferences.flag(DESKTOP)):
            self.said.emit(self.tr("Neither sound nor notice is switched on"))
            return
        self._sounded = self._shown = float("-inf")
        self._notify(self.tr("Test"), self.tr("This is what the notice of an event looks like"))
        ways = []
        if self._preferences.flag(SOUND):
            ways.append(self.tr("a sound"))
        if self._preferences.flag(DESKTOP):
            ways.append(self.tr("a notice") if self.has_notices else self.tr("the window's mark in the task bar"))
        self.said.emit(self.tr("Sent: {0}").format(", ".join(ways)))

    def close(self) -> None:
        """Take the symbol out of the tray."""
        if self._tray is not None:
            self._tray.hide()

    def _notify(self, title: str, text: str) -> None:
        now = self._clock()
        if self._preferences.flag(SOUND) and now - self._sounded >= SOUND_EVERY_S:
            self._sounded = now
            QApplication.beep()
        if not self._preferences.flag(DESKTOP):
            return
        if now - self._shown < DESKTOP_EVERY_S:
            self._left_out += 1
            return
        if self._left_out:
            text = self.tr("{0}, and {1} more before").format(text, self._left_out)
        self._shown, self._left_out = now, 0
        self._show(title, text)

    def _show(self, title: str, text: str) -> None:
        if not self.has_notices:
            QApplication.alert(self._window)
            return
        if self._tray is None:
            self._tray = QSystemTrayIcon(self._window.windowIcon(), self)
            self._tray.setToolTip("Sightline")
            self._tray.messageClicked.connect(self._raise)
            self._tray.show()
        self._tray.showMessage(title, text, self._window.windowIcon(), SHOWN_MS)

    def _raise(self) -> None:
        self._window.show()
        self._window.raise_()
        self._window.activateWindow()


class NotifierBar(QWidget):
    """The switches of a notifier, and the button that tries it."""

    def __init__(self, notifier: Notifier, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        texts = {SOUND: self.tr("S&ound"), DESKTOP: self.tr("Desktop &notice")}
        hints = {
            SOUND: self.tr("A sound for every event, once a second at most"),
            DESKTOP: self.tr("A notice of the desktop for events, once in five seconds at most; where the desktop "
                             "has none, the window asks for attention in the task bar"),
        }  # fmt: skip
        self.switches = {}
        for key, text in texts.items():
            box = self.switches[key] = QCheckBox(text)
            box.setToolTip(hints[key])
            box.setChecked(preferences.flag(key))
            box.toggled.connect(lambda on, key=key: preferences.keep(key, on))
            layout.addWidget(box)
        layout.addStretch(1)
        self.test = QPushButton(self.tr("&Test"))
        self.test.setToolTip(self.tr("Tell of an event that has not happened"))
        self.test.clicked.connect(notifier.test)
        layout.addWidget(self.test)
