"""A whole set of cameras: events, clips, health, and ends of all kinds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.annotate.tiny import write_network
from tests.video.cameras import GuardedCamera, MjpegCamera
from tests.watch.test_alerts import Hook, until
from tests.watch.test_event_store import EVENT
from tests.world import FakeSource, ScriptedDetector, World
from tracker.analytics import Rules, ZoneRule
from tracker.detect.shared_detector import SharedDetector
from tracker.errors import ConfigError, SinkError
from tracker.factory import Settings
from tracker.protocols import FrameSource
from tracker.runner import Progress
from tracker.types import Frame, SourceInfo
from tracker.video import FileSource
from tracker.watch.alerts import names_of
from tracker.watch.camera_set import AlertConfig, CameraConfig, CameraSet, RetentionConfig
from tracker.watch.camera_watch import open_camera
from tracker.watch.event_store import EventSearch, EventStore
from tracker.watch.retention import clear_out
from tracker.watch.set_records import SetRecords
from tracker.watch.set_watch import SetWatch

ROOT = Path(__file__).parents[2]
ZONE = Rules(zone=(ZoneRule("middle", ((200, 0), (400, 0), (400, 360), (200, 360))),))


def watched(folder: Path, *cameras: CameraConfig) -> SetWatch:
    def open_fake(_: CameraConfig) -> FrameSource:
        return FakeSource(World(seconds=60), live=True)

    detector = SharedDetector(ScriptedDetector(World(seconds=60)))
    return SetWatch(CameraSet(cameras, folder), Settings(), detector=detector, open_source=open_fake)


def test_events_are_kept_with_the_clips_that_show_them(tmp_path: Path) -> None:
    watch = watched(tmp_path, CameraConfig("gate", "0", rules=ZONE, before_s=0.5, after_s=1.0))
    watch.start()
    until(lambda: len(watch.store.search(EventSearch(kind="zone-enter"))) >= 2)
    until(lambda: watch.health()[0])
    assert 'sightline_camera_up{camera="gate"} 1' in watch.metrics()
    assert watch.stop()
    events = watch.store.search(EventSearch(camera="gate", kind="zone-enter", name="middle"))
    assert {event.label for event in events} <= {"person", "car"}
    assert abs(events[0].time - time.time()) < 60
    clips = {event.clip for event in events if event.clip}
    assert clips
    for clip in clips:
        until(lambda clip=clip: Path(clip).is_file() and Path(clip).stat().st_size > 0)  # type: ignore[misc]
    assert watch.store.search(EventSearch(kind="live"))
    for jpeg in watch.store.thumbnails([event.event for event in events]).values():
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (84, 112, 3)
    assert len(watch.store.thumbnails([event.event for event in events])) == len(events)


def test_what_waits_for_an_alert_is_told_after_the_set_was_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Hook()
    gone, kept = AlertConfig(webhook="http://127.0.0.1:9/"), AlertConfig(webhook=hook.address)
    with closing(EventStore(tmp_path / "events.sqlite")) as store:
        for _ in range(3):
            store.add(EVENT, [*names_of([gone, kept]), f"{names_of([kept])[0].rpartition('-')[0]}-7"])
    records = SetRecords(CameraSet((CameraConfig("gate", "0"),), tmp_path, alert=(kept,)))
    records.start()
    until(lambda: records.alerts_waiting == 0)
    records.stop()
    assert [json.loads(body)["event"] for body in hook.bodies] == [1, 1, 2, 2, 3, 3]
    assert records.store.waiting_for() == {names_of([gone])[0]: 3}
    assert "3 events wait for alerts that are no longer in the set; nobody is told of them" in caplog.messages
    records.store.close()
    hook.close()


def test_a_number_of_months_is_told_to_the_last_digit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was given with six digits: after a million frames a counter stood still for seconds."""
    watch = watched(tmp_path, CameraConfig("gate", "0", record="never"))
    [reading] = watch.readings()
    progress = Progress(123_456_789, 0, 0, 0, 1e7, 10.0, 0.1)
    monkeypatch.setattr(watch, "readings", lambda: [replace(reading, progress=progress)])
    assert 'sightline_camera_frames_total{camera="gate"} 123456789\n' in watch.metrics()
    watch.store.close()


def test_a_marked_event_keeps_its_part_of_a_continuous_recording(tmp_path: Path) -> None:
    """Such events named no recording: marking one kept nothing, and it could not be played."""
    watch = watched(tmp_path, CameraConfig("gate", "0", rules=ZONE, record="continuous"))
    watch.start()
    until(lambda: watch.store.search(EventSearch(kind="zone-enter")))
    assert watch.stop()
    event = watch.store.search(EventSearch(kind="zone-enter"))[-1]
    recording = Path(event.clip)
    assert len(list(FileSource(recording))) > 0
    watch.store.mark(event.event)
    other = tmp_path / "gate" / "gate-20200101-000000-raw.mp4"
    other.write_bytes(b"video")
    for path in (tmp_path / "gate").iterdir():
        os.utime(path, (0, 0))
    gone = clear_out(tmp_path, RetentionConfig(days=1), marked=watch.store.marked_clips())
    assert gone == [str(other)]
    assert {path.suffix for path in recording.parent.glob(f"{recording.stem}.*")} == {".mp4", ".jsonl"}


def test_a_set_is_watched_by_one_program_at_a_time(tmp_path: Path) -> None:
    first = watched(tmp_path, CameraConfig("gate", "0", record="never"))
    second = watched(tmp_path, CameraConfig("gate", "0", record="never"))
    first.start()
    with pytest.raises(SinkError, match="another program watches this set"):
        second.start()
    assert first.stop()
    second.start()
    assert second.stop()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"classes": ("persn",)}, "camera gate: classes persn: .* did you mean 'person'"),
        ({"blur_classes": ("persn",)}, "blur_classes: the network knows no 'persn'; did you mean 'person'"),
        ({"rules": replace(ZONE, zone=(replace(ZONE.zone[0], classes=("cart",)),))}, "rules: .* did you mean 'car'"),
    ],
)
def test_classes_that_the_network_has_not_are_refused_at_the_start(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        watched(tmp_path, CameraConfig("gate", "0", **changed))


def test_a_camera_is_detected_in_its_own_region_alone(tmp_path: Path) -> None:
    left = CameraConfig("left", "0", record="never", roi=((0, 0), (320, 0), (320, 360), (0, 360)), rules=ZONE)
    beside = CameraConfig("beside", "1", record="never", roi=((2000, 0), (2100, 0), (2100, 100)))
    watch = watched(tmp_path, left, beside)
    watch.start()
    until(lambda: any(event.camera == "left" for event in watch.store.search(EventSearch(kind="live"))))
    until(lambda: "outside the image, which has 640 x 360" in watch.readings()[1].problem)
    assert watch.stop()


class Growing(FakeSource):
    """A camera that sends frames of twice the size from some frame on, as after a reset."""

    opened = 0

    def __init__(self, world: World) -> None:
        super().__init__(world, live=True)
        Growing.opened += 1

    @property
    def info(self) -> SourceInfo:
        own = super().info
        return own if Growing.opened == 1 else replace(own, width=2 * own.width, height=2 * own.height)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            if Growing.opened > 1 or frame.index > 20:
                frame = replace(frame, image=np.repeat(np.repeat(frame.image, 2, 0), 2, 1))
            yield frame


def test_rules_and_region_fit_into_images_of_another_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Growing, "opened", 0)
    camera = CameraConfig("gate", "0", rules=ZONE, record="continuous", roi=((0, 0), (640, 0), (640, 360), (0, 360)))
    detector = SharedDetector(ScriptedDetector(World(seconds=60)))
    watch = SetWatch(
        CameraSet((camera,), tmp_path), Settings(), detector=detector, open_source=lambda _: Growing(World(seconds=60))
    )
    used: list[tuple[tuple[float, float], ...]] = []
    [camera_watch] = watch._watches
    monkeypatch.setattr(camera_watch._detector, "use_region", lambda corners, *_: used.append(tuple(corners)))
    watch.start()
    until(lambda: len(used) == 2 and len(list((tmp_path / "gate").glob("*.mp4"))) == 2)
    until(lambda: (reading := watch.readings()[0]).progress is not None and reading.link == "live")
    assert watch.stop()
    assert used[1] == tuple((2 * x, 2 * y) for x, y in camera.roi)
    sizes = {next(iter(FileSource(path))).image.shape for path in (tmp_path / "gate").glob("*.mp4")}
    assert sizes == {(360, 640, 3), (720, 1280, 3)}


def test_a_camera_recorded_without_end_fills_files_of_some_length(tmp_path: Path) -> None:
    watch = watched(tmp_path, CameraConfig("yard", "0", record="continuous", segment_s=10.0))
    watch.start()
    until(lambda: len(list((tmp_path / "yard").glob("*.mp4"))) >= 2)
    assert watch.stop()
    first = min((tmp_path / "yard").glob("*.mp4"), key=lambda path: path.stat().st_mtime)
    frames = list(FileSource(first))
    times = [frame.time - frames[0].time for frame in frames]
    assert times[-2] < 10.0 <= times[-1] + 0.001  # a busy machine drops frames: the last may be any after that


def test_a_camera_that_fails_is_begun_anew_while_others_go_on(tmp_path: Path) -> None:
    opened: list[str] = []

    def open_some(camera: CameraConfig) -> FrameSource:
        opened.append(camera.name)
        fails = 5 if camera.name == "bad" else None
        return FakeSource(World(seconds=60), live=True, fails_at=fails)

    cameras = CameraSet((CameraConfig("bad", "0", record="never"), CameraConfig("good", "1", record="never")), tmp_path)
    detector = SharedDetector(ScriptedDetector(World(seconds=60)))
    watch = SetWatch(cameras, Settings(), detector=detector, open_source=open_some)
    watch.start()
    until(lambda: opened.count("bad") >= 2)
    until(lambda: {reading.name: reading for reading in watch.readings()}["good"].link == "live")
    assert not watch.health()[0]
    assert watch.stop()
    assert [event.name for event in watch.store.search(EventSearch(camera="bad", kind="lost"))][:1] == [
        "unforeseen RuntimeError: the source broke"
    ]


def test_why_a_camera_cannot_be_watched_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is not there, or a password that nobody gave, was told at the end of the program alone."""
    opened: list[str] = []

    def open_counted(camera: CameraConfig) -> FrameSource:
        opened.append(camera.name)
        return open_camera(camera)

    cameras = CameraSet(
        (
            CameraConfig("gone", str(tmp_path / "gone.mp4"), record="never"),
            CameraConfig("shut", "rtsp://127.0.0.1:9/x", user="me", record="never"),
        ),
        tmp_path,
    )
    watch = SetWatch(cameras, Settings(), detector=SharedDetector(ScriptedDetector()), open_source=open_counted)
    watch.start()
    until(lambda: opened.count("gone") >= 2)
    until(lambda: {reading.link for reading in watch.readings()} == {"refused"})
    assert watch.stop()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    gone = [line for line in told if line.startswith("camera gone:")]
    shut = [line for line in told if line.startswith("camera shut:")]
    assert len(gone) == len(shut) == 1
    assert "no such file or folder" in gone[0]
    assert gone[0].endswith("; it is tried again.")
    assert "SIGHTLINE_PASSWORD_SHUT" in shut[0]


def test_a_password_changed_while_a_camera_is_watched_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SIGHTLINE_PASSWORD_GATE", "first")
    with GuardedCamera(10) as camera:
        cameras = CameraSet((CameraConfig("gate", camera.address, user="me", record="never"),), tmp_path)
        watch = SetWatch(cameras, Settings(), detector=SharedDetector(ScriptedDetector()))

        def link() -> str:
            return watch.readings()[0].link

        watch.start()
        until(lambda: link() == "live")
        camera.down()
        camera.password = "second"
        camera.up()
        until(lambda: [line for line in caplog.messages if "401" in line and line.endswith("Tried again every 30 s.")])
        monkeypatch.setenv("SIGHTLINE_PASSWORD_GATE", "second")
        until(lambda: link() == "live")
        assert watch.stop()
    assert "camera gate: it has another password now and is opened anew" in caplog.messages
    assert not [line for line in caplog.messages if "first" in line or "second" in line]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's here")
def test_the_command_watches_until_it_is_terminated(tmp_path: Path) -> None:
    network = write_network(tmp_path / "tiny.onnx")
    with MjpegCamera(10) as camera:
        (tmp_path / "cameras.toml").write_text(
            f'[[camera]]\nname = "gate"\naddress = "{camera.address}"\nrecord = "continuous"\n'
            '[[camera]]\nname = "dead"\naddress = "http://127.0.0.1:9/x"\n'
        )
        command = [sys.executable, str(ROOT / "main.py"), "watch", str(tmp_path / "cameras.toml")]
        command += ["--listen", "127.0.0.1:0", "--model", str(network), "--progress", "none"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(" ", 1)[1])

        def health() -> dict[str, dict[str, str]]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
                    tree = json.load(answer)
            except urllib.error.HTTPError as unwell:
                tree = json.load(unwell)
            return tree["cameras"]  # type: ignore[no-any-return]

        def frames_done() -> float:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
            name = 'sightline_camera_frames_total{camera="gate"} '
            return float(next(line.removeprefix(name) for line in lines if line.startswith(name)))

        until(lambda: health()["gate"]["link"] == "live")
        until(lambda: health()["dead"]["link"] == "refused")
        assert "Connection refused" in health()["dead"]["problem"]
        until(lambda: frames_done() > 8)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    assert "gate:" in output
    (video,) = (tmp_path / "recordings" / "gate").glob("*.mp4")
    assert len(list(FileSource(video))) > 5


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's here")
def test_every_line_is_json_where_that_is_asked_for_and_the_last_is_the_end(tmp_path: Path) -> None:
    network = write_network(tmp_path / "tiny.onnx")
    with MjpegCamera(10) as camera:
        (tmp_path / "cameras.toml").write_text(f'[[camera]]\nname = "gate"\naddress = "{camera.address}"\n')
        command = [sys.executable, str(ROOT / "main.py"), "watch", str(tmp_path / "cameras.toml")]
        command += ["--listen", "127.0.0.1:0", "--model", str(network), "--progress", "json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["port"] > 0
        rows = []
        for line in process.stdout:
            rows.append(json.loads(line))
            if rows[-1]["cameras"]["gate"]["frames"] > 3:
                break
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    rows += [json.loads(line) for line in output.splitlines()]
    assert [row["done"] for row in rows] == [False] * (len(rows) - 1) + [True]
    assert rows[-1]["cameras"]["gate"]["frames"] >= rows[-2]["cameras"]["gate"]["frames"]


def test_why_a_camera_is_away_is_in_its_health_and_its_event(tmp_path: Path) -> None:
    with MjpegCamera(10) as camera:
        cameras = CameraSet((CameraConfig("gate", camera.address, record="never"),), tmp_path)
        watch = SetWatch(cameras, Settings(), detector=SharedDetector(ScriptedDetector()))
        watch.start()
        until(lambda: watch.readings()[0].link == "live")
        assert watch.health()[1]["cameras"]["gate"]["problem"] == ""
        camera.down()
        until(lambda: "Connection refused" in watch.health()[1]["cameras"]["gate"]["problem"])
        camera.up()
        until(lambda: watch.readings()[0].link == "live")
        assert watch.health()[1]["cameras"]["gate"]["problem"] == ""
        [lost] = watch.store.search(EventSearch(kind="lost"))
        assert lost.name
        assert watch.stop()
