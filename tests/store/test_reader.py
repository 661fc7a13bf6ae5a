from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.store.recordings import INFO, finished, objects
from tracker.errors import DamagedStoreError, FormatError
from tracker.store import Recording, RecordingWriter, Scratch


def test_frames_are_found_by_time(tmp_path: Path) -> None:
    with Recording(finished(tmp_path / "a.sqlite")) as recording:
        assert recording.frame_shown_at(-1.0) == 0
        assert recording.frame_shown_at(1.7) == 3
        assert recording.frame_shown_at(2.0) == 4
        assert recording.frame_shown_at(99.0) == 9
        assert recording.time_of(3) == 1.5
        with pytest.raises(FormatError, match="no frame 10"):
            recording.time_of(10)


def test_time_stamps_keep_all_their_digits(tmp_path: Path) -> None:
    times = [0.0, 1 / 3, 1001 / 30000, 12345.678901234567]
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    for frame, time in enumerate(sorted(times)):
        writer.add(frame, time, objects(frame))
    writer.commit({})
    writer.close()
    with Recording(tmp_path / "a.sqlite") as recording:
        assert recording.frame_times()[1].tolist() == sorted(times)


def test_tracks_are_read_whole_and_together(tmp_path: Path) -> None:
    with Recording(finished(tmp_path / "a.sqlite", masks=True)) as recording:
        rows = recording.observations_of(1, 3, masks=True)
        assert rows.frames.tolist() == sorted([*range(10), *range(10)])
        assert set(rows.tracks.tolist()) == {1, 3}
        assert rows.masks is not None
        assert rows.masks[:2] == ("mask0-1", "mask0-3")
        with pytest.raises(FormatError, match="no track 8"):
            recording.track(8)


def test_stretches_give_every_frame_once_those_without_objects_too(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    for frame in range(0, 50, 3):  # a stride of 3
        writer.add(frame, frame / 25, objects(frame, *([1, 2] if frame % 2 else [])))
    writer.commit({})
    writer.close()
    with Recording(tmp_path / "a.sqlite") as recording:
        seen = [row for stretch in recording.chunks(frames=4) for row in stretch.by_frame()]
        assert [frame for frame, _, _ in seen] == list(range(0, 50, 3))
        assert [len(rows) for _, _, rows in seen] == [2 if frame % 2 else 0 for frame in range(0, 50, 3)]
        assert recording.frame_count() == len(seen)


def test_a_snapshot_stands_still_while_others_write(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    writer.add(0, 0.0, objects(0, 1))
    writer.commit({})
    with Recording(tmp_path / "a.sqlite") as recording:
        with recording.snapshot():
            assert recording.last_frame == 0
            writer.add(1, 0.1, objects(1, 1))
            writer.commit({})
            assert recording.last_frame == 0
        assert recording.last_frame == 1
    writer.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_recording_in_a_folder_without_rights_can_be_read(tmp_path: Path) -> None:
    path = finished(tmp_path / "sealed" / "a.sqlite")
    path.parent.chmod(0o500)
    try:
        with Recording(path) as recording:
            assert recording.frame_count() == 10
    finally:
        path.parent.chmod(0o700)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 objects in 1,000 frames, tracks coming and going."""
    path = tmp_path_factory.mktemp("crowded") / "a.sqlite"
    writer = RecordingWriter.create(path, INFO)
    for frame in range(1000):
        tracks = [1 + slot + 20 * ((frame + 10 * slot) // 200) for slot in range(20)]
        writer.add(frame, frame / 25, objects(frame, *tracks))
        if frame % 50 == 49:
            writer.commit({})
    writer.complete_with(None)
    writer.close()
    return path


def test_an_observation_takes_less_than_60_bytes(crowded: Path) -> None:
    assert crowded.stat().st_size / 20_000 < 60


def test_questions_are_answered_from_indices(crowded: Path) -> None:
    with Recording(crowded) as recording:
        questions = (
            "SELECT * FROM observations WHERE frame BETWEEN 500 AND 510 ORDER BY frame, track",
            "SELECT * FROM observations WHERE track IN (7, 9)",
            "SELECT frame FROM frames WHERE time <= 12.5 ORDER BY time DESC LIMIT 1",
            "SELECT * FROM masks WHERE frame BETWEEN 500 AND 510",
        )
        for question in questions:
            plan = " ".join(row[3] for row in recording._query(f"EXPLAIN QUERY PLAN {question}"))
            assert "SEARCH" in plan, (question, plan)
            assert "SCAN" not in plan, (question, plan)


def test_rows_slice_with_their_masks() -> None:
    rows = objects(3, 1, 2, 5, masks=True)
    chosen = rows[np.array([True, False, True])]
    assert chosen.tracks.tolist() == [1, 5]
    assert chosen.masks == ("mask3-1", "mask3-5")


def test_tracks_are_gone_through_one_after_the_other(tmp_path: Path) -> None:
    with Recording(finished(tmp_path / "a.sqlite", masks=True)) as recording:
        ((rows, times),) = recording.by_track()
        assert rows.tracks.tolist() == [1] * 10 + [2] * 10 + [3] * 10
        assert rows.frames.tolist() == [*range(10)] * 3
        assert times.tolist() == [0.5 * frame for frame in range(10)] * 3
        assert rows.masks is not None
        assert rows.masks[11] == "mask1-2"
        assert list(recording.first_classes()) == [(1, 0), (2, 0), (3, 0)]
        assert recording.track_counts() == {0: 3}


def test_rows_put_aside_are_found_by_track_and_taken_back_by_frame(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    for frame in range(4):
        writer.add(frame, frame / 25, objects(frame, 1, 2), tentative=objects(frame, 7))
    writer.commit({})
    writer.close()
    with Scratch(tmp_path / "a.sqlite") as scratch:
        (rows,) = scratch.by_track()
        assert rows.tracks.tolist() == [1] * 4 + [2] * 4 + [7] * 4
        assert scratch.of(7, 1, 2).frames.tolist() == [1, 2]
        scratch.add(objects(3, 5, 6), np.array([1, 0]))
        scratch.add(objects(2, 5), np.array([7]))
        added, came_from = scratch.added_in(2, 3)
        assert added.frames.tolist() == [2, 3, 3]
        assert added.tracks.tolist() == [5, 5, 6]
        assert came_from.tolist() == [7, 1, 0]
        np.testing.assert_array_equal(added.boxes[1:], objects(3, 5, 6).boxes)


def test_a_recording_cut_short_is_said_to_be_damaged_not_the_folder_to_be_full(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite", frames=2000)
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(FormatError, match=r"a\.sqlite: damaged: "):
        Scratch(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "CREATE TRIGGER sly AFTER INSERT ON edits BEGIN DELETE FROM observations; END",
        "CREATE VIRTUAL TABLE words USING fts5(text)",
    ],
)
def test_a_recording_with_more_than_tables_is_refused(tmp_path: Path, statement: str) -> None:
    path = finished(tmp_path / "a.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    with pytest.raises(FormatError, match="which no recording has") as refusal:
        Recording(path)
    assert "\n" not in str(refusal.value)


def test_values_nested_without_end_are_damage(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE info SET value = ? WHERE key = 'stage'", ("[" * 50_000,))
    with Recording(path) as recording, pytest.raises(FormatError, match="its stage is damaged"):
        recording.note("stage")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE info SET value = ? WHERE key = 'settings'", ("[" * 50_000,))
    with pytest.raises(FormatError, match="damaged"):
        Recording(path)


def test_damage_names_its_frame_by_either_count(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE observations SET class = 99 WHERE frame = 3")
        connection.commit()
    with (
        Recording(path) as recording,
        pytest.raises(DamagedStoreError, match=r"frame 3: track \d of class 99") as found,
    ):
        recording.observations_in(0, 9)
    assert "frame 4: track" in found.value.counting_from(1)
