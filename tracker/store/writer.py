"""Writing a recording: rows in batches, each batch in one transaction with the state to go on from."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from tracker.errors import DamagedStoreError, SinkError
from tracker.label_map import pack_label_map
from tracker.observations import Observations
from tracker.store.corrections import change_later, from_state, replace_columns, to_state
from tracker.store.repair import set_aside_if_damaged
from tracker.store.rows import (
    ImageEntry,
    RecordedEvent,
    RecordingInfo,
    SemanticMap,
    parse_stored,
    stored_masks,
    to_stored,
)
from tracker.store.schema import connect, create, refuse_write, remove, transaction
from tracker.store.state import pack_state, unpack_state
from tracker.types import Event

__all__ = ["Checkpoint", "RecordingWriter", "insert_events", "insert_observations"]

NO_FRAME = -1
INSERT_OBSERVATION = "INSERT INTO observations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_TENTATIVE = INSERT_OBSERVATION.replace("observations", "tentative")
INSERT_MASK = "INSERT INTO masks VALUES (?, ?, ?)"
INSERT_EVENT = "INSERT INTO events (frame, kind, name, time, track, class, value) VALUES (?, ?, ?, ?, ?, ?, ?)"
IMAGES_TABLE = """
CREATE TABLE IF NOT EXISTS pictures (
    frame INTEGER PRIMARY KEY, name TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL
)
"""
INSERT_IMAGE = "INSERT INTO pictures VALUES (?, ?, ?, ?)"
SEMANTIC_TABLE = "CREATE TABLE IF NOT EXISTS semantic (frame INTEGER PRIMARY KEY, png BLOB NOT NULL)"
INSERT_SEMANTIC = "INSERT INTO semantic VALUES (?, ?)"
MOST_SEEN_CLASS = """
SELECT class FROM observations WHERE observations.track = tracks.track GROUP BY class
ORDER BY count(*) DESC, min(frame) LIMIT 1
"""
GROW_TRACK = """
INSERT INTO tracks VALUES (?1, ?2, ?3, ?3, 1) ON CONFLICT (track) DO UPDATE SET
class = excluded.class, last_frame = excluded.last_frame, observations = observations + 1
"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a recording can be taken up again."""

    frame: int
    """Last frame whose rows are written, -1 before the first."""
    state: Mapping[str, Any]
    """What the stages remembered after that frame; empty before the first."""


class RecordingWriter:
    """Adds frames to a recording; what `commit` has written survives any kill.

    Only the writer that opened the recording last may write: an earlier one, in a process thought dead, gets a
    SinkError at its next commit instead of mixing its rows in.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, info: RecordingInfo) -> None:
        self.path = path
        self.info = info
        self._connection = connection
        self._token = secrets.token_hex(8)
        self._frames: list[tuple[int, float]] = []
        self._images: list[tuple[int, str, int, int]] = []
        self._semantic: list[tuple[int, bytes]] = []
        self._semantic_labels: tuple[str, ...] = ()
        self._observations: list[Observations] = []
        self._tentative: list[Observations] = []
        self._events: list[RecordedEvent] = []

    @classmethod
    def create(cls, path: Path, info: RecordingInfo) -> Self:
        """A recording of its own, without frames; it appears under its name whole, in place of any other there.

        A damaged one there is kept as `.damaged`.
        """
        unborn = path.with_name(path.name + ".new")
        connection = create(unborn)
        try:
            connection.executemany(
                "INSERT INTO info VALUES (?, ?)", [*info.to_json().items(), ("stage", '"recording"')]
            )
            state = pack_state({})
            connection.execute("INSERT INTO checkpoint VALUES (0, '', ?, ?)", (NO_FRAME, state))
            connection.execute("COMMIT")
            connection.close()
            set_aside_if_damaged(path)
            remove(path)
            unborn.replace(path)
        except (sqlite3.Error, OSError) as error:
            connection.close()
            with contextlib.suppress(SinkError):
                remove(unborn)
            raise refuse_write(path, error) from error
        finally:
            connection.close()
        return cls.resume(path)

    @classmethod
    def resume(cls, path: Path) -> Self:
        """A recording taken up again; its `checkpoint` says where. Raises FormatError where it is none."""
        connection = connect(path, write=True)
        try:
            info = RecordingInfo.from_json(dict(connection.execute("SELECT key, value FROM info").fetchall()))
            writer = cls(path, connection, info)
            with transaction(connection, path):
                connection.execute("UPDATE checkpoint SET writer = ?", (writer._token,))
        except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
            connection.close()
            raise DamagedStoreError(f"{path}: damaged: {error}. Annotate again with --overwrite.") from error
        return writer

    @property
    def checkpoint(self) -> Checkpoint:
        """The last one written."""
        frame, state = self._connection.execute("SELECT frame, state FROM checkpoint").fetchone()
        return Checkpoint(frame, unpack_state(state))

    @property
    def complete(self) -> bool:
        """Whether the recording was finished."""
        stage: str = self._connection.execute("SELECT value FROM info WHERE key = 'stage'").fetchone()[0]
        return stage == '"complete"'

    def add(
        self,
        frame: int,
        time: float,
        observations: Observations,
        events: Sequence[Event] = (),
        tentative: Observations | None = None,
        image_entry: ImageEntry | None = None,
        semantic: SemanticMap | None = None,
    ) -> None:
        """Take the next frame, with its `image_entry` where that is a file and a label per pixel where there is one.

        It is on disk after the next `commit`.
        """
        self._frames.append((frame, float(time)))
        if semantic is not None:
            self._semantic.append((frame, pack_label_map(semantic.pixels)))
            self._semantic_labels = semantic.labels
        if image_entry is not None:
            self._images.append((frame, *image_entry))
        self._observations.append(observations)
        if tentative is not None:
            self._tentative.append(tentative)
        self._events += [RecordedEvent(frame, event) for event in events]

    def commit(self, state: Mapping[str, Any]) -> None:
        """Write what was added together with what the stages remember now, both or neither.

        What people have corrected so far is continued in the rows added: those of a track merged into another become
        the other's, and so on. The edits hold these rows too, so that undoing is exact. Events are not written then;
        who finishes the recording counts them anew.
        """
        if not self._frames:
            return
        connection = self._connection
        packed = pack_state(state)
        with transaction(connection, self.path):
            self._check_writer()
            connection.executemany("INSERT INTO frames VALUES (?, ?)", self._frames)
            if self._images:
                connection.execute(IMAGES_TABLE)
                connection.executemany(INSERT_IMAGE, self._images)
            if self._semantic:
                connection.execute(SEMANTIC_TABLE)
                connection.executemany(INSERT_SEMANTIC, self._semantic)
                self._keep_note("semantic_labels", list(self._semantic_labels))
            corrected = bool(connection.execute("SELECT EXISTS (SELECT 1 FROM edits)").fetchone()[0])
            tentative = self._tentative
            if corrected:
                rows, tentative = self._renumber(self._observations), self._renumber(tentative)
                insert_observations(connection, self._correct(Observations.joined(rows)))
            else:
                for observations in self._observations:
                    insert_observations(connection, observations)
                insert_events(connection, self._events)
            for observations in tentative:
                connection.executemany(INSERT_TENTATIVE, to_stored(observations))
                connection.executemany(INSERT_MASK, stored_masks(observations))
            connection.execute("UPDATE checkpoint SET frame = ?, state = ?", (self._frames[-1][0], packed))
        self._frames, self._images, self._semantic = [], [], []
        self._observations, self._tentative, self._events = [], [], []

    def complete_with(
        self,
        rows: Iterable[Observations] | None,
        events: Iterable[RecordedEvent] = (),
        *,
        recounted: bool = False,
        revision: int | None = None,
        **notes: Any,
    ) -> bool:
        """Finish the recording with its last events, or with other rows and all their events where `rows` is given.

        With `recounted`, `events` are all of them too. Nothing is written, and False returned, where corrections have
        brought the recording to another than `revision`. `notes` are kept as info: plain values by name.
        """
        connection = self._connection
        with transaction(connection, self.path):
            self._check_writer()
            if revision is not None and (self._note("revision") or 0) != revision:
                return False
            connection.execute("DELETE FROM tentative")
            if rows is not None:
                for name in ("observations", "masks", "tracks"):
                    connection.execute(f"DELETE FROM {name}")
                for observations in rows:
                    insert_observations(connection, observations)
            if rows is not None or recounted:
                connection.execute("DELETE FROM events")
            insert_events(connection, events)
            if not self.complete or rows is not None:
                connection.execute(f"UPDATE tracks SET class = ({MOST_SEEN_CLASS})")
            values = {"stage": "complete", **notes}
            connection.executemany(
                "INSERT OR REPLACE INTO info VALUES (?, ?)",
                [(key, json.dumps(value, ensure_ascii=False, sort_keys=True)) for key, value in values.items()],
            )
        return True

    def close(self) -> None:
        """Let go of the file; frames added since the last commit are not kept."""
        self._connection.close()

    def _note(self, key: str) -> Any:
        found = self._connection.execute("SELECT value FROM info WHERE key = ?", (key,)).fetchone()
        return parse_stored(found[0]) if found else None

    def _keep_note(self, key: str, value: Any) -> None:
        self._connection.execute("INSERT OR REPLACE INTO info VALUES (?, ?)", (key, json.dumps(value, sort_keys=True)))

    def _renumber(self, parts: Sequence[Observations]) -> list[Observations]:
        """The rows with other ids for tracks whose ids people have given to theirs meanwhile."""
        reserved = set(self._note("reserved_tracks") or [])
        others = {int(track): int(other) for track, other in (self._note("renumbered_tracks") or {}).items()}
        came = {track for rows in parts for track in rows.tracks.tolist()}
        collisions = sorted((came & (reserved | set(others.values()))) - others.keys())
        if collisions:
            (highest,) = self._connection.execute("SELECT coalesce(max(track), 0) FROM tracks").fetchone()
            free = max(highest, self._note("highest_track") or 0, *came, *reserved, *others.values()) + 1
            others |= {track: free + number for number, track in enumerate(collisions)}
            self._keep_note("renumbered_tracks", {str(track): other for track, other in others.items()})
            self._keep_note("highest_track", max(others.values()))
        if not came & others.keys():
            return list(parts)
        return [
            replace_columns(
                rows, tracks=np.array([others.get(track, track) for track in rows.tracks.tolist()], np.int64)
            )
            for rows in parts
        ]

    def _correct(self, rows: Observations) -> Observations:
        """The rows as the corrections make them; each correction, undone or not, keeps what it exchanges of them."""
        connection, done = self._connection, rows
        for number, kind, text, undone, packed in connection.execute(
            "SELECT edit, kind, details, undone, change FROM edits ORDER BY edit"
        ).fetchall():
            details = parse_stored(text)
            later = change_later(kind, details, rows)
            if later is not None:
                chosen, changed = later
                change = unpack_state(packed)
                parts = {"removed": rows[chosen], "added": changed}
                change = {key: to_state(Observations.joined([from_state(change[key]), parts[key]])) for key in parts}
                connection.execute("UPDATE edits SET change = ? WHERE edit = ?", (pack_state(change), number))
                rows = _in_order(Observations.joined([rows[~chosen], changed]))
            if not undone:
                done = rows
        return done

    def _check_writer(self) -> None:
        (writer,) = self._connection.execute("SELECT writer FROM checkpoint").fetchone()
        if writer != self._token:
            raise SinkError(f"{self.path}: another run has taken over this recording. Let that one finish.")


def _in_order(rows: Observations) -> Observations:
    return rows[np.lexsort((rows.tracks, rows.frames))]


def insert_observations(connection: sqlite3.Connection, observations: Observations) -> None:
    """Write rows and make their tracks reach to them; frames come in order."""
    connection.executemany(INSERT_OBSERVATION, to_stored(observations))
    connection.executemany(INSERT_MASK, stored_masks(observations))
    columns = (observations.tracks.tolist(), observations.class_ids.tolist(), observations.frames.tolist())
    connection.executemany(GROW_TRACK, zip(*columns, strict=True))


def insert_events(connection: sqlite3.Connection, events: Iterable[RecordedEvent]) -> None:
    """Write events in their order."""
    connection.executemany(
        INSERT_EVENT,
        [
            (row.frame, event.kind, event.name, event.time, event.track_id, event.class_id, event.value)
            for row in events
            for event in (row.event,)
        ],
    )
