"""The oldest recordings make room, marked ones never."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracker.watch.camera_set import RetentionConfig
from tracker.watch.retention import DAY_S, GIGABYTE, KeptFile, to_delete

NOW = 1_700_000_000.0


def aged(days: float, gigabytes: float = 1.0) -> KeptFile:
    return KeptFile(f"{days}.mp4", NOW - days * DAY_S, int(gigabytes * GIGABYTE))


def test_days_and_size() -> None:
    files = [aged(days) for days in (1, 5, 3, 9)]
    assert to_delete(files, RetentionConfig(days=4), marked=(), now=NOW) == ["9.mp4", "5.mp4"]
    assert to_delete(files, RetentionConfig(gigabytes=2.5), marked=(), now=NOW) == ["9.mp4", "5.mp4"]
    assert to_delete(files, RetentionConfig(gigabytes=2.5), marked={"9.mp4"}, now=NOW) == ["5.mp4", "3.mp4"]
    assert to_delete(files, RetentionConfig(), marked=(), now=NOW) == []


def test_of_a_marked_recording_all_files_stay_also_in_a_folder_that_was_moved() -> None:
    names = ("gate/a.mp4", "gate/a.jsonl", "gate/b.mp4", "yard/a.mp4")
    files = [KeptFile(f"/new/{name}", NOW - 9 * DAY_S, 1) for name in names]
    gone = to_delete(files, RetentionConfig(days=1), marked={"/old/gate/a.mp4"}, now=NOW)
    assert gone == ["/new/gate/b.mp4", "/new/yard/a.mp4"]


def test_a_file_that_is_being_written_stays() -> None:
    assert to_delete([aged(0.0001, 99)], RetentionConfig(gigabytes=1), marked=(), now=NOW) == []


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 5)), max_size=20), st.floats(0.5, 20), st.floats(1, 40))
def test_what_stays_fits_and_is_newer_than_what_went(
    files: list[tuple[float, float]], days: float, size: float
) -> None:
    kept = [KeptFile(str(place), NOW - age * DAY_S, int(large * GIGABYTE)) for place, (age, large) in enumerate(files)]
    gone = set(to_delete(kept, RetentionConfig(days=days, gigabytes=size), marked=(), now=NOW))
    stays = [file for file in kept if file.path not in gone]
    old = [file for file in stays if NOW - file.changed > 120]
    assert all(NOW - file.changed <= days * DAY_S for file in old)
    assert not old or sum(file.size for file in stays) <= size * GIGABYTE
