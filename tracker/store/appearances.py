"""What tracks of a recording look like: some views of each, as unit vectors of a network and as small images.

    appearances   frame, x1 ... y2, network, vector, thumbnail

A view stands by its frame and box, not by its track: whose it is, the observations say, so that tracks merged or split
by hand take their views along, and a box that was set anew has none until the recording is described again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy import ndarray

from tracker.errors import DamagedStoreError
from tracker.observations import BOX_PARTS
from tracker.store.reader import Recording
from tracker.store.schema import connect, transaction

__all__ = ["View", "Views", "read_thumbnails", "read_views", "write_views"]

TABLE = """
CREATE TABLE IF NOT EXISTS appearances (
    frame INTEGER NOT NULL, x1 INTEGER NOT NULL, y1 INTEGER NOT NULL, x2 INTEGER NOT NULL, y2 INTEGER NOT NULL,
    network TEXT NOT NULL, vector BLOB NOT NULL, thumbnail BLOB NOT NULL, PRIMARY KEY (frame, x1, y1, x2, y2)
) WITHOUT ROWID
"""
OF_TRACKS = """
FROM appearances AS a JOIN observations AS o ON o.frame = a.frame
AND o.x1 = a.x1 AND o.y1 = a.y1 AND o.x2 = a.x2 AND o.y2 = a.y2
"""
VECTOR = np.dtype("<f2")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One object in one frame."""

    frame: int
    box: tuple[float, float, float, float]
    vector: Float32[ndarray, " d"]
    """Of unit length."""
    thumbnail: bytes
    """JPEG."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The views of all tracks, ordered by track, then frame."""

    tracks: Int64[ndarray, " n"]
    class_ids: Int32[ndarray, " n"]
    frames: Int64[ndarray, " n"]
    times: Float64[ndarray, " n"]
    vectors: Float32[ndarray, "n d"]

    def __len__(self) -> int:
        return len(self.tracks)

    @classmethod
    def none(cls) -> Views:
        """No view at all."""
        whole = np.zeros(0, np.int64)
        return cls(whole, whole.astype(np.int32), whole, np.zeros(0), np.zeros((0, 0), np.float32))


def write_views(path: Path, network: str, views: Iterable[View]) -> None:
    """Keep views in a recording, all of them or none, in place of those of other networks. Raises SinkError."""
    with closing(connect(path, write=True)) as connection, transaction(connection, path):
        connection.execute(TABLE)
        connection.execute("DELETE FROM appearances WHERE network != ?", (network,))
        connection.executemany(
            "INSERT OR REPLACE INTO appearances VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    view.frame,
                    *(round(side * BOX_PARTS) for side in view.box),
                    network,
                    view.vector.astype(VECTOR).tobytes(),
                    view.thumbnail,
                )
                for view in views
            ),
        )


def read_views(recording: Recording, network: str) -> Views:
    """The views that the network made of tracks that are still there. Raises FormatError for damage."""
    rows = list(
        _rows(
            recording,
            f"SELECT o.track, o.class, o.frame, f.time, a.vector {OF_TRACKS} JOIN frames AS f ON f.frame = a.frame "
            "WHERE a.network = ? ORDER BY o.track, o.frame",
            (network,),
        )
    )
    if not rows:
        return Views.none()
    tracks, classes, frames, times, vectors = zip(*rows, strict=True)
    if len(set(map(len, vectors))) != 1 or len(vectors[0]) % VECTOR.itemsize:
        raise DamagedStoreError(f"{recording.path}: damaged: its appearances differ in length. Restore it from a copy.")
    table = np.frombuffer(b"".join(vectors), VECTOR).reshape(len(rows), -1).astype(np.float32)
    return Views(
        np.array(tracks, np.int64),
        np.array(classes, np.int32),
        np.array(frames, np.int64),
        np.array(times, np.float64),
        np.nan_to_num(table),
    )


def read_thumbnails(recording: Recording, track: int, count: int) -> list[bytes]:
    """Up to so many small images of a track as JPEG, spread over its views."""
    statement = f"SELECT a.thumbnail {OF_TRACKS} WHERE o.track = ? ORDER BY o.frame"
    found = [bytes(row[0]) for row in _rows(recording, statement, (track,))]
    if len(found) <= count:
        return found
    return [found[place] for place in np.linspace(0, len(found) - 1, count).round().astype(int).tolist()]


def _rows(recording: Recording, statement: str, values: tuple[str | int, ...]) -> Iterator[tuple[Any, ...]]:
    if recording.has_table("appearances"):
        yield from recording.rows(statement, values)
