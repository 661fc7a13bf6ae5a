from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.annotate.test_identities import street
from tests.store.recordings import finished
from tracker.annotate.across import Across, across_of, all_tracks, read_across
from tracker.annotate.identities import Member
from tracker.errors import ConfigError, FormatError
from tracker.store import Recording
from tracker.store.appearances import Views
from tracker.store.renumber import renumbered_copy


@pytest.fixture
def across(tmp_path: Path) -> Across:
    return Across((tmp_path / "a.sqlite", tmp_path / "b.sqlite"), (0.0, 0.0)).found(street(6))


def test_a_project_is_read_as_it_was_written(across: Across, tmp_path: Path) -> None:
    changed = across.join(1, 2).keep_apart(3, 4).found(street(6))
    changed.write(tmp_path / "identities.json")
    again = read_across(tmp_path / "identities.json")
    assert replace(again, unsure=()) == replace(changed, unsure=())
    assert [(one.first, one.second) for one in again.unsure] == [(one.first, one.second) for one in changed.unsure]


def test_identities_keep_their_numbers_when_found_anew(across: Across) -> None:
    tracks = street(6)
    fewer = across.found([track for track in tracks if track.member != across.identities[0].members[0]])
    owner = {member: each.number for each in across.identities for member in each.members}
    for identity in fewer.identities:
        assert {owner[member] for member in identity.members} == {identity.number}


def test_a_split_track_is_an_identity_of_its_own_with_a_new_number(across: Across) -> None:
    identity = across.identities[2]
    moved = identity.members[1]
    found = across.split(identity.number, moved).found(street(6))
    (own,) = [each for each in found.identities if moved in each.members]
    assert own.members == (moved,)
    assert own.number == across.next_number
    assert found.identity(identity.number).members == identity.members[:1]


def test_joined_and_confirmed_identities_are_marked(across: Across) -> None:
    assert not any(each.confirmed for each in across.identities)
    assert across.confirm(1).found(street(6)).identity(1).confirmed


def test_the_newest_decision_holds(across: Across) -> None:
    changed = across.keep_apart(1, 2).join(1, 2)
    pair = {across.identity(1).members[0], across.identity(2).members[0]}
    assert [each.same for each in changed.decisions if {each.one, each.other} == pair] == [True]


def test_other_recordings_are_refused(across: Across, tmp_path: Path) -> None:
    across.write(tmp_path / "identities.json")
    with pytest.raises(ConfigError, match="2 other recordings"):
        across_of([tmp_path / "c.sqlite"], {}, tmp_path / "identities.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "sightline-identities/2"}', '{"format": 3'])
def test_what_is_no_project_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "identities.json").write_text(text)
    with pytest.raises(FormatError, match="not a project of identities"):
        read_across(tmp_path / "identities.json")


def test_tracks_stand_on_one_clock_wherever_their_files_time_stamps_begin(tmp_path: Path) -> None:
    """`--start` says when the first frame was: MPEG-TS begins at 1.4 s, broadcasts at some hour of the day."""
    paths = finished(tmp_path / "a.sqlite"), finished(tmp_path / "b.sqlite")
    with contextlib.closing(sqlite3.connect(paths[1])) as connection, connection:
        connection.execute("UPDATE frames SET time = time + 36000")
    classes, frames = np.zeros(3, np.int32), np.zeros(3, np.int64)
    views = Views(np.array([1, 2, 3]), classes, frames, np.zeros(3), np.eye(3, 8, dtype=np.float32))
    tracks = all_tracks(Across(paths, (0.0, 12.5)), lambda path: views)
    ends = {camera: {(each.start, each.end) for each in tracks if each.member.camera == camera} for camera in (0, 1)}
    assert ends == {0: {(0.0, 4.5)}, 1: {(12.5, 17.0)}}


def test_a_copy_has_the_ids_of_the_project_and_all_rows(tmp_path: Path) -> None:
    """Ids change places in a circle, and two tracks that are never there together become one."""
    path = finished(tmp_path / "a.sqlite", masks=True)
    renumbered_copy(path, {1: 2, 2: 3, 3: 1}, tmp_path / "copy.sqlite")
    with Recording(path) as before, Recording(tmp_path / "copy.sqlite") as after:
        for old, new in ((1, 2), (2, 3), (3, 1)):
            rows, moved = before.observations_of(old, masks=True), after.observations_of(new, masks=True)
            np.testing.assert_array_equal(rows.boxes, moved.boxes)
            assert rows.masks == moved.masks
        assert [event.event.track_id for event in after.events()] == [2]
        assert [track.observations for track in after.tracks()] == [10, 10, 10]


def test_tracks_without_a_number_come_behind_all_others(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    renumbered_copy(path, {2: 7}, tmp_path / "copy.sqlite")
    with Recording(tmp_path / "copy.sqlite") as copy:
        assert [track.track_id for track in copy.tracks()] == [7, 8, 9]


def test_members_of_a_recording_are_found_by_its_path(across: Across, tmp_path: Path) -> None:
    numbers = across.numbers_in(tmp_path / "b.sqlite")
    assert set(numbers) == {100 + person for person in range(6)}
    assert across.identity(numbers[100]).members[0] == Member(0, 1)
    with pytest.raises(ConfigError, match="not in the project"):
        across.numbers_in(tmp_path / "c.sqlite")


def test_what_was_split_off_can_be_joined_again(across: Across) -> None:
    identity = across.confirm(2).found(street(6)).identity(2)
    moved = identity.members[1]
    split = across.confirm(2).split(2, moved).found(street(6))
    (own,) = [each for each in split.identities if moved in each.members]
    joined = split.join(2, own.number).found(street(6))
    assert set(joined.identity(2).members) == set(identity.members)
