from __future__ import annotations

import itertools

import numpy as np
import pytest

from tracker.annotate.identities import AcrossConfig, Identities, Member, Track, find_identities


def visit(camera: int, number: int, person: int, start: float, end: float, *, noise: float = 0.08) -> Track:
    """A visit of somebody to a camera; each person has a direction of its own in 32 dimensions."""
    rng = np.random.default_rng(1000 * camera + number)
    vectors = np.eye(32)[person] + rng.normal(0, noise, (4, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Track(Member(camera, number), start, end, "person", vectors.astype(np.float32))


def street(people: int, *, noise: float = 0.08) -> list[Track]:
    """Each walks past camera 0, and 8 to 9 s later past camera 1."""
    starts = np.random.default_rng(5).uniform(0, 600, people)
    tracks = []
    for person, start in enumerate(starts.tolist()):
        tracks.append(visit(0, person + 1, person, start, start + 5, noise=noise))
        again = start + 13 + person % 5 / 5
        tracks.append(visit(1, 100 + person, person, again, again + 5, noise=noise))
    return tracks


def groups(found: Identities) -> set[frozenset[Member]]:
    return {frozenset(group) for group in found.groups}


def test_each_person_of_two_cameras_has_one_identity() -> None:
    expected = {frozenset((Member(0, person + 1), Member(1, 100 + person))) for person in range(20)}
    assert groups(find_identities(street(20))) == expected


def test_groups_do_not_depend_on_the_order_of_tracks() -> None:
    tracks = street(12, noise=0.15)
    assert find_identities(tracks) == find_identities(tracks[::-1])


def test_nobody_is_in_two_places_at_once() -> None:
    twins = [visit(0, 1, 3, 0, 10), visit(1, 2, 3, 4, 14), visit(0, 3, 3, 6, 9)]
    found = find_identities(twins)
    for group in found.groups:
        for one, other in itertools.combinations(group, 2):
            first, second = (next(track for track in twins if track.member == member) for member in (one, other))
            assert min(first.end, second.end) - max(first.start, second.start) <= AcrossConfig().simultaneous_s


def test_cameras_whose_fields_of_view_meet_share_people_at_the_same_time() -> None:
    """Everybody is seen by both cameras at once: that is learned from those whom appearance is sure of."""
    pairs = [(camera, person) for person in range(8) for camera in (0, 1)]
    tracks = [visit(camera, 10 * camera + person, person, 20 * person, 20 * person + 9) for camera, person in pairs]
    assert {len(group) for group in find_identities(tracks).groups} == {2}


def test_the_usual_way_says_whom_appearance_cannot() -> None:
    """All but two wear different clothes; these two come one after the other and take the way that all take."""
    tracks = street(16)
    first = [visit(0, 50, 20, 700, 705), visit(1, 150, 20, 713.5, 718)]
    late = [*first, visit(0, 51, 20, 760, 765), visit(1, 151, 20, 773.5, 778)]
    apart = [(Member(0, 50), Member(0, 51)), (Member(1, 150), Member(1, 151))]
    found = groups(find_identities([*tracks, *late], different=apart))
    assert {frozenset((Member(0, 50), Member(1, 150))), frozenset((Member(0, 51), Member(1, 151)))} <= found


def test_objects_of_two_classes_are_never_one() -> None:
    one, other = visit(0, 1, 3, 0, 5), visit(1, 2, 3, 9, 12)
    car = Track(other.member, other.start, other.end, "car", other.vectors)
    assert len(find_identities([one, car]).groups) == 2


def test_what_people_decide_holds() -> None:
    tracks = street(6)
    mine, others = (Member(0, 1), Member(1, 101)), (Member(0, 1), Member(1, 100))
    found = groups(find_identities(tracks, same=[mine], different=[others]))
    assert any(set(mine) <= group for group in found)
    assert not any(set(others) <= group for group in found)


def test_what_is_neither_likely_nor_unlikely_is_unsure() -> None:
    """Two visits that are half alike are not joined, and named."""
    one, other = visit(0, 1, 3, 0, 5, noise=0.0), visit(1, 2, 3, 9, 12, noise=0.0)
    turned = 0.62 * one.vectors + np.sqrt(1 - 0.62**2) * np.eye(32, dtype=np.float32)[9]
    found = find_identities([one, Track(other.member, other.start, other.end, "person", turned.astype(np.float32))])
    assert len(found.groups) == 2
    (pair,) = found.unsure
    assert (pair.first, pair.second) == (0, 1)
    assert 0.05 < pair.probability < 0.5


@pytest.mark.parametrize("count", [0, 1])
def test_few_tracks_are_groups_of_their_own(count: int) -> None:
    assert len(find_identities(street(1)[:count]).groups) == count


def test_two_tracks_of_one_camera_in_the_same_frame_are_two() -> None:
    one, other = visit(0, 1, 3, 0, 5), visit(0, 2, 3, 5, 9)
    assert len(find_identities([one, other]).groups) == 2


def test_no_decision_makes_one_of_two_that_a_camera_shows_together() -> None:
    tracks = [visit(0, 1, 3, 0, 5), visit(0, 2, 3, 4, 9)]
    assert len(find_identities(tracks, same=[(Member(0, 1), Member(0, 2))]).groups) == 2
