"""The Qt application, or in plain words what is missing to have one."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import PyQt6
from PyQt6.QtWidgets import QApplication

from tracker.errors import ConfigError

__all__ = ["application", "skip_qt_cleanup"]

PACKAGES = {
    "libxcb-cursor": "libxcb-cursor0",
    "libxcb-icccm": "libxcb-icccm4",
    "libxcb-keysyms": "libxcb-keysyms1",
    "libxcb-image": "libxcb-image0",
    "libxcb-render-util": "libxcb-render-util0",
    "libxcb-xkb": "libxcb-xkb1",
    "libxcb-shape": "libxcb-shape0",
    "libxkbcommon-x11": "libxkbcommon-x11-0",
    "libxkbcommon": "libxkbcommon0",
    "libEGL": "libegl1",
    "libGL": "libgl1",
    "libdbus": "libdbus-1-3",
    "libfontconfig": "libfontconfig1",
}
WITHOUT = "Without a window use the command line: `track FILE --save`, without --show"


def application() -> QApplication:
    """The Qt application, made on first use.

    Raises ConfigError, naming what is missing and what to install, where there is no display to open a window on.
    Qt itself would end the process.
    """
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    # OpenCV points Qt to the plugins of its own, older Qt; they would break PyQt's.
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        if "cv2" in os.environ.get(name, ""):
            del os.environ[name]
    if not sys.platform.startswith("linux"):
        return QApplication(sys.argv[:1])
    with _checked_display():
        return QApplication(sys.argv[:1])


def skip_qt_cleanup() -> None:
    """Have the end of the process leave Qt as it is, for who ends it by `tracker.ending.leave`.

    PyQt registers a function for the end that walks over all its objects. While threads of the window are still at
    work it meets objects that are gone, which is a segmentation fault after everything went well.
    """
    atexit.unregister(cast(Callable[[], None], _QtCleanup()))


class _QtCleanup:
    """Equal to PyQt's function for the end, which has no public name."""

    def __eq__(self, other: object) -> bool:
        return getattr(other, "__name__", None) == "_qtcore_cleanup"

    __hash__ = None  # type: ignore[assignment]


@contextlib.contextmanager
def _checked_display() -> Iterator[None]:
    """A display that is known to answer.

    The connection that found out is kept: a server without clients begins anew, and refuses others while it does.
    """
    connection = _check_display()
    try:
        yield
    finally:
        if connection is not None:
            connection.close()


class _Connection:
    """A connection to the X server that DISPLAY names."""

    def __init__(self, xcb: ctypes.CDLL) -> None:
        self._xcb = xcb
        xcb.xcb_connect.restype = ctypes.c_void_p
        xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
        xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
        self._handle = xcb.xcb_connect(None, None)

    @property
    def works(self) -> bool:
        return not self._xcb.xcb_connection_has_error(self._handle)

    def close(self) -> None:
        self._xcb.xcb_disconnect(self._handle)


def _check_display() -> _Connection | None:
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if platform and not platform.startswith("xcb"):
        return None
    if os.environ.get("WAYLAND_DISPLAY") and not platform:
        return None
    display = os.environ.get("DISPLAY")
    if not display:
        raise ConfigError(
            f"no display: neither DISPLAY nor WAYLAND_DISPLAY is set. Start it in a desktop session. {WITHOUT}"
        )
    plugin = Path(PyQt6.__file__).parent / "Qt6" / "plugins" / "platforms" / "libqxcb.so"
    if plugin.is_file():
        try:
            ctypes.CDLL(str(plugin))
        except OSError as error:
            raise ConfigError(_missing(str(error))) from error
    connection = _connect()
    if connection is not None and not connection.works:
        connection.close()
        raise ConfigError(f"no display: DISPLAY is {display!r}, but nothing answers there or it refuses. {WITHOUT}")
    return connection


def _missing(message: str) -> str:
    library = message.partition(":")[0].strip()
    known = next((package for name, package in PACKAGES.items() if library.startswith(f"{name}.")), "")
    install = f"install it, on Debian or Ubuntu: apt install {known}" if known else "install the package it is in"
    return f"the window cannot open: the system library {library} is missing; {install}. {WITHOUT}"


def _connect() -> _Connection | None:
    """A connection to the display; None where that cannot be tried."""
    try:
        return _Connection(ctypes.CDLL("libxcb.so.1"))
    except OSError:
        return None
