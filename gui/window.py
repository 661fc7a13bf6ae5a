"""The main window: lays out pages and docks, passes words between them, decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import (
    QApplication,
    QDockWidget,
    QFileDialog,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QScrollArea,
    QStackedWidget,
    QToolBar,
    QWidget,
)

from gui.about import About
from gui.commands import Commands
from gui.counts_panel import CountsPanel
from gui.engine import Engine, LoadDetector, load_detector
from gui.events_panel import EventsPanel
from gui.live_page import LivePage
from gui.live_panel import LivePanel
from gui.preferences import Preferences
from gui.session import OpenSource, Session
from gui.shortcuts import ShortcutsEditor
from gui.start_page import StartPage
from gui.theme import THEMES, Theme, apply_theme
from gui.work import Background
from tracker.video import open_source
from tracker.video.address import is_address

__all__ = ["Window"]

STOP_S = 1.8
DOCKS_LEFT = Qt.DockWidgetArea.LeftDockWidgetArea
DOCKS_RIGHT = Qt.DockWidgetArea.RightDockWidgetArea
DOCKS_BELOW = Qt.DockWidgetArea.BottomDockWidgetArea


class Window(QMainWindow):
    """Everything the desktop app shows."""

    def __init__(
        self,
        preferences: Preferences,
        *,
        open_source: OpenSource = open_source,
        load_detector: LoadDetector = load_detector,
    ) -> None:
        super().__init__()
        self.preferences = preferences
        self.setWindowTitle("Sightline")
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.setDockOptions(QMainWindow.DockOption.AllowTabbedDocks | QMainWindow.DockOption.AnimatedDocks)
        self.background = Background(self)
        self.commands = Commands(preferences, self)
        self.engine = Engine(self.background, preferences.tree("settings"), load=load_detector, parent=self)
        self.start = StartPage(preferences, self.background)
        self.live = LivePage(self.engine, self.background, preferences, self.commands, open_source=open_source)
        self.panel = LivePanel(self.engine)
        self.events = EventsPanel()
        self.counts = CountsPanel()
        self._pages = QStackedWidget()
        self._docks: dict[str, QDockWidget] = {}
        self._pages_of: dict[str, frozenset[QWidget]] = {}
        self._add_pages()
        self._add_docks()
        self._add_menus()
        self._add_status()
        self._connect()
        self._default_state = self.saveState()
        self._restore()
        self.show_page(self.start)

    def open_all(self, specs: Sequence[str]) -> None:
        """Open files in the player and everything else in the live grid."""
        for spec in specs:
            self.open(spec)

    def open(self, spec: str) -> None:
        """Open what was named on the command line, chosen or dropped."""
        path = Path(spec).expanduser()
        if not is_address(spec) and path.exists():
            self.play(str(path))
        else:
            self.watch(spec)

    def play(self, path: str) -> None:
        """Open a recording."""
        self.watch(path, loop=self.start.loops)

    def watch(self, spec: str, loop: bool = False) -> None:
        """Open a source in the live grid."""
        if self.live.add(spec, loop=loop) is not None:
            self.preferences.add_recent(spec)
            self.show_page(self.live)

    def show_page(self, page: QWidget) -> None:
        """Bring a page to the front, with the docks that belong to it."""
        self._pages.setCurrentWidget(page)
        for widget, name in ((self.start, "page.start"), (self.live, "page.live")):
            self.commands[name].setChecked(widget is page)
        for name, dock in self._docks.items():
            wanted = page in self._pages_of[name] and self.preferences.flag(f"dock/{name}", default=True)
            dock.setVisible(wanted)

    def say(self, text: str) -> None:
        """Words in the status line for a while."""
        bar = self.statusBar()
        assert bar is not None
        bar.showMessage(text, 12_000)

    def quit(self) -> None:
        """Close without asking."""
        self._asked = True
        self.close()

    _asked = False

    # Qt

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take files and addresses."""
        mime = event.mimeData() if event is not None else None
        if event is not None and mime is not None and (mime.hasUrls() or is_address(mime.text().strip())):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802 - Qt's name
        """Open what was dropped."""
        mime = event.mimeData() if event is not None else None
        if event is None or mime is None:
            return
        urls = [url.toLocalFile() or url.toString() for url in mime.urls()]
        self.open_all(urls or [mime.text().strip()])
        event.acceptProposedAction()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Ask only when something would be cut short; then end everything within two seconds."""
        if event is None:
            return
        if not self._asked and not self._may_close():
            event.ignore()
            return
        deadline = time.monotonic() + STOP_S
        self.preferences.keep("window/geometry", self.saveGeometry())
        self.preferences.keep("window/state", self.saveState())
        self.preferences.keep_settings(self.engine.tree)
        self.live.close_all()
        self.live.wait_all(max(0.0, deadline - time.monotonic()))
        self.background.close()
        event.accept()

    # parts

    def _add_pages(self) -> None:
        self.setCentralWidget(self._pages)
        bar = QToolBar(self.tr("Pages"))
        bar.setObjectName("pages")
        bar.setMovable(False)
        bar.setIconSize(QSize(18, 18))
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        group = QActionGroup(self)
        for page, name, text, picture, keys in (
            (self.start, "page.start", self.tr("Start"), "home", "Ctrl+1"),
            (self.live, "page.live", self.tr("Live"), "grid", "Ctrl+2"),
        ):
            self._pages.addWidget(page)
            action = self.commands.add(
                name, text, lambda on, page=page: self.show_page(page) if on else None, keys=[keys], owner=self,
                picture=picture, checkable=True,
            )  # fmt: skip
            group.addAction(action)
            bar.addAction(action)
        self.addToolBar(bar)

    def _add_docks(self) -> None:
        live = frozenset({self.live})
        self._dock("settings", self.tr("Settings"), _scrolled(self.panel), DOCKS_RIGHT, live)
        self._dock("events", self.tr("Events"), self.events, DOCKS_RIGHT, live)
        self._dock("counts", self.tr("Counts"), self.counts, DOCKS_RIGHT, live)
        self.tabifyDockWidget(self._docks["settings"], self._docks["events"])
        self.tabifyDockWidget(self._docks["events"], self._docks["counts"])
        self._docks["settings"].raise_()

    def _dock(self, name: str, title: str, widget: QWidget, area: Qt.DockWidgetArea, pages: frozenset[QWidget]) -> None:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(widget)
        dock.setMinimumWidth(250)
        self.addDockWidget(area, dock)
        self._docks[name] = dock
        self._pages_of[name] = pages
        toggle = dock.toggleViewAction()
        assert toggle is not None
        toggle.triggered.connect(lambda on, name=name: self.preferences.keep(f"dock/{name}", on))

    def _add_menus(self) -> None:
        add = self.commands.add
        menu = self._menu(self.tr("&File"))
        menu.addAction(add("file.open", self.tr("&Open video\N{HORIZONTAL ELLIPSIS}"), self.start.choose_files,
                           keys=["Ctrl+O"], owner=self, picture="film"))  # fmt: skip
        menu.addAction(add("file.watch", self.tr("&Watch video like a camera\N{HORIZONTAL ELLIPSIS}"),
                           self.start.choose_watched, owner=self, picture="grid"))  # fmt: skip
        menu.addAction(add("file.folder", self.tr("Open image &folder\N{HORIZONTAL ELLIPSIS}"),
                           self.start.choose_folder, owner=self, picture="folder"))  # fmt: skip
        menu.addSeparator()
        menu.addAction(add("file.results", self.tr("Folder for &recordings\N{HORIZONTAL ELLIPSIS}"),
                           self._choose_results, owner=self))  # fmt: skip
        menu.addAction(add("file.quit", self.tr("&Quit"), self.close, keys=["Ctrl+Q"], owner=self))
        view = self._menu(self.tr("&View"))
        for dock in self._docks.values():
            view.addAction(dock.toggleViewAction())
        view.addSeparator()
        view.addAction(add("view.reset", self.tr("&Reset layout"), self.reset_layout, owner=self))
        themes = view.addMenu(self.tr("&Theme"))
        assert themes is not None
        self._add_themes(themes)
        help_menu = self._menu(self.tr("&Help"))
        help_menu.addAction(add("help.keys", self.tr("&Keys\N{HORIZONTAL ELLIPSIS}"), self._edit_keys, keys=["F1"],
                                owner=self))  # fmt: skip
        help_menu.addAction(add("help.about", self.tr("&About Sightline"), lambda: About(self).exec(), owner=self))

    def _menu(self, title: str) -> QMenu:
        bar = self.menuBar()
        assert bar is not None
        menu = bar.addMenu(title)
        assert menu is not None
        return menu

    def _add_themes(self, menu: QMenu) -> None:
        names = {"system": self.tr("As the &system"), "light": self.tr("&Light"), "dark": self.tr("&Dark")}
        group = QActionGroup(self)
        chosen = self.preferences.text("theme", "system")
        for theme in THEMES:
            action = self.commands.add(f"theme.{theme}", names[theme], self._themer(theme), owner=self, checkable=True)
            action.setChecked(theme == chosen)
            group.addAction(action)
            menu.addAction(action)

    def _themer(self, theme: Theme) -> Callable[[bool], None]:
        def use(on: bool) -> None:
            if on:
                self.use_theme(theme)

        return use

    def use_theme(self, theme: Theme) -> None:
        """Dress the window anew."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        apply_theme(app, theme)
        self.preferences.keep("theme", theme)
        self.commands.redraw_icons()

    def _add_status(self) -> None:
        bar = self.statusBar()
        assert bar is not None
        self._engine_text = QLabel()
        self._engine_text.setProperty("role", "quiet")
        self._engine_text.setAccessibleName(self.tr("Device and engine"))
        bar.addPermanentWidget(self._engine_text)

    def _connect(self) -> None:
        self.start.watch.connect(self.watch)
        self.start.play.connect(self.play)
        self.live.said.connect(self.say)
        self.live.chosen.connect(self._chosen)
        self.live.noticed.connect(self.events.add)
        self.engine.changed.connect(self._engine_changed)
        self._engine_changed()

    def _restore(self) -> None:
        geometry = self.preferences.layout("window/geometry")
        state = self.preferences.layout("window/state")
        if geometry is not None:
            self.restoreGeometry(geometry)
        if state is not None:
            self.restoreState(state)

    def reset_layout(self) -> None:
        """Docks and size as they came."""
        for name in self._docks:
            self.preferences.keep(f"dock/{name}", True)
        self.resize(1280, 800)
        self.restoreState(self._default_state)
        current = self._pages.currentWidget()
        if current is not None:
            self.show_page(current)

    def _may_close(self) -> bool:
        if not self.live.recording:
            return True
        box = QMessageBox(self)
        box.setWindowTitle("Sightline")
        box.setText(self.tr("A recording is running."))
        box.setInformativeText(self.tr("Closing ends it; what was recorded so far is kept."))
        box.setStandardButtons(QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel)
        return box.exec() == QMessageBox.StandardButton.Close

    def _chosen(self, session: Session | None) -> None:
        self.counts.show_session(session)

    def _engine_changed(self) -> None:
        text = self.engine.describe() if self.live.sessions else ""
        self._engine_text.setText(text)
        self._engine_text.setToolTip(text)

    def _choose_results(self) -> None:
        start = str(self.preferences.folder())
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder for recordings"), start)
        if folder:
            self.preferences.keep("folder", folder)

    def _edit_keys(self) -> None:
        ShortcutsEditor(self.commands, self).exec()


def _scrolled(widget: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setWidget(widget)
    return area
