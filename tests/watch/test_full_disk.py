"""A disk that refuses everything for a while: told once, nothing half left, nothing lost, it goes on by itself."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.watch.test_alerts import until
from tests.watch.test_event_store import EVENT
from tests.world import ScriptedDetector, World
from tracker.errors import SinkError
from tracker.overlay import OverlayConfig
from tracker.pipeline import Pipeline
from tracker.types import Frame
from tracker.video import VideoSink
from tracker.watch import camera_records
from tracker.watch.alerts import AlertSender
from tracker.watch.camera_records import ContinuousRecording
from tracker.watch.camera_set import AlertConfig, CameraConfig
from tracker.watch.event_backlog import EventBacklog
from tracker.watch.event_store import EventStore, StoredEvent


class Refusing(EventStore):
    """A store whose disk is full while `full` is set."""

    full = False

    def add(self, event: StoredEvent, alerts: Sequence[str] = (), thumbnail: bytes = b"") -> int:
        self._refuse()
        return super().add(event, alerts, thumbnail)

    def mark_sent(self, message: int) -> None:
        self._refuse()
        super().mark_sent(message)

    def _refuse(self) -> None:
        if self.full:
            raise SinkError(f"{self.path}: the event cannot be kept: No space left on device.")


def test_events_wait_for_room_in_order_and_are_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Refusing(tmp_path / "events.sqlite")) as store:
        backlog = EventBacklog(store, most=4)
        backlog.add(replace(EVENT, track=1), ["a"], b"jpeg")
        assert backlog.flush()
        store.full = True
        for track in range(2, 8):
            backlog.add(replace(EVENT, track=track), ["a"])
        assert not backlog.flush()
        assert (len(backlog), backlog.lost, len(caplog.records)) == (4, 2, 1)
        store.full = False
        assert backlog.flush()
        assert [event.track for event in reversed(store.search())] == [1, 4, 5, 6, 7]
        assert store.thumbnails([1, 2, 9]) == {1: b"jpeg"}
        assert sum(store.waiting_for().values()) == 5
    assert "events are kept again; 2 were lost" in caplog.text


def test_an_alert_is_sent_once_also_where_that_cannot_be_noted(tmp_path: Path) -> None:
    sent: list[int] = []
    with closing(Refusing(tmp_path / "events.sqlite")) as store:
        store.add(EVENT, ["a"])
        store.full = True

        def send(_: AlertConfig, event: StoredEvent) -> None:
            sent.append(event.event)

        sender = AlertSender("a", AlertConfig(webhook="http://a/"), store, send, pause_s=0.01)
        sender.start()
        until(lambda: sender.failing)
        store.full = False
        until(lambda: not store.waiting_for())
        sender.stop()
    assert sent == [1]


def test_a_recording_is_told_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk takes no frame between the 3rd and the 6th second."""
    monkeypatch.setattr(camera_records, "RETRY_S", 0.0)
    write, full = VideoSink.write, [False]

    def refuse(sink: VideoSink, result: object) -> None:
        if full[0]:
            sink.discard()
            raise sink._refusal(OSError(errno.ENOSPC, "No space left on device"))
        write(sink, result)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoSink, "write", refuse)
    recording = ContinuousRecording(CameraConfig("gate", "0", record="continuous"), OverlayConfig(), tmp_path)
    pipeline = Pipeline(ScriptedDetector(World(seconds=1)), None)
    image = np.zeros((96, 160, 3), np.uint8)
    with caplog.at_level(logging.WARNING):
        for number in range(90):
            full[0] = 30 <= number < 60
            [seen] = pipeline.detect([image])
            recording.write(pipeline.follow(Frame(image, number, number / 10, "gate"), seen))
        recording.close()
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert "No space left on device. Free some space there" in texts[0]
    assert texts[1] == "recording gate goes on"
    videos = sorted(path.stem for path in tmp_path.glob("*.mp4"))
    assert len(videos) == 2
    assert sorted(path.stem for path in tmp_path.glob("*.jsonl")) == videos


def test_a_recording_that_cannot_be_finished_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was noted where nobody looked: the last frames of a night were missing without a word."""

    def refuse(sink: VideoSink) -> None:
        sink.discard()
        raise sink._refusal(OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(VideoSink, "close", refuse)
    recording = ContinuousRecording(CameraConfig("gate", "0", record="continuous"), OverlayConfig(), tmp_path)
    pipeline = Pipeline(ScriptedDetector(World(seconds=1)), None)
    image = np.zeros((96, 160, 3), np.uint8)
    [seen] = pipeline.detect([image])
    recording.write(pipeline.follow(Frame(image, 0, 0.0, "gate"), seen))
    recording.close()
    [told] = caplog.messages
    assert told.startswith("recording gate ended")
    assert "No space left on device" in told
