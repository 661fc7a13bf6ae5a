"""A set of cameras in the window does what `watch` does with it: recordings, events, alerts, kept over restarts."""

from __future__ import annotations

import csv
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtWidgets import QDialog

from gui.canvas.hit_testing import Shape
from gui.live.camera_sets import PasswordDialog
from gui.live.session import SessionState
from gui.window import Window
from tests.annotate.tiny import HEIGHT, WIDTH
from tests.gui.conftest import App
from tests.gui.live.test_page import BlockDetector, FakeCamera, start
from tests.video.cameras import GuardedCamera, ReplacedCamera
from tests.watch.test_alerts import Hook
from tests.watch.test_event_store import EVENT
from tracker.lock import Claim
from tracker.types import Frame, SourceInfo
from tracker.video import FileSource
from tracker.watch.event_store import EventSearch, EventStore

ZONE = (
    "[camera.rules]\n[[camera.rules.zone]]\nname = 'door'\n"
    f"polygon = [[60, 0], [{WIDTH}, 0], [{WIDTH}, {HEIGHT}], [60, {HEIGHT}]]\n"
)
"""The block goes in and out of it every few seconds."""


def write_set(folder: Path, *cameras: str, after: str = "") -> Path:
    path = folder / "cameras.toml"
    path.write_text("\n".join(f"[[camera]]\n{camera}" for camera in cameras) + "\n" + after)
    return path


def kept(window: Window) -> EventStore:
    [opened] = window.sets._open.values()
    assert opened.records is not None
    return opened.records.store


def open_set(app: App, window: Window, path: Path) -> EventStore:
    """Open a set and wait until its cameras show something."""
    window.open(str(path))
    app.until(lambda: all(opened.records is not None for opened in window.sets._open.values()))
    app.until(lambda: all(session.rendered is not None for session in window.live.sessions))
    return kept(window)


def test_events_clips_and_alerts_of_a_set_come_from_the_window(app: App, tmp_path: Path) -> None:
    with closing(Hook()) as hook:
        gate = f'name = "gate"\naddress = "north"\nbefore_s = 0.2\nafter_s = 1.0\n{ZONE}max_dwell_s = 0.2\n'
        yard = f'name = "yard"\naddress = "south"\nrecord = "never"\n{ZONE}classes = ["car"]\n'
        alert = f'[[alert]]\nwebhook = "{hook.address}"\nkinds = ["zone-dwell"]\n'
        window = start(app)
        store = open_set(app, window, write_set(tmp_path, gate, yard, after=alert))
        app.until(lambda: store.search(EventSearch(camera="gate", kind="zone-dwell")))
        app.until(lambda: hook.bodies)
        told = json.loads(hook.bodies[0])
        assert (told["camera"], told["kind"], told["name"]) == ("gate", "zone-dwell", "door")
        assert not window.live.sessions[0].clips._armed
        app.close(window)
    assert {event.kind for event in store.search(EventSearch(camera="yard"))} == {"live"}  # a person is no car
    entered = store.search(EventSearch(camera="gate", kind="zone-enter"))
    assert len(store.thumbnails([event.event for event in entered])) == len(entered) > 0
    clip = Path(entered[-1].clip)
    assert clip.parent == tmp_path / "recordings" / "gate"
    app.until(clip.is_file)
    assert Claim.take(tmp_path / "recordings" / "watch.lock") is not None


def test_a_camera_is_recorded_without_end_as_its_set_says(app: App, tmp_path: Path) -> None:
    hidden = "blur_regions = [[0, 0, 1, 1]]"
    window = start(app)
    open_set(app, window, write_set(tmp_path, f'name = "gate"\naddress = "north"\nrecord = "continuous"\n{hidden}'))
    [tile] = window.live.tiles
    app.until(lambda: tile._recording.text())
    assert window.live.recording
    app.until(lambda: (progress := tile.session.progress()) is not None and progress.frames > 30)
    window.live.remove(tile)
    folder = tmp_path / "recordings"
    app.until(lambda: not (folder / "watch.lock").exists())  # the last camera was closed
    [video] = (folder / "gate").glob("*.mp4")
    frames = list(FileSource(video))
    assert len(frames) > 20
    assert frames[0].image.std() < 30  # the block is blurred over all of the frame


def test_a_set_that_another_program_watches_is_shown_and_not_recorded(app: App, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    with closing(EventStore(folder / "events.sqlite")) as store:
        store.add(replace(EVENT, time=time.time()))
    claim = Claim.take(folder / "watch.lock")
    assert claim is not None
    window = start(app)
    open_set(app, window, write_set(tmp_path, f'name = "gate"\naddress = "north"\n{ZONE}'))
    [session] = window.live.sessions
    app.until(lambda: session.state is SessionState.LIVE)
    bar = window.statusBar()
    assert bar is not None
    assert "Shown and not recorded, no alerts" in bar.currentMessage()
    assert "another program watches this set" in bar.currentMessage()
    assert session.records is None
    window.docks.bring("events")
    window.events._tabs.setCurrentWidget(window.events.kept)
    app.until(lambda: [event.name for event in window.events.kept.events] == ["door"])
    claim.release()


def test_a_class_that_is_to_be_hidden_and_is_not_known_shows_nothing(app: App, tmp_path: Path) -> None:
    window = start(app)
    window.open(str(write_set(tmp_path, 'name = "gate"\naddress = "north"\nblur_classes = ["persn"]\n')))
    [session] = window.live.sessions
    app.until(lambda: session.state is SessionState.FAILED)
    assert "blur_classes: the network knows no 'persn'; did you mean 'person'" in session.message
    assert session.rendered is None


def test_kept_events_are_searched_marked_and_saved_as_a_table(app: App, tmp_path: Path) -> None:
    _, jpeg = cv2.imencode(".jpg", np.zeros((84, 112, 3), np.uint8))
    with closing(EventStore(tmp_path / "recordings" / "events.sqlite")) as store:
        for number in range(6):
            moment = time.time() - 60 * number - (172_800 if number == 5 else 0)
            event = replace(EVENT, camera=("gate", "yard")[number % 2], name=f"door {number % 3}", time=moment)
            store.add(replace(event, label="car" if number == 4 else "person"), thumbnail=jpeg.tobytes())
    window = start(app)
    open_set(app, window, write_set(tmp_path, 'name = "gate"\naddress = "north"\nrecord = "never"\n'))
    window.docks.bring("events")
    panel = window.events.kept
    window.events._tabs.setCurrentWidget(panel)
    panel.choose("kind", None)
    app.until(lambda: len([event for event in panel.events if event.kind == "zone-enter"]) == 5)
    assert not panel._list.item(panel._list.count() - 1).icon().isNull()  # type: ignore[union-attr]
    panel.choose("class", "car")
    app.until(lambda: [event.event for event in panel.events] == [5])
    panel.choose("class", None)
    panel.choose("camera", "yard")
    panel._since.setCurrentIndex(panel._since.findData(None))
    app.until(lambda: [event.event for event in panel.events] == [2, 4, 6])
    panel._list.setCurrentRow(1)
    panel._keep.click()
    app.until(lambda: panel.events[1].marked)
    assert "\N{BLACK STAR}" in panel._list.item(1).text()  # type: ignore[union-attr]
    table = tmp_path / "events.csv"
    said: list[str] = []
    panel.said.connect(said.append)
    panel.write_table(table)
    app.until(lambda: said)
    assert [row["event"] for row in csv.DictReader(table.read_text().splitlines())] == ["6", "4", "2"]


class Growing(FakeCamera):
    """Sends frames of twice the width and height once it is told to grow; opened again it sends those at once."""

    opened = 0
    grow = threading.Event()

    def __init__(self, name: str) -> None:
        super().__init__(name)
        Growing.opened += 1
        self._grown = Growing.opened > 1
        if self._grown:
            self.info = SourceInfo(2 * WIDTH, 2 * HEIGHT)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            large = self._grown or Growing.grow.is_set()
            yield replace(frame, image=np.repeat(np.repeat(frame.image, 2, 0), 2, 1)) if large else frame


@pytest.mark.parametrize("lies", [False, True])
def test_lines_and_recordings_go_on_where_a_camera_comes_back_with_another_size(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lies: bool
) -> None:
    """One camera names the new size when it is opened again, the other one names the former for ever."""
    monkeypatch.setattr(Growing, "opened", 0)
    monkeypatch.setattr(Growing, "grow", threading.Event())

    def open_growing(name: str) -> FakeCamera:
        camera = Growing(name)
        if lies:
            camera.info = SourceInfo(WIDTH, HEIGHT)
        return camera

    window = start(app, open_source=open_growing)
    said: list[str] = []
    window.live.said.connect(said.append)
    window.watch("north")
    [session] = window.live.sessions
    line = Shape("line", "edge", ((20.0, 0.0), (20.0, 40.0)))
    app.until(lambda: session.rendered is not None)
    session.use_shapes([line])
    session.record(annotated=True, raw=False)
    app.until(lambda: session.recorder.seconds > 0.1)
    Growing.grow.set()
    app.until(lambda: session.rendered is not None and session.rendered.frame_size == (2 * WIDTH, 2 * HEIGHT))
    assert session.shapes[0].points == ((40.0, 0.0), (40.0, 80.0))
    assert f"{2 * WIDTH} x {2 * HEIGHT} pixels now" in said[0]
    assert session.recorder.recording
    app.until(lambda: session.recorder.seconds > 0.3)
    app.close(window)
    videos = sorted((app.folder / "out").glob("*.mp4"), key=lambda path: path.stat().st_mtime)
    sizes = [next(iter(FileSource(video))).image.shape[:2] for video in videos]
    assert sizes == [(HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH)]
    assert Growing.opened == 2


def test_a_real_camera_that_comes_back_as_another_one_is_shown_with_its_lines(app: App) -> None:
    """Another resolution, codec and container at the same address."""
    window = app.start(load_detector=lambda settings: BlockDetector(settings.detector.conf))
    with ReplacedCamera(10) as camera:
        window.watch(camera.address)
        [session] = window.live.sessions
        app.until(lambda: session.rendered is not None)
        session.use_shapes([Shape("zone", "door", ((20.0, 10.0), (80.0, 10.0), (80.0, 48.0)))])
        camera.down()
        camera.replaced = True
        camera.up()
        app.until(lambda: session.rendered is not None and session.rendered.frame_size == (320, 192))
        app.until(lambda: session.state is SessionState.LIVE)
        assert session.shapes[0].points == ((40.0, 20.0), (160.0, 20.0), (160.0, 96.0))


def test_a_password_that_was_changed_at_the_camera_is_asked_for(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv("SIGHTLINE_PASSWORD_GATE", "first")
    asked: list[str] = []

    def answer(dialog: PasswordDialog) -> int:
        asked.append(dialog.windowTitle())
        dialog._edit.setText("second")
        return int(QDialog.DialogCode.Accepted)

    monkeypatch.setattr(PasswordDialog, "exec", answer)
    window = app.start(load_detector=lambda settings: BlockDetector(settings.detector.conf))
    with GuardedCamera(10) as camera:
        path = write_set(tmp_path, f'name = "gate"\naddress = "{camera.address}"\nuser = "me"\nrecord = "never"\n')
        window.open(str(path))
        [session] = window.live.sessions
        app.until(lambda: session.state is SessionState.LIVE)
        camera.down()
        camera.password = "second"
        camera.up()
        app.until(lambda: asked)
        app.until(lambda: session.state is SessionState.LIVE)
    assert asked == ["Password of gate"]
    assert ":second@" in session.spec


def test_shapes_drawn_on_frames_of_another_size_are_fitted_when_the_source_is_opened(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = start(app, open_source=FakeCamera)
    window.watch("north")
    [tile] = window.live.tiles
    app.until(lambda: tile.session.rendered is not None)
    window.live._shapes_changed(tile, [Shape("line", "edge", ((20.0, 0.0), (20.0, 40.0)))])
    app.close(window)
    monkeypatch.setattr(Growing, "opened", 1)
    window = start(app, open_source=Growing)
    window.watch("north")
    [tile] = window.live.tiles
    app.until(lambda: tile.session.rendered is not None)
    assert tile.view.shapes[0].points == ((40.0, 0.0), (40.0, 80.0))
