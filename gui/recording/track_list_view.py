"""All tracks of a recording in a table: a thumbnail, class, first and last seen, length; sortable, with a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from PyQt6.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QSize,
    Qt,
    pyqtSignal,
)
from PyQt6.QtGui import QColor, QIcon
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from gui.canvas.zoom_view import to_pixmap
from gui.qt.icons import dot
from gui.recording.thumbnails import THUMBNAIL
from gui.recording.timeline_layout import clock
from tracker.overlay.palette import colour_of

__all__ = ["TrackRow", "TrackTable"]

COLUMNS = 5


@dataclass(frozen=True, slots=True)
class TrackRow:
    """A track as the table shows it."""

    track_id: int
    class_id: int
    label: str
    first_s: float
    last_s: float

    @property
    def length_s(self) -> float:
        """How long it is seen."""
        return self.last_s - self.first_s

    @property
    def values(self) -> tuple[Any, ...]:
        """What each column is ordered by."""
        return self.track_id, self.label.casefold(), self.first_s, self.last_s, self.length_s


class _Model(QAbstractTableModel):
    """The rows that are shown, filtered and in order; thumbnails are asked for when a row is looked at."""

    wanted = pyqtSignal(int)

    def __init__(self, headers: Sequence[str], parent: QObject) -> None:
        super().__init__(parent)
        self._headers = headers
        self.tracks: list[TrackRow] = []
        """All of them."""
        self.rows: list[TrackRow] = []
        """Those shown."""
        self._words, self._label = "", ""
        self._column, self._descending = 0, False
        self._icons: dict[int, QIcon] = {}
        self._dots: dict[int, QIcon] = {}
        self._asked: set[int] = set()

    def show(self, tracks: Sequence[TrackRow]) -> None:
        """These tracks from now on."""
        if list(tracks) != self.tracks:
            self.tracks = list(tracks)
            self._arrange()

    def keep(self, words: str, label: str) -> None:
        """Only tracks whose id or class contains the words and whose class is `label`, where one is given."""
        self._words, self._label = words.casefold().strip(), label
        self._arrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order by a column's values."""
        self._column, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._arrange()

    def _arrange(self) -> None:
        rows = [track for track in self.tracks if self._fits(track)]
        rows.sort(key=lambda track: track.values[self._column], reverse=self._descending)
        before, after = ([row.track_id for row in some] for some in (self.rows, rows))
        known = len(before)
        if before != after[:known]:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()
            return
        if len(after) > known:  # while a recording grows, rows are added
            self.beginInsertRows(QModelIndex(), known, len(after) - 1)
            self.rows = rows
            self.endInsertRows()
        self.rows = rows
        if known:
            self.dataChanged.emit(self.index(0, 0), self.index(known - 1, COLUMNS - 1))

    def _fits(self, track: TrackRow) -> bool:
        if self._label and track.label != self._label:
            return False
        return not self._words or self._words in f"{track.track_id} {track.label}".casefold()

    def forget_thumbnails(self) -> None:
        """Ask for all thumbnails anew: tracks are not what they were."""
        self._asked.clear()

    def drop_thumbnails(self) -> None:
        """Show no thumbnail until it has been asked for and put anew."""
        self._icons.clear()
        self._asked.clear()
        self._thumbnails_changed()

    def put_thumbnails(self, thumbnails: Mapping[int, np.ndarray]) -> None:
        """Show these thumbnails."""
        for track_id, pixels in thumbnails.items():
            self._icons[track_id] = QIcon(to_pixmap(pixels))
        if thumbnails:
            self._thumbnails_changed()

    def _thumbnails_changed(self) -> None:
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, 0))

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Tracks shown."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Id, class, first, last, length."""
        return 0 if parent is not None and parent.isValid() else COLUMNS

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 - Qt's name
        """Names of the columns."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._headers[section]
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """A cell."""
        track, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            texts = (
                str(track.track_id), track.label, clock(track.first_s, parts=1), clock(track.last_s, parts=1),
                f"{track.length_s:.1f} s",
            )  # fmt: skip
            return texts[column]
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            if track.track_id not in self._asked:
                self._asked.add(track.track_id)
                self.wanted.emit(track.track_id)
            return self._icons.get(track.track_id)
        if role == Qt.ItemDataRole.DecorationRole and column == 1:
            if track.class_id not in self._dots:
                self._dots[track.class_id] = dot(QColor(*colour_of(track.class_id + 1)).name(), side=16)
            return self._dots[track.class_id]
        if role == Qt.ItemDataRole.TextAlignmentRole and column >= 2:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


class TrackTable(QWidget):
    """The table with its filter."""

    chosen = pyqtSignal(list)
    """Ids of the rows the user selected."""
    activated = pyqtSignal(int)
    """A row was double-clicked: go where the track begins."""
    wanted = pyqtSignal(int)
    """A thumbnail of this track is wanted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selecting = False
        self._filter = QLineEdit()
        self._filter.setPlaceholderText(self.tr("Filter by id or class"))
        self._filter.setAccessibleName(self.tr("Filter by id or class"))
        self._filter.setClearButtonEnabled(True)
        self._classes = QComboBox()
        self._classes.setAccessibleName(self.tr("Class shown"))
        self._classes.addItem(self.tr("All classes"), "")
        headers = (self.tr("Id"), self.tr("Class"), self.tr("First"), self.tr("Last"), self.tr("Length"))
        self._model = _Model(headers, self)
        self._chosen: list[int] = []
        self.view = self._make_view()
        self._count = QLabel()
        self._count.setProperty("role", "quiet")
        top = QHBoxLayout()
        top.addWidget(self._filter, 1)
        top.addWidget(self._classes)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._count)
        self._filter.textChanged.connect(self._filtered)
        self._classes.currentIndexChanged.connect(self._filtered)
        self._model.wanted.connect(self.wanted)
        self._tell_count()

    @property
    def shown(self) -> list[int]:
        """Ids in the order of the rows shown."""
        return [row.track_id for row in self._model.rows]

    def show_tracks(self, tracks: Sequence[TrackRow], *, anew: bool) -> None:
        """These tracks from now on; `anew` where earlier thumbnails may be of others."""
        if anew:
            self._model.forget_thumbnails()
        self._arrange(lambda: self._model.show(tracks))
        self._fill_classes(sorted({track.label for track in tracks}))

    def drop_thumbnails(self) -> None:
        """Show none of the thumbnails there are; ask for them anew."""
        self._model.drop_thumbnails()

    def put_thumbnails(self, thumbnails: Mapping[int, np.ndarray]) -> None:
        """Show these thumbnails."""
        self._model.put_thumbnails(thumbnails)

    def filter_by(self, words: str, label: str = "") -> None:
        """Show only what fits."""
        self._filter.setText(words)
        self._classes.setCurrentIndex(max(self._classes.findData(label), 0))

    def sort_by(self, column: int, *, descending: bool = False) -> None:
        """Order by a column."""
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.view.sortByColumn(column, order)

    def selected(self) -> list[int]:
        """Ids of the selected tracks, also of those that the filter keeps back."""
        return list(self._chosen)

    def select(self, track_ids: Iterable[int]) -> None:
        """Select these rows, without telling anybody."""
        wanted = list(track_ids)
        if set(wanted) == set(self._chosen):
            return
        self._chosen = wanted
        first = self._show_chosen()
        if first.isValid():
            self.view.scrollTo(first)

    def _show_chosen(self) -> QModelIndex:
        """Select the rows of what is chosen; the first of them."""
        wanted, selection, first = set(self._chosen), QItemSelection(), QModelIndex()
        rows = [row for row, track in enumerate(self._model.rows) if track.track_id in wanted]
        for _, run in groupby(enumerate(rows), key=lambda entry: entry[1] - entry[0]):
            block = [row for _, row in run]
            top, bottom = self._model.index(block[0], 0), self._model.index(block[-1], COLUMNS - 1)
            first = first if first.isValid() else top
            selection.select(top, bottom)
        model = self.view.selectionModel()
        if model is not None:
            self._selecting = True
            model.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self._selecting = False
        return first

    def _arrange(self, change: Callable[[], object]) -> None:
        """Change the rows; what is chosen and where the view is scrolled to stay."""
        bar = self.view.verticalScrollBar()
        scrolled = bar.value() if bar is not None else 0
        self._selecting = True
        change()
        self._selecting = False
        self._show_chosen()
        if bar is not None:
            bar.setValue(scrolled)
        self._tell_count()

    def _make_view(self) -> QTableView:
        view = QTableView()
        view.setAccessibleName(self.tr("Tracks"))
        view.setModel(self._model)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setTabKeyNavigation(False)
        view.setShowGrid(False)
        view.setSortingEnabled(True)
        view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        view.setIconSize(QSize(*THUMBNAIL))
        rows, columns = view.verticalHeader(), view.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(THUMBNAIL[1] + 6)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        columns.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for column, width in ((0, THUMBNAIL[0] + 40), (2, 60), (3, 60), (4, 64)):
            columns.resizeSection(column, width)
        columns.setHighlightSections(False)
        columns.setMinimumSectionSize(40)
        selection = view.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self._selection_changed)
        columns.sortIndicatorChanged.connect(lambda: self._show_chosen())
        view.doubleClicked.connect(self._double_clicked)
        return view

    def _fill_classes(self, labels: list[str]) -> None:
        known = [self._classes.itemData(row) for row in range(1, self._classes.count())]
        if labels == known:
            return
        chosen = self._classes.currentData()
        self._classes.blockSignals(True)
        self._classes.clear()
        self._classes.addItem(self.tr("All classes"), "")
        for label in labels:
            self._classes.addItem(label, label)
        self._classes.setCurrentIndex(max(self._classes.findData(chosen), 0))
        self._classes.blockSignals(False)
        self._filtered()

    def _filtered(self) -> None:
        label = self._classes.currentData() or ""
        self._arrange(lambda: self._model.keep(self._filter.text(), label))

    def _tell_count(self) -> None:
        shown, all_tracks = len(self._model.rows), len(self._model.tracks)
        words = self.tr("{0} of {1} tracks").format(shown, all_tracks)
        self._count.setText(words if shown != all_tracks else self.tr("{0} tracks").format(all_tracks))

    def _selection_changed(self) -> None:
        model = self.view.selectionModel()
        if not self._selecting and model is not None:
            self._chosen = [self._model.rows[index.row()].track_id for index in model.selectedRows()]
            self.chosen.emit(self.selected())

    def _double_clicked(self, index: QModelIndex) -> None:
        self.activated.emit(self._model.rows[index.row()].track_id)
