"""Identities across recordings: found, seen side by side, and confirmed, joined or split by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from gui.identities.thumbnail_list import Shown, ThumbnailList
from gui.qt.background import Background
from gui.recording.timeline_layout import clock
from tracker.annotate.across import PROJECT, Across, across_of, all_tracks, read_across, write_table
from tracker.annotate.appearance import describe_tracks, open_network
from tracker.annotate.identities import Member, Track
from tracker.errors import ConfigError
from tracker.store import Recording
from tracker.store.appearances import read_thumbnails

__all__ = ["AcrossDialog"]

LANE = "appearance"


@dataclass(frozen=True, slots=True)
class _Found:
    across: Across
    tracks: tuple[Track, ...]
    thumbnails: dict[Member, bytes]


class AcrossDialog(QDialog):
    """The identities of all recordings of a folder; every change is written to the project file at once."""

    chosen = pyqtSignal(object, int)
    """A recording's path and a track of it."""

    def __init__(self, folder: Path, background: Background, *, bare: bool, parent: QWidget | None = None) -> None:
        """`bare` is whether frames may be shown as they are."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Identities across the recordings of {0}").format(folder.name))
        self.resize(900, 600)
        self._project, self._folder, self._background, self._bare = folder / PROJECT, folder, background, bare
        self._found: _Found | None = None
        self._state = QLabel()
        self._state.setWordWrap(True)
        self.identities = QListWidget()
        self.identities.setAccessibleName(self.tr("Identities"))
        self.identities.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.unsure = QListWidget()
        self.unsure.setAccessibleName(self.tr("Unsure: these may be one"))
        self.tracks = ThumbnailList(self.tr("Tracks of what is selected"))
        self.tracks.itemActivated.connect(self._activated)
        self._buttons = {
            "confirm": QPushButton(self.tr("&Confirm")),
            "join": QPushButton(self.tr("&Join")),
            "apart": QPushButton(self.tr("&Keep apart")),
            "split": QPushButton(self.tr("S&plit off")),
        }
        for name, explained in (
            ("confirm", self.tr("All tracks of the selected identity are one.")),
            ("join", self.tr("The two selected identities, or the unsure pair, are one.")),
            ("apart", self.tr("The two selected identities, or the unsure pair, are not one.")),
            ("split", self.tr("The selected track is not of this identity.")),
        ):
            self._buttons[name].setToolTip(explained)
            self._buttons[name].clicked.connect(getattr(self, name))
        self._again = QPushButton(self.tr("&Find anew"))
        self._again.setToolTip(self.tr("Find the identities of all recordings of this folder again."))
        self._again.clicked.connect(self.find_anew)
        self._lay_out()
        self.identities.itemSelectionChanged.connect(lambda: self._selected(self.identities))
        self.unsure.itemSelectionChanged.connect(lambda: self._selected(self.unsure))
        self.tracks.itemSelectionChanged.connect(self._offer)
        self.find_anew()

    def _lay_out(self) -> None:
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(QLabel(self.tr("Identities")))
        column.addWidget(self.identities, 3)
        column.addWidget(QLabel(self.tr("Unsure: these may be one")))
        column.addWidget(self.unsure, 1)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setChildrenCollapsible(False)
        split.addWidget(left)
        split.addWidget(self.tracks)
        split.setSizes([260, 640])
        row = QHBoxLayout()
        for button in self._buttons.values():
            button.setAutoDefault(False)
            row.addWidget(button)
        row.addStretch(1)
        self._again.setAutoDefault(False)
        row.addWidget(self._again)
        layout = QVBoxLayout(self)
        layout.addWidget(self._state)
        layout.addWidget(split, 1)
        layout.addLayout(row)

    @property
    def words(self) -> str:
        """What is said of the work."""
        return self._state.text()

    @property
    def busy(self) -> bool:
        """Whether something is being found or saved."""
        return not self._again.isEnabled()

    @property
    def across(self) -> Across | None:
        """What was found."""
        return self._found.across if self._found is not None else None

    def button(self, name: str) -> QPushButton:
        """`confirm`, `join`, `apart` or `split`."""
        return self._buttons[name]

    def find_anew(self) -> None:
        """Find the identities of the folder's recordings; decisions hold."""
        words = self.tr("Reading the videos for what their tracks look like\N{HORIZONTAL ELLIPSIS}")
        self._work(lambda: _find(self._folder, self._project, bare=self._bare), words)

    def confirm(self) -> None:
        """All tracks of the selected identity are one."""
        (number,) = self._numbers()
        self._change(lambda across: across.confirm(number))

    def join(self) -> None:
        """The two selected identities are one."""
        first, second = self._numbers()
        self._change(lambda across: across.join(first, second))

    def apart(self) -> None:
        """The two selected identities are not one."""
        first, second = self._numbers()
        self._change(lambda across: across.keep_apart(first, second))

    def split(self) -> None:
        """The selected track is not of its identity."""
        (member,) = self.tracks.chosen
        assert self._found is not None
        number = next(each.number for each in self._found.across.identities if member in each.members)
        self._change(lambda across: across.split(number, member))

    def select(self, *numbers: int) -> None:
        """Show the tracks of these identities."""
        for row in range(self.identities.count()):
            item = self.identities.item(row)
            assert item is not None
            item.setSelected(item.data(Qt.ItemDataRole.UserRole)[0] in numbers)

    def _change(self, change: Callable[[Across], Across]) -> None:
        found = self._found
        if found is not None:
            self._work(lambda: _changed(found, change, self._project), self.tr("Saving\N{HORIZONTAL ELLIPSIS}"))

    def _work(self, work: Callable[[], _Found], words: str) -> None:
        self._state.setText(words)
        for button in (*self._buttons.values(), self._again):
            button.setEnabled(False)
        self._background.run(work, self._show, self._report, lane=LANE, owner=self, saves=True)

    def _show(self, found: _Found) -> None:
        self._found = found
        across = found.across
        cameras = {each.number: {member.camera for member in each.members} for each in across.identities}
        ordered = sorted(across.identities, key=lambda each: (-len(cameras[each.number]), each.number))
        self.identities.clear()
        for each in ordered:
            several, where = len(each.members), len(cameras[each.number])
            if several == 1:
                words = self.tr("{0}: one track").format(each.number)
            elif where == 1:
                words = self.tr("{0}: {1} tracks in one recording").format(each.number, several)
            else:
                words = self.tr("{0}: {1} tracks in {2} recordings").format(each.number, several, where)
            item = QListWidgetItem(f"{words}  \N{CHECK MARK}" if each.confirmed else words)
            item.setData(Qt.ItemDataRole.UserRole, (each.number,))
            self.identities.addItem(item)
        self.unsure.clear()
        for pair in across.unsure:
            words = self.tr("{0} and {1}: {2} %").format(pair.first, pair.second, round(100 * pair.probability))
            item = QListWidgetItem(words)
            item.setData(Qt.ItemDataRole.UserRole, (pair.first, pair.second))
            self.unsure.addItem(item)
        joined = sum(len(where) > 1 for where in cameras.values())
        words = self.tr("{0} identities, {1} of them in two recordings or more; {2} pairs are unsure.")
        self._state.setText(words.format(len(across.identities), joined, len(across.unsure)))
        if ordered:
            self.select(ordered[0].number)
        self._again.setEnabled(True)
        self._offer()

    def _report(self, error: Exception) -> None:
        self._state.setText(str(error))
        self._again.setEnabled(True)
        self._offer()

    def _numbers(self) -> list[int]:
        items = self.identities.selectedItems() or self.unsure.selectedItems()
        return [number for item in items for number in item.data(Qt.ItemDataRole.UserRole)]

    def _selected(self, where: QListWidget) -> None:
        """One list at a time has a selection, and its tracks are shown."""
        if where.selectedItems():
            other = self.unsure if where is self.identities else self.identities
            other.blockSignals(True)
            other.clearSelection()
            other.blockSignals(False)
        found = self._found
        if found is not None:
            members = [member for number in self._numbers() for member in found.across.identity(number).members]
            self.tracks.show_all(_shown(found, members))
        self._offer()

    def _offer(self) -> None:
        """Only what can be done."""
        numbers = self._numbers() if self._found is not None else []
        several = {number for number in numbers if len(self._identity(number)) > 1}
        self._buttons["confirm"].setEnabled(len(numbers) == 1 and bool(several))
        self._buttons["join"].setEnabled(len(numbers) == 2)
        self._buttons["apart"].setEnabled(len(numbers) == 2)
        self._buttons["split"].setEnabled(len(numbers) == 1 and len(self.tracks.chosen) == 1 and bool(several))

    def _identity(self, number: int) -> tuple[Member, ...]:
        assert self._found is not None
        return self._found.across.identity(number).members

    def _activated(self, item: QListWidgetItem) -> None:
        member = self.tracks.members[self.tracks.row(item)]
        assert self._found is not None
        self.chosen.emit(self._found.across.recordings[member.camera], member.track)


def _find(folder: Path, project: Path, *, bare: bool) -> _Found:
    """On any thread: the folder's recordings described where they are not yet, identities found and written."""
    paths = sorted(folder.rglob("*.sqlite"))
    if project.is_file():
        before = [path.resolve() for path in read_across(project).recordings]
        paths = sorted(paths, key=lambda path: _order(before, path))
    if len(paths) < 2:
        raise ConfigError(f"{folder}: one recording alone; annotate two or more videos into one folder of results")
    across = across_of(paths, {}, project)
    network, embed = open_network()
    tracks = all_tracks(across, lambda path: describe_tracks(path, network, embed))
    thumbnails = {}
    if bare:
        for camera, path in enumerate(paths):
            with Recording(path) as recording:
                for track in tracks:
                    if track.member.camera == camera:
                        found = read_thumbnails(recording, track.member.track, 1)
                        thumbnails[track.member] = found[0] if found else b""
    return _written(_Found(across.found(tracks), tuple(tracks), thumbnails), project)


def _order(before: Sequence[Path], path: Path) -> int:
    resolved = path.resolve()
    return before.index(resolved) if resolved in before else len(before)


def _changed(found: _Found, change: Callable[[Across], Across], project: Path) -> _Found:
    """On any thread: what a person decided, found anew and written."""
    return _written(_Found(change(found.across).found(found.tracks), found.tracks, found.thumbnails), project)


def _written(found: _Found, project: Path) -> _Found:
    found.across.write(project)
    names = [path.stem for path in found.across.recordings]
    write_table(project.with_suffix(".csv"), found.across, found.tracks, names)
    return found


def _shown(found: _Found, members: Sequence[Member]) -> list[Shown]:
    """Tracks side by side: by recording, then time."""
    rows = {track.member: track for track in found.tracks}
    ordered = sorted(members, key=lambda member: (member.camera, rows[member].start))
    return [
        Shown(
            member,
            f"{found.across.recordings[member.camera].stem}\n{member.track}  {clock(rows[member].start, parts=2)}",
            found.thumbnails.get(member, b""),
        )
        for member in ordered
    ]
