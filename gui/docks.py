"""The docks around the pages: which belong to which page, shown as the user left them."""

from __future__ import annotations

from collections.abc import Iterable

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent
from PyQt6.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QWidget

from gui.qt.keyboard import keep_own_keys
from gui.qt.preferences import Preferences

__all__ = ["Docks", "scrolled"]


class Docks(QObject):
    """Adds docks to a window and shows those of the page in front."""

    def __init__(self, window: QMainWindow, preferences: Preferences) -> None:
        super().__init__(window)
        self._window = window
        self._preferences = preferences
        self._docks: dict[str, QDockWidget] = {}
        self._brought: set[str] = set()
        self._pages: dict[str, frozenset[QWidget]] = {}
        self._shown_at_first: dict[str, bool] = {}
        self._page: QWidget | None = None

    def add(
        self,
        name: str,
        title: str,
        widget: QWidget,
        area: Qt.DockWidgetArea,
        pages: Iterable[QWidget],
        *,
        shown: bool = True,
        beside: str = "",
    ) -> QDockWidget:
        """A new dock; `beside` names one that it shares its place with."""
        dock = _Dock(title, self._window)
        dock.closed.connect(lambda: self._choose(name, False))
        dock.setObjectName(name)
        dock.setWidget(widget)
        dock.setMinimumWidth(250)
        keep_own_keys(dock)  # as it floats it is a window
        self._window.addDockWidget(area, dock)
        if beside:
            self._window.tabifyDockWidget(self._docks[beside], dock)
        self._docks[name] = dock
        self._pages[name] = frozenset(pages)
        self._shown_at_first[name] = shown
        toggle = dock.toggleViewAction()
        assert toggle is not None
        toggle.triggered.connect(lambda on: self._choose(name, on))
        return dock

    def __getitem__(self, name: str) -> QDockWidget:
        return self._docks[name]

    def actions(self) -> list[QAction]:
        """What shows and hides each."""
        return [action for dock in self._docks.values() if (action := dock.toggleViewAction()) is not None]

    def show_for(self, page: QWidget) -> None:
        """Show the docks of this page that the user has not closed, the first in front when the page is another."""
        another, self._page = page is not self._page, page
        for name, dock in self._docks.items():
            wanted = name in self._brought or self._preferences.flag(f"dock/{name}", default=self._shown_at_first[name])
            belongs = page in self._pages[name]
            toggle = dock.toggleViewAction()
            if toggle is not None:
                toggle.setEnabled(belongs)
            dock.setVisible(belongs and wanted)
        if another:
            front = next((dock for dock in self._docks.values() if dock.isVisibleTo(self._window)), None)
            if front is not None:
                front.raise_()

    def bring(self, name: str) -> None:
        """Show a dock, also where the user had closed it, until it is closed or the program ends.

        What a moment called for, as a job or a folder of images, does not take room at the next start.
        """
        self._brought.add(name)
        self._docks[name].setVisible(True)
        self._docks[name].raise_()

    def hide_all(self) -> None:
        """Only the page is left."""
        for dock in self._docks.values():
            dock.hide()

    def give_room(self, name: str, width: int) -> None:
        """Make a dock at a side so wide."""
        self._window.resizeDocks([self._docks[name]], [width], Qt.Orientation.Horizontal)

    def reset(self) -> None:
        """As they came."""
        self._brought.clear()
        for name, shown in self._shown_at_first.items():
            self._preferences.keep(f"dock/{name}", shown)
        if self._page is not None:
            self.show_for(self._page)

    def _choose(self, name: str, shown: bool) -> None:
        """Shown or closed by the user: so it stays; what is shown comes before those that share its place."""
        self._brought.discard(name)
        if shown:
            self._docks[name].raise_()
        self._preferences.keep(f"dock/{name}", shown)


class _Dock(QDockWidget):
    """Reports when somebody closes it by its own button."""

    closed = pyqtSignal()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """It stays closed."""
        super().closeEvent(event)
        self.closed.emit()


def scrolled(widget: QWidget) -> QScrollArea:
    """The widget with bars where there is too little room for it."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(widget)
    return area
