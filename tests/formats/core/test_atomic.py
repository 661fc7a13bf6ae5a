from __future__ import annotations

import subprocess
import sys
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


def test_a_file_that_is_being_written_is_refused_to_a_second_writer(tmp_path: Path) -> None:
    target = tmp_path / "rows.txt"
    first = AtomicText(target)
    first.write("first\n")
    with pytest.raises(SinkError, match="somebody else is writing it"):
        AtomicText(target)
    first.close()
    assert target.read_text() == "first\n"
    with AtomicText(target) as second:
        first.discard()  # long closed: what stands under the partial name is another's
        second.write("second\n")
    assert target.read_text() == "second\n"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.txt"]


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "rows.txt.partial").write_text("of somebody who was killed, and longer")
    with AtomicText(tmp_path / "rows.txt") as file:
        file.write("new\n")
    assert (tmp_path / "rows.txt").read_text() == "new\n"


def test_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    script = (
        "import sys; from tracker.errors import SinkError; from tracker.formats.core.atomic import AtomicText\n"
        "for _ in range(30):\n"
        "    try:\n"
        "        with AtomicText(sys.argv[1]) as file:\n"
        "            for _ in range(2000): file.write(sys.argv[2] * 40 + '\\n')\n"
        "    except SinkError: pass\n"
    )
    target = tmp_path / "rows.txt"
    writers = [subprocess.Popen([sys.executable, "-c", script, str(target), letter]) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        if target.exists():
            text = target.read_text()
            assert len(text) == 2000 * 41
            assert len(set(text)) == 2, "of one writer"
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(target.read_text()) == 2000 * 41
