from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.world import FakeSource, NoTracker, ScriptedDetector, World
from tracker.pipeline import Pipeline
from tracker.runner import Channel, Closed, Runner
from tracker.types import Detections, Frame, FrameResult, Image


class Collector:
    def __init__(self, *, fails_at: int | None = None, delay_s: float = 0.0) -> None:
        self.indices: list[int] = []
        self.counts: list[int] = []
        self.closed = self.discarded = False
        self._fails_at, self._delay_s = fails_at, delay_s

    def write(self, result: FrameResult) -> None:
        time.sleep(self._delay_s)
        if result.frame.index == self._fails_at:
            raise RuntimeError("the sink broke")
        self.indices.append(result.frame.index)
        self.counts.append(len(result.detections))

    def close(self) -> None:
        self.closed = True

    def discard(self) -> None:
        self.discarded = True


def make(
    source: FakeSource, detector: ScriptedDetector, sink: Collector, *, batch: int = 1, workers: int = 1
) -> Runner:
    return Runner(source, Pipeline(detector, NoTracker()), [sink], batch=batch, workers=workers)


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (1, 3), (4, 1), (4, 2), (7, 2)])
def test_a_file_loses_nothing_and_keeps_its_order(batch: int, workers: int) -> None:
    source, detector, sink = FakeSource(), ScriptedDetector(), Collector()
    progress = make(source, detector, sink, batch=batch, workers=workers).run()
    assert sink.indices == list(range(source.world.count))
    assert sink.counts == [len(source.world.detections(index)) for index in sink.indices]
    assert sink.closed
    assert not sink.discarded
    assert (progress.frames, progress.dropped) == (source.world.count, 0)


def test_batches_are_full_but_for_the_last() -> None:
    source, detector = FakeSource(World(seconds=0.4)), ScriptedDetector()
    make(source, detector, Collector(), batch=4).run()
    assert detector.batches == [4, 4, 2]


def test_live_input_takes_the_newest_frame_and_counts_what_it_left_out() -> None:
    source = FakeSource(live=True)
    sink = Collector()
    progress = make(source, ScriptedDetector(delay_s=0.02), sink).run()
    assert progress.dropped > 0
    assert progress.frames + progress.dropped == source.world.count
    assert sink.indices == sorted(sink.indices)
    assert sink.indices[-1] == source.world.count - 1


@pytest.mark.parametrize("stage", ["source", "detector", "sink"])
def test_an_error_in_any_stage_reaches_the_caller_and_no_annotation_is_finished(stage: str) -> None:
    source = FakeSource(fails_at=30 if stage == "source" else None)
    detector = ScriptedDetector(fails_at=30 if stage == "detector" else None)
    sink = Collector(fails_at=30 if stage == "sink" else None)
    with pytest.raises(RuntimeError, match=f"the {stage} broke"):
        make(source, detector, sink, batch=2, workers=2).run()
    assert sink.discarded
    assert not sink.closed
    assert source.closed


def test_a_live_run_passes_over_single_frames_that_the_detector_fails_on() -> None:
    source, sink = FakeSource(live=True), Collector()
    progress = make(source, ScriptedDetector(fails_at=30), sink).run()
    assert progress.failed <= 1
    assert sink.closed
    assert progress.frames + progress.dropped + progress.failed == source.world.count


def test_a_live_run_ends_when_the_detector_keeps_failing() -> None:
    class Broken(ScriptedDetector):
        def detect(self, images: Sequence[Image]) -> list[Detections]:
            raise RuntimeError("the detector broke")

    sink = Collector()
    with pytest.raises(RuntimeError, match="the detector broke"):
        make(FakeSource(live=True), Broken(), sink).run()
    assert sink.discarded

    source = FakeSource(World(seconds=2), live=True)
    progress = Runner(source, Pipeline(Broken(), NoTracker()), [], most_failures=source.world.count).run()
    assert (progress.frames, progress.failed + progress.dropped) == (0, source.world.count)


@pytest.mark.parametrize("stage", ["detector", "sink"])
def test_the_frame_that_ended_a_run_is_known(stage: str) -> None:
    detector = ScriptedDetector(fails_at=30 if stage == "detector" else None)
    runner = make(FakeSource(), detector, Collector(fails_at=30 if stage == "sink" else None), batch=1)
    with pytest.raises(RuntimeError):
        runner.run()
    assert runner.failed_at == 30


class HeldDetector(ScriptedDetector):
    """Begins with each frame when it is asked, and ends with it when `go_on` is released."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[int] = []
        self.go_on = threading.Semaphore(0)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self.begun += [int(image[0, 0, 0]) * 256 + int(image[0, 0, 1]) for image in images]
        self.go_on.acquire()
        return super().detect(images)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_live_frame_is_taken_only_when_the_detector_is_free() -> None:
    class PushedSource(FakeSource):
        shown = 0

        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                until(lambda index=frame.index: self.shown > index or self.closed)  # type: ignore[misc]
                yield frame

    source, detector, sink = PushedSource(World(seconds=0.6), live=True), HeldDetector(), Collector()
    runner = make(source, detector, sink)
    runner.start()
    source.shown = 1
    until(lambda: detector.begun == [0])
    source.shown = 10
    until(lambda: runner.progress().dropped == 8)  # nobody holds one of those back
    detector.go_on.release()
    until(lambda: len(detector.begun) == 2)
    source.shown = 15
    until(lambda: runner.progress().dropped == 12)
    detector.go_on.release(2)
    runner.wait()
    assert detector.begun == [0, 9, 14]


def test_a_live_run_ends_its_outputs_without_waiting_for_a_slow_detection() -> None:
    source, detector, sink = FakeSource(World(seconds=60), live=True), HeldDetector(), Collector()
    runner = make(source, detector, sink)
    runner.start()
    until(lambda: detector.begun)
    runner.stop()
    until(lambda: sink.closed)
    assert runner.running
    detector.go_on.release()
    runner.wait()


def test_every_sink_is_closed_where_one_fails_to() -> None:
    class Failing(Collector):
        def close(self) -> None:
            raise RuntimeError("the last row does not fit")

    source, last = FakeSource(World(seconds=0.4)), Collector()
    pipeline = Pipeline(ScriptedDetector(), NoTracker())
    with pytest.raises(RuntimeError, match="does not fit"):
        Runner(source, pipeline, [Failing(), last]).run()
    assert last.closed


def test_stop_ends_every_thread_and_finishes_the_sinks() -> None:
    sink = Collector()
    source = FakeSource(World(seconds=400))
    runner = make(source, ScriptedDetector(delay_s=0.005), sink)
    runner.start()
    while not sink.indices:
        time.sleep(0.005)
    runner.stop()
    runner.wait()
    assert not runner.running
    assert sink.closed
    assert sink.indices == list(range(len(sink.indices)))
    assert len(sink.indices) < source.world.count


def test_poll_gives_the_newest_result_once() -> None:
    runner = make(FakeSource(World(seconds=0.4)), ScriptedDetector(), Collector())
    runner.run()
    result = runner.poll()
    assert result is not None
    assert result.frame.index == 9
    assert runner.poll() is None


def test_broken_boxes_are_dropped_and_counted() -> None:
    source, sink = FakeSource(World(seconds=1)), Collector()
    progress = make(source, ScriptedDetector(spoiled=True), sink).run()
    assert progress.rejected == 4 * source.world.count
    assert sink.counts == [len(source.world.detections(index)) for index in sink.indices]


def test_a_full_channel_makes_its_producer_wait() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(1)
    channel.put(2)
    waiting = threading.Thread(target=channel.put, args=(3,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    assert channel.get() == 1
    waiting.join()
    channel.finish()
    assert [channel.get(), channel.get()] == [2, 3]
    with pytest.raises(Closed):
        channel.get()


def test_a_cancelled_channel_lets_both_sides_go() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    released = []

    def produce() -> None:
        with pytest.raises(Closed):
            channel.put(2)
        released.append(True)

    waiting = threading.Thread(target=produce)
    waiting.start()
    channel.cancel()
    waiting.join()
    assert released
    with pytest.raises(Closed):
        channel.get()
