from __future__ import annotations

from pathlib import Path

import pytest

from tracker.errors import SinkError
from tracker.formats.core.atomic import AtomicText


def test_the_name_appears_on_close_only(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "rows.txt"
    file = AtomicText(target)
    file.write("one\n")
    assert not target.exists()
    file.close()
    file.close()
    assert target.read_text() == "one\n"
    assert [path.name for path in target.parent.iterdir()] == ["rows.txt"]


def test_discarding_leaves_what_was_there_before(tmp_path: Path) -> None:
    target = tmp_path / "rows.txt"
    target.write_text("old")
    file = AtomicText(target)
    file.write("new")
    file.discard()
    file.close()
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_error_inside_the_block_discards(tmp_path: Path) -> None:
    def interrupted() -> None:
        with AtomicText(tmp_path / "rows.txt") as file:
            file.write("half a row")
            raise KeyError("gone")

    with pytest.raises(KeyError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def on_a_full_disk(folder: Path) -> AtomicText:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    (folder / "rows.txt.partial").symlink_to(full)
    return AtomicText(folder / "rows.txt")


def test_a_failed_write_never_gets_the_name(tmp_path: Path) -> None:
    file = on_a_full_disk(tmp_path)
    with pytest.raises(SinkError, match="cannot be written"):
        file.write("x" * 1_000_000)
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_only_at_the_end_is_noticed_too(tmp_path: Path) -> None:
    file = on_a_full_disk(tmp_path)
    file.write("a few bytes that stay in memory until the end")
    with pytest.raises(SinkError, match="cannot be written"):
        file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_an_unwritable_place_is_refused_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="folder"):
        AtomicText(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be written"):
        AtomicText(tmp_path / "file" / "rows.txt")
