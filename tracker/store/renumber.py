"""A recording's copy with other track ids: what an export across cameras is made from."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from tracker.store.schema import connect, damage_of, transaction

__all__ = ["renumbered_copy"]

MERGED_TRACKS = """
CREATE TEMP TABLE merged AS SELECT n.new AS track, t.class, min(t.first_frame) AS first, max(t.last_frame) AS last,
sum(t.observations) AS observations FROM tracks AS t JOIN numbers AS n ON n.old = t.track GROUP BY n.new
"""


def renumbered_copy(path: Path, numbers: Mapping[int, int], copy: Path) -> None:
    """Copy a recording to `copy` with each track under its new id; two that get one id are never in one frame.

    Tracks without a number get new ids behind all. Raises FormatError or SinkError.
    """
    with closing(connect(path)) as old, closing(sqlite3.connect(copy, isolation_level=None)) as new:
        try:
            old.backup(new)
            tracks = [track for (track,) in new.execute("SELECT track FROM tracks ORDER BY track")]
        except sqlite3.Error as error:
            raise damage_of(path, error) from error
        free = max([0, *numbers.values()]) + 1
        rest = [track for track in tracks if track not in numbers]
        table = {**{track: free + place for place, track in enumerate(rest)}, **numbers}
        with transaction(new, copy):
            new.execute("CREATE TEMP TABLE numbers (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)")
            new.executemany("INSERT INTO numbers VALUES (?, ?)", table.items())
            for name in ("observations", "masks", "events"):
                # Ids may be exchanged in a circle: the new ones are negative until all have theirs.
                new.execute(
                    f"UPDATE {name} SET track = -(SELECT new FROM numbers WHERE old = track) "
                    "WHERE track IN (SELECT old FROM numbers)"
                )
                new.execute(f"UPDATE {name} SET track = -track WHERE track < 0")
            new.execute(MERGED_TRACKS)
            new.execute("DELETE FROM tracks")
            new.execute("INSERT INTO tracks SELECT * FROM merged")
