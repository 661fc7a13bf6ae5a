"""Corrections by people: each one an exact exchange of rows, kept with the recording, undone and redone at will."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tracker.errors import ConfigError, FormatError
from tracker.store.reader import Recording
from tracker.store.rows import Observations, Origin, RecordedEvent, parse_stored
from tracker.store.schema import transaction
from tracker.store.state import pack_state, unpack_state
from tracker.store.writer import INSERT_MASK, INSERT_OBSERVATION, MOST_SEEN_CLASS, insert_events

__all__ = ["Edit", "RecordingEditor", "Recount"]

LAST_FRAME = 2**62

Recount: TypeAlias = Callable[[Recording, Sequence[int]], Sequence[RecordedEvent]]
"""Gives the events of some tracks as the rules of the recording see them now."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One correction."""

    number: int
    kind: str
    """merge, split, relabel, delete, class or box."""
    details: Mapping[str, Any]
    undone: bool


class RecordingEditor(Recording):
    """A finished recording that can be corrected.

    Every correction is one transaction: rows, tracks and, through `recount`, the events of the tracks concerned. A
    correction after an undo drops what could have been redone. Raises FormatError for a recording that is still being
    written, ConfigError for a correction that makes no sense.
    """

    writes = True

    def __init__(self, path: Path | str, recount: Recount | None = None) -> None:
        super().__init__(path)
        self._recount = recount
        try:
            if not self.complete:
                raise FormatError(f"{path}: not finished yet; run annotate to its end before correcting it")
            if self.info.rules and recount is None:
                raise ValueError("a recording with rules needs `recount`, or its events would no longer be true")
        except BaseException:
            self.close()
            raise

    def merge(self, keep: int, *others: int) -> Edit:
        """One track out of several, under the id and class of the first.

        Where both are in a frame, the box set by a person stays, else the one with the higher score.
        """
        if not others or keep in others:
            raise ConfigError(f"merge: expected two or more different tracks, found {(keep, *others)}")
        class_id = self.track(keep).class_id
        for other in others:
            self.track(other)
        rows = self.observations_of(keep, *others, masks=True)
        rank = np.lexsort((rows.tracks != keep, -rows.scores, rows.origins != Origin.MANUAL, rows.frames))
        first = np.ones(len(rows), bool)
        first[1:] = np.diff(rows.frames[rank]) > 0
        chosen = rows[np.sort(rank[first])]
        merged = _with(chosen, track=keep, class_id=class_id)
        return self._exchange("merge", {"keep": keep, "others": list(others)}, rows, merged)

    def split(self, track_id: int, frame: int) -> Edit:
        """Two tracks out of one: what is seen from `frame` on gets the new id in the edit's details."""
        rows = self.observations_of(track_id, masks=True)
        later = rows.frames >= frame
        if not later.any() or later.all():
            raise ConfigError(f"split: track {track_id} has nothing on one side of frame {frame}")
        new_id = self.next_track_id()
        details = {"track": track_id, "frame": frame, "new": new_id}
        return self._exchange("split", details, rows[later], _with(rows[later], track=new_id))

    def relabel(self, track_id: int, new_id: int) -> Edit:
        """Another id for a track; it must be free."""
        if new_id < 1 or self._query("SELECT 1 FROM tracks WHERE track = ?", (new_id,)):
            raise ConfigError(f"relabel: id {new_id} is not free; use merge to make one track of two")
        rows = self._rows_of(track_id)
        return self._exchange("relabel", {"track": track_id, "new": new_id}, rows, _with(rows, track=new_id))

    def delete(self, tracks: int | Sequence[int], first: int = 0, last: int = LAST_FRAME) -> Edit:
        """Without a track or several, or without them from frame `first` to `last`, both included."""
        rows = self._rows_of(tracks, first, last)
        return self._exchange("delete", _which(tracks, rows), rows, rows[:0])

    def change_class(self, tracks: int | Sequence[int], label: str, first: int = 0, last: int = LAST_FRAME) -> Edit:
        """Another class for a track or several, or from `first` to `last` only; a new label is added to those known."""
        rows = self._rows_of(tracks, first, last)
        details = {**_which(tracks, rows), "label": label}
        return self._exchange("class", details, rows, _with(rows, class_id=self._class_of(label)))

    def set_box(
        self,
        track_id: int | None,
        frame: int,
        box: Sequence[float],
        *,
        label: str | None = None,
        interpolate: bool = True,
    ) -> Edit:
        """Add or move the box of a track in one frame; without an id a new track begins, which needs a label.

        Boxes a person set for a track are its keyframes: with `interpolate` the frames between this one and its
        neighbouring keyframes get boxes in between, linear in time, also in place of those the network gave.
        """
        x1, y1, x2, y2 = box
        if not (np.isfinite(box).all() and x2 > x1 and y2 > y1):
            raise ConfigError(f"box: expected finite x1 < x2 and y1 < y2, found {tuple(box)}")
        self.time_of(frame)
        known = None if track_id is None else self._query("SELECT class FROM tracks WHERE track = ?", (track_id,))
        if label is None and not known:
            raise ConfigError("box: a new track needs a label")
        class_id = self._class_of(label) if label is not None else int(known[0][0]) if known else 0
        chosen = self.next_track_id() if track_id is None else track_id
        own = self.observations_of(chosen, masks=True)
        here = Observations.rounded(
            frame,
            tracks=np.array([chosen]),
            class_ids=np.array([class_id]),
            scores=np.ones(1),
            boxes=np.array([box], np.float64),
            origins=Origin.MANUAL,
            masks=[None],
        )
        new = [here]
        first = last = frame
        if interpolate:
            before = own[(own.origins == Origin.MANUAL) & (own.frames < frame)][-1:]
            after = own[(own.origins == Origin.MANUAL) & (own.frames > frame)][:1]
            first = int(before.frames[0]) + 1 if len(before) else frame
            last = int(after.frames[0]) - 1 if len(after) else frame
            new = [*self._between(before, here), here, *self._between(here, after)]
        replaced = own[(own.frames >= first) & (own.frames <= last)]
        details = {"track": chosen, "frame": frame, "box": [float(value) for value in box]}
        return self._exchange("box", details, replaced, _joined(new))

    def undo(self) -> Edit | None:
        """Take back the last correction; None where there is none."""
        rows = self._query("SELECT edit, change FROM edits WHERE undone = 0 ORDER BY edit DESC LIMIT 1")
        return self._redo(rows, forward=False)

    def redo(self) -> Edit | None:
        """Make the correction that was undone last once more; None where there is none."""
        rows = self._query("SELECT edit, change FROM edits WHERE undone = 1 ORDER BY edit LIMIT 1")
        return self._redo(rows, forward=True)

    def change_rules(self, rules: str, find_events: Callable[[Recording], Iterable[RecordedEvent]]) -> None:
        """Other rules, as TOML text, and in place of all events those that `find_events` finds with them.

        This is no correction: corrections stay as they are, and `undo` does not bring the old rules back.
        """
        try:
            with transaction(self._connection, self.path):
                self._keep_note("rules", rules)
                self._keep_note("settings", {**self.info.settings, "rules": rules})
                self._reload()
                events = list(find_events(self))
                self._connection.execute("DELETE FROM events")
                insert_events(self._connection, events)
                self._keep_note("revision", (self.note("revision") or 0) + 1)
        finally:
            self._reload()

    def edits(self) -> list[Edit]:
        """All corrections in order, those undone last."""
        rows = self._query("SELECT edit, kind, details, undone FROM edits ORDER BY edit")
        try:
            return [Edit(number, kind, parse_stored(details), bool(undone)) for number, kind, details, undone in rows]
        except (TypeError, ValueError) as error:
            raise FormatError(f"{self.path}: a correction is damaged: {error}. Restore it from a copy.") from error

    def next_track_id(self) -> int:
        """An id that no track of this recording ever had."""
        highest: int = self._query("SELECT coalesce(max(track), 0) FROM tracks")[0][0]
        return max(highest, self.note("highest_track") or 0) + 1

    def _rows_of(self, tracks: int | Sequence[int], first: int = 0, last: int = LAST_FRAME) -> Observations:
        wanted = [tracks] if isinstance(tracks, int) else tracks
        if not wanted:
            raise ConfigError("expected at least one track, found none")
        for track_id in wanted:
            self.track(track_id)
        rows = self.observations_of(*wanted, masks=True)
        rows = rows[(rows.frames >= first) & (rows.frames <= last)]
        if not len(rows):
            names = ", ".join(map(str, wanted))
            raise ConfigError(f"track {names} is not seen from frame {first} to {last}")
        return rows

    def _class_of(self, label: str) -> int:
        labels = list(self.info.labels)
        if label not in labels:
            if not label.strip():
                raise ConfigError("a label needs a name")
            labels.append(label)
            with transaction(self._connection, self.path):
                self._keep_note("labels", labels)
            self._reload()
        return labels.index(label)

    def _between(self, before: Observations, after: Observations) -> list[Observations]:
        if not len(before) or not len(after):
            return []
        frames, times = self.frame_times(int(before.frames[0]), int(after.frames[0]))
        start, end, inner = times[0], times[-1], slice(1, -1)
        share = ((times[inner] - start) / (end - start))[:, None]
        count = len(share)
        filled = Observations.rounded(
            frames[inner],
            tracks=np.repeat(after.tracks, count),
            class_ids=np.repeat(after.class_ids, count),
            scores=np.ones(count),
            boxes=before.boxes + (after.boxes - before.boxes) * share,
            origins=Origin.INTERPOLATED,
            masks=[None] * count,
        )
        return [filled]

    def _exchange(self, kind: str, details: Mapping[str, Any], removed: Observations, added: Observations) -> Edit:
        change = pack_state({"removed": _to_state(removed), "added": _to_state(added)})
        highest = max(self.next_track_id() - 1, *added.tracks.tolist(), 0)
        with transaction(self._connection, self.path):
            self._connection.execute("DELETE FROM edits WHERE undone = 1")
            values = (kind, json.dumps(details), 0, change)
            statement = "INSERT INTO edits (kind, details, undone, change) VALUES (?, ?, ?, ?)"
            number = self._connection.execute(statement, values).lastrowid
            self._keep_note("highest_track", highest)
            self._apply(removed, added)
        return Edit(int(number or 0), kind, dict(details), undone=False)

    def _redo(self, rows: list[tuple[Any, ...]], *, forward: bool) -> Edit | None:
        if not rows:
            return None
        number, packed = rows[0]
        change = unpack_state(packed)
        removed, added = _from_state(change["removed"]), _from_state(change["added"])
        with transaction(self._connection, self.path):
            self._connection.execute("UPDATE edits SET undone = ? WHERE edit = ?", (0 if forward else 1, number))
            self._apply(removed, added) if forward else self._apply(added, removed)
        return next(edit for edit in self.edits() if edit.number == number)

    def _apply(self, removed: Observations, added: Observations) -> None:
        keys = list(zip(removed.frames.tolist(), removed.tracks.tolist(), strict=True))
        connection = self._connection
        for table in ("observations", "masks"):
            connection.executemany(f"DELETE FROM {table} WHERE frame = ? AND track = ?", keys)
        connection.executemany(INSERT_OBSERVATION, added.to_stored())
        connection.executemany(INSERT_MASK, added.stored_masks())
        concerned = sorted({*removed.tracks.tolist(), *added.tracks.tolist()})
        for track in concerned:
            connection.execute("DELETE FROM tracks WHERE track = ?", (track,))
            connection.execute(
                "INSERT INTO tracks SELECT track, class, min(frame), max(frame), count(*) FROM observations "
                "WHERE track = ? GROUP BY track",
                (track,),
            )
            connection.execute(f"UPDATE tracks SET class = ({MOST_SEEN_CLASS}) WHERE track = ?", (track,))
            connection.execute("DELETE FROM events WHERE track = ?", (track,))
        revision = (self.note("revision") or 0) + 1
        self._keep_note("revision", revision)
        if self._recount is not None:
            insert_events(connection, self._recount(self, concerned))

    def _keep_note(self, key: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
        self._connection.execute("INSERT OR REPLACE INTO info VALUES (?, ?)", (key, text))


def _which(tracks: int | Sequence[int], rows: Observations) -> dict[str, Any]:
    which = {"track": tracks} if isinstance(tracks, int) else {"tracks": list(tracks)}
    return {**which, "first": int(rows.frames[0]), "last": int(rows.frames[-1])}


def _with(rows: Observations, *, track: int | None = None, class_id: int | None = None) -> Observations:
    return Observations(
        rows.frames,
        rows.tracks if track is None else np.full_like(rows.tracks, track),
        rows.class_ids if class_id is None else np.full_like(rows.class_ids, class_id),
        rows.scores,
        rows.boxes,
        rows.origins,
        rows.masks,
    )


def _joined(parts: Sequence[Observations]) -> Observations:
    masks: list[str | None] = []
    for part in parts:
        masks += part.masks or [None] * len(part)
    return Observations(
        np.concatenate([part.frames for part in parts]),
        np.concatenate([part.tracks for part in parts]),
        np.concatenate([part.class_ids for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.origins for part in parts]),
        tuple(masks),
    )


def _to_state(rows: Observations) -> dict[str, Any]:
    table = np.array(list(rows.to_stored()), np.int64).reshape(-1, 9)
    return {"rows": table, "masks": list(rows.masks) if rows.masks is not None else None}


def _from_state(state: Mapping[str, Any]) -> Observations:
    return Observations.from_stored(state["rows"], state["masks"])
