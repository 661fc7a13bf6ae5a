"""A recording's rows after refinement, with their masks."""

from __future__ import annotations

import numpy as np

from tracker.store import Observations as Rows
from tracker.store import Origin, Recording
from tracker.track.refine import Observations, RefineConfig, refine

__all__ = ["refined_rows"]

CHUNK_FRAMES = 512


def refined_rows(recording: Recording, config: RefineConfig | None = None) -> tuple[list[Rows], str]:
    """The rows with hindsight, some frames in each part, and what was changed, in words.

    Rows of tracks that were not confirmed in their frame take part, so that an object's first moments are kept.
    """
    parts = [recording.tentative(masks=True)]
    parts += [stretch.observations for stretch in recording.stretches(frames=CHUNK_FRAMES, masks=True)]
    parts = [part for part in parts if len(part)]
    if not parts:
        return [], "nothing was seen"
    frames, times = recording.frame_times()
    tracks = np.concatenate([part.tracks for part in parts])
    seen_in = np.concatenate([part.frames for part in parts])
    masks = {
        (frame, track): mask
        for part in parts
        if part.masks is not None
        for frame, track, mask in zip(part.frames.tolist(), part.tracks.tolist(), part.masks, strict=True)
        if mask is not None
    }
    order = np.lexsort((tracks, seen_in))
    rows = Observations(
        np.searchsorted(frames, seen_in[order]).astype(np.int64),
        tracks[order],
        np.concatenate([part.boxes for part in parts])[order].astype(np.float32),
        np.concatenate([part.scores for part in parts])[order].astype(np.float32),
        np.concatenate([part.class_ids for part in parts])[order].astype(np.int32),
    )
    refined = refine(rows, times, config)
    kept = {link.joined: link.kept for link in refined.account.links}
    renamed = {(frame, kept.get(track, track)): mask for (frame, track), mask in masks.items()}
    return _in_parts(refined.observations, frames, renamed), str(refined.account)


def _in_parts(rows: Observations, frames: np.ndarray, masks: dict[tuple[int, int], str]) -> list[Rows]:
    filled = rows.filled if rows.filled is not None else np.zeros(len(rows), bool)
    indices = frames[rows.frames] if len(rows) else rows.frames
    parts = []
    for start in range(0, len(frames), CHUNK_FRAMES):
        part = np.flatnonzero((rows.frames >= start) & (rows.frames < start + CHUNK_FRAMES))
        if not len(part):
            continue
        keys = zip(indices[part].tolist(), rows.ids[part].tolist(), strict=True)
        parts.append(
            Rows.rounded(
                indices[part],
                tracks=rows.ids[part],
                class_ids=rows.class_ids[part],
                scores=np.minimum(rows.scores[part], 1.0),
                boxes=rows.boxes[part],
                origins=np.where(filled[part], Origin.FILLED, Origin.SEEN),
                masks=[masks.get(key) for key in keys] if masks else None,
            )
        )
    return parts
