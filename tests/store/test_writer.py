from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.store.recordings import INFO, finished, objects
from tracker.errors import FormatError, SinkError
from tracker.observations import Observations
from tracker.store import Recording, RecordingWriter
from tracker.store import schema as schema_module
from tracker.store.rows import from_stored, to_stored
from tracker.types import Event


@given(
    boxes=arrays.arrays(np.float32, (3, 4), elements=st.floats(-5000, 5000, width=32)),
    scores=arrays.arrays(np.float32, 3, elements=st.floats(0, 1, width=32)),
)
@settings(max_examples=100, deadline=None)
def test_values_are_kept_with_the_digits_that_live_sinks_write(boxes: np.ndarray, scores: np.ndarray) -> None:
    kept = Observations.rounded(0, tracks=np.arange(3), class_ids=np.zeros(3), scores=scores, boxes=boxes)
    assert kept.boxes.tolist() == [[round(value, 2) + 0.0 for value in box] for box in boxes.tolist()]
    assert kept.scores.tolist() == [round(score, 4) for score in scores.tolist()]
    stored = from_stored(list(to_stored(kept)))
    assert stored.boxes.tolist() == kept.boxes.tolist()
    assert stored.scores.tolist() == kept.scores.tolist()


def test_what_is_committed_is_read_back_and_the_rest_is_not(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    writer.add(0, 0.0, objects(0, 1, 2, masks=True))
    writer.add(1, 0.04, objects(1, 2), [Event("line", "gate", 0.04, 2, 0)])
    writer.commit({"next": 3})
    writer.add(2, 0.08, objects(2, 2))
    with Recording(tmp_path / "a.sqlite") as recording:  # while it is being written
        assert recording.last_frame == 1
        assert not recording.complete
        assert recording.observations_in(0, masks=True).masks == ("mask0-1", "mask0-2")
        assert [row.event.name for row in recording.events()] == ["gate"]
        assert [(track.track_id, track.first_frame, track.last_frame) for track in recording.tracks()] == [
            (1, 0, 0),
            (2, 0, 1),
        ]
    writer.close()
    again = RecordingWriter.resume(tmp_path / "a.sqlite")
    assert (again.checkpoint.frame, again.checkpoint.state) == (1, {"next": 3})
    again.close()


def test_a_writer_that_was_replaced_writes_no_more(tmp_path: Path) -> None:
    old = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    new = RecordingWriter.resume(tmp_path / "a.sqlite")
    old.add(0, 0.0, objects(0, 1))
    with pytest.raises(SinkError, match="another run"):
        old.commit({})
    new.add(0, 0.0, objects(0, 7))
    new.commit({})
    with Recording(tmp_path / "a.sqlite") as recording:
        assert [track.track_id for track in recording.tracks()] == [7]
    old.close()
    new.close()


def test_a_commit_that_fails_leaves_the_last_one(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    writer.add(0, 0.0, objects(0, 1))
    writer.commit({"good": True})
    writer.add(1, 0.04, objects(1, 1))
    writer.add(1, 0.04, objects(1, 2))  # the same frame twice
    with pytest.raises(SinkError):
        writer.commit({"good": False})
    assert (writer.checkpoint.frame, writer.checkpoint.state) == (0, {"good": True})
    writer.close()


def test_completing_with_other_rows_replaces_all(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    writer = RecordingWriter.create(path, INFO)
    writer.add(0, 0.0, objects(0, 1), tentative=objects(0, 9))
    writer.commit({})
    with Recording(path) as recording:
        assert recording.tentative().tracks.tolist() == [9]
    writer.complete_with([objects(0, 4), objects(1, 4)], refined="1 link")
    writer.close()
    with Recording(path) as recording:
        assert recording.complete
        assert recording.note("refined") == "1 link"
        assert len(recording.tentative()) == 0
        assert [track.track_id for track in recording.tracks()] == [4]


def test_creating_again_replaces_the_old_recording(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    RecordingWriter.create(path, INFO).close()
    with Recording(path) as recording:
        assert recording.frame_count() == 0


@pytest.mark.parametrize("content", [b"", b"not a database at all", b"SQLite format 3\x00 and then rubbish" * 40])
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.sqlite"):
        Recording(path)
    with pytest.raises(FormatError):
        RecordingWriter.resume(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_recording_is_read_or_refused_but_never_breaks_the_program(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = finished(tmp_path / "a.sqlite", frames=30, masks=True)
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    content[rng.integers(100, len(content), 30)] = rng.integers(0, 256, 30)
    path.write_bytes(content.tobytes()[: len(content) - (seed % 2) * 5000])
    with contextlib.suppress(FormatError), Recording(path) as recording:
        recording.tracks()
        recording.events()
        recording.frame_times()
        assert sum(len(part.observations) for part in recording.chunks(masks=True)) >= 0
    with contextlib.suppress(FormatError, SinkError):
        writer = RecordingWriter.resume(path)
        try:
            assert writer.checkpoint.frame <= 29
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("info", "value = '5' WHERE key = 'size'"),
        ("frames", "time = 'late'"),
        ("observations", "x1 = 'left'"),
        ("events", "track = x'ff'"),
    ],
)
def test_values_that_are_none_are_refused(tmp_path: Path, table: str, change: str) -> None:
    path = finished(tmp_path / "a.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE {table} SET {change}")
        connection.commit()

    def read() -> None:
        with Recording(path) as recording:
            recording.frame_times()
            recording.observations_in(0, 9)
            recording.events()

    with pytest.raises(FormatError, match="damaged"):
        read()


def test_a_recording_that_cannot_be_begun_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_module, "TABLES", "CREATE TABLE info (x); CREATE TABLE info (x)")
    with pytest.raises(SinkError, match="cannot be written"):
        RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    assert not list(tmp_path.iterdir())


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(FormatError, match=r"not a recording of Sightline.*bookmarks"):
        Recording(path)


def test_a_recording_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema_module.SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(FormatError, match="newer Sightline"):
        Recording(path)


def test_a_recording_of_an_older_version_is_migrated_in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = finished(tmp_path / "a.sqlite")
    monkeypatch.setattr(schema_module, "SCHEMA_VERSION", schema_module.SCHEMA_VERSION + 1)
    step = {schema_module.SCHEMA_VERSION - 1: lambda connection: connection.execute("CREATE TABLE later (x INTEGER)")}
    monkeypatch.setattr(schema_module, "MIGRATIONS", step)
    with Recording(path) as recording:
        assert recording.frame_count() == 10
        assert recording._query("SELECT count(*) FROM later") == [(0,)]
    kept = tmp_path / f"a.schema{schema_module.SCHEMA_VERSION - 1}.sqlite"
    monkeypatch.undo()
    with Recording(kept) as recording:
        assert recording.frame_count() == 10


def test_a_full_disk_is_a_clear_error_and_the_last_commit_stays(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    writer.add(0, 0.0, objects(0, 1))
    writer.commit({"kept": 1})
    pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    for frame in range(1, 400):
        writer.add(frame, frame * 0.04, objects(frame, *range(1, 30), masks=True))
    with pytest.raises(SinkError, match="full"):
        writer.commit({"kept": 2})
    assert (writer.checkpoint.frame, writer.checkpoint.state) == (0, {"kept": 1})
    writer.close()
