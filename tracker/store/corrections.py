"""What corrections make of rows, as pure functions: also of those that an annotation still running adds later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from tracker.observations import Observations, Origin
from tracker.store.rows import from_stored, to_stored

__all__ = [
    "LAST_FRAME",
    "change_later",
    "from_state",
    "interpolate_rows",
    "merge_rows",
    "replace_columns",
    "shared_frames",
    "to_state",
]

LAST_FRAME = 2**62
"""Stands for the end of a recording, also of one that still grows."""


def replace_columns(
    rows: Observations, *, tracks: Int64[ndarray, " n"] | int | None = None, class_id: int | None = None
) -> Observations:
    """The rows as those of another track, or of other ones, or of another class."""
    return Observations(
        rows.frames,
        rows.tracks if tracks is None else np.broadcast_to(np.asarray(tracks, np.int64), (len(rows),)),
        rows.class_ids if class_id is None else np.full_like(rows.class_ids, class_id),
        rows.scores,
        rows.boxes,
        rows.origins,
        rows.masks,
    )


def shared_frames(rows: Observations) -> Int64[ndarray, " f"]:
    """Frames in which more than one row is."""
    frames, counts = np.unique(rows.frames, return_counts=True)
    shared: ndarray = frames[counts > 1]
    return shared


def merge_rows(rows: Observations, keep: int, class_id: int, boxes_of: int | None) -> Observations:
    """One track of several. In frames of more than one row that of `boxes_of` stays, else one set by a person, else the
    one with the higher score, else that of `keep`."""
    rank = np.lexsort(
        (rows.tracks != keep, -rows.scores, rows.origins != Origin.MANUAL, rows.tracks != boxes_of, rows.frames)
    )
    first = np.ones(len(rows), bool)
    first[1:] = np.diff(rows.frames[rank]) > 0
    return replace_columns(rows[np.sort(rank[first])], tracks=keep, class_id=class_id)


def interpolate_rows(
    start: Observations, end: Observations, frames: Int64[ndarray, " f"], times: Float64[ndarray, " f"]
) -> Observations:
    """Rows of one track between two rows, linear in time; `frames` begin and end with those of the two."""
    inner = slice(1, -1)
    fraction = ((times[inner] - times[0]) / (times[-1] - times[0]))[:, None]
    count = len(fraction)
    return Observations.rounded(
        frames[inner],
        tracks=np.repeat(end.tracks, count),
        class_ids=np.repeat(end.class_ids, count),
        scores=np.ones(count),
        boxes=start.boxes + (end.boxes - start.boxes) * fraction,
        origins=Origin.INTERPOLATED,
        masks=[None] * count,
    )


def change_later(
    kind: str, details: Mapping[str, Any], rows: Observations
) -> tuple[Bool[ndarray, " n"], Observations] | None:
    """Which of some rows, recorded after a correction was made, it concerns, and what it makes of those.

    None where it concerns none. Tracks merged, split off, renamed, taken out or of another class to their end stay so;
    a box, and a range that ends, concern frames that were there already.
    """
    if kind == "merge":
        keep, others = int(details["keep"]), [int(other) for other in details["others"]]
        frames = rows.frames[np.isin(rows.tracks, others)]
        chosen = np.isin(rows.tracks, [keep, *others]) & np.isin(rows.frames, frames)
        boxes_of = details.get("boxes_of")
        changed = merge_rows(rows[chosen], keep, int(details["class"]), keep if boxes_of is None else int(boxes_of))
    elif kind in ("split", "relabel"):
        chosen = (rows.tracks == int(details["track"])) & (rows.frames >= int(details.get("frame", 0)))
        changed = replace_columns(rows[chosen], tracks=int(details["new"]))
    elif kind in ("delete", "class") and details.get("open"):
        chosen = np.isin(rows.tracks, details.get("tracks", [details.get("track")]))
        changed = rows[:0] if kind == "delete" else replace_columns(rows[chosen], class_id=int(details["class"]))
    else:
        return None
    return (chosen, changed) if chosen.any() else None


def to_state(rows: Observations) -> dict[str, Any]:
    """Rows as plain values and arrays."""
    table = np.array(list(to_stored(rows)), np.int64).reshape(-1, 9)
    return {"rows": table, "masks": list(rows.masks) if rows.masks is not None else None}


def from_state(state: Mapping[str, Any]) -> Observations:
    """The opposite of `to_state`."""
    return from_stored(state["rows"], state["masks"])
