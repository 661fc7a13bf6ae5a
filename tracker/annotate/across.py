"""The project file of several recordings: which tracks are one identity, what is unsure, what people decided.

`identities.json` stands beside the recordings, which are named relative to it. Identities keep their numbers when they
are found anew: each goes to the group that has most of its tracks.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from tracker.annotate.identities import Identities, Member, Track, find_identities
from tracker.errors import ConfigError, FormatError
from tracker.formats.core.atomic import AtomicText
from tracker.store import Recording
from tracker.store.appearances import Views

__all__ = [
    "PROJECT",
    "Across",
    "Decision",
    "Identity",
    "UnsurePair",
    "across_of",
    "all_tracks",
    "read_across",
    "write_table",
]

PROJECT = "identities.json"
FORMAT = "sightline-identities/1"
COLUMNS = ("identity", "recording", "track", "class", "first_s", "last_s", "confirmed")


@dataclass(frozen=True, slots=True)
class Identity:
    """One person or vehicle, and its tracks in all recordings."""

    number: int
    members: tuple[Member, ...]
    confirmed: bool
    """Whether a person said so of all its tracks."""


@dataclass(frozen=True, slots=True)
class UnsurePair:
    """Two identities that may be one."""

    first: int
    second: int
    probability: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said of two tracks."""

    one: Member
    other: Member
    same: bool


@dataclass(frozen=True, slots=True)
class Across:
    """The identities of several recordings; changes give a new one."""

    recordings: tuple[Path, ...]
    starts: tuple[float, ...]
    """When the first frame of each was, in seconds on one clock."""
    identities: tuple[Identity, ...] = ()
    unsure: tuple[UnsurePair, ...] = ()
    decisions: tuple[Decision, ...] = ()
    next_number: int = field(default=1)

    def found(self, tracks: Sequence[Track]) -> Across:
        """With the identities found anew from all tracks and what people decided."""
        pairs: dict[bool, list[tuple[Member, Member]]] = {True: [], False: []}
        for decision in self.decisions:
            pairs[decision.same].append((decision.one, decision.other))
        result = find_identities(tracks, same=pairs[True], different=pairs[False])
        numbers, following = self._numbers(result)
        joined = {frozenset(pair) for pair in pairs[True]}
        identities = tuple(
            Identity(number, group, len(group) > 1 and _connected(group, joined))
            for number, group in sorted(zip(numbers, result.groups, strict=True))
        )
        unsure = tuple(
            UnsurePair(numbers[pair.first], numbers[pair.second], pair.probability) for pair in result.unsure
        )
        return replace(self, identities=identities, unsure=unsure, next_number=following)

    def join(self, first: int, second: int) -> Across:
        """Two identities are one: a person said so. To be found anew."""
        one, other = self.identity(first), self.identity(second)
        pairs = [(a, b) for a in one.members for b in other.members]  # also those that were kept apart before
        return self._decide([*pairs, *_chain(one.members), *_chain(other.members)], same=True)

    def keep_apart(self, first: int, second: int) -> Across:
        """Two identities are not one. To be found anew."""
        one, other = self.identity(first), self.identity(second)
        return self._decide([(a, b) for a in one.members for b in other.members], same=False)

    def confirm(self, number: int) -> Across:
        """All tracks of an identity are one. To be found anew."""
        return self._decide(_chain(self.identity(number).members), same=True)

    def split(self, number: int, member: Member) -> Across:
        """A track is not of this identity. To be found anew. Raises ConfigError where it is not in it anyway."""
        identity = self.identity(number)
        if member not in identity.members:
            raise ConfigError(f"track {member.track} is not of identity {number}; choose one of its tracks")
        return self._decide([(member, other) for other in identity.members if other != member], same=False)

    def identity(self, number: int) -> Identity:
        """Raises ConfigError where there is none of that number."""
        for identity in self.identities:
            if identity.number == number:
                return identity
        raise ConfigError(f"no identity {number}; there are {len(self.identities)}, listed by the command across")

    def numbers_in(self, path: Path) -> dict[int, int]:
        """The identity of each track of a recording. Raises ConfigError for one that is not in the project."""
        places = [place for place, each in enumerate(self.recordings) if each.resolve() == path.resolve()]
        if not places:
            raise ConfigError(f"{path}: not in the project; run across with it first")
        return {
            member.track: identity.number
            for identity in self.identities
            for member in identity.members
            if member.camera == places[0]
        }

    def write(self, path: Path) -> None:
        """Write the project file; it appears whole. Raises SinkError."""
        names = [Path(os.path.relpath(each, path.parent)).as_posix() for each in self.recordings]
        tree = {
            "format": FORMAT,
            "recordings": [{"path": name, "start_s": start} for name, start in zip(names, self.starts, strict=True)],
            "identities": [
                {"id": each.number, "tracks": [list(member) for member in each.members], "confirmed": each.confirmed}
                for each in self.identities
            ],
            "unsure": [
                {"ids": [each.first, each.second], "probability": round(each.probability, 3)} for each in self.unsure
            ],
            "decisions": [{"tracks": [list(each.one), list(each.other)], "same": each.same} for each in self.decisions],
            "next_id": self.next_number,
        }
        with AtomicText(path) as file:
            file.write(json.dumps(tree, indent=1, ensure_ascii=False) + "\n")

    def _decide(self, pairs: Sequence[tuple[Member, Member]], *, same: bool) -> Across:
        """The newest word on a pair holds."""
        new = {frozenset(pair): Decision(*pair, same) for pair in pairs}
        old = [each for each in self.decisions if frozenset((each.one, each.other)) not in new]
        return replace(self, decisions=(*old, *new.values()))

    def _numbers(self, result: Identities) -> tuple[list[int], int]:
        """A number for each group: that of the identity it has most tracks of, or a new one."""
        owner = {member: identity.number for identity in self.identities for member in identity.members}
        claims = sorted(
            (
                (-count, number, place)
                for place, group in enumerate(result.groups)
                for number, count in Counter(owner[member] for member in group if member in owner).items()
            )
        )
        numbers: dict[int, int] = {}
        for _, number, place in claims:
            if place not in numbers and number not in numbers.values():
                numbers[place] = number
        following = max([self.next_number - 1, *numbers.values()]) + 1
        for place in range(len(result.groups)):
            if place not in numbers:
                numbers[place], following = following, following + 1
        return [numbers[place] for place in range(len(result.groups))], following


def across_of(recordings: Sequence[Path], starts: Mapping[Path, float], project: Path) -> Across:
    """The project of these recordings: as it was written before, or a new one; others may follow those it had.

    Raises ConfigError where those it had are not the first, in their order.
    """
    paths, begun = tuple(recordings), tuple(starts.get(path, 0.0) for path in recordings)
    if not project.is_file():
        return Across(paths, begun)
    before = read_across(project)
    had = [path.resolve() for path in before.recordings]
    if had != [path.resolve() for path in paths[: len(had)]]:
        raise ConfigError(
            f"{project}: of {len(had)} other recordings; name these first, in their order, or give another --project"
        )
    kept = begun if starts else (*before.starts, *begun[len(had) :])
    return replace(before, recordings=paths, starts=kept)


def read_across(path: Path) -> Across:
    """A project file. Raises FormatError for what is none."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if tree["format"] != FORMAT:
            raise ValueError(f"format {tree['format']!r}, expected {FORMAT!r}")
        across = Across(
            tuple(path.parent / str(each["path"]) for each in tree["recordings"]),
            tuple(float(each["start_s"]) for each in tree["recordings"]),
            tuple(
                Identity(int(each["id"]), tuple(map(_member, each["tracks"])), bool(each["confirmed"]))
                for each in tree["identities"]
            ),
            tuple(_unsure(each["ids"], each["probability"]) for each in tree["unsure"]),
            tuple(_decision(each["tracks"], each["same"]) for each in tree["decisions"]),
            int(tree["next_id"]),
        )
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}. Run across to make it.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path}: not a project of identities: {error!r}. Run across to make one.") from error
    cameras = range(len(across.recordings))
    if any(member.camera not in cameras for each in across.identities for member in each.members):
        raise FormatError(f"{path}: names a recording that it does not list. Run across to make it anew.")
    return across


def all_tracks(across: Across, describe: Callable[[Path], Views]) -> list[Track]:
    """The tracks of all recordings that have views, on the clock that all share: `starts` is when first frames are."""
    found = []
    for camera, (path, start) in enumerate(zip(across.recordings, across.starts, strict=True)):
        views = describe(path)
        with Recording(path) as recording:
            found += _tracks_of(recording, camera, start, views)
    return found


def write_table(path: Path, across: Across, tracks: Sequence[Track], names: Sequence[str]) -> None:
    """Every track with its identity as CSV; `names` are what recordings are called there. Raises SinkError."""
    rows = {track.member: track for track in tracks}
    with AtomicText(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for identity in across.identities:
            for member in identity.members:
                track = rows[member]
                ends = f"{track.start:.3f}", f"{track.end:.3f}"
                place = identity.number, names[member.camera], member.track, track.label
                writer.writerow((*place, *ends, int(identity.confirmed)))


def _tracks_of(recording: Recording, camera: int, start: float, views: Views) -> list[Track]:
    """The tracks of one recording."""
    indices, times = recording.frame_times()
    found = []
    for track in recording.tracks():
        chosen = views.tracks == track.track_id
        if chosen.any():
            first, last = times[indices.searchsorted((track.first_frame, track.last_frame))].tolist()
            label = recording.info.labels[track.class_id]
            member = Member(camera, track.track_id)
            begun = start - float(times[0])  # a container's stamps may begin at any time
            found.append(Track(member, begun + first, begun + last, label, views.vectors[chosen]))
    return found


def _member(value: Any) -> Member:
    camera, track = value
    return Member(int(camera), int(track))


def _unsure(value: Any, probability: Any) -> UnsurePair:
    first, second = value
    return UnsurePair(int(first), int(second), float(probability))


def _decision(value: Any, same: Any) -> Decision:
    one, other = value
    return Decision(_member(one), _member(other), bool(same))


def _chain(members: Sequence[Member]) -> list[tuple[Member, Member]]:
    return list(pairwise(members))


def _connected(group: Sequence[Member], joined: set[frozenset[Member]]) -> bool:
    """Whether what people joined connects all tracks of a group."""
    reached, waiting = {group[0]}, [group[0]]
    while waiting:
        at = waiting.pop()
        new = [member for member in group if member not in reached and frozenset((at, member)) in joined]
        reached.update(new)
        waiting += new
    return len(reached) == len(group)
