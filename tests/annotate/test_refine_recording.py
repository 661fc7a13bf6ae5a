from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.store.recordings import INFO
from tracker.annotate.refine_recording import RefinedRows
from tracker.observations import Observations, Origin
from tracker.store import Recording, RecordingEditor, RecordingWriter
from tracker.store.rows import to_stored

RATE = 25


def write(path: Path, seen: dict[int, Sequence[int]], *, jump: int = 0, tentative: Sequence[int] = ()) -> Path:
    """A recording still open, of boxes that walk right; each row's mask gives frame and object.

    `seen` are the frames of each track; from frame `jump` on, boxes are somewhere else.
    """
    writer = RecordingWriter.create(path, INFO)
    for frame in range(max(max(frames) for frames in seen.values()) + 1):
        parts = []
        for chosen in (False, True):
            tracks = [t for t, frames in seen.items() if frame in frames and (frame in tentative) == chosen]
            left = np.full(len(tracks), 20.0 + 2 * frame + (300 if jump and frame >= jump else 0))
            boxes = np.stack([left, np.full(len(tracks), 50.0), left + 30, np.full(len(tracks), 130.0)], axis=1)
            scores = np.full(len(tracks), 0.8)
            masks = [f"mask{frame}" for _ in tracks]
            ids = np.array(tracks, np.int64)
            parts.append(
                Observations.rounded(frame, tracks=ids, class_ids=ids * 0, scores=scores, boxes=boxes, masks=masks)
            )
        writer.add(frame, frame / RATE, parts[0], tentative=parts[1])
    writer.commit({})
    writer.close()
    return path


def refine(path: Path) -> Observations:
    """All rows after refinement, as they would be stored."""
    with Recording(path) as recording, RefinedRows(recording) as parts:
        assert [len(part) for part in parts] == [len(part) for part in parts], "they can be gone through again"
        return joined(list(parts))


def joined(parts: Sequence[Observations]) -> Observations:
    """The rows of all parts one after the other."""
    names = ("frames", "tracks", "class_ids", "scores", "boxes", "origins")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Observations(*columns, tuple(mask for part in parts for mask in part.masks or [None] * len(part)))


def test_linked_filled_and_tentative_rows_keep_their_own_masks(tmp_path: Path) -> None:
    first, second = range(40), range(50, 90)
    path = write(tmp_path / "a.sqlite", {1: first, 7: second}, tentative=(0, 1, 2))
    rows = refine(path)
    assert rows.frames.tolist() == list(range(90))
    assert set(rows.tracks.tolist()) == {1}
    filled = rows.origins == Origin.INTERPOLATED
    assert rows.frames[filled].tolist() == list(range(40, 50))
    assert rows.masks == tuple(None if 40 <= frame < 50 else f"mask{frame}" for frame in range(90))


def test_what_is_cut_off_keeps_its_masks_under_its_new_id(tmp_path: Path) -> None:
    first, second = range(40), range(300, 340)
    rows = refine(write(tmp_path / "a.sqlite", {1: [*first, *second]}, jump=200))
    assert len(set(rows.tracks.tolist())) == 2
    assert rows.masks == tuple(f"mask{frame}" for frame in rows.frames.tolist())


def test_tracks_that_people_corrected_stay_as_they_are_and_new_ids_are_free(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sqlite", {1: [*range(40), *range(300, 340)], 9: range(60, 90)}, jump=200)
    with RecordingEditor(path) as editor:
        editor.set_box(9, 70, (1.0, 2.0, 30.0, 40.0))
        corrected = editor.observations_of(9, masks=True)
        assert editor.corrected_tracks() == {9}
    with Recording(path) as recording, RefinedRows(recording, untouched=recording.corrected_tracks()) as parts:
        rows = joined(list(parts))
    assert set(rows.tracks.tolist()) == {1, 9, 10}
    same = rows[rows.tracks == 9]
    assert (list(to_stored(same)), same.masks) == (list(to_stored(corrected)), corrected.masks)
    assert not (rows[rows.tracks == 1].frames >= 300).any()


def test_nothing_seen_stays_nothing(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    writer.add(0, 0.0, Observations.empty())
    writer.commit({})
    writer.close()
    with Recording(tmp_path / "a.sqlite") as recording, RefinedRows(recording) as rows:
        assert list(rows) == []
