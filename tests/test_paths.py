"""A name that was typed means what is there; names that are made fit every file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.paths import LONGEST_NAME, exists, safe_name, shortened, typed_path


def test_a_tilde_is_the_home_folder_unless_a_file_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed_path("~/a.mp4") == Path.home() / "a.mp4"
    assert typed_path("~nobody-is-called-so.mp4") == Path("~nobody-is-called-so.mp4")
    (tmp_path / "~").touch()
    assert typed_path("~") == Path("~")


@pytest.mark.parametrize("text", ["", "x" * 300, "a\0b", "nothing"])
def test_what_cannot_be_a_name_does_not_exist(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not exists(text)


def test_long_names_stay_apart_and_leave_room_for_suffixes() -> None:
    names = ["é" * 120 + end for end in "ab"]
    short = {shortened(name) for name in names} | {safe_name(name) for name in names}
    assert len(short) == 2
    assert all(len(name.encode()) <= LONGEST_NAME for name in short)
    assert shortened("street") == safe_name("street") == "street"
