"""Starts the desktop app: the application, its theme and its window."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import NoReturn

from PyQt6.QtCore import QTimer

from gui.qt.application import application, skip_qt_cleanup
from gui.qt.icons import app_icon
from gui.qt.preferences import Preferences
from gui.qt.theme import THEMES, apply_theme
from gui.window import Window
from tracker.ending import leave
from tracker.heap import give_back_large_blocks

__all__ = ["main", "prepare_process"]

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
"""How long a worker in Python code may keep the window waiting; the interpreter's own 5 ms add up over workers."""


def prepare_process() -> None:
    """Have the interpreter and the C library suit a window beside busy threads; before any of them starts."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    give_back_large_blocks()


def main(paths: Sequence[str] = ()) -> NoReturn:
    """Open the window with these files and addresses; the process ends with it."""
    logging.basicConfig(level=logging.WARNING, format="sightline: %(message)s", stream=sys.stderr)
    app = application()
    app.setOrganizationName("Sightline")
    app.setApplicationName("Sightline")
    app.setWindowIcon(app_icon())
    prepare_process()
    preferences = Preferences()
    theme = preferences.text("theme", "system")
    apply_theme(app, next((known for known in THEMES if known == theme), "system"))
    window = Window(preferences)
    sys.excepthook = lambda kind, error, trace: _report(window, kind, error, trace)
    window.show()
    QTimer.singleShot(0, lambda: window.open_all(paths) if paths else window.sets.restore())
    ended_by: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        ended_by.append(number)
        window.quit()

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    heartbeat = QTimer()  # lets Python see Ctrl-C while Qt waits
    heartbeat.timeout.connect(lambda: None)
    heartbeat.start(200)
    try:
        code = 0 if ended_by else app.exec()  # a signal may come before the event loop that it is to end
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        sys.excepthook = sys.__excepthook__
    preferences.store.sync()
    code = 128 + signal.SIGTERM if signal.SIGTERM in ended_by else code
    # The interpreter would take the application apart before its window, which crashes now and then, and would stop
    # threads that are still inside a library amid C++ code. What is to be kept has been written by now.
    skip_qt_cleanup()
    leave(code)


def _report(window: Window, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error nobody expected: kept in the log, reported in the status line, the window lives on."""
    log.error("unexpected error", exc_info=(kind, error, trace))
    window.say(f"{kind.__name__}: {error}")
