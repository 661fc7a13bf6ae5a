"""Reading a recording: by frame, time and track in milliseconds, also while it is being written."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy import ndarray

from tracker.errors import ConfigError, DamagedStoreError, FormatError
from tracker.label_map import unpack_label_map
from tracker.observations import Observations, Origin
from tracker.protocols import Closing
from tracker.store.rows import Edit, ImageEntry, RecordedEvent, RecordingInfo, from_stored, parse_stored
from tracker.store.schema import connect, damage_of
from tracker.store.state import unpack_state
from tracker.types import Event, EventKind

__all__ = ["Chunk", "Recording", "TrackSummary"]

COLUMNS = "frame, track, class, score, x1, y1, x2, y2, origin"
BY_TRACK = f"""
SELECT {COLUMNS}, time, counts FROM observations INDEXED BY observations_by_track
LEFT JOIN frames USING (frame) LEFT JOIN masks USING (frame, track) ORDER BY track, frame
"""
STRAY_ROWS = """
SELECT EXISTS (SELECT 1 FROM observations
WHERE frame < (SELECT coalesce(min(frame), 1 << 62) FROM frames)) OR EXISTS (SELECT 1 FROM observations
WHERE frame > (SELECT coalesce(max(frame), -1) FROM frames))
"""
ROWS_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """One track at a glance."""

    track_id: int
    class_id: int
    """What it was taken for most often; until the recording is finished, what it was last taken for."""
    first_frame: int
    last_frame: int
    observations: int


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some successive frames with all that was seen in them."""

    frames: Int64[ndarray, " f"]
    times: Float64[ndarray, " f"]
    observations: Observations

    def by_frame(self) -> Iterator[tuple[int, float, Observations]]:
        """Each frame's index, time and objects."""
        edges = np.searchsorted(self.observations.frames, self.frames)
        ends = np.searchsorted(self.observations.frames, self.frames, side="right")
        for frame, time, start, end in zip(
            self.frames.tolist(), self.times.tolist(), edges.tolist(), ends.tolist(), strict=True
        ):
            yield frame, time, self.observations[start:end]


class Recording(Closing):
    """A recording open for reading, as it stands after all edits. Each question sees the last whole commit.

    Raises FormatError for a file that is no recording, is damaged, or was made by a newer version.
    """

    writes = False

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._connection = connect(self.path, write=self.writes)
        try:
            self._reload()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    def _reload(self) -> None:
        rows = dict(self._query("SELECT key, value FROM info"))
        try:
            self.info = RecordingInfo.from_json(rows)
        except (KeyError, TypeError, ValueError, FormatError) as error:
            raise self._damage(str(error)) from error

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._connection.close()

    @property
    def complete(self) -> bool:
        """Whether the source was read to its end and the rows are final."""
        return bool(self.note("stage") == "complete")

    def note(self, key: str) -> Any:
        """A value kept with the recording, None where there is none."""
        rows = self._query("SELECT value FROM info WHERE key = ?", (key,))
        try:
            return parse_stored(rows[0][0]) if rows else None
        except (TypeError, ValueError) as error:
            raise FormatError(f"{self.path}: its {key} is damaged: {error}. Restore it from a copy.") from error

    @property
    def first_frame(self) -> int:
        """Index of the first frame written, 0 where there is none yet."""
        frame: int = self._query("SELECT coalesce(min(frame), 0) FROM frames")[0][0]
        return frame

    @property
    def last_frame(self) -> int:
        """Index of the last frame written, -1 where there is none yet."""
        frame: int = self._query("SELECT coalesce(max(frame), -1) FROM frames")[0][0]
        return frame

    def frame_count(self) -> int:
        """Number of frames written; with a stride it is less than the last index."""
        count: int = self._query("SELECT count(*) FROM frames")[0][0]
        return count

    def observation_count(self) -> int:
        """Number of rows over all tracks."""
        count: int = self._query("SELECT coalesce(sum(observations), 0) FROM tracks")[0][0]
        return count

    def class_count(self) -> int:
        """Number of classes that occur."""
        count: int = self._query("SELECT count(DISTINCT class) FROM observations")[0][0]
        return count

    def event_count(self) -> int:
        """Number of events."""
        count: int = self._query("SELECT count(*) FROM events")[0][0]
        return count

    def edit_count(self) -> int:
        """Number of corrections of rows that are not undone; other rules are none."""
        count: int = self._query("SELECT count(*) FROM edits WHERE undone = 0 AND kind != 'rules'")[0][0]
        return count

    def edits(self) -> list[Edit]:
        """All corrections in order, those undone last."""
        rows = self._query("SELECT edit, kind, details, undone FROM edits ORDER BY edit")
        try:
            return [Edit(int(row[0]), str(row[1]), dict(parse_stored(row[2])), bool(row[3])) for row in rows]
        except (TypeError, ValueError) as error:
            raise self._damage(str(error)) from error

    def corrected_tracks(self) -> set[int]:
        """Tracks whose rows corrections exchanged, those undone too: before and after."""
        found: set[int] = set()
        for (packed,) in self._query("SELECT change FROM edits WHERE kind != 'rules'"):
            change = unpack_state(packed)
            for rows in (change["removed"]["rows"], change["added"]["rows"]):
                found |= set(rows[:, 1].tolist())
        return found

    @property
    def highest_track(self) -> int:
        """The highest id that a track of this recording ever had, 0 before the first."""
        highest: int = self._query("SELECT coalesce(max(track), 0) FROM tracks")[0][0]
        return max(highest, self.note("highest_track") or 0)

    def keyframes(self) -> list[tuple[int, int]]:
        """Track and frame of every box that a person set, in order."""
        if not self._query("SELECT 1 FROM edits WHERE kind = 'box' LIMIT 1"):  # spares reading all rows
            return []
        return self._query(
            f"SELECT track, frame FROM observations WHERE origin = {Origin.MANUAL:d} ORDER BY track, frame"
        )

    def time_of(self, frame: int) -> float:
        """Presentation time of a frame in seconds. Raises FormatError for one that was not recorded."""
        rows = self._query("SELECT time FROM frames WHERE frame = ?", (frame,))
        if not rows:
            last = self.last_frame
            raise FormatError(f"{self.path}: no frame {{0}}; the last one recorded is {{1}}", frames=(frame, last))
        time: float = rows[0][0]
        return time

    def images(self, first: int = 0, last: int | None = None) -> dict[int, ImageEntry]:
        """The image of each frame from `first` to `last`, both included; empty for a video."""
        if not self.has_table("pictures"):
            return {}
        statement = "SELECT frame, name, width, height FROM pictures WHERE frame BETWEEN ? AND ?"
        found = {row[0]: ImageEntry(*row[1:]) for row in self._query(statement, (first, _end(last)))}
        for frame, entry in found.items():
            sides = (entry.width, entry.height)
            if not isinstance(entry.name, str) or not all(isinstance(side, int) and side > 0 for side in sides):
                raise self._damage(f"frame {{0}} is of the image {entry}", frame)
        return found

    @property
    def semantic_labels(self) -> tuple[str, ...]:
        """Labels of pixels; empty where no pixels were labelled."""
        return tuple(str(name) for name in self.note("semantic_labels") or ())

    def semantic(self, frame: int) -> UInt8[ndarray, "h w"] | None:
        """The label of every pixel of a frame, at the size the network saw it at; None where they were not labelled."""
        if not self._query("SELECT 1 FROM sqlite_master WHERE name = 'semantic'"):
            return None
        rows = self._query("SELECT png FROM semantic WHERE frame = ?", (frame,))
        try:
            return unpack_label_map(rows[0][0]) if rows else None
        except (TypeError, ValueError) as error:
            raise self._damage(f"the pixel labels of frame {{0}}: {error}", frame) from error

    def frame_shown_at(self, seconds: float) -> int:
        """The last frame whose time has come, the first one before that."""
        rows = self._query("SELECT frame FROM frames WHERE time <= ? ORDER BY time DESC LIMIT 1", (seconds,))
        rows = rows or self._query("SELECT frame FROM frames ORDER BY frame LIMIT 1")
        if not rows:
            raise FormatError(f"{self.path}: no frame is recorded yet")
        frame: int = rows[0][0]
        return frame

    def frame_times(
        self, first: int = 0, last: int | None = None
    ) -> tuple[Int64[ndarray, " f"], Float64[ndarray, " f"]]:
        """Indices and times of the frames from `first` to `last`, both included."""
        parts = [np.empty((0, 2))]
        for rows in self._stream(
            "SELECT frame, time FROM frames WHERE frame BETWEEN ? AND ? ORDER BY frame", (first, _end(last))
        ):
            self._times([time for _, time in rows])
            parts.append(np.array(rows, np.float64))
        frames, times = np.concatenate(parts).T
        return frames.astype(np.int64), times

    def observations_in(self, first: int, last: int | None = None, *, masks: bool = False) -> Observations:
        """What was seen from frame `first` to `last`, both included; without `last` in the one frame."""
        span = (first, first if last is None else last)
        rows = self._query(
            f"SELECT {COLUMNS} FROM observations WHERE frame BETWEEN ? AND ? ORDER BY frame, track", span
        )
        return self._checked(from_stored(rows) if not masks else _with_masks(rows, self.masks_in(*span)))

    def tentative(self, first: int = 0, last: int | None = None) -> Observations:
        """What was seen, from frame `first` to `last`, of tracks before they were confirmed.

        It is there only until the recording is finished.
        """
        statement = f"SELECT {COLUMNS} FROM tentative WHERE frame BETWEEN ? AND ? ORDER BY frame, track"
        return from_stored(self._query(statement, (first, _end(last))))

    def tentative_count(self) -> int:
        """Number of rows that `tentative` gives over all frames."""
        count: int = self._query("SELECT count(*) FROM tentative")[0][0]
        return count

    def has_masks(self) -> bool:
        """Whether there is any mask at all."""
        return bool(self._query("SELECT 1 FROM masks JOIN observations USING (frame, track) LIMIT 1"))

    def has_interpolated(self) -> bool:
        """Whether rows were put in between others."""
        return bool(self._query("SELECT 1 FROM observations WHERE origin = ? LIMIT 1", (int(Origin.INTERPOLATED),)))

    def masked_tracks(self) -> frozenset[int]:
        """The ids of the tracks with a mask in any frame."""
        found = self._query("SELECT DISTINCT track FROM masks JOIN observations USING (frame, track)")
        return frozenset(track for (track,) in found)

    def masks_in(self, first: int, last: int) -> dict[tuple[int, int], str]:
        """The masks from frame `first` to `last`, both included, by frame and track; tentative tracks' too."""
        found = self._query("SELECT frame, track, counts FROM masks WHERE frame BETWEEN ? AND ?", (first, last))
        return {(frame, track): counts for frame, track, counts in found}

    def observations_of(self, *track_ids: int, masks: bool = False) -> Observations:
        """All that was seen of some tracks, ordered by frame, then track."""
        chosen = f"track IN ({', '.join('?' * len(track_ids))})"
        rows = self._query(f"SELECT {COLUMNS} FROM observations WHERE {chosen} ORDER BY frame, track", track_ids)
        if not masks or not rows:
            return self._checked(from_stored(rows, [None] * len(rows) if masks else None))
        found = self._query(
            f"SELECT frame, track, counts FROM masks WHERE frame BETWEEN ? AND ? AND {chosen}",
            (rows[0][0], rows[-1][0], *track_ids),
        )
        return self._checked(_with_masks(rows, {(frame, track): counts for frame, track, counts in found}))

    def by_track(self) -> Iterator[tuple[Observations, Float64[ndarray, " n"]]]:
        """All that was seen, with masks and the frames' times, ordered by track, then frame; some rows at a time."""
        for rows in self._stream(BY_TRACK):
            found = self._checked(from_stored([row[:9] for row in rows], [row[10] for row in rows]))
            if any(row[9] is None for row in rows):
                raise self._damage(f"track {rows[0][1]} has rows in frames that were not recorded")
            yield found, self._times([row[9] for row in rows])

    def first_classes(self) -> Iterator[tuple[int, int]]:
        """Each track's id and what it was taken for first, by ascending id."""
        statement = (
            "SELECT track, observations.class FROM tracks JOIN observations USING (track) "
            "WHERE frame = first_frame ORDER BY track"
        )
        for rows in self._stream(statement):
            yield from rows

    def chunks(self, *, frames: int = 512, masks: bool = False) -> Iterator[Chunk]:
        """The whole recording in order, some frames at a time, so that memory does not grow with its length."""
        if self._query(STRAY_ROWS)[0][0]:
            raise self._damage("objects before the first or behind the last frame that was recorded")
        for indices, times in self.frame_chunks(frames):
            rows = self.observations_in(int(indices[0]), int(indices[-1]), masks=masks)
            unknown = ~np.isin(rows.frames, indices)
            if unknown.any():
                raise self._damage("objects in frame {0}, which was not recorded", rows.frames[unknown][0])
            yield Chunk(indices, times, rows)

    def frame_chunks(self, frames: int) -> Iterator[tuple[Int64[ndarray, " f"], Float64[ndarray, " f"]]]:
        """Indices and times of all frames in order, so many at a time."""
        start = 0
        while True:
            rows = self._query(
                "SELECT frame, time FROM frames WHERE frame >= ? ORDER BY frame LIMIT ?", (start, frames)
            )
            if not rows:
                return
            yield np.array([frame for frame, _ in rows], np.int64), self._times([time for _, time in rows])
            start = rows[-1][0] + 1

    def tracks(self) -> list[TrackSummary]:
        """All tracks by ascending id."""
        rows = self._query("SELECT track, class, first_frame, last_frame, observations FROM tracks ORDER BY track")
        return [self._summary(row) for row in rows]

    def track_counts(self) -> dict[int, int]:
        """Number of tracks of each class that occurs."""
        counts = dict(self._query("SELECT class, count(*) FROM tracks GROUP BY class ORDER BY class"))
        if counts and max(counts) >= len(self.info.labels):
            self._reload()
        if any(not 0 <= class_id < len(self.info.labels) for class_id in counts):
            raise self._damage(f"tracks of classes {sorted(counts)}; {len(self.info.labels)} are known")
        return counts

    def track(self, track_id: int) -> TrackSummary:
        """One track. Raises FormatError where there is none of that id."""
        rows = self._query(
            "SELECT track, class, first_frame, last_frame, observations FROM tracks WHERE track = ?", (track_id,)
        )
        if not rows:
            raise FormatError(f"{self.path}: no track {track_id}; the command report lists those there are")
        return self._summary(rows[0])

    def events(self, first: int = 0, last: int | None = None) -> list[RecordedEvent]:
        """What the rules noticed from frame `first` to `last`, both included, in order."""
        rows = self._query(
            "SELECT frame, kind, name, time, track, class, value FROM events WHERE frame BETWEEN ? AND ? "
            "ORDER BY frame, event",
            (first, _end(last)),
        )
        try:
            return [
                RecordedEvent(
                    int(frame), Event(EventKind(kind), str(name), float(time), int(track), int(label), float(value))
                )
                for frame, kind, name, time, track, label, value in rows
            ]
        except (TypeError, ValueError) as error:
            raise self._damage(str(error)) from error

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Questions inside see one and the same commit, however much is written meanwhile."""
        self._query("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def has_table(self, name: str) -> bool:
        """Whether a table that not every recording has is there."""
        return bool(self._query("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)))

    def rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The answer to a question in SQL, for tables that have a module of their own."""
        for rows in self._stream(statement, values):
            yield from rows

    def _checked(self, rows: Observations) -> Observations:
        """The rows, which must be of classes and tracks that can be."""
        if len(rows) and rows.class_ids.max() >= len(self.info.labels):
            self._reload()  # a correction may have brought a new class since
        wrong = (rows.class_ids < 0) | (rows.class_ids >= len(self.info.labels)) | (rows.tracks < 1)
        if wrong.any():
            frame, track, class_id = (column[wrong][0] for column in (rows.frames, rows.tracks, rows.class_ids))
            known = len(self.info.labels)
            raise self._damage(f"frame {{0}}: track {track} of class {class_id}; {known} are known", frame)
        return rows

    def _times(self, values: list[Any]) -> Float64[ndarray, " f"]:
        """The time stamps, which must be finite numbers."""
        try:
            times = np.array(values, np.float64)
        except (TypeError, ValueError) as error:
            raise self._damage(str(error)) from error
        if not np.isfinite(times).all():
            raise self._damage(f"a time stamp of {times[~np.isfinite(times)][0]}")
        return times

    def _summary(self, row: tuple[Any, ...]) -> TrackSummary:
        found = TrackSummary(*row)
        if found.class_id >= len(self.info.labels):
            self._reload()
        if not 0 <= found.class_id < len(self.info.labels):
            raise self._damage(f"track {row[0]} of class {found.class_id}; {len(self.info.labels)} are known")
        return found

    def _damage(self, reason: str, *frames: int) -> DamagedStoreError:
        words = f"{self.path}: damaged: {reason}. Restore it from a copy, or annotate again."
        return DamagedStoreError(words, frames=frames)

    def _stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of an answer, some at a time."""
        try:
            cursor = self._connection.execute(statement, _plain(values))
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield rows
        except (sqlite3.Error, UnicodeError) as error:
            raise damage_of(self.path, error) from error

    def _query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, _plain(values)).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise damage_of(self.path, error) from error


def _plain(values: Sequence[Any]) -> list[Any]:
    """The values as SQLite takes them, numbers of NumPy too. Raises ConfigError for a number that it cannot hold."""
    plain = [int(value) if isinstance(value, Integral) else value for value in values]
    for value in plain:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ConfigError(f"{value}: no frame and no id of a recording is that large; the highest is 2^63 - 1")
    return plain


def _end(last: int | None) -> int:
    return 2**62 if last is None else last


def _with_masks(rows: list[tuple[Any, ...]], counts: dict[tuple[int, int], str]) -> Observations:
    return from_stored(rows, [counts.get((row[0], row[1])) for row in rows])
