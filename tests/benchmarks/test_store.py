"""The benchmark of the store asks everything that it prints."""

from __future__ import annotations

from pathlib import Path

from benchmarks.store import BARS_MS, LIFE_FRAMES, LOOK_UPS, MERGES, ask, write_crowd


def test_every_question_is_asked_and_answered(tmp_path: Path) -> None:
    write_crowd(tmp_path / "crowd.sqlite", 3 * LIFE_FRAMES)
    taken = ask(tmp_path / "crowd.sqlite")
    assert {name: len(seconds) for name, seconds in taken.items()} == {
        name: MERGES if name == "merge and recount" else LOOK_UPS for name in BARS_MS
    }
