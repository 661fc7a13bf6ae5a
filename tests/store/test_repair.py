from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.store.recordings import INFO, finished
from tracker.errors import DamagedStoreError, FormatError, SinkError
from tracker.store import Recording, RecordingWriter, check_store, restore_copy, set_aside


def damaged(path: Path) -> Path:
    """A recording with its middle overwritten."""
    finished(path, frames=200, masks=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : -len(content) // 4] = b"\xaa" * (len(content) // 2)
    path.write_bytes(content)
    return path


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    check_store(finished(tmp_path / "sound.sqlite"))
    with pytest.raises(DamagedStoreError, match=r"a\.sqlite: damaged: .*annotate again"):
        check_store(damaged(tmp_path / "a.sqlite"))
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to be one" * 50)
    with pytest.raises(DamagedStoreError, match="no SQLite file, or its beginning is damaged"):
        check_store(tmp_path / "text.sqlite")
    with pytest.raises(FormatError, match="no such file"):
        check_store(tmp_path / "none.sqlite")


def test_a_recording_begun_anew_keeps_the_damaged_one(tmp_path: Path) -> None:
    path = damaged(tmp_path / "a.sqlite")
    content = path.read_bytes()
    RecordingWriter.create(path, INFO).close()
    check_store(path)
    assert (tmp_path / "a.sqlite.damaged").read_bytes() == content
    RecordingWriter.create(path, INFO).close()  # a sound one is replaced
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.sqlite", "a.sqlite.damaged"]


def test_what_the_program_cannot_read_is_kept_too_though_sqlite_can(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE info SET value = '{' WHERE key = 'labels'")
    RecordingWriter.create(path, INFO).close()
    assert (tmp_path / "a.sqlite.damaged").exists()


def test_damage_is_told_once(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'info'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\xaa" * size
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError) as raised:
        Recording(path)
    words = "database disk image is malformed. Restore it from a copy, or annotate again."
    assert str(raised.value) == f"{path}: damaged: {words}"


def test_every_damaged_recording_gets_a_name_of_its_own(tmp_path: Path) -> None:
    names = [set_aside(finished(tmp_path / "a.sqlite")).name for _ in range(3)]
    assert names == ["a.sqlite.damaged", "a.sqlite.damaged2", "a.sqlite.damaged3"]


def test_a_copy_takes_the_place_of_a_damaged_recording(tmp_path: Path) -> None:
    copy = finished(tmp_path / "copy.sqlite", frames=7)
    path = damaged(tmp_path / "a.sqlite")
    aside = restore_copy(path, copy)
    assert aside == tmp_path / "a.sqlite.damaged"
    with Recording(path) as recording:
        assert recording.frame_count() == 7
    with Recording(copy) as recording:
        assert recording.frame_count() == 7


def test_a_copy_that_is_damaged_itself_is_refused_and_nothing_moves(tmp_path: Path) -> None:
    path, copy = finished(tmp_path / "a.sqlite"), damaged(tmp_path / "copy.sqlite")
    with pytest.raises(DamagedStoreError, match=r"copy\.sqlite"):
        restore_copy(path, copy)
    check_store(path)
    assert not (tmp_path / "a.sqlite.damaged").exists()


def test_a_copy_that_cannot_be_put_there_leaves_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, copy = damaged(tmp_path / "a.sqlite"), finished(tmp_path / "copy.sqlite")
    content = path.read_bytes()
    rename = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SinkError, match="No space left"):
        restore_copy(path, copy)
    assert path.read_bytes() == content
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.sqlite", "copy.sqlite"]
