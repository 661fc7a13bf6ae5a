"""The tracks that look like one, in its recording and in those beside it, best first."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QDialog, QLabel, QListWidgetItem, QVBoxLayout, QWidget

from gui.identities.thumbnail_list import Shown, ThumbnailList
from gui.qt.background import Background
from gui.recording.timeline_layout import clock
from tracker.annotate.appearance import describe_tracks, open_network
from tracker.annotate.identities import Member
from tracker.annotate.similar import TrackIndex
from tracker.errors import TrackerError
from tracker.store import Recording
from tracker.store.appearances import read_thumbnails, read_views

__all__ = ["SimilarDialog"]

MOST = 60
LANE = "appearance"


class SimilarDialog(QDialog):
    """Searches when it is made; activating a result opens its place."""

    chosen = pyqtSignal(object, int)
    """A recording's path and a track of it."""

    def __init__(
        self,
        store: Path,
        track: int,
        folder: Path,
        background: Background,
        *,
        bare: bool,
        parent: QWidget | None = None,
    ) -> None:
        """Described recordings in `folder` are searched too; `bare` is whether frames may be shown as they are."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Tracks that look like {0}").format(track))
        self.resize(640, 480)
        self._paths: list[Path] = []
        self._state = QLabel(self.tr("Reading the video for what its tracks look like\N{HORIZONTAL ELLIPSIS}"))
        self._state.setWordWrap(True)
        self.results = ThumbnailList(self.tr("Tracks, most alike first"))
        self.results.itemActivated.connect(self._activated)
        layout = QVBoxLayout(self)
        layout.addWidget(self._state)
        layout.addWidget(self.results, 1)
        background.run(
            lambda: _search(store, track, folder, bare=bare), self._show, self._report, lane=LANE, owner=self
        )

    @property
    def words(self) -> str:
        """What is said of the search."""
        return self._state.text()

    def _show(self, found: tuple[list[Path], list[Shown]]) -> None:
        self._paths, shown = found
        self.results.show_all(shown)
        tracks = self.tr("1 track") if len(shown) == 1 else self.tr("{0} tracks").format(len(shown))
        one = len(self._paths) == 1
        recordings = self.tr("1 recording") if one else self.tr("{0} recordings").format(len(self._paths))
        words = self.tr("{0} of {1}, most alike first; a double click goes there.")
        self._state.setText(words.format(tracks, recordings))

    def _report(self, error: Exception) -> None:
        self._state.setText(str(error))

    def _activated(self, item: QListWidgetItem) -> None:
        member = self.results.members[self.results.row(item)]
        self.chosen.emit(self._paths[member.camera], member.track)


def _search(store: Path, track: int, folder: Path, *, bare: bool) -> tuple[list[Path], list[Shown]]:
    """The recordings that were searched, and the results; others than the own one only if they are described."""
    network, embed = open_network()
    paths, parts = [store], []
    own = describe_tracks(store, network, embed)
    with Recording(store) as recording:
        parts.append((own, recording.info.labels))
    for path in sorted(folder.rglob("*.sqlite")):
        if path.resolve() == store.resolve():
            continue
        try:
            with Recording(path) as recording:
                views = read_views(recording, network)
                if len(views):
                    paths.append(path)
                    parts.append((views, recording.info.labels))
        except TrackerError:
            continue  # another file of that suffix, or a damaged one: its own page says so
    shown = []
    for match in TrackIndex.of(parts).like(0, track, count=MOST):
        views = parts[match.recording][0]
        first = float(views.times[views.tracks == match.track].min())
        with Recording(paths[match.recording]) as recording:
            thumbnails = read_thumbnails(recording, match.track, 1) if bare else []
        words = f"{match.track}  {clock(first, parts=2)}\n{100 * max(match.similarity, 0):.0f} %"
        if match.recording:
            words = f"{paths[match.recording].stem} {words}"
        shown.append(Shown(Member(match.recording, match.track), words, thumbnails[0] if thumbnails else b""))
    return paths, shown
