"""Plays a recording on a thread of its own: exact frames, true times, the newest wish wins."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from gui.canvas.renderer import RenderedFrame
from gui.qt.wording import words_of
from tracker.errors import SourceError
from tracker.protocols import FrameSource
from tracker.types import Frame
from tracker.video.image_source import ImageSource

__all__ = ["Player", "Seekable", "Walked", "by_decoding", "seekable"]

log = logging.getLogger(__name__)

ONLY_FRAME_S = 0.04
"""How long the only frame of a recording is to be seen."""
ROUNDING_S = 1e-9
"""A time that was computed may lie this much before the frame it means."""
SPEEDS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0)


class Seekable(Protocol):
    """A source of which any frame can be asked for."""

    name: str

    def __iter__(self) -> Iterator[Frame]: ...
    def times(self) -> Float64[ndarray, " n"]: ...
    def frame_at(self, index: int) -> Frame: ...
    def close(self) -> None: ...


class Walked:
    """Any frame of a source that can only be read from its start, such as a folder of images."""

    def __init__(self, source: FrameSource) -> None:
        self.name = source.name
        self._source = source
        self._frames: Iterator[Frame] = iter(())
        self._next = 0

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._source)

    def times(self) -> Float64[ndarray, " n"]:
        """Time of every frame by the source's rate."""
        rate = float(self._source.info.rate or 1 / ONLY_FRAME_S)
        return np.arange(self._source.info.frame_count or 1) / rate

    def frame_at(self, index: int) -> Frame:
        """The frame of that index, read from the start where it lies behind; an image is read by itself."""
        if isinstance(self._source, ImageSource):
            return self._source.frame_at(index)  # says which file it is that cannot be read
        if index < self._next or not self._next:
            self._frames, self._next = iter(self._source), 0
        for frame in self._frames:
            self._next = frame.index + 1
            if frame.index >= index:
                return frame
        raise SourceError(f"{self.name}: no frame {{0}}", frames=(index,))

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()


def seekable(source: FrameSource) -> Seekable:
    """The source itself where it can seek."""
    return source if source.seekable else Walked(source)


def by_decoding(source: FrameSource) -> FrameSource:
    """The source with its frames numbered by what decodes, as reading it from its start does, not by its packets."""
    source.damage = max(source.damage, 1)  # what it says of a file whose packets are not to be trusted
    return source


class Player:
    """Shows frames of one source: plays by their times, steps, seeks, loops. `take` gives the newest frame.

    `render` turns a frame into what is shown; it runs on the player's thread. What goes wrong is kept in `problem`.
    """

    def __init__(self, open_source: Callable[[], FrameSource], render: Callable[[Frame], RenderedFrame | None]) -> None:
        self._open_source = open_source
        self._render = render
        self._wake = threading.Condition()
        self._stop = False
        self._target: int | None = None
        self._redraw = False
        self._renumber = False
        self._playing = False
        self._speed = 1.0
        self._loop: tuple[int, int] | None = None
        self._anchor: tuple[float, float] | None = None
        self._shown: RenderedFrame | None = None
        self._frame: Frame | None = None
        self.times: Float64[ndarray, " n"] = np.empty(0)
        """Time of every frame; empty until the file has been looked through."""
        self.index = 0
        """Of the frame shown."""
        self._asked = 0
        """Where it stands: at the frame shown, or at one that cannot be."""
        self.problem = ""
        self._thread = threading.Thread(target=self._main, name="sightline-player", daemon=True)

    def start(self) -> None:
        """Open the source and show its first frame."""
        self._thread.start()

    def close(self, timeout_s: float = 1.0) -> bool:
        """Stop and let go; whether the thread has ended in time."""
        with self._wake:
            self._stop = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def count(self) -> int:
        """Number of frames, 0 until it is known."""
        return len(self.times)

    @property
    def playing(self) -> bool:
        """Whether it goes on by itself."""
        return self._playing

    @property
    def speed(self) -> float:
        """Times as fast as the recording."""
        return self._speed

    @property
    def loop_range(self) -> tuple[int, int] | None:
        """First and last frame of the range that is repeated."""
        return self._loop

    @property
    def ready(self) -> bool:
        """Whether frames can be asked for."""
        return len(self.times) > 0

    @property
    def wanted(self) -> int:
        """Index of the frame that was asked for last, also while it is being read or where that failed."""
        with self._wake:
            return self._asked if self._target is None else self._target

    def take(self) -> RenderedFrame | None:
        """The newest frame not yet taken."""
        with self._wake:
            shown, self._shown = self._shown, None
        return shown

    def play(self, *, on: bool) -> None:
        """Go on, or hold."""
        with self._wake:
            if on and self.ready and self.wanted >= self.count - 1 and self._loop is None:
                self._target = 0
            self._playing, self._anchor = on, None
            self._wake.notify_all()

    def seek(self, index: int) -> None:
        """Show this frame."""
        with self._wake:
            self._target = max(0, index if not self.ready else min(index, self.count - 1))
            self._anchor = None
            self._wake.notify_all()

    def seek_time(self, seconds: float) -> None:
        """Show the frame of that time."""
        if self.ready:
            self.seek(int(np.searchsorted(self.times, seconds + ROUNDING_S, side="right")) - 1)

    def step(self, frames: int) -> None:
        """Hold, and show a frame so many further on."""
        with self._wake:
            self._playing = False
            self.seek(self.wanted + frames)

    def skip(self, seconds: float) -> None:
        """Show what is so many seconds further on."""
        if self.ready:
            with self._wake:
                self.seek_time(float(self.times[min(self.wanted, self.count - 1)]) + seconds)

    def change_speed(self, steps: int) -> float:
        """The next faster or slower speed."""
        nearest = min(range(len(SPEEDS)), key=lambda number: abs(SPEEDS[number] - self._speed))
        with self._wake:
            self._speed = SPEEDS[min(max(nearest + steps, 0), len(SPEEDS) - 1)]
            self._anchor = None
            self._wake.notify_all()
        return self._speed

    def repeat(self, frames: tuple[int, int] | None) -> None:
        """Play this range over and over, or no longer."""
        with self._wake:
            self._loop = None if frames is None else (min(frames), max(frames))
            self._anchor = None
            self._wake.notify_all()

    def redraw(self) -> None:
        """Render the present frame anew."""
        with self._wake:
            self._redraw = True
            self._wake.notify_all()

    def renumber(self) -> None:
        """Number the frames by what decodes: the file is damaged, some of those that it promises are not there."""
        with self._wake:
            self._renumber = True
            self._wake.notify_all()

    # on the player's thread

    def _main(self) -> None:
        try:
            source = seekable(self._open_source())
        except Exception as error:  # noqa: BLE001 - a thread's main, shown to the user
            self.problem = words_of(error)
            return
        try:
            first = next(iter(source), None)
            if first is not None:
                self._asked = first.index
                self._show(first)
            self.times = source.times()
            while self._run(source):
                source.close()
                source = seekable(by_decoding(self._open_source()))
                self._count_anew(source.times())
        except Exception as error:
            log.debug("the player ended", exc_info=True)
            self.problem = words_of(error)
        finally:
            source.close()

    def _count_anew(self, times: Float64[ndarray, " n"]) -> None:
        """Go on with the moment shown, wherever it is in the new count."""
        with self._wake:
            moment = float(self.times[min(self.wanted, self.count - 1)]) if self._frame is None else self._frame.time
            self.times, self._loop, self._anchor = times, None, None
            self._target = max(0, int(np.searchsorted(times, moment + ROUNDING_S, side="right")) - 1)

    def _run(self, source: Seekable) -> bool:
        """Show what is wished until the end; whether frames are to be numbered anew."""
        while True:
            with self._wake:
                while (
                    not self._stop
                    and not self._renumber
                    and self._target is None
                    and not self._redraw
                    and not self._playing
                ):
                    self._wake.wait()
                renumber, self._renumber = self._renumber, False
                if self._stop or renumber:
                    return renumber and not self._stop
                target, self._target = self._target, None
                if target is not None:
                    self._asked = target  # at once: a step may come while it is read
                redraw, self._redraw = self._redraw, False
                playing = self._playing
            if target is not None:
                self._fetch(source, target)
            elif redraw and self._frame is not None:
                self._show(self._frame)
            elif playing:
                self._advance(source)

    def _fetch(self, source: Seekable, index: int) -> None:
        try:
            frame = source.frame_at(index)
            self._asked = frame.index
            self._show(frame)
            self.problem = ""
        except SourceError as error:
            self.problem = words_of(error)

    def _advance(self, source: Seekable) -> None:
        with self._wake:
            now = time.perf_counter()
            here = min(self._asked, self.count - 1)
            if self._anchor is None:
                self._anchor = now, float(self.times[here])
            following = here + 1
            again = self._loop is not None and not self._loop[0] <= following <= self._loop[1]
            if following >= self.count and not again:
                self._playing = False
                return
            began, stamp = self._anchor
            position = stamp + (now - began) * self._speed
            if self._loop is not None and again:
                following, due = self._loop[0], self._end_of(here)
            else:
                reached = int(np.searchsorted(self.times, position, side="right")) - 1
                last = self.count - 1 if self._loop is None else self._loop[1]
                following = min(max(following, reached), last)  # leave out what is too late to be seen
                due = float(self.times[following])
            wait_s = (due - position) / self._speed
            if wait_s > 0 and self._wake.wait(wait_s):
                return  # another wish came
            if self._stop or self._target is not None or not self._playing:
                return
            self._asked = following
            if again:
                self._anchor = time.perf_counter(), float(self.times[following])
        self._fetch(source, following)

    def _end_of(self, index: int) -> float:
        """Until when a frame is to be seen: the next one's time, after the last as long as the one before it."""
        if index + 1 < self.count:
            return float(self.times[index + 1])
        return float(2 * self.times[index] - self.times[index - 1]) if index else float(self.times[0]) + ONLY_FRAME_S

    def _show(self, frame: Frame) -> None:
        self._frame, self.index = frame, frame.index
        rendered = self._render(frame)
        if rendered is not None:
            with self._wake:
                self._shown = rendered
