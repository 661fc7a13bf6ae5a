"""The grid of live sources, the tools over it, and the timer that polls them all."""

from __future__ import annotations

import math
import time
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QHideEvent, QShowEvent
from PyQt6.QtWidgets import QGridLayout, QLabel, QMenu, QToolBar, QToolButton, QVBoxLayout, QWidget

from gui.canvas.drawing_keys import DRAWING_KEYS, drawing_hint
from gui.canvas.hit_testing import Shape
from gui.canvas.video_view import Tool
from gui.engine.live_network import Engine
from gui.live.session import OpenSource, Session, SessionState
from gui.live.tile import LiveTile
from gui.qt.background import POLL_MS, Background
from gui.qt.commands import Commands
from gui.qt.keyboard import order_tabs, reach_by_tab
from gui.qt.preferences import Preferences
from gui.rules.saved_shapes import keep_live_shapes, live_shapes
from tracker.errors import TrackerError
from tracker.video import open_source
from tracker.watch.camera_set import CameraConfig

__all__ = ["MOST_SOURCES", "LivePage"]

DRAWN: tuple[Tool, ...] = ("line", "zone", "blur", "area")
"""What is drawn on a live frame."""

MOST_SOURCES = 16
"""A grid of four by four; in smaller tiles nothing can be made out."""
NUMBERS_MS = 250
"""Between two updates of rates and ages: faster, the digits cannot be read."""


class LivePage(QWidget):
    """One to sixteen sources; each has its own Runner, all share the engine."""

    said = pyqtSignal(str)
    """Words for the status line."""
    chosen = pyqtSignal(object)
    """The session the panels are about, None without any."""
    noticed = pyqtSignal(object)
    removed = pyqtSignal(object)
    """A session that was closed, and has ended."""

    def __init__(
        self,
        engine: Engine,
        background: Background,
        preferences: Preferences,
        commands: Commands,
        *,
        open_source: OpenSource = open_source,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._background = background
        self._preferences = preferences
        self._commands = commands
        self._open_source = open_source
        self._tiles: list[LiveTile] = []
        self._large: LiveTile | None = None
        self._current: LiveTile | None = None
        self._grid_holder = QWidget()
        self._grid = QGridLayout(self._grid_holder)
        self._grid.setContentsMargins(4, 4, 4, 4)
        self._grid.setSpacing(4)
        self._empty = QLabel(self.tr("No source is open. Open a camera, a file or a stream on the start page."))
        self._empty.setProperty("role", "quiet")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._bar = self._make_bar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._grid_holder, 1)
        order_tabs(*reach_by_tab(self._bar))
        self._followed = False
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        self._numbers = QTimer(self)
        self._numbers.timeout.connect(self._refresh)
        self._numbers.start(NUMBERS_MS)
        self._arrange()

    @property
    def sessions(self) -> list[Session]:
        """All open sources."""
        return [tile.session for tile in self._tiles]

    @property
    def tiles(self) -> list[LiveTile]:
        """Their tiles, in the same order."""
        return list(self._tiles)

    @property
    def current(self) -> Session | None:
        """The source the panels are about."""
        return self._current.session if self._current is not None else None

    @property
    def recording(self) -> bool:
        """Whether any source is being recorded."""
        return any(session.recording for session in self.sessions)

    def add(self, spec: str, *, loop: bool = False, camera: CameraConfig | None = None) -> Session | None:
        """Open a source in a tile of its own, under the name and rules of its set; None when the grid is full."""
        if len(self._tiles) >= MOST_SOURCES:
            self.said.emit(self.tr("{0} sources are open, more do not fit. Close one first.").format(MOST_SOURCES))
            return None
        session = Session(
            spec, self._engine, self._background, self._preferences.folder, loop=loop,
            camera=camera, open_source=self._open_source, parent=self,
        )  # fmt: skip
        shapes, drawn_on = live_shapes(self._preferences, _shapes_key(spec, camera))
        if not shapes:  # drawn before they went by the address without its password
            shapes, drawn_on = live_shapes(self._preferences, spec)
        if shapes:
            session.use_shapes(shapes, drawn_on)
        else:
            session.use_shapes_of_set()
        session.noticed.connect(self.noticed)
        session.said.connect(self.said)
        session.arm_clips(armed=self._commands["live.clips"].isChecked())
        tile = LiveTile(session, self._background, self._grid_holder)
        tile.view.show_shapes(session.shapes)
        session.rescaled.connect(lambda: tile.view.show_shapes(session.shapes))
        tile.heat.turn(on=self._commands["live.heat"].isChecked())
        tile.chosen.connect(self.choose)
        tile.enlarged.connect(self._enlarge)
        tile.closed.connect(self.remove)
        tile.view.shapes_changed.connect(lambda shapes, tile=tile: self._shapes_changed(tile, shapes))
        tile.view.tool_done.connect(self._tool_done)
        self._tiles.append(tile)
        self._timer.start(POLL_MS)
        self.choose(tile)
        self._arrange()
        return session

    def remove(self, tile: LiveTile) -> None:
        """Close a source."""
        if tile not in self._tiles:
            return
        self._tiles.remove(tile)
        session = tile.session
        session.close()
        self._background.run(session.wait, lambda _: self._gone(session))
        if self._large is tile:
            self._large = None
        if self._current is tile:
            self._current = None
            self.choose(self._tiles[0] if self._tiles else None)
        self._grid.removeWidget(tile)
        tile.hide()
        tile.deleteLater()
        self._arrange()

    def close_session(self, session: Session) -> None:
        """Close the source of a session."""
        for tile in self._tiles:
            if tile.session is session:
                self.remove(tile)
                return

    def _gone(self, session: Session) -> None:
        self.removed.emit(session)
        session.deleteLater()

    def choose(self, tile: LiveTile | None) -> None:
        """Make the panels be about this source."""
        if tile is self._current and tile is not None:
            return
        self._current = tile
        self.setFocusProxy(tile.view if tile is not None else None)
        for other in self._tiles:
            other.mark(chosen=other is tile and len(self._tiles) > 1)
        self.chosen.emit(tile.session if tile is not None else None)

    def rename_shape(self, old: str, new: str) -> None:
        """Call a line or zone of the current source otherwise."""
        if self._current is not None:
            self._current.view.rename_shape(old, new)

    def close_all(self) -> None:
        """Stop every source; `wait_all` says when they have."""
        self._timer.stop()
        self._numbers.stop()
        for session in self.sessions:
            session.close()

    def wait_all(self, timeout_s: float) -> bool:
        """Whether all sources ended within the time."""
        deadline = time.monotonic() + timeout_s
        ended = True
        for session in self.sessions:
            ended &= session.wait(max(0.0, deadline - time.monotonic()))
        return ended

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Make frames again."""
        super().showEvent(event)
        self._fit()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Make no frames that nobody sees; sources run on."""
        super().hideEvent(event)
        for tile in self._tiles:
            tile.session.show_at(None)

    # parts

    def _make_bar(self) -> QToolBar:
        bar = QToolBar()
        bar.setAccessibleName(self.tr("Live tools"))
        bar.setIconSize(QSize(20, 20))
        add = self._commands.add
        record = add("live.record", self.tr("&Record"), self._record, keys=["R"], owner=self, scope="live",
                     icon_name="record", checkable=True)  # fmt: skip
        button = QToolButton()
        button.setDefaultAction(record)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        button.setAccessibleName(self.tr("Record"))
        menu = QMenu(button)
        for key, text in (
            ("annotated", self.tr("With everything drawn in")),
            ("raw", self.tr("As it came, with annotations beside it")),
        ):
            action = menu.addAction(text)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(self._preferences.flag(f"record/{key}", default=key == "annotated"))
            action.toggled.connect(lambda on, key=key: self._preferences.keep(f"record/{key}", on))
        button.setMenu(menu)
        bar.addWidget(button)
        bar.addAction(add("live.snapshot", self.tr("&Snapshot"), self.snapshot, keys=["S"], owner=self, scope="live",
                          icon_name="snapshot"))  # fmt: skip
        bar.addAction(add("live.clips", self.tr("Save a &clip of each event"), self._arm_clips, owner=self,
                          scope="live", icon_name="clip", checkable=True))  # fmt: skip
        bar.addSeparator()
        for name, text, keys, icon_name in (
            ("line", self.tr("Draw a &line"), DRAWING_KEYS["line"], "line"),
            ("zone", self.tr("Draw a &zone"), DRAWING_KEYS["zone"], "zone"),
            ("blur", self.tr("Draw a &hidden region"), DRAWING_KEYS["blur"], "blur"),
            ("area", self.tr("Draw an area to &detect in"), DRAWING_KEYS["area"], "area"),
        ):
            action = add(f"live.{name}", text, lambda on, name=name: self._use_tool(name, on=on), keys=keys,
                         owner=self, scope="live", icon_name=icon_name, checkable=True)  # fmt: skip
            bar.addAction(action)
        bar.addAction(add("live.heat", self.tr("Heat &map: where objects spend their time"), self._show_heat,
                          keys=["Shift+M"], owner=self, scope="live", icon_name="heat", checkable=True))  # fmt: skip
        bar.addSeparator()
        bar.addAction(add("live.enlarge", self.tr("Show &large"), lambda: self._enlarge(self._current), keys=["F"],
                          owner=self, scope="live", icon_name="full"))  # fmt: skip
        bar.addAction(add("live.folder", self.tr("Open the &folder of recordings"), self._open_folder, owner=self,
                          scope="live", icon_name="folder"))  # fmt: skip
        self._commands["live.clips"].setChecked(self._preferences.flag("record/clips"))
        self._commands["live.heat"].setChecked(self._preferences.flag("live/heat"))
        return bar

    def _arrange(self) -> None:
        for tile in self._tiles:
            self._grid.removeWidget(tile)
        self._grid.removeWidget(self._empty)
        self._empty.setVisible(not self._tiles)
        if not self._tiles:
            self._grid.addWidget(self._empty, 0, 0)
            self._timer.stop()
        shown = [self._large] if self._large is not None else self._tiles
        columns = math.ceil(math.sqrt(len(shown))) if shown else 1
        for number, tile in enumerate(shown):
            self._grid.addWidget(tile, number // columns, number % columns)
        for tile in self._tiles:
            tile.setVisible(tile in shown)
        for number in range(4):
            self._grid.setColumnStretch(number, int(number < columns))
            self._grid.setRowStretch(number, int(number < math.ceil(len(shown) / columns)))
        for tile in self._tiles:
            tile.mark(chosen=tile is self._current and len(shown) > 1)
        self._fit()

    def follow(self, on: bool) -> None:
        """Have images of the first source made also while this page is not seen: another page shows them."""
        self._followed = on
        self._fit()

    def _fit(self) -> None:
        for number, tile in enumerate(self._tiles):
            followed = self._followed and number == 0
            tile.fit(visible=followed or (tile.isVisibleTo(self) and self.isVisible()))

    def _enlarge(self, tile: LiveTile | None) -> None:
        self._large = None if self._large is not None else tile
        if tile is not None:
            self.choose(tile)
        self._arrange()

    def _poll(self) -> None:
        for tile in self._tiles:
            tile.session.poll()

    def _refresh(self) -> None:
        for tile in self._tiles:
            tile.refresh_numbers()
        current = self.current
        self._commands["live.record"].blockSignals(True)
        self._commands["live.record"].setChecked(current is not None and current.recorder.recording)
        self._commands["live.record"].blockSignals(False)

    # what the tools do

    def _record(self, on: bool) -> None:
        session = self.current
        if session is None:
            return
        if not on:
            session.stop_recording(self._recorded)
            return
        annotated = self._preferences.flag("record/annotated", default=True)
        raw = self._preferences.flag("record/raw")
        try:
            session.record(annotated=annotated or not raw, raw=raw)
        except TrackerError as error:
            self.said.emit(str(error))

    def _recorded(self, files: list[Path]) -> None:
        self.said.emit(self.tr("Saved {0}").format(", ".join(map(str, files))))

    def snapshot(self) -> None:
        """Save the current source's newest frame."""
        session = self.current
        if session is not None and session.state is not SessionState.FAILED:
            session.snapshot(self._snapped, lambda error: self.said.emit(str(error)))

    def _snapped(self, path: Path) -> None:
        self.said.emit(self.tr("Saved {0}").format(path))

    def _show_heat(self, on: bool) -> None:
        self._preferences.keep("live/heat", on)
        for tile in self._tiles:
            tile.heat.turn(on=on)

    def _arm_clips(self, on: bool) -> None:
        self._preferences.keep("record/clips", on)
        for session in self.sessions:
            session.arm_clips(armed=on)

    def _use_tool(self, name: Tool, *, on: bool) -> None:
        for other in DRAWN:
            if other != name and on:
                self._commands[f"live.{other}"].setChecked(False)
        tool: Tool = name if on else "look"
        if on:
            self.said.emit(drawing_hint(name))
        if on or not any(self._commands[f"live.{other}"].isChecked() for other in DRAWN):
            for tile in self._tiles:
                tile.view.use_tool(tool)

    def _tool_done(self) -> None:
        for name in DRAWN:
            self._commands[f"live.{name}"].setChecked(False)
        for tile in self._tiles:
            tile.view.use_tool("look")

    def _shapes_changed(self, tile: LiveTile, shapes: list[Shape]) -> None:
        tile.session.use_shapes(shapes)
        keep_live_shapes(
            self._preferences, _shapes_key(tile.session.spec, tile.session.camera), shapes, tile.session.frame_size
        )

    def _open_folder(self) -> None:
        folder = self._preferences.folder()
        folder.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _shapes_key(spec: str, camera: CameraConfig | None) -> str:
    """What is drawn on a camera of a set goes by its address without the password, which may change."""
    return spec if camera is None else camera.address
