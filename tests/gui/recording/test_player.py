"""The player's wishes: none is lost while a frame is being read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from jaxtyping import Float64
from numpy import ndarray

from gui.recording.player import Player
from tracker.errors import SourceError
from tracker.protocols import FrameSource
from tracker.types import Frame, SourceInfo

COUNT, RATE, BROKEN = 1000, 10.0, 600
START = 394
MOST_S = 30.0


class SlowSource(FrameSource):
    """Numbered frames, each of which is read only when the test says so."""

    name = "slow"
    live = False

    def __init__(self) -> None:
        self.damage = 0
        self.info = SourceInfo(8, 8, Fraction(10), COUNT)
        self.reading = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def __iter__(self) -> Iterator[Frame]:
        yield self._frame(0)

    @property
    def seekable(self) -> bool:
        return True

    def times(self) -> Float64[ndarray, " n"]:
        return np.arange(COUNT) / RATE

    def frame_at(self, index: int) -> Frame:
        self.reading.release()
        assert self.may_end.acquire(timeout=MOST_S)
        if index == BROKEN:
            raise SourceError(f"{self.name}: frame {index} does not decode")
        return self._frame(index)

    def close(self) -> None:
        pass

    def _frame(self, index: int) -> Frame:
        return Frame(np.zeros((8, 8, 3), np.uint8), index, index / RATE, self.name)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + MOST_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def source() -> SlowSource:
    return SlowSource()


@pytest.fixture
def player(source: SlowSource) -> Iterator[Player]:
    player = Player(lambda: source, lambda _: None)
    player.start()
    until(lambda: player.ready)
    source.may_end.release()
    player.seek(START)
    until(lambda: player.index == START)
    assert source.reading.acquire(timeout=MOST_S)
    yield player
    source.may_end.release(COUNT)
    assert player.close(MOST_S)


@pytest.mark.parametrize(
    ("press", "reached"),
    [
        (lambda player: player.step(-1), START - 5),
        (lambda player: player.step(1), START + 5),
        (lambda player: player.skip(-5.0), START - 5 * 50),
        (lambda player: player.skip(5.0), START + 5 * 50),
    ],
)
def test_each_press_counts_that_comes_while_a_frame_is_being_read(
    player: Player, source: SlowSource, press: Callable[[Player], None], reached: int
) -> None:
    press(player)
    assert source.reading.acquire(timeout=MOST_S)
    for _ in range(4):
        press(player)
    assert player.wanted == reached
    source.may_end.release(2)
    until(lambda: player.index == reached)
    assert player.wanted == reached


def test_a_frame_that_cannot_be_read_is_no_longer_waited_for(player: Player, source: SlowSource) -> None:
    player.seek(BROKEN)
    assert source.reading.acquire(timeout=MOST_S)
    source.may_end.release(3)
    until(lambda: player.problem)
    player.step(1)
    until(lambda: player.index == BROKEN + 1)
    player.step(-2)
    until(lambda: player.index == BROKEN - 1)


def test_playing_goes_on_from_what_is_being_read_when_held(player: Player, source: SlowSource) -> None:
    player.play(on=True)
    assert source.reading.acquire(timeout=MOST_S)
    player.play(on=False)
    assert player.wanted > START
    player.step(1)
    wanted = player.wanted
    assert wanted > START + 1
    source.may_end.release(2)
    until(lambda: player.index == wanted)
