"""Repaired stamps: always increasing, and unchanged where they were right."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tracker.video.stamps import CodedOrderStamps, PresentationStamps


@dataclass
class Piece:
    """As much of a packet or frame as stamps are made from."""

    pts: int | None = None
    dts: int | None = None
    key_frame: bool = False


def run(stamps: PresentationStamps | CodedOrderStamps, frames: list[Piece]) -> list[int]:
    return [stamps.stamp(cast(Any, frame)) for frame in frames]


@given(st.lists(st.integers(-(10**6), 10**9), unique=True, min_size=1).map(sorted))
def test_good_stamps_are_left_alone(ticks: list[int]) -> None:
    stamps = PresentationStamps(Fraction(1, 1000), 40)
    assert run(stamps, [Piece(pts=tick) for tick in ticks]) == ticks


@given(st.lists(st.none() | st.integers(-(10**6), 10**7), min_size=2))
def test_repaired_stamps_always_increase(ticks: list[int | None]) -> None:
    repaired = run(PresentationStamps(Fraction(1, 1000), 40), [Piece(pts=tick) for tick in ticks])
    assert all(before < after for before, after in pairwise(repaired))


def test_a_missing_stamp_is_a_nominal_step_on_and_the_next_good_one_stands() -> None:
    frames = [Piece(pts=tick) for tick in (100, None, None, 200, 200, 190, 240)]
    assert run(PresentationStamps(Fraction(1, 1000), 40), frames) == [100, 140, 180, 200, 201, 202, 240]


def test_a_spliced_stream_goes_on_from_where_it_was() -> None:
    frames = [Piece(pts=tick) for tick in (90_000, 90_040, 500, 540, 700)]
    assert run(PresentationStamps(Fraction(1, 1000), 40), frames) == [90_000, 90_040, 90_080, 90_120, 90_280]


@given(st.data())
def test_coded_order_is_undone(data: st.DataObject) -> None:
    """Groups of one reference frame and the B-frames shown before it, as an encoder puts them out."""
    groups = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    coded = [0]  # positions in presentation order, in the order of decoding
    for b_frames in groups:
        shown = len(coded)
        coded += [shown + b_frames, *range(shown, shown + b_frames)]
    stamps = CodedOrderStamps(1)
    packets = [Piece(dts=position) for position in range(len(coded))]
    for packet in packets:
        stamps.tag(cast(Any, packet))
    order = sorted(range(len(coded)), key=lambda number: coded[number])
    frames = [Piece(pts=number, key_frame=number == 0) for number in order]
    assert run(stamps, frames) == list(range(len(coded)))


def test_a_lost_frame_does_not_shift_what_follows_the_next_key_frame() -> None:
    stamps = CodedOrderStamps(1)
    for number in range(8):
        stamps.tag(cast(Any, Piece(dts=10 * number)))
    kept = [Piece(pts=number, key_frame=number in (0, 5)) for number in (0, 1, 3, 4, 5, 6, 7)]
    assert run(stamps, kept)[4:] == [50, 60, 70]
