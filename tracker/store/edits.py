"""Corrections by people: each one an exact exchange of rows, kept with the recording, undone and redone at will."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tracker.errors import ConfigError
from tracker.observations import Observations, Origin
from tracker.store.corrections import (
    LAST_FRAME,
    from_state,
    interpolate_rows,
    merge_rows,
    replace_columns,
    shared_frames,
    to_state,
)
from tracker.store.reader import Recording
from tracker.store.rows import Edit, RecordedEvent, stored_masks, to_stored
from tracker.store.schema import transaction
from tracker.store.state import pack_state, unpack_state
from tracker.store.writer import INSERT_MASK, INSERT_OBSERVATION, MOST_SEEN_CLASS, insert_events

__all__ = ["RecordingEditor", "Recount", "ShiftMask"]

SAME_SIZE = 0.5
"""Pixels up to which a box that was moved has kept its size."""

Recount: TypeAlias = Callable[[Recording, Sequence[int] | None], Sequence[RecordedEvent]]
"""Gives the events of some tracks, or of all, as the rules of the recording see them now."""
ShiftMask: TypeAlias = Callable[[str, int, int, int, int], str | None]
"""Gives COCO run lengths moved by pixels to the right and down in a frame of a width and height; None where nothing of
the mask is left in the frame."""


class RecordingEditor(Recording):
    """A recording that can be corrected, also while it is being written.

    Every correction is one transaction: rows, tracks and, through `recount`, the events of the tracks concerned. What
    an annotation still running adds later is changed in the same way (`RecordingWriter.commit`). A correction after an
    undo drops what could have been redone. Raises ConfigError for a correction that makes no sense.
    """

    writes = True

    def __init__(self, path: Path | str, recount: Recount | None = None, shift_mask: ShiftMask | None = None) -> None:
        super().__init__(path)
        self._recount = recount
        self._shift_mask = shift_mask
        if self.info.rules and recount is None:
            self.close()
            raise ValueError("a recording with rules needs `recount`, or its events would no longer be true")

    def shared_frames(self, *track_ids: int) -> list[int]:
        """Frames in which more than one of some tracks is visible."""
        frames: list[int] = shared_frames(self.observations_of(*track_ids)).tolist()
        return frames

    def merge(self, keep: int, *others: int, boxes_of: int | None = None) -> Edit:
        """One track out of several, under the id and class of the first.

        Raises ConfigError for tracks that are both visible in some frames, unless `boxes_of` says whose boxes stay
        there; where that one is not in such a frame, the box set by a person stays, else the one of the higher score.
        """
        if not others or keep in others:
            raise ConfigError(f"merge: expected two or more different tracks, found {(keep, *others)}")
        if boxes_of is not None and boxes_of not in (keep, *others):
            raise ConfigError(f"merge: boxes_of is {boxes_of}, expected one of {(keep, *others)}")
        with self._transaction():
            class_id = self.track(keep).class_id
            for other in others:
                self.track(other)
            rows = self.observations_of(keep, *others, masks=True)
            shared = shared_frames(rows)
            if len(shared) and boxes_of is None:
                names = ", ".join(map(str, (keep, *others)))
                raise ConfigError(
                    f"merge: tracks {names} are visible together in {len(shared)} frames, the first is {{0}}. "
                    "Say whose boxes stay there (boxes_of), or delete the others first.",
                    frames=(shared[0],),
                )
            details = {
                "keep": keep, "others": list(others), "class": class_id, "boxes_of": boxes_of, "shared": len(shared)
            }  # fmt: skip
            return self._exchange("merge", details, rows, merge_rows(rows, keep, class_id, boxes_of))

    def split(self, track_id: int, frame: int) -> Edit:
        """Two tracks out of one: what is seen from `frame` on gets the new id in the edit's details."""
        with self._transaction():
            rows = self.observations_of(track_id, masks=True)
            later = rows.frames >= frame
            if not later.any() or later.all():
                raise ConfigError(f"split: track {track_id} has nothing on one side of frame {{0}}", frames=(frame,))
            new_id = self._new_track_id()
            details = {"track": track_id, "frame": frame, "new": new_id}
            return self._exchange("split", details, rows[later], replace_columns(rows[later], tracks=new_id))

    def relabel(self, track_id: int, new_id: int) -> Edit:
        """Another id for a track; it must be free."""
        with self._transaction():
            if new_id < 1 or self._query("SELECT 1 FROM tracks WHERE track = ?", (new_id,)):
                raise ConfigError(f"relabel: id {new_id} is not free; use merge to make one track of two")
            rows = self._rows_of(track_id)
            self._reserve(new_id)
            details = {"track": track_id, "new": new_id}
            return self._exchange("relabel", details, rows, replace_columns(rows, tracks=new_id))

    def delete(self, tracks: int | Sequence[int], first: int = 0, last: int = LAST_FRAME) -> Edit:
        """Without a track or several, or without them from frame `first` to `last`, both included."""
        with self._transaction():
            rows = self._rows_of(tracks, first, last)
            return self._exchange("delete", _which(tracks, rows, last), rows, rows[:0])

    def change_class(self, tracks: int | Sequence[int], label: str, first: int = 0, last: int = LAST_FRAME) -> Edit:
        """Another class for a track or several, or from `first` to `last` only; a new label is added to those known."""
        with self._transaction():
            rows = self._rows_of(tracks, first, last)
            class_id = self._class_of(label)
            details = {**_which(tracks, rows, last), "label": label, "class": class_id}
            return self._exchange("class", details, rows, replace_columns(rows, class_id=class_id))

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
        neighbouring keyframes get boxes in between, linear in time, where the network saw the track in none of them.
        A box of the size it had keeps its mask, moved along. The edit's `details` tell how many frames were `filled`,
        and of a frame with a mask whether that was "moved" or "dropped" (`mask`).
        """
        x1, y1, x2, y2 = box
        if not (np.isfinite(box).all() and x2 > x1 and y2 > y1):
            raise ConfigError(f"box: expected finite x1 < x2 and y1 < y2, found {tuple(box)}")
        with self._transaction():
            self.time_of(frame)
            known = None if track_id is None else self._query("SELECT class FROM tracks WHERE track = ?", (track_id,))
            if label is None and not known:
                raise ConfigError("box: a new track needs a label")
            class_id = self._class_of(label) if label is not None else int(known[0][0]) if known else 0
            chosen = self._new_track_id() if track_id is None else track_id
            if not known:
                self._reserve(chosen)
            own = self.observations_of(chosen, masks=True)
            details: dict[str, Any] = {"track": chosen, "frame": frame, "box": [float(value) for value in box]}
            mask = self._moved_mask(own[own.frames == frame], box)
            if mask is not None:
                details["mask"] = "moved" if mask else "dropped"
            here = Observations.rounded(
                frame,
                tracks=np.array([chosen]),
                class_ids=np.array([class_id]),
                scores=np.ones(1),
                boxes=np.array([box], np.float64),
                origins=Origin.MANUAL,
                masks=[mask or None],
            )
            new = [here]
            first = last = frame
            if interpolate:
                before, after = own[own.frames < frame], own[own.frames > frame]
                start, end = _last_keyframe(before), _first_keyframe(after)
                if start is not None:
                    first = int(start.frames[0]) + 1
                    new.insert(0, self._between(start, here))
                if end is not None:
                    last = int(end.frames[0]) - 1
                    new.append(self._between(here, end))
            replaced = own[(own.frames >= first) & (own.frames <= last)]
            added = Observations.joined(new)
            details["filled"] = len(added) - 1
            return self._exchange("box", details, replaced, added)

    def interpolate(self, track_id: int, first: int, last: int) -> Edit:
        """Boxes in between those of a track at two frames, linear in time, also in place of those the network gave.

        The edit's `details` tell how many of these there were (`replaced`).
        """
        with self._transaction():
            own = self.observations_of(track_id, masks=True)
            start, end = own[own.frames == first], own[own.frames == last]
            if not len(start) or not len(end) or last - first < 2:
                raise ConfigError(
                    f"interpolate: track {track_id} needs a box in frame {{0}} and one in frame {{1}}, and frames "
                    "in between",
                    frames=(first, last),
                )
            replaced = own[(own.frames > first) & (own.frames < last)]
            count = int((replaced.origins == Origin.DETECTED).sum())
            details = {"track": track_id, "first": first, "last": last, "replaced": count}
            return self._exchange("interpolate", details, replaced, self._between(start, end))

    def change_rules(self, rules: str, **details: Any) -> Edit:
        """Other rules, as TOML text, and in place of all events those that `recount` finds with them.

        `details` are plain values to keep with the edit.
        """
        with self._transaction():
            edit = self._keep_edit("rules", details, {"before": self.info.rules, "after": rules})
            self._use_rules(rules)
        return edit

    def undo(self) -> Edit | None:
        """Take back the last correction; None where there is none."""
        return self._redo("SELECT edit, change FROM edits WHERE undone = 0 ORDER BY edit DESC LIMIT 1", forward=False)

    def redo(self) -> Edit | None:
        """Make the correction that was undone last once more; None where there is none."""
        return self._redo("SELECT edit, change FROM edits WHERE undone = 1 ORDER BY edit LIMIT 1", forward=True)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is read and written inside is of one moment, whoever else writes."""
        try:
            with transaction(self._connection, self.path):
                yield
        except BaseException:
            self._reload()
            raise

    def _rows_of(self, tracks: int | Sequence[int], first: int = 0, last: int = LAST_FRAME) -> Observations:
        wanted = [tracks] if isinstance(tracks, int | np.integer) else tracks
        if not wanted:
            raise ConfigError("expected at least one track, found none")
        for track_id in wanted:
            self.track(track_id)
        rows = self.observations_of(*wanted, masks=True)
        rows = rows[(rows.frames >= first) & (rows.frames <= last)]
        if not len(rows):
            names = ", ".join(map(str, wanted))
            where = "in frame {0}" if first == last else "from frame {0} to {1}"
            raise ConfigError(f"track {names} is not seen {where}", frames=(first, last))
        return rows

    def _class_of(self, label: str) -> int:
        labels = list(self.info.labels)
        if label not in labels:
            if not label.strip():
                raise ConfigError("a label needs a name")
            labels.append(label)
            self._keep_note("labels", labels)
            self._reload()
        return labels.index(label)

    def _new_track_id(self) -> int:
        new_id = self.highest_track + 1
        self._reserve(new_id)
        return new_id

    def _reserve(self, track_id: int) -> None:
        """An annotation that goes on must not give this id to another object."""
        if not self.complete:
            self._keep_note("reserved_tracks", sorted({*(self.note("reserved_tracks") or []), track_id}))

    def _moved_mask(self, before: Observations, box: Sequence[float]) -> str | None:
        """The mask of the one row, moved to where its box is now: empty where it is lost, None where there was none."""
        if not len(before) or before.masks is None or before.masks[0] is None:
            return None
        dx, dy, dx2, dy2 = (np.asarray(box, np.float64) - before.boxes[0]).tolist()
        if self._shift_mask is None or abs(dx2 - dx) > SAME_SIZE or abs(dy2 - dy) > SAME_SIZE:
            return ""
        frame = int(before.frames[0])
        entry = self.images(frame, frame).get(frame)
        width, height = (entry.width, entry.height) if entry else (self.info.width, self.info.height)
        return self._shift_mask(before.masks[0], round(dx), round(dy), width, height) or ""

    def _between(self, start: Observations, end: Observations) -> Observations:
        frames, times = self.frame_times(int(start.frames[0]), int(end.frames[0]))
        return interpolate_rows(start, end, frames, times)

    def _exchange(self, kind: str, details: Mapping[str, Any], removed: Observations, added: Observations) -> Edit:
        highest = max(self.highest_track, *added.tracks.tolist(), 0)
        edit = self._keep_edit(kind, details, {"removed": to_state(removed), "added": to_state(added)})
        self._keep_note("highest_track", highest)
        self._apply(removed, added)
        return edit

    def _keep_edit(self, kind: str, details: Mapping[str, Any], change: Mapping[str, Any]) -> Edit:
        self._connection.execute("DELETE FROM edits WHERE undone = 1")
        values = (kind, json.dumps(details, default=int), 0, pack_state(change))
        statement = "INSERT INTO edits (kind, details, undone, change) VALUES (?, ?, ?, ?)"
        number = self._connection.execute(statement, values).lastrowid
        return Edit(int(number or 0), kind, dict(details), undone=False)

    def _redo(self, statement: str, *, forward: bool) -> Edit | None:
        with self._transaction():
            rows = self._query(statement)
            if not rows:
                return None
            number, packed = rows[0]
            change = unpack_state(packed)
            self._connection.execute("UPDATE edits SET undone = ? WHERE edit = ?", (0 if forward else 1, number))
            if "after" in change:
                self._use_rules(change["after" if forward else "before"])
            else:
                removed, added = from_state(change["removed"]), from_state(change["added"])
                self._apply(removed, added) if forward else self._apply(added, removed)
        return next(edit for edit in self.edits() if edit.number == number)

    def _apply(self, removed: Observations, added: Observations) -> None:
        keys = list(zip(removed.frames.tolist(), removed.tracks.tolist(), strict=True))
        connection = self._connection
        for table in ("observations", "masks"):
            connection.executemany(f"DELETE FROM {table} WHERE frame = ? AND track = ?", keys)
        connection.executemany(INSERT_OBSERVATION, to_stored(added))
        connection.executemany(INSERT_MASK, stored_masks(added))
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
        self._revise()
        if self._recount is not None:
            insert_events(connection, self._recount(self, concerned))

    def _use_rules(self, rules: str) -> None:
        self._keep_note("rules", rules)
        self._keep_note("settings", {**self.info.settings, "rules": rules})
        self._reload()
        self._connection.execute("DELETE FROM events")
        if self._recount is not None:
            insert_events(self._connection, self._recount(self, None))
        self._revise()

    def _revise(self) -> None:
        self._keep_note("revision", (self.note("revision") or 0) + 1)

    def _keep_note(self, key: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=int)
        self._connection.execute("INSERT OR REPLACE INTO info VALUES (?, ?)", (key, text))


def _which(tracks: int | Sequence[int], rows: Observations, last: int) -> dict[str, Any]:
    which = {"track": int(tracks)} if isinstance(tracks, int | np.integer) else {"tracks": list(tracks)}
    return {**which, "first": int(rows.frames[0]), "last": int(rows.frames[-1]), "open": last >= LAST_FRAME}


def _last_keyframe(before: Observations) -> Observations | None:
    """The last row set by a person, unless the network saw the track after it."""
    keyframes = np.flatnonzero(before.origins == Origin.MANUAL)
    if not len(keyframes) or (before.origins[keyframes[-1] :] == Origin.DETECTED).any():
        return None
    return before[keyframes[-1:]]


def _first_keyframe(after: Observations) -> Observations | None:
    """The first row set by a person, unless the network saw the track before it."""
    keyframes = np.flatnonzero(after.origins == Origin.MANUAL)
    if not len(keyframes) or (after.origins[: keyframes[0]] == Origin.DETECTED).any():
        return None
    return after[keyframes[:1]]
