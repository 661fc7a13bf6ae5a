"""What happened, over all cameras and restarts: one SQLite file that is searched, and that alerts are queued in.

events      event, camera, kind, name, class, track, time, value, clip, marked    time in seconds since 1970
outbox      message, alert, event                                                 what is still to be reported, in order
thumbnails  event, jpeg                                                           what an event looked like
identity    store                                                                 a random name, once it was asked for
released    alert, event                                                          what an MQTT broker may have delivered
"""

from __future__ import annotations

import contextlib
import csv
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tracker.errors import FormatError, SinkError, refusal_beside, why_unwritable
from tracker.formats.core.atomic import AtomicText

__all__ = ["Column", "EventSearch", "EventStore", "StoredEvent"]

APPLICATION_ID = 0x53474C45  # "SGLE"
SCHEMA_VERSION = 2
WITHOUT_THUMBNAILS = 1
"""The version before, which is brought up when it is opened."""
BUSY_TIMEOUT_S = 10.0
MOST_THUMBNAILS = 50_000
"""About 200 MB; the oldest beyond that are dropped, their events stay."""
MOST_EVENTS = 2**63 - 1
"""The largest number that SQLite gives."""
EARLIEST, LATEST = -62e9, 253e9
"""Times that have a date, of the years 5 to 9987."""
IDENTITY = re.compile("[0-9a-f]{16}")
MOST_ASKED = 500
"""Values in one query."""
TABLE_OF_THUMBNAILS = "CREATE TABLE thumbnails (event INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);"
TABLE_OF_RELEASED = (
    "CREATE TABLE IF NOT EXISTS released (alert TEXT NOT NULL, event INTEGER NOT NULL, PRIMARY KEY (alert, event))"
)
TABLES = f"""
{TABLE_OF_THUMBNAILS}
CREATE TABLE events (
    event INTEGER PRIMARY KEY, camera TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, class TEXT NOT NULL,
    track INTEGER NOT NULL, time REAL NOT NULL, value REAL NOT NULL, clip TEXT NOT NULL, marked INTEGER NOT NULL
);
CREATE INDEX events_by_time ON events (time);
CREATE TABLE outbox (
    message INTEGER PRIMARY KEY, alert TEXT NOT NULL, event INTEGER NOT NULL
);
CREATE INDEX outbox_by_alert ON outbox (alert, message);
"""
Column: TypeAlias = Literal["camera", "kind", "name", "class"]
"""A column by which events are searched."""
COLUMNS = "event, camera, kind, name, class, track, time, value, clip, marked"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One thing that happened."""

    event: int
    camera: str
    kind: str
    """line, zone-enter, zone-leave, zone-dwell, speed, or a state of the camera: lost, live, refused, stalled."""
    name: str
    """The rule's name, or why the camera is in that state."""
    label: str
    """The object's class."""
    track: int
    time: float
    """Seconds since 1970."""
    value: float
    clip: str = ""
    """The recording that shows it."""
    marked: bool = False
    """Whether it is kept for ever."""


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Which events are wanted; None wants all."""

    camera: str | None = None
    kind: str | None = None
    name: str | None = None
    """Of the zone or line."""
    label: str | None = None
    since: float | None = None
    until: float | None = None
    """Seconds since 1970; that moment itself is not wanted."""

    def condition(self) -> tuple[str, tuple[str | float, ...]]:
        """The condition in SQL, and its values."""
        wanted: dict[str, str | float | None] = {
            "camera = ?": self.camera,
            "kind = ?": self.kind,
            "name = ?": self.name,
        }
        wanted |= {"class = ?": self.label, "time >= ?": self.since, "time < ?": self.until}
        given = {clause: value for clause, value in wanted.items() if value is not None}
        return (f"WHERE {' AND '.join(given)}" if given else ""), tuple(given.values())


class EventStore:
    """Events of all cameras; any thread may write and read. Raises SinkError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._identity: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            why = why_unwritable(error) if isinstance(error, OSError) else f"{error}. Choose another folder."
            raise SinkError(f"{path}: cannot be opened for events: {why}") from error

    def add(self, event: StoredEvent, alerts: Sequence[str] = (), thumbnail: bytes = b"") -> int:
        """Keep an event with its thumbnail (JPEG) and what is to be reported of it, all or nothing; its number."""
        values = (event.camera, event.kind, event.name, event.label, event.track, event.time, event.value)
        with self._transaction():
            number = self._connection.execute(
                f"INSERT INTO events ({COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, event.clip, int(event.marked)),
            ).lastrowid
            self._connection.executemany(
                "INSERT INTO outbox (alert, event) VALUES (?, ?)", [(alert, number) for alert in alerts]
            )
            if thumbnail:
                self._connection.execute("INSERT INTO thumbnails (event, jpeg) VALUES (?, ?)", (number, thumbnail))
        assert number is not None
        return number

    def search(self, wanted: EventSearch | None = None, *, limit: int = 1000) -> list[StoredEvent]:
        """The newest events that fit, newest first."""
        where, values = (wanted or EventSearch()).condition()
        query = f"SELECT {COLUMNS} FROM events {where} ORDER BY time DESC, event DESC LIMIT ?"
        return [self._stored(row) for row in self._rows(query, (*values, limit))]

    def values_of(self, column: Column) -> set[str]:
        """What occurs in a column; of names those of lines and zones, not the reasons of a camera's states."""
        rules_only = "WHERE kind LIKE 'zone-%' OR kind = 'line'" if column == "name" else ""
        found = {value for (value,) in self._rows(f"SELECT DISTINCT {column} FROM events {rules_only}")}
        if not all(isinstance(value, str) for value in found):
            raise self._refusal(f"an event's {column}")
        return found

    def mark(self, event: int, *, marked: bool = True) -> bool:
        """Keep an event's recording for ever, or no more; False where there is no such event."""
        if not 0 <= event <= MOST_EVENTS:
            return False
        with self._transaction():
            changed = self._connection.execute("UPDATE events SET marked = ? WHERE event = ?", (int(marked), event))
            return changed.rowcount > 0

    def thumbnails(self, events: Sequence[int]) -> dict[int, bytes]:
        """What these events looked like, as JPEG, where that is kept."""
        found: dict[int, bytes] = {}
        for first in range(0, len(events), MOST_ASKED):
            some = events[first : first + MOST_ASKED]
            query = f"SELECT event, jpeg FROM thumbnails WHERE event IN ({', '.join('?' * len(some))})"
            found.update(self._rows(query, some))
        if not all(isinstance(jpeg, bytes) for jpeg in found.values()):
            raise self._refusal("a thumbnail")
        return found

    def drop_thumbnails(self, *, before: float | None = None, most: int = MOST_THUMBNAILS) -> int:
        """Delete those of events before a moment, and the oldest beyond so many; how many. Marked ones stay."""
        with self._transaction():
            return self._connection.execute(
                "DELETE FROM thumbnails WHERE event IN (SELECT event FROM thumbnails JOIN events USING (event) "
                "WHERE NOT marked AND (time < ? OR event <= (SELECT event FROM thumbnails ORDER BY event DESC "
                "LIMIT 1 OFFSET ?)))",
                (float("-inf") if before is None else before, most),
            ).rowcount

    def marked_clips(self) -> set[str]:
        """Recordings that are never deleted."""
        return {clip for (clip,) in self._rows("SELECT DISTINCT clip FROM events WHERE marked AND clip != ''")}

    def next_message(self, alert: str) -> tuple[int, StoredEvent] | None:
        """The oldest message that this alert still has to tell, with its number."""
        columns = ", ".join(f"events.{column}" for column in COLUMNS.split(", "))
        query = (
            f"SELECT message, {columns} FROM outbox JOIN events USING (event) WHERE alert = ? ORDER BY message LIMIT 1"
        )
        rows = self._rows(query, (alert,))
        return (rows[0][0], self._stored(rows[0][1:])) if rows else None

    def mark_sent(self, message: int) -> None:
        """A message has been delivered."""
        with self._transaction():
            if self._identity is not None:
                self._connection.execute(
                    "DELETE FROM released WHERE (alert, event) IN (SELECT alert, event FROM outbox WHERE message = ?)",
                    (message,),
                )
            self._connection.execute("DELETE FROM outbox WHERE message = ?", (message,))

    def mark_released(self, alert: str, event: int) -> None:
        """An alert's broker is told to deliver this event; until it is marked as sent, that may have happened."""
        with self._transaction():
            self._connection.execute(TABLE_OF_RELEASED)
            self._connection.execute("INSERT OR IGNORE INTO released VALUES (?, ?)", (alert, event))

    def is_released(self, alert: str, event: int) -> bool:
        """Whether an alert's broker may have delivered this event."""
        self.identity()  # the table is made with it
        return bool(self._rows("SELECT 1 FROM released WHERE alert = ? AND event = ?", (alert, event)))

    def waiting_for(self) -> dict[str, int]:
        """Messages that are not yet delivered, of each alert that has any."""
        return dict(self._rows("SELECT alert, count(*) FROM outbox GROUP BY alert"))

    def hand_over(self, alert: str, heir: str) -> None:
        """Have what one alert still has to tell told by another."""
        with self._transaction():
            self._connection.execute("UPDATE outbox SET alert = ? WHERE alert = ?", (heir, alert))

    def identity(self) -> str:
        """Sixteen hexadecimal digits that no other store has, the same for as long as this one is kept."""
        if self._identity is None:
            with self._transaction():
                self._connection.execute("CREATE TABLE IF NOT EXISTS identity (store TEXT NOT NULL)")
                self._connection.execute(TABLE_OF_RELEASED)
                found = self._connection.execute("SELECT store FROM identity").fetchone()
                if found is None or not IDENTITY.fullmatch(str(found[0])):
                    found = (secrets.token_hex(8),)
                    self._connection.execute("DELETE FROM identity")
                    self._connection.execute("INSERT INTO identity (store) VALUES (?)", found)
            self._identity = str(found[0])
        return self._identity

    def write_csv(self, path: Path, wanted: EventSearch | None = None) -> int:
        """All events that fit as CSV, oldest first; how many. An apostrophe guards what begins like a formula."""
        where, values = (wanted or EventSearch()).condition()
        events = [
            self._stored(row)
            for row in self._rows(f"SELECT {COLUMNS} FROM events {where} ORDER BY time, event", values)
        ]
        with AtomicText(path) as file:
            rows = csv.writer(file)
            rows.writerow(["event", "camera", "time", "kind", "name", "class", "track", "value", "clip", "marked"])
            for item in events:
                moment = datetime.fromtimestamp(item.time, UTC).isoformat(timespec="milliseconds")
                texts = [guarded(text) for text in (item.camera, item.kind, item.name, item.label, item.clip)]
                camera, kind, name, label, clip = texts
                row = [item.event, camera, moment, kind, name, label, item.track, item.value, clip]
                rows.writerow([*row, int(item.marked)])
        return len(events)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        kinds = {kind for (kind,) in connection.execute("SELECT DISTINCT type FROM sqlite_master")}
        if not kinds:
            connection.executescript(
                f"BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
            return
        versions = (WITHOUT_THUMBNAILS, SCHEMA_VERSION)
        if application != APPLICATION_ID or version not in versions or not kinds <= {"table", "index"}:
            connection.close()
            raise FormatError(f"{self.path}: not a store of events of this version. Move it away.")
        if version == WITHOUT_THUMBNAILS:
            connection.executescript(
                f"BEGIN IMMEDIATE; {TABLE_OF_THUMBNAILS} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                refused = refusal_beside(self.path.with_name(f"{self.path.name}-wal"))
                why = f"{error}. Free some space there." if refused is None else why_unwritable(refused)
                raise SinkError(f"{self.path}: the event cannot be kept: {why}") from error

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise FormatError(f"{self.path}: its events cannot be read: {error}. Move it away.") from error

    def _stored(self, row: Sequence[Any]) -> StoredEvent:
        """The event of a row. Raises FormatError where another program wrote what is none."""
        number, camera, kind, name, label, track, time, value, clip, marked = row
        event = StoredEvent(number, camera, kind, name, label, track, time, value, clip, bool(marked))
        texts = all(isinstance(text, str) for text in (camera, kind, name, label, clip))
        numbers = isinstance(track, int) and isinstance(time, int | float) and isinstance(value, int | float)
        if not texts or not numbers or not EARLIEST < time < LATEST:
            raise self._refusal(f"event {number}")
        return event

    def _refusal(self, what: str) -> FormatError:
        return FormatError(f"{self.path}: {what} is not what this program keeps. Move the file away.")


def guarded(text: str) -> str:
    """The text as a spreadsheet shows it: what it would take for a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
