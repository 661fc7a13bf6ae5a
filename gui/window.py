"""The main window: lays out pages and docks, passes words between them, decides nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtBoundSignal
from PyQt6.QtGui import QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication
from PyQt6.QtWidgets import (
    QApplication,
    QFileDialog,
    QLabel,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QToolBar,
    QWidget,
)

from gui.docks import Docks, scrolled
from gui.engine.live_network import Engine, LoadDetector, load_detector
from gui.identities.identity_commands import IdentityCommands
from gui.inside.inside_page import InsidePage
from gui.jobs.panel import JobsPanel
from gui.jobs.queue import Jobs, hiding_variables
from gui.live.camera_sets import CameraSets
from gui.live.events_panel import EventsPanel
from gui.live.notifier import Notifier, NotifierBar
from gui.live.page import LivePage
from gui.live.session import OpenSource
from gui.live.settings_panel import LivePanel
from gui.menus import add_menus
from gui.qt.background import Background
from gui.qt.commands import Commands
from gui.qt.keyboard import keep_own_keys, reach_by_tab
from gui.qt.preferences import Preferences
from gui.qt.theme import Theme, apply_theme
from gui.recording.events_panel import RecordedEvents
from gui.recording.evidence_panel import EvidencePanel
from gui.recording.page import RecordingPage
from gui.recording.session import PlayedRecording
from gui.rules.counts_panel import CountsPanel
from gui.settings.dialog import open_settings
from gui.settings.networks_page import NetworksPage
from gui.start_page import StartPage
from gui.window_commands import add_window_commands
from tracker.paths import typed_path
from tracker.types import Image
from tracker.video import open_source
from tracker.video.address import is_address

__all__ = ["Window"]

SIZE = (1280, 800)
"""At the first start: fits a laptop's screen."""
WORDS_MS = 12_000
"""How long words stay in the status line: two lines are read slowly in that time."""
STOP_S = 1.8
JOBS_STOP_S, LEFT_FOR_LIVE_S, LEAST_STOP_S = 0.3, 0.3, 0.1
"""Of it, what jobs get, what is left for live sources, and what a recording gets at least to save its corrections."""
SAVING_MS = 50
SIDE_WIDTH = 380
RIGHT = Qt.DockWidgetArea.RightDockWidgetArea
BELOW = Qt.DockWidgetArea.BottomDockWidgetArea


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
        keep_own_keys(self)
        self.resize(*SIZE)
        self.setDockOptions(QMainWindow.DockOption.AllowTabbedDocks | QMainWindow.DockOption.AnimatedDocks)
        self.background = Background(self)
        self.commands = Commands(preferences, self)
        self.engine = Engine(self.background, preferences.tree("settings"), load=load_detector, parent=self)
        self.jobs = Jobs(preferences.folder, self, variables=lambda: hiding_variables(self.engine.settings.overlay))
        self.start = StartPage(preferences, self.background)
        self.live = LivePage(self.engine, self.background, preferences, self.commands, open_source=open_source)
        self.recordings = RecordingPage(self.engine, self.background, preferences, self.commands)
        self.networks = NetworksPage(self.engine, self.background, preferences)
        self.inside = InsidePage(self._newest_frame, self.background, preferences, hides=self._hides)
        self.panel = LivePanel(self.engine)
        self.sets = CameraSets(self.live, self.engine, self.background, preferences, self.say, self)
        self.notifier = Notifier(preferences, self)
        self.notifier_bar = NotifierBar(self.notifier, preferences)
        self.events, self.counts = EventsPanel(self.background, above=self.notifier_bar), CountsPanel(self.background)
        self.recorded_events, self.recorded_counts = RecordedEvents(), CountsPanel(self.background)
        self.jobs_panel = JobsPanel(self.jobs, preferences)
        self.evidence = EvidencePanel(
            self.jobs, self.background, self.recordings.shown, lambda: self.engine.settings.detector.model,
            hides=self.recordings.hides,
        )  # fmt: skip
        self._pages = QStackedWidget()
        self._event_panels, self._count_panels = QStackedWidget(), QStackedWidget()
        self._full = False
        self._found = self.engine.settings.detector, self.engine.settings.tracker
        self._asked = False
        self._add_pages()
        self.docks = Docks(self, preferences)
        self._add_docks()
        add_window_commands(
            self.commands, self, start=self.start, recordings=self.recordings, engine=self.engine,
            choose_results=self.choose_results, reset_layout=self.reset_layout, new_job=self.new_job,
            use_theme=self.use_theme, theme=preferences.text("theme", "system"),
        )  # fmt: skip
        self.identities = IdentityCommands(self.recordings, self.commands, self.background, preferences, self.play)
        add_menus(self, self.commands, self.docks, preferences)
        self._add_status()
        self._connect()
        self._default_state = self.saveState()
        self._restore()
        self.show_page(self.start)
        if self.engine.refused:
            self.say(self.tr("Settings are the default ones again: {0}").format(self.engine.refused))

    def open_all(self, specs: Sequence[str]) -> None:
        """Open one file in the player, several side by side in the live grid."""
        for spec in specs:
            if len(specs) == 1:
                self.open(spec)
            else:
                self.watch(spec, loop=self.start.loops)

    def open(self, spec: str) -> None:
        """Open what was named on the command line, chosen or dropped."""
        path = typed_path(spec)
        if path.suffix.lower() == ".toml" and path.is_file():
            self.sets.open(path)
        elif not is_address(spec) and path.exists():
            self.play(str(path))
        else:
            self.watch(spec)

    def play(self, path: str) -> None:
        """Open a recording."""
        self.say("")
        if self.recordings.open(Path(path)):
            if self.recordings.recording is not None:
                self._remember_once_seen(self.recordings.recording.frame_rendered, path)
            self.show_page(self.recordings)
            if self.recordings.images.names and not self.preferences.text("dock/images"):  # unless it was closed
                self.docks.bring("images")

    def watch(self, spec: str, loop: bool = False) -> None:
        """Open a source in the live grid."""
        self.say("")
        session = self.live.add(spec, loop=loop)
        if session is not None:
            self._remember_once_seen(session.frame_rendered, spec)
            self.show_page(self.live)

    def _remember_once_seen(self, frame_rendered: pyqtBoundSignal, spec: str) -> None:
        """Put a source among those opened lately when its first frame is there: what cannot be read stays out."""

        def remember() -> None:
            frame_rendered.disconnect(remember)
            self.preferences.add_recent(spec)

        frame_rendered.connect(remember)

    def new_job(self, kind: str = "", answers: dict[str, str] | None = None) -> None:
        """Ask what the next job is."""
        self.docks.bring("jobs")
        self.jobs_panel.ask(kind, answers)

    @property
    def page(self) -> QWidget | None:
        """The one in front."""
        return self._pages.currentWidget()

    def show_page(self, page: QWidget) -> None:
        """Bring a page to the front, with the docks that belong to it."""
        self._pages.setCurrentWidget(page)
        page.setFocus()
        for widget, name in self._page_names():
            self.commands[name].setChecked(widget is page)
            if widget is page:
                self.commands.work_everywhere(name.removeprefix("page."))
        recorded = page is self.recordings
        self._event_panels.setCurrentWidget(self.recorded_events if recorded else self.events)
        self._count_panels.setCurrentWidget(self.recorded_counts if recorded else self.counts)
        if not self._full:
            self.docks.show_for(page)

    def say(self, text: str) -> None:
        """Words in the status line for a while."""
        bar = self.statusBar()
        assert bar is not None
        bar.showMessage(text, WORDS_MS)

    def quit(self) -> None:
        """Close without asking."""
        self._asked = True
        self.close()

    def use_theme(self, theme: Theme) -> None:
        """Dress the window anew."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        apply_theme(app, theme)
        self.preferences.keep("theme", theme)

    def reset_layout(self) -> None:
        """Docks and size as they came."""
        self.resize(*SIZE)
        self.restoreState(self._default_state)
        self.docks.reset()

    def toggle_full_screen(self) -> None:
        """Nothing but the page, or everything again."""
        self._full = not self._full
        bars = [self.menuBar(), self.statusBar(), *self.findChildren(QToolBar, "pages")]
        for bar in bars:
            if bar is not None:
                bar.setVisible(not self._full)
        if self._full:
            self._before = self.windowState()
            self.docks.hide_all()
            self.showFullScreen()
        else:
            self.setWindowState(self._before)
            page = self.page
            if page is not None:
                self.docks.show_for(page)

    def choose_results(self) -> None:
        """Ask where recordings go."""
        start = str(self.preferences.folder())
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder for recordings"), start)
        if folder:
            self.preferences.keep("folder", folder)

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
        if self.background.saving:  # goes on closing as soon as it is written
            self._asked = True
            self.say(self.tr("Corrections are being saved"))
            QTimer.singleShot(SAVING_MS, self.close)
            event.ignore()
            return
        deadline = time.monotonic() + STOP_S
        if not self._full:
            self.preferences.keep("window/geometry", self.saveGeometry())
            self.preferences.keep("window/state", self.saveState())
        self.sets.remember()
        self.notifier.close()
        self.live.close_all()
        self.recordings.stop()
        self.jobs.close(JOBS_STOP_S)
        self.recordings.wait_closed(max(LEAST_STOP_S, deadline - time.monotonic() - LEFT_FOR_LIVE_S))
        self.live.wait_all(max(0.0, deadline - time.monotonic()))
        self.sets.close()
        self.background.close()
        event.accept()

    # parts

    def _page_names(self) -> tuple[tuple[QWidget, str], ...]:
        return (
            (self.start, "page.start"),
            (self.live, "page.live"),
            (self.recordings, "page.recording"),
            (self.networks, "page.networks"),
            (self.inside, "page.inside"),
        )

    def _add_pages(self) -> None:
        self.setCentralWidget(self._pages)
        bar = QToolBar(self.tr("Pages"))
        bar.setObjectName("pages")
        bar.setMovable(False)
        bar.setIconSize(QSize(18, 18))
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        group = QActionGroup(self)
        texts = {
            "page.start": (self.tr("Start"), "home"),
            "page.live": (self.tr("Live"), "grid"),
            "page.recording": (self.tr("Recording"), "film"),
            "page.networks": (self.tr("Networks"), "network"),
            "page.inside": (self.tr("Look inside"), "inspect"),
        }
        for number, (page, name) in enumerate(self._page_names(), start=1):
            text, icon_name = texts[name]
            self._pages.addWidget(page)
            action = self.commands.add(
                name, text, lambda on, page=page: self.show_page(page) if on else None, keys=[f"Ctrl+{number}"],
                owner=self, icon_name=icon_name, checkable=True,
            )  # fmt: skip
            group.addAction(action)
            bar.addAction(action)
        reach_by_tab(bar)
        self.addToolBar(bar)

    def _add_docks(self) -> None:
        for events in (self.events, self.recorded_events):
            self._event_panels.addWidget(events)
        for counts in (self.counts, self.recorded_counts):
            self._count_panels.addWidget(counts)
        both = (self.live, self.recordings)
        pages = (self.start, *both, self.networks, self.inside)
        add = self.docks.add
        add("tracks", self.tr("Tracks"), self.recordings.tracks, RIGHT, [self.recordings])
        add("images", self.tr("Images"), self.recordings.images, RIGHT, [self.recordings], shown=False, beside="tracks")
        add("settings", self.tr("Settings"), scrolled(self.panel), RIGHT, both, beside="tracks")
        add("events", self.tr("Events"), self._event_panels, RIGHT, both, beside="settings")
        add("counts", self.tr("Counts"), self._count_panels, RIGHT, both, beside="events")
        add("corrections", self.tr("Corrections"), self.recordings.corrected, RIGHT, [self.recordings], shown=False,
            beside="counts")  # fmt: skip
        add("evidence", self.tr("Evidence"), self.evidence, RIGHT, [self.recordings], shown=False, beside="counts")
        add("jobs", self.tr("Jobs"), self.jobs_panel, BELOW, pages, shown=False)
        self.docks["settings"].raise_()
        self.docks["tracks"].raise_()
        self.docks.give_room("tracks", SIDE_WIDTH)

    def _add_status(self) -> None:
        bar = self.statusBar()
        assert bar is not None
        self._engine_text = QLabel()
        self._engine_text.setProperty("role", "quiet")
        self._engine_text.setAccessibleName(self.tr("Device and engine"))
        bar.addPermanentWidget(self._engine_text)

    def _newest_frame(self) -> Image | None:
        """What Live's first source or the recording shows now."""
        recording = self.recordings.recording
        rendered = [session.rendered for session in self.live.sessions]
        rendered += [recording.rendered] if recording is not None else []
        return next((one.result.frame.image for one in rendered if one is not None), None)

    def _hides(self) -> bool:
        """Whether something is to be unrecognisable in the frames that are shown, of whatever is open."""
        return self.recordings.hides() or any(session.hides for session in self.live.sessions)

    def _connect(self) -> None:
        self.start.watch.connect(self.watch)
        self.start.play.connect(self.play)
        self.live.chosen.connect(self.counts.show_counted)
        self.live.noticed.connect(self.events.add)
        self.live.noticed.connect(self.notifier.notify)
        self.notifier.said.connect(self.say)
        self.sets.opening.connect(lambda: self.show_page(self.live))
        self.sets.kept.connect(self.events.show_kept)
        self.events.said.connect(self.say)
        for page in (self.live, self.recordings, self.networks, self.inside):
            page.said.connect(self.say)
        self.inside.followed.connect(self.live.follow)
        self.inside.followed.connect(self.recordings.follow)
        self.recordings.changed.connect(self._recording_changed)
        self.recordings.opened.connect(self._recording_opened)
        self.recordings.train.connect(lambda data: self.new_job("Train a detector", {"--data": data}))
        self.recordings.full_screen.connect(self.toggle_full_screen)
        self.recorded_events.jumped.connect(self.recordings.jump)
        self.recorded_counts.renamed.connect(self.recordings.view.rename_shape)
        self.counts.renamed.connect(self.live.rename_shape)
        self.networks.train.connect(
            lambda weights: self.new_job("Train a detector", {"--start": weights} if weights else {})
        )
        self.panel.all_settings.connect(lambda: open_settings(self.engine, self))
        self.panel.changed.connect(self._panel_changed)
        self.engine.changed.connect(self._engine_changed)
        hints = QGuiApplication.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._system_changed)
        self._engine_changed()

    def _restore(self) -> None:
        geometry = self.preferences.layout("window/geometry")
        state = self.preferences.layout("window/state")
        if geometry is not None:
            self.restoreGeometry(geometry)
        if state is not None:
            self.restoreState(state)

    def _may_close(self) -> bool:
        running = []
        if self.live.recording:
            running.append(self.tr("A recording is running; what was recorded so far is kept."))
        if self.jobs.busy:
            running.append(self.tr("A job is running; closing ends it."))
        if self.recordings.exporting:
            running.append(self.tr("An export is being written; closing ends it."))
        if not running:
            return True
        box = QMessageBox(self)
        box.setWindowTitle("Sightline")
        box.setText(self.tr("Close all the same?"))
        box.setInformativeText("\n".join(running))
        box.setStandardButtons(QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
        return box.exec() == QMessageBox.StandardButton.Close

    def _system_changed(self) -> None:
        if self.preferences.text("theme", "system") == "system":
            self.use_theme("system")

    def _panel_changed(self) -> None:
        """What is drawn changes at once; what is found is in the recording already."""
        found = self.engine.settings.detector, self.engine.settings.tracker
        if found != self._found and self.page is self.recordings:
            self.say(self.tr("Recordings keep what was found; the round arrow annotates again with these settings."))
        self._found = found

    def _recording_opened(self, recording: PlayedRecording | None) -> None:
        if recording is not None:
            recording.hiding_changed.connect(self.evidence.refresh)
        self.evidence.refresh()
        self.recorded_events.begin(recording)
        self._recording_changed()

    def _recording_changed(self) -> None:
        recording = self.recordings.recording
        self.setWindowTitle("Sightline" if recording is None else f"{recording.name} \N{EM DASH} Sightline")
        self.recorded_counts.show_counted(recording)
        if recording is not None:
            labels = recording.overview.labels if recording.overview is not None else ()
            self.recorded_events.show_events(recording.counts.events, labels)

    def _engine_changed(self) -> None:
        self.evidence.refresh()
        text = self.engine.describe() if self.live.sessions or self.recordings.recording is not None else ""
        self.preferences.keep_settings(self.engine.tree)
        self._engine_text.setText(text)
        self._engine_text.setToolTip(text)
