"""Events that survive restarts, are found again, and wait to be reported."""

from __future__ import annotations

import csv
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tracker.errors import FormatError
from tracker.watch.event_store import EventSearch, EventStore, StoredEvent

EVENT = StoredEvent(0, "gate", "zone-enter", "door", "person", 3, 1_700_000_000.25, 1.0)


def filled(path: Path) -> EventStore:
    store = EventStore(path)
    for number in range(6):
        camera = "gate" if number % 2 else "yard"
        store.add(
            replace(EVENT, camera=camera, time=EVENT.time + number, label="car" if number == 5 else "person"), ["a"]
        )
    return store


def test_events_are_found_by_camera_class_zone_and_time(tmp_path: Path) -> None:
    filled(tmp_path / "events.sqlite").close()
    store = EventStore(tmp_path / "events.sqlite")
    assert [event.event for event in store.search()] == [6, 5, 4, 3, 2, 1]
    assert [event.event for event in store.search(EventSearch(camera="gate"))] == [6, 4, 2]
    assert [event.event for event in store.search(EventSearch(camera="gate", label="car"))] == [6]
    assert [
        event.event for event in store.search(EventSearch(name="door", since=EVENT.time + 1, until=EVENT.time + 3))
    ] == [3, 2]
    assert store.search(EventSearch(name="gone")) == []
    store.close()


def test_messages_wait_in_order_over_a_restart(tmp_path: Path) -> None:
    filled(tmp_path / "events.sqlite").close()
    store = EventStore(tmp_path / "events.sqlite")
    sent = []
    while (message := store.next_message("a")) is not None:
        sent.append(message[1].event)
        store.mark_sent(message[0])
    assert sent == [1, 2, 3, 4, 5, 6]
    assert not store.waiting_for()
    store.close()


def test_the_table_guards_what_a_spreadsheet_would_compute(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.sqlite")
    store.add(replace(EVENT, name="=1+1", label='a "quoted", one'))
    store.mark(1)
    assert store.write_csv(tmp_path / "events.csv") == 1
    (row,) = csv.DictReader((tmp_path / "events.csv").read_text().splitlines())
    assert row["name"] == "'=1+1"
    assert row["class"] == 'a "quoted", one'
    assert row["time"] == "2023-11-14T22:13:20.250+00:00"
    assert row["marked"] == "1"
    store.close()


def test_a_store_has_a_name_of_its_own_that_nobody_chooses(tmp_path: Path) -> None:
    names = []
    for number in range(2):
        path = tmp_path / f"{number}.sqlite"
        for _ in range(2):  # also when it is opened again
            with closing(EventStore(path)) as store:
                names.append(store.identity())
                assert store.identity() == names[-1]
    assert names[0] == names[1] != names[2] == names[3]
    with closing(sqlite3.connect(tmp_path / "0.sqlite")) as connection, connection:
        connection.execute("UPDATE identity SET store = ?", ("a\r\nX-Sly: 1",))
    with closing(EventStore(tmp_path / "0.sqlite")) as store:
        assert re.fullmatch("[0-9a-f]{16}", store.identity())


def test_what_was_released_is_known_until_it_was_sent(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with closing(filled(path)) as store:
        store.mark_released("a", 1)
        store.mark_released("b", 2)
    with closing(EventStore(path)) as store:
        assert [store.is_released("a", number) for number in (1, 2)] == [True, False]
        message, event = store.next_message("a") or (0, EVENT)
        assert event.event == 1
        store.mark_sent(message)
        assert not store.is_released("a", 1)
        assert store.is_released("b", 2)


def test_a_stranger_file_is_no_store(tmp_path: Path) -> None:
    filled(tmp_path / "events.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "events.sqlite")) as connection:
        connection.execute("CREATE TRIGGER sly AFTER INSERT ON events BEGIN DELETE FROM outbox; END")
    with pytest.raises(FormatError, match="not a store of events"):
        EventStore(tmp_path / "events.sqlite")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET time = 9e999",
        "UPDATE events SET time = 'abc'",
        "UPDATE events SET time = -1e15",
        "UPDATE events SET camera = x'ff00'",
        "UPDATE events SET camera = CAST(x'ff' AS TEXT)",
        "UPDATE events SET track = 'x'",
        "UPDATE events SET value = x'00'",
        "ALTER TABLE events RENAME COLUMN kind TO kynd",
        "DROP TABLE events",
    ],
)
def test_what_another_program_wrote_into_a_store_is_refused_in_one_line(tmp_path: Path, change: str) -> None:
    path = tmp_path / "events.sqlite"
    filled(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    (tmp_path / "events.csv").write_text("of before")
    with closing(EventStore(path)) as store:
        for ask in (store.search, lambda: store.write_csv(tmp_path / "events.csv"), lambda: store.next_message("a")):
            with pytest.raises(FormatError, match=r"events\.sqlite: .* Move "):
                ask()
    assert (tmp_path / "events.csv").read_text() == "of before"


def test_thumbnails_that_are_none_are_refused(tmp_path: Path) -> None:
    with closing(EventStore(tmp_path / "events.sqlite")) as store:
        store.add(EVENT, thumbnail=b"jpeg")
        with closing(sqlite3.connect(store.path)) as connection, connection:
            connection.execute("UPDATE thumbnails SET jpeg = 'abc'")
        with pytest.raises(FormatError, match="a thumbnail is not"):
            store.thumbnails([1])


def test_no_event_has_a_number_that_the_store_cannot_hold(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "events.sqlite")) as store:
        assert [store.mark(number) for number in (6, 7, -1, 2**63 - 1, 2**63, 10**30)] == [True, *[False] * 5]


def test_thumbnails_are_dropped_by_age_and_number_but_for_marked_events(tmp_path: Path) -> None:
    with closing(EventStore(tmp_path / "events.sqlite")) as store:
        for number in range(8):
            store.add(replace(EVENT, time=EVENT.time + number), thumbnail=bytes([number + 1]))
        store.mark(1)
        assert store.drop_thumbnails(before=EVENT.time + 3) == 2
        assert sorted(store.thumbnails(range(1, 9))) == [1, 4, 5, 6, 7, 8]
        assert store.drop_thumbnails(most=3) == 2
        assert store.thumbnails(range(1, 9)) == {1: b"\1", 6: b"\6", 7: b"\7", 8: b"\10"}
        assert store.drop_thumbnails() == 0
        assert len(store.search()) == 8


def test_a_store_of_the_version_before_is_brought_up(tmp_path: Path) -> None:
    filled(tmp_path / "events.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "events.sqlite")) as connection:
        connection.executescript("DROP TABLE thumbnails; PRAGMA user_version = 1;")
    with closing(EventStore(tmp_path / "events.sqlite")) as store:
        number = store.add(EVENT, thumbnail=b"jpeg")
        assert len(store.search()) == 7
        assert store.thumbnails([1, number]) == {number: b"jpeg"}
