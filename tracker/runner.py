"""The only threads: read, detect, track and draw, write overlap through bounded channels.

A file loses nothing and keeps its order: a full channel makes its producer wait. Live input takes the newest frame
when the detector is free, and not before, and counts the ones it left out. An error in any stage stops all and is
raised by `wait`; sinks keep what they were given.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tracker.config import SourceConfig
from tracker.pipeline import Pipeline, StageDetections
from tracker.protocols import FrameSource, Sink
from tracker.types import Frame, FrameResult, Image

__all__ = ["Channel", "Closed", "Progress", "Runner"]

log = logging.getLogger(__name__)

MOST_FAILURES = SourceConfig().most_failures

Item = TypeVar("Item")


class Closed(Exception):  # noqa: N818 - a signal between stages, not a failure
    """The channel has ended: nothing more comes out of it, or nobody listens any more."""


class Channel(Generic[Item]):
    """A bounded queue between two stages.

    `put` waits while it is full, or with `newest_wins` drops the oldest item and counts it. `finish` lets the
    reader empty it first, `cancel` ends both sides at once.
    """

    def __init__(self, capacity: int, *, newest_wins: bool = False) -> None:
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._newest_wins = newest_wins
        self._changed = threading.Condition()
        self._finished = False
        self._cancelled = False
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Hand an item on. Raises Closed when nobody will take it."""
        with self._changed:
            if self._newest_wins and len(self._items) >= self._capacity:
                self._items.popleft()
                self.dropped += 1
            while len(self._items) >= self._capacity and not self._cancelled:
                self._changed.wait()
            if self._cancelled or self._finished:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Item:
        """The next item, waiting for it. Raises Closed after the last one."""
        with self._changed:
            self._await_item()
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def wait_until_empty(self) -> None:
        """Wait until the last item has been taken. Raises Closed when nobody takes any more."""
        with self._changed:
            while self._items and not self._cancelled:
                self._changed.wait()
            if self._cancelled:
                raise Closed

    def wait_until_filled(self) -> None:
        """Wait until there is an item to get. Raises Closed after the last one."""
        with self._changed:
            self._await_item()

    def finish(self) -> None:
        """No more items will be put; those inside are still taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """End both sides now; items inside are let go."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def _await_item(self) -> None:
        """Wait, with the condition held, until there is an item."""
        while not self._items and not self._finished and not self._cancelled:
            self._changed.wait()
        if self._cancelled or not self._items:
            raise Closed


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, as one consistent reading."""

    frames: int
    dropped: int
    """Frames that live input left out because a newer one was there."""
    rejected: int
    """NaN, infinite or empty boxes the model gave."""
    damage: int
    seconds: float
    rate: float
    """Frames per second over the last two seconds."""
    latency_s: float
    """Age of the newest result when it was done, counted from the arrival of its data."""
    failed: int = 0
    """Live frames that the detector raised an error on and that were passed over."""
    link: str = ""
    """Where the connection of a live source stands: connecting, live, stalled, lost or refused."""
    reconnects: int = 0
    """How often a live source was lost and came back."""


@dataclass(frozen=True, slots=True)
class _Pending:
    frame: Frame
    read_at: float
    seen: Future[StageDetections]


class Runner:
    """Runs one source through a pipeline into its sinks, on threads of its own.

    `batch` frames go to the detector at once; `workers` batches are in work at a time. Neither changes the
    results of a file. The newest result waits in `poll` for a window that draws at its own pace. Up to
    `most_failures` live frames on end may fail in the detector; one of a file ends the run.
    """

    def __init__(
        self,
        source: FrameSource,
        pipeline: Pipeline,
        sinks: Sequence[Sink] = (),
        *,
        batch: int = 1,
        workers: int = 1,
        most_failures: int = MOST_FAILURES,
        on_result: Callable[[FrameResult], None] | None = None,
    ) -> None:
        self._source = source
        self._pipeline = pipeline
        self._sinks = tuple(sinks)
        self._on_result = on_result
        self._most_failures = most_failures if source.live else 0
        self._batch = 1 if source.live else batch
        self._workers = 1 if source.live else workers
        self._frames: Channel[tuple[Frame, float]] = Channel(1 if source.live else batch + 1, newest_wins=source.live)
        self._pending: Channel[_Pending] = Channel(1 if source.live else batch * self._workers)
        self._results: Channel[FrameResult] = Channel(2)
        self._lock = threading.Lock()
        self._latest: FrameResult | None = None
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._done_frames = 0
        self._rejected = 0
        self._latency_s = 0.0
        self._failed = 0
        self.failed_at: int | None = None
        """Index of the frame whose detection or writing ended the run."""
        self._stopped: Future[None] = Future()
        self._recent: deque[float] = deque(maxlen=600)
        self._started_at = 0.0
        self._ended_at: float | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; returns at once."""
        self._started_at = time.perf_counter()
        for stage in (self._read, self._detect, self._follow, self._write):
            thread = threading.Thread(target=self._guard, args=(stage,), name=f"sightline-{stage.__name__.strip('_')}")
            thread.daemon = True
            self._threads.append(thread)
            thread.start()

    def run(self) -> Progress:
        """Begin and wait for the end."""
        self.start()
        return self.wait()

    def wait(self, timeout_s: float | None = None) -> Progress:
        """The final reading once all stages have ended; raises what went wrong in any of them.

        With a timeout it may return earlier; see `running`.
        """
        deadline = None if timeout_s is None else time.perf_counter() + timeout_s
        for thread in self._threads:
            # A bounded join keeps Ctrl-C working on Windows, where an endless one cannot be interrupted.
            while thread.is_alive() and (deadline is None or time.perf_counter() < deadline):
                thread.join(0.1 if deadline is None else max(0.0, min(0.1, deadline - time.perf_counter())))
        if not self.running and self._error is not None:
            raise self._error
        return self.progress()

    @property
    def running(self) -> bool:
        """Whether any stage is still at work."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """End soon: reading stops, frames not yet followed are let go, sinks are finished.

        A detection at work is not waited for.
        """
        self._stopping.set()
        with self._lock:
            if not self._stopped.done():
                self._stopped.set_result(None)
        self._frames.cancel()
        self._pending.cancel()
        self._source.close()

    def poll(self) -> FrameResult | None:
        """The newest result not yet polled, or None."""
        with self._lock:
            latest, self._latest = self._latest, None
        return latest

    def progress(self) -> Progress:
        """How far the run is now."""
        now = self._ended_at or time.perf_counter()
        link = self._source.link
        with self._lock:
            recent = [moment for moment in self._recent if moment >= now - 2]
            span = now - recent[0] if len(recent) > 1 else 0.0
            return Progress(
                frames=self._done_frames,
                dropped=self._frames.dropped + self._source.dropped,
                rejected=self._rejected,
                damage=self._source.damage,
                seconds=now - self._started_at,
                rate=len(recent) / span if span else 0.0,
                latency_s=self._latency_s,
                failed=self._failed,
                link=str(link.state) if link is not None else "",
                reconnects=self._source.reconnects,
            )

    def _guard(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except Closed:
            pass
        except BaseException as error:
            log.debug("stage %s failed", stage.__name__, exc_info=True)
            with self._lock:
                self._error = self._error or error
            for channel in (self._frames, self._pending, self._results):
                channel.cancel()
            self._source.close()

    def _read(self) -> None:
        try:
            for frame in self._source:
                self._frames.put((frame, time.monotonic() if frame.arrival is None else frame.arrival))
                if self._stopping.is_set():
                    break
        except Exception:
            if not self._stopping.is_set():
                raise
        finally:
            self._source.close()
        self._frames.finish()

    def _detect(self) -> None:
        try:
            if self._source.live:
                self._detect_newest()
            else:
                self._detect_batches()
        finally:
            self._pending.finish()

    def _detect_newest(self) -> None:
        """One frame at a time, taken when the one before is detected and handed on, so that none grows old."""
        while True:
            self._pending.wait_until_empty()
            self._frames.wait_until_filled()
            taken: list[tuple[Frame, float]] = []

            def take(taken: list[tuple[Frame, float]] = taken) -> Image:
                taken.append(self._frames.get())
                return taken[0][0].image

            seen: Future[StageDetections] = Future()
            try:
                seen.set_result(self._pipeline.detect_newest(take))
            except Closed:
                raise
            except Exception as error:  # noqa: BLE001 - `_follow` judges it: a single bad frame is passed over
                seen.set_exception(error)
            self._pending.put(_Pending(*taken[0], seen))

    def _detect_batches(self) -> None:
        with ThreadPoolExecutor(self._workers, thread_name_prefix="sightline-detect") as pool:
            for frames in self._batches():
                batch = pool.submit(self._pipeline.detect, [frame.image for frame, _ in frames])
                for row, (frame, read_at) in enumerate(frames):
                    self._pending.put(_Pending(frame, read_at, _row_of(batch, row)))

    def _batches(self) -> Iterator[list[tuple[Frame, float]]]:
        frames: list[tuple[Frame, float]] = []
        try:
            while True:
                frames.append(self._frames.get())
                if len(frames) == self._batch:
                    yield frames
                    frames = []
        except Closed:
            if frames and not self._stopping.is_set():
                yield frames

    def _follow(self) -> None:
        failures = 0
        try:
            while True:
                if self._source.live:
                    self._results.wait_until_empty()
                pending = self._pending.get()
                ended: list[Future[Any]] = [pending.seen, self._stopped]
                wait(ended, return_when=FIRST_COMPLETED)
                if self._stopping.is_set():
                    return
                error = pending.seen.exception()
                if error is not None:
                    failures += 1
                    if failures > self._most_failures:
                        self.failed_at = pending.frame.index
                        raise error
                    self._pass_over(pending.frame, error, failures)
                    continue
                failures = 0
                result = self._pipeline.follow(pending.frame, pending.seen.result())
                with self._lock:
                    self._latest = result
                    self._latency_s = time.monotonic() - pending.read_at
                    self._rejected += result.rejected
                self._results.put(result)
        finally:
            self._results.finish()

    def _pass_over(self, frame: Frame, error: BaseException, failures: int) -> None:
        with self._lock:
            self._failed += 1
        if failures == 1:
            log.warning("%s: frame %d is passed over: the detector failed on it (%r)", frame.source, frame.index, error)

    def _write(self) -> None:
        try:
            while True:
                try:
                    result = self._results.get()
                except Closed:
                    break
                try:
                    for sink in self._sinks:
                        sink.write(result)
                except Exception:
                    self.failed_at = result.frame.index
                    raise
                if self._on_result is not None:
                    self._on_result(result)
                with self._lock:
                    self._done_frames += 1
                    self._recent.append(time.perf_counter())
        except BaseException:
            self._discard_sinks()
            raise
        if self._error is not None:
            self._discard_sinks()
        else:
            self._close_sinks()
        self._ended_at = time.perf_counter()

    def _close_sinks(self) -> None:
        """Finish every sink, also where another one fails; the first error is raised."""
        errors: list[Exception] = []
        for sink in self._sinks:
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001 - the others must be finished before it is raised
                errors.append(error)
        if errors:
            raise errors[0]

    def _discard_sinks(self) -> None:
        for sink in self._sinks:
            try:
                sink.discard()
            except Exception:
                log.warning("an output could not be let go", exc_info=True)


def _row_of(batch: Future[list[StageDetections]], row: int) -> Future[StageDetections]:
    """The part of a batch's outcome that belongs to one frame."""
    part: Future[StageDetections] = Future()

    def hand_on(done: Future[list[StageDetections]]) -> None:
        error = done.exception()
        if error is not None:
            part.set_exception(error)
        else:
            part.set_result(done.result()[row])

    batch.add_done_callback(hand_on)
    return part
