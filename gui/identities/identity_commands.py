"""What can be asked of tracks that look alike and of identities across recordings, as commands and by a right click."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, QPoint, Qt
from PyQt6.QtWidgets import QMenu, QWidget

from gui.identities.across_dialog import AcrossDialog
from gui.identities.similar_dialog import SimilarDialog
from gui.qt.background import Background
from gui.qt.commands import Commands
from gui.qt.preferences import Preferences
from gui.recording.page import RecordingPage

__all__ = ["IdentityCommands"]

OF_A_TRACK = ("similar", "merge", "split", "class", "relabel", "delete")
"""What a right click on a track offers."""


class IdentityCommands(QObject):
    """Gives the recordings' page its commands; `play` opens another recording."""

    def __init__(
        self,
        page: RecordingPage,
        commands: Commands,
        background: Background,
        preferences: Preferences,
        play: Callable[[str], None],
    ) -> None:
        super().__init__(page)
        self._page, self._commands, self._background, self._preferences = page, commands, background, preferences
        self._play = play
        self._wanted: tuple[Path, int] | None = None
        more = "\N{HORIZONTAL ELLIPSIS}"
        commands.add("recording.similar", self.tr("Show tracks that &look like this one") + more, self.show_similar,
                     keys=["Ctrl+L"], owner=page, scope="recording")  # fmt: skip
        commands.add("recording.across", self.tr("Identities across recor&dings") + more, self.show_across,
                     owner=page, scope="recording")  # fmt: skip
        for widget, show in ((page.tracks.view, self._menu_of_table), (page.view, self._menu_of_view)):
            widget.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            widget.customContextMenuRequested.connect(show)
        page.changed.connect(self._go_on)
        page.opened.connect(self._refresh)
        page.changed.connect(self._refresh)
        page.selected.connect(self._refresh)
        self._refresh()

    def show_similar(self) -> None:
        """Search for what looks like the selected track."""
        recording = self._page.recording
        if recording is None or len(recording.selected) != 1:
            return
        (track,) = recording.selected
        store, bare = recording.job.store, not recording.hides
        self._open(SimilarDialog(store, track, self._folder(store), self._background, bare=bare, parent=self._page))

    def show_across(self) -> None:
        """The identities of the recordings beside the one that is open."""
        recording = self._page.recording
        if recording is not None:
            folder = self._folder(recording.job.store)
            self._open(AcrossDialog(folder, self._background, bare=not recording.hides, parent=self._page))

    def menu(self) -> QMenu:
        """What can be done with the selected track."""
        menu = QMenu(self._page)
        menu.setToolTipsVisible(True)
        menu.addActions([self._commands[f"recording.{name}"] for name in OF_A_TRACK])
        return menu

    def _open(self, dialog: SimilarDialog | AcrossDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(self._go_to)
        dialog.show()

    def _folder(self, store: Path) -> Path:
        """Where recordings lie together: those of this window below one folder, others beside one another."""
        own = (self._preferences.folder() / "annotations").resolve()
        return own if own in store.resolve().parents else store.parent

    def _menu_of_table(self, at: QPoint) -> None:
        self._pop_up(self._page.tracks.view, at)

    def _menu_of_view(self, at: QPoint) -> None:
        view = self._page.view
        track = view.track_at(view.view().to_frame((at.x(), at.y())))
        if view.tool == "look" and track:
            self._page.tracks.chosen.emit([track])
            self._pop_up(view, at)

    def _pop_up(self, widget: QWidget, at: QPoint) -> None:
        if self._page.recording is not None and self._page.recording.selected:
            self.menu().popup(widget.mapToGlobal(at))

    def _go_to(self, store: Path, track: int) -> None:
        recording = self._page.recording
        if recording is not None and recording.job.store.resolve() == store.resolve():
            self._page.tracks.activated.emit(track)
            return
        self._wanted = store, track
        self._play(str(store))

    def _go_on(self) -> None:
        """Go to the track that another recording was opened for, once its tracks are known."""
        recording = self._page.recording
        if self._wanted is None or recording is None or recording.overview is None or not recording.player.ready:
            return
        store, track = self._wanted
        self._wanted = None
        if recording.job.store.resolve() == store.resolve():
            self._page.tracks.activated.emit(track)

    def _refresh(self) -> None:
        recording = self._page.recording
        closed = "" if recording is not None else self.tr("Open a recording first.")
        ready = recording is not None and recording.overview is not None
        closed = closed or ("" if ready else self.tr("Nothing is annotated yet."))
        one = recording is not None and len(recording.selected) == 1
        unselected = self.tr("Select one track first: click its box, its bar or its row.")
        self._commands.offer("recording.similar", closed or ("" if one else unselected))
        self._commands.offer("recording.across", closed)
