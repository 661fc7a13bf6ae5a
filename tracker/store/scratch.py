"""Rows of a recording put aside on disk while refinement works on them: found by track, taken back by frame."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tracker.errors import SinkError
from tracker.observations import Observations
from tracker.protocols import Closing
from tracker.store.rows import from_stored, to_stored
from tracker.store.schema import DAMAGE_CODES, damage_of

__all__ = ["Scratch"]

COLUMNS = "frame, track, class, score, x1, y1, x2, y2, origin"
TABLES = f"""
CREATE TABLE before ({COLUMNS}, PRIMARY KEY (track, frame)) WITHOUT ROWID;
CREATE TABLE reported (track INTEGER PRIMARY KEY, frame);
CREATE TABLE after ({COLUMNS}, came_from, PRIMARY KEY (frame, track)) WITHOUT ROWID;
"""
FETCHED_AT_ONCE = 4096


class Scratch(Closing):
    """A copy of all rows of a recording, tentative ones too, but those of some tracks, and room for what replaces them.

    A nameless file of SQLite's in the folder for temporary files, which is gone when this is closed or the program
    dies. Raises SinkError where there is no room for it, FormatError where the recording cannot be read.
    """

    def __init__(self, recording: Path, without: Iterable[int] = ()) -> None:
        self._connection = sqlite3.connect("", uri=True, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.executescript(TABLES)
            self._connection.execute("CREATE TEMP TABLE without (track INTEGER PRIMARY KEY)")
            self._connection.executemany("INSERT INTO without VALUES (?)", ((track,) for track in without))
            self._connection.execute("ATTACH ? AS recording", (f"{recording.resolve().as_uri()}?mode=rw",))
            self._connection.execute(
                f"INSERT INTO before SELECT * FROM (SELECT {COLUMNS} FROM recording.observations "
                f"UNION ALL SELECT {COLUMNS} FROM recording.tentative) WHERE track NOT IN (SELECT track FROM without)"
            )
            self._connection.execute(
                "INSERT INTO reported SELECT track, min(frame) FROM recording.observations "
                "WHERE track NOT IN (SELECT track FROM without) GROUP BY track"
            )
            self._connection.execute("DETACH recording")
        except sqlite3.Error as error:
            self.close()
            if error.sqlite_errorcode in DAMAGE_CODES:
                raise damage_of(recording, error) from error
            raise _refusal(error) from error

    def close(self) -> None:
        """Give the room back; safe to call twice."""
        self._connection.close()

    def highest_track(self) -> int:
        """The highest id of a track of the recording that is in the copy, 0 where there is none."""
        highest: int = self._connection.execute("SELECT coalesce(max(track), 0) FROM before").fetchone()[0]
        return highest

    def by_track(self) -> Iterator[Observations]:
        """The recording's rows ordered by track, then frame; some at a time."""
        cursor = self._connection.execute(f"SELECT {COLUMNS} FROM before ORDER BY track, frame")
        while rows := cursor.fetchmany(FETCHED_AT_ONCE):
            yield from_stored(rows)

    def of(self, track: int, first: int, last: int) -> Observations:
        """The recording's rows of one track from frame `first` to `last`, both included, in order."""
        statement = f"SELECT {COLUMNS} FROM before WHERE track = ? AND frame BETWEEN ? AND ? ORDER BY frame"
        return from_stored(self._connection.execute(statement, (track, first, last)).fetchall())

    def reported(self) -> tuple[Int64[ndarray, " t"], Int64[ndarray, " t"]]:
        """The tracks of the copy that were confirmed in any frame, in order, and the first such frame of each."""
        rows = self._connection.execute("SELECT track, frame FROM reported ORDER BY track").fetchall()
        tracks, frames = np.array(rows, np.int64).reshape(-1, 2).T
        return tracks, frames

    def add(self, rows: Observations, came_from: Int64[ndarray, " n"]) -> None:
        """Put rows aside, each with the track it belonged to; in any order, none twice."""
        table = ((*row, track) for row, track in zip(to_stored(rows), came_from.tolist(), strict=True))
        try:
            with self._connection:
                self._connection.execute("BEGIN")
                self._connection.executemany(f"INSERT INTO after VALUES ({', '.join('?' * 10)})", table)
        except sqlite3.Error as error:
            raise _refusal(error) from error

    def added_in(self, first: int, last: int) -> tuple[Observations, Int64[ndarray, " n"]]:
        """The rows put aside from frame `first` to `last`, both included, in order, and the tracks they belonged to."""
        rows = self._connection.execute(
            f"SELECT {COLUMNS}, came_from FROM after WHERE frame BETWEEN ? AND ? ORDER BY frame, track", (first, last)
        ).fetchall()
        return from_stored([row[:-1] for row in rows]), np.array([row[-1] for row in rows], np.int64)


def _refusal(error: sqlite3.Error) -> SinkError:
    return SinkError(
        f"rows cannot be put aside in the folder for temporary files: {error}. Free some space there, or set TMPDIR."
    )
