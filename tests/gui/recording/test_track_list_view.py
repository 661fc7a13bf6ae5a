"""The track table: sorted by value, filtered, with the selection kept."""

from __future__ import annotations

import random

import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot

from gui.recording.track_list_view import TrackRow, TrackTable

LABELS = ("person", "car", "Bus")
VALUES = (
    lambda row: row.track_id,
    lambda row: row.label.casefold(),
    lambda row: row.first_s,
    lambda row: row.last_s,
    lambda row: row.last_s - row.first_s,
)


@pytest.fixture
def rows() -> list[TrackRow]:
    chance = random.Random(5)
    found = []
    for number in range(1, 300):
        first, class_id = chance.uniform(0, 200), chance.randrange(3)
        found.append(TrackRow(number, class_id, LABELS[class_id], first, first + chance.uniform(0, 30)))
    return found


@pytest.fixture
def table(qtbot: QtBot, rows: list[TrackRow]) -> TrackTable:
    made = TrackTable()
    qtbot.addWidget(made)
    made.resize(500, 400)
    made.show()
    made.show_tracks(rows, anew=True)
    return made


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("descending", [False, True])
def test_rows_come_in_the_order_of_the_column_s_values(
    table: TrackTable, rows: list[TrackRow], column: int, descending: bool
) -> None:
    table.sort_by(column, descending=descending)
    known = {row.track_id: row for row in rows}
    values = [VALUES[column](known[track]) for track in table.shown]
    assert values == sorted(values, reverse=descending)
    assert sorted(table.shown) == [row.track_id for row in rows]


def test_the_filter_keeps_what_has_the_words_and_the_class(table: TrackTable, rows: list[TrackRow]) -> None:
    table.filter_by("7", "car")
    assert table.shown == [row.track_id for row in rows if "7" in str(row.track_id) and row.label == "car"]
    table.filter_by("BUS")
    assert table.shown == [row.track_id for row in rows if row.label == "Bus"]
    table.filter_by("nothing of that")
    assert table.shown == []
    table.filter_by("")
    assert len(table.shown) == len(rows)


def test_what_is_selected_stays_selected_and_nobody_is_reported(table: TrackTable, rows: list[TrackRow]) -> None:
    signals: list[list[int]] = []
    table.chosen.connect(signals.append)
    table.select([5, 6, 7, 120])
    table.sort_by(4, descending=True)
    table.filter_by("6")
    table.show_tracks(rows[:200], anew=False)
    table.filter_by("")
    assert set(table.selected()) == {5, 6, 7, 120}
    model = table.view.selectionModel()
    assert model is not None
    assert {table.shown[index.row()] for index in model.selectedRows()} == {5, 6, 7, 120}
    assert signals == []


def test_a_click_on_a_row_is_reported(table: TrackTable, qtbot: QtBot) -> None:
    table.sort_by(2)
    view = table.view
    with qtbot.waitSignal(table.chosen) as heard:
        viewport = view.viewport()
        place = view.visualRect(table._model.index(3, 2)).center()
        qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    assert heard.args == [[table.shown[3]]]
