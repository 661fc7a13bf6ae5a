"""The tables of a recording, and opening one: refused when it is none or too new, migrated in a copy when too old.

    info          key, value            one JSON value a key: source, size, labels, settings, network, stage ...
    frames        frame, time           every frame read so far; `frame` counts decoded frames of the source from 0,
                                        `time` is its presentation time in seconds with all digits
    observations  frame, track, ...     one row per object and frame: class, score in 1/10000, box x1 y1 x2 y2 in
                                        1/100 pixel (what every export writes), origin 0 seen by the network,
                                        1 filled in between others, 2 set by a person
    tentative     as observations       rows of tracks not confirmed in that frame, kept until refinement has seen them
    masks         frame, track, counts  COCO compressed run lengths over the whole image
    tracks        track, ...            first and last frame, number of observations, class it was taken for most often
    events        frame, kind, name ... what the rules noticed, with the true time
    edits         edit, kind, ...       corrections in order; `undone` ones can be redone; `change` holds the rows
                                        taken away and put in their place, so that both ways are exact
    pictures      frame, name, ...      file name, width and height of each image; in recordings of image folders only
    semantic      frame, png            what every pixel shows: numbers of info's semantic_labels as a grey PNG of any
                                        size; only where a network for that was named
    appearances   frame, box, ...       views of tracks: network, unit vector in 16-bit floats, JPEG; only where tracks
                                        were described
    checkpoint    one row               last whole frame, and all that is needed to go on behind it, written in the
                                        same transaction as that frame's rows

`PRAGMA application_id` is 0x53474C54 ("SGLT"), `PRAGMA user_version` the version of this layout. The file is in WAL
mode, so it can be read while it is written.

Nothing opens a store except through sqlite3, not even to read its first bytes: on POSIX the `close` of any descriptor
of a file drops every lock that the process holds on it (fcntl's record locks), after which another process takes itself
for the last one at work, and deletes the write-ahead log under this one's readers (https://sqlite.org/howtocorrupt.html,
section 2.2).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tracker.errors import DamagedStoreError, FormatError, SinkError, refusal_beside, why_unwritable

__all__ = [
    "DAMAGE_CODES",
    "SCHEMA_VERSION",
    "SIDE_FILES",
    "connect",
    "create",
    "damage_of",
    "refuse_write",
    "remove",
    "transaction",
]

APPLICATION_ID = 0x53474C54
SCHEMA_VERSION = 1
PAGE_SIZE = 8192
BUSY_TIMEOUT_S = 20.0
SIDE_FILES = ("-wal", "-shm", "-journal")
DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

TABLES = """
CREATE TABLE info (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE frames (frame INTEGER PRIMARY KEY, time REAL NOT NULL);
CREATE INDEX frames_by_time ON frames (time);
CREATE TABLE observations (
    frame INTEGER NOT NULL, track INTEGER NOT NULL, class INTEGER NOT NULL, score INTEGER NOT NULL,
    x1 INTEGER NOT NULL, y1 INTEGER NOT NULL, x2 INTEGER NOT NULL, y2 INTEGER NOT NULL, origin INTEGER NOT NULL,
    PRIMARY KEY (frame, track)
) WITHOUT ROWID;
CREATE INDEX observations_by_track ON observations (track, frame);
CREATE TABLE tentative (
    frame INTEGER NOT NULL, track INTEGER NOT NULL, class INTEGER NOT NULL, score INTEGER NOT NULL,
    x1 INTEGER NOT NULL, y1 INTEGER NOT NULL, x2 INTEGER NOT NULL, y2 INTEGER NOT NULL, origin INTEGER NOT NULL,
    PRIMARY KEY (frame, track)
) WITHOUT ROWID;
CREATE TABLE masks (
    frame INTEGER NOT NULL, track INTEGER NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (frame, track)
) WITHOUT ROWID;
CREATE TABLE tracks (
    track INTEGER PRIMARY KEY, class INTEGER NOT NULL, first_frame INTEGER NOT NULL, last_frame INTEGER NOT NULL,
    observations INTEGER NOT NULL
);
CREATE TABLE events (
    event INTEGER PRIMARY KEY, frame INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, time REAL NOT NULL,
    track INTEGER NOT NULL, class INTEGER NOT NULL, value REAL NOT NULL
);
CREATE INDEX events_by_track ON events (track);
CREATE TABLE edits (
    edit INTEGER PRIMARY KEY, kind TEXT NOT NULL, details TEXT NOT NULL, undone INTEGER NOT NULL, change BLOB NOT NULL
);
CREATE TABLE checkpoint (
    only INTEGER PRIMARY KEY CHECK (only = 0), writer TEXT NOT NULL, frame INTEGER NOT NULL, state BLOB NOT NULL
);
"""

Migration = Callable[[sqlite3.Connection], None]
MIGRATIONS: Mapping[int, Migration] = {}
"""What turns a recording of the version into one of the next."""


def create(path: Path) -> sqlite3.Connection:
    """A new recording without rows, open for writing in one transaction that the caller commits."""
    remove(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            _set_durable(connection)
            connection.execute("BEGIN IMMEDIATE")
            for statement in TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except BaseException:
            connection.close()
            with contextlib.suppress(SinkError):
                remove(path)
            raise
    except (OSError, sqlite3.Error) as error:
        raise refuse_write(path, error) from error
    return connection


def connect(path: Path, *, write: bool = False) -> sqlite3.Connection:
    """An existing recording. Raises FormatError for what is none, or is of a newer version than this program's.

    A recording of an older version is migrated in a copy that then takes its name; the old one stays beside it.
    """
    version = _version(path)
    if version > SCHEMA_VERSION:
        raise FormatError(
            f"{path}: recorded by a newer Sightline (schema {version}, this one reads up to {SCHEMA_VERSION}). "
            "Update Sightline to open it."
        )
    if version < SCHEMA_VERSION:
        _migrate(path, version)
    connection = _open(path, write=write)
    if write:
        _set_durable(connection)
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All or nothing of what is written inside.

    Raises SinkError when it cannot be written, DamagedStoreError when what is there is damaged.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):  # a full disk has already ended the transaction
            connection.execute("ROLLBACK")
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE_CODES
        raise (damage_of if damaged else refuse_write)(path, error) from error


def refuse_write(path: Path, error: Exception) -> SinkError:
    """What the user reads when a recording cannot be written."""
    if isinstance(error, OSError):
        return SinkError(f"{path}: cannot be written: {why_unwritable(error)}")
    full = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    if full and (refused := refusal_beside(_largest(path))) is not None:
        return SinkError(f"{path}: cannot be written: {why_unwritable(refused)}")
    advice = "Free some space there or choose another folder." if full else "Choose a folder you may write to."
    return SinkError(f"{path}: cannot be written: {error}. {advice}")


def _largest(path: Path) -> Path:
    """The largest of a recording's files: the one that a limit of sizes stops first."""
    there = [each for suffix in ("", *SIDE_FILES) if (each := path.with_name(path.name + suffix)).exists()]
    return max(there, key=lambda each: each.stat().st_size, default=path)


def remove(path: Path) -> None:
    """Delete a recording with the files SQLite keeps beside it; nothing happens where there is none."""
    try:
        for name in (path.name, *(path.name + suffix for suffix in SIDE_FILES)):
            path.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        raise refuse_write(path, error) from error


def _set_durable(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def damage_of(path: Path, error: Exception) -> FormatError:
    """What the user reads where a recording cannot be read: a DamagedStoreError where its file is at fault."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the low byte of an extended code
    if code == sqlite3.SQLITE_NOTADB:
        return DamagedStoreError(
            f"{path}: not a recording of Sightline: it is no SQLite file, or its beginning is damaged. "
            "Give a file made by annotate, restore it from a copy, or annotate again."
        )
    if code in DAMAGE_CODES:
        return DamagedStoreError(f"{path}: damaged: {error}. Restore it from a copy, or annotate again.")
    return FormatError(f"{path}: cannot be opened: {error}. Check its rights, or restore it from a copy.")


def _version(path: Path) -> int:
    if not path.is_file():  # a FIFO would be waited for without end
        what = "no file" if path.exists() else "no such file"
        raise FormatError(f"{path}: cannot be read: {what}. Check the path.")
    with contextlib.closing(_open(path, write=False)) as connection:
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        except (sqlite3.Error, UnicodeError) as error:  # damage makes tables' names that are no text
            raise damage_of(path, error) from error
    tables = {name for kind, name, _ in rows if kind == "table"}
    if application != APPLICATION_ID:
        found = f"application id {application:#x}, tables {', '.join(sorted(tables)) or 'none'}"
        raise FormatError(f"{path}: not a recording of Sightline ({found}). Give a file made by annotate.")
    for kind, name, sql in rows:  # a view may never end, a trigger change what nobody asked for
        if kind not in ("table", "index") or str(sql).lstrip().upper().startswith("CREATE VIRTUAL"):
            raise FormatError(f"{path}: holds the {kind} {name!r}, which no recording has. Restore it from a copy.")
    if version < 1 or (version == SCHEMA_VERSION and not {"info", "frames", "observations"} <= tables):
        raise FormatError(f"{path}: not a whole recording (schema {version}, tables {sorted(tables)}). Annotate again.")
    return version


def _open(path: Path, *, write: bool) -> sqlite3.Connection:
    address = path.resolve().as_uri()
    errors: list[Exception] = []
    # Readers too may open the file for writing: only so the last of them can tidy up what WAL keeps beside it.
    # "immutable" reads from a folder without rights.
    for mode in ("mode=rw",) if write else ("mode=rw", "mode=ro", "immutable=1"):
        try:
            connection = sqlite3.connect(
                f"{address}?{mode}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                if not write:
                    connection.execute("PRAGMA query_only = ON")
            except BaseException:
                connection.close()
                raise
            return connection
        except (sqlite3.Error, UnicodeError) as error:
            errors.append(error)
            if not isinstance(error, sqlite3.OperationalError):
                break
    raise damage_of(path, errors[-1])


def _migrate(path: Path, version: int) -> None:
    copy = path.with_name(path.name + ".migrating")
    remove(copy)
    with contextlib.closing(_open(path, write=False)) as old, contextlib.closing(sqlite3.connect(copy)) as new:
        old.backup(new)
        new.isolation_level = None
        for step in range(version, SCHEMA_VERSION):
            if step not in MIGRATIONS:
                raise FormatError(f"{path}: schema {step} has no way to {step + 1}; annotate again.")
            with transaction(new, copy):
                MIGRATIONS[step](new)
                new.execute(f"PRAGMA user_version = {step + 1}")
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = path.with_name(f"{path.stem}.schema{version}{path.suffix}")
    try:
        path.replace(kept)
        for suffix in SIDE_FILES:
            side = path.with_name(path.name + suffix)
            if side.exists():
                side.replace(kept.with_name(kept.name + suffix))
        copy.replace(path)
    except OSError as error:
        raise refuse_write(path, error) from error
