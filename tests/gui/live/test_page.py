"""Live sources in the real window: shown together, changed while they run, one lost without the others."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog, QLabel, QLineEdit
from PyQt6.sip import isdeleted
from pytestqt.qtbot import QtBot

from gui.canvas.hit_testing import Shape
from gui.canvas.zoom_view import to_pixmap
from gui.live.camera_sets import PasswordDialog
from gui.live.notices import Notice
from gui.live.notifier import Notifier
from gui.live.session import Session, SessionState
from gui.window import Window
from tests.annotate.tiny import BLOCK, COLOURS, HEIGHT, LABELS, WIDTH
from tests.gui.conftest import App, put_line
from tracker.analytics import Analytics, LineRule, Rules
from tracker.config.coco_classes import CLASS_GROUPS
from tracker.detect.shared_detector import SharedDetector
from tracker.errors import SourceError, UnreachableError
from tracker.factory import Settings
from tracker.protocols import FrameSource
from tracker.types import Detections, Event, EventKind, Frame, Image, SourceInfo, Tracks
from tracker.video import FileSource

RATE = 50
PERIOD = 120
"""Frames in which a block goes to the right and back."""


def place(index: int) -> tuple[float, float]:
    """Where the block's corner is: it runs to and fro."""
    phase = index % PERIOD
    along = phase if phase < PERIOD / 2 else PERIOD - phase
    return 10.0 + along * 2, 50.0


class FakeCamera(FrameSource):
    """A camera before which one block runs to and fro; it may die after some frames."""

    live = True

    def __init__(self, name: str, *, dies_after: int | None = None) -> None:
        self.name = name
        self.info = SourceInfo(WIDTH, HEIGHT)
        self.damage = 0
        self._dies_after = dies_after
        self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while not self._closed:
            if index == self._dies_after:
                raise SourceError(f"{self.name}: the camera was unplugged")
            image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
            left, top = map(int, place(index))
            image[top : top + BLOCK, left : left + BLOCK] = COLOURS[0]
            yield Frame(image, index, index / RATE, self.name)
            index += 1
            time.sleep(1 / RATE)

    def close(self) -> None:
        self._closed = True


class BlockDetector:
    """Sees the bright block with a score of 0.7."""

    labels = (*LABELS, "dog")
    engine = "fake, CPU"

    def __init__(self, conf: float | None) -> None:
        self.conf = 0.5 if conf is None else conf

    def detect(self, images: list[Image]) -> list[Detections]:
        found = []
        for image in images:
            rows, columns = np.nonzero(image[:, :, 0] > 150)
            if not len(rows) or self.conf > 0.7:
                found.append(Detections.empty())
                continue
            box = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
            found.append(Detections(np.array(box, np.float32), np.full(1, 0.7, np.float32), np.zeros(1, np.int32)))
        return found


def open_camera(spec: str) -> FakeCamera:
    return FakeCamera(spec, dies_after=30 if spec == "dying" else None)


def start(app: App, open_source: Callable[..., FrameSource] | None = None) -> Window:
    opener = open_camera if open_source is None else open_source
    return app.start(open_source=opener, load_detector=lambda settings: BlockDetector(settings.detector.conf))


def shown_tracks(session: Session) -> int:
    return 0 if session.rendered is None else len(session.rendered.result.tracks)


def test_three_sources_go_on_when_the_fourth_dies(app: App) -> None:
    window = start(app)
    for name in ("north", "south", "dying", "east"):
        window.watch(name)
    north, south, dying, east = window.live.sessions
    app.until(lambda: dying.state is SessionState.FAILED)
    assert "unplugged" in dying.message
    living = (north, south, east)
    before = [session.progress() for session in living]
    assert all(progress is not None for progress in before)
    frames = [progress.frames for progress in before if progress is not None]

    def went_on() -> bool:
        now = [session.progress() for session in living]
        return all(new is not None and new.frames > old + 10 for new, old in zip(now, frames, strict=True))

    app.until(went_on)
    assert all(session.state is SessionState.LIVE for session in living)
    app.close(window)


def test_the_confidence_changes_while_a_source_runs(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    before = session.progress()
    window.panel._confidence.setValue(90)
    app.until(lambda: isinstance(window.engine.detector, SharedDetector) and window.engine.detector.conf == 0.9)
    app.until(lambda: shown_tracks(session) == 0)
    window.panel._confidence.setValue(40)
    app.until(lambda: shown_tracks(session) == 1)
    after = session.progress()
    assert before is not None
    assert after is not None
    assert after.frames > before.frames, "the run went on, it did not begin anew"


def test_a_group_of_classes_is_chosen_at_once(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    group = window.panel._group
    members = [label for label in window.engine.labels if label in CLASS_GROUPS["people-and-vehicles"]]
    assert 0 < len(members) < len(window.engine.labels)

    def choose(name: str) -> None:
        group.setCurrentIndex(group.findData(name))
        group.activated.emit(group.currentIndex())

    choose("people-and-vehicles")
    assert list(window.engine.settings.detector.classes) == members
    choose("all")
    assert not window.engine.settings.detector.classes


def test_a_line_drawn_live_counts_as_the_core_does(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    (tile,) = window.live.tiles
    window.commands["live.line"].setChecked(True)
    put_line(tile.view, (80.0, 2.0), (80.0, 126.0))
    (shape,) = session.shapes
    app.until(lambda: sum(row.inward + row.outward for row in session.counts.rows()) >= 2)
    rules = Rules(line=(LineRule(shape.name, shape.points[0], shape.points[1]),))
    core = Analytics(rules, LABELS, width=WIDTH, height=HEIGHT)
    signs = []
    for index in range(2 * PERIOD):
        left, top = place(index)
        box = np.array([[left, top, left + BLOCK, top + BLOCK]], np.float32)
        one = np.zeros(1, np.float32)
        tracks = Tracks(np.ones(1, np.int64), box, np.zeros((1, 2), np.float32), one, np.zeros(1, np.int32),
                        np.ones(1, np.uint8), one, one, np.zeros(1, np.int32))  # fmt: skip
        signs += [event.value > 0 for event in core(tracks, index / RATE)]
    assert True in signs
    assert False in signs
    (row,) = session.counts.rows()
    assert abs(row.inward - row.outward) <= 1, "to and fro are counted in turn"
    app.until(lambda: window.events.count >= 2)


def test_an_area_drawn_live_is_all_that_is_detected_in(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    (tile,) = window.live.tiles
    window.commands["live.area"].setChecked(True)
    assert tile.view.tool == "area"
    put_line(tile.view, (1.0, 1.0), (10.0, 1.0))
    put_line(tile.view, (10.0, 10.0), (1.0, 1.0))
    (shape,) = session.shapes
    assert (shape.kind, tile.view.tool) == ("area", "look")
    app.until(lambda: shown_tracks(session) == 0)
    session.use_shapes([Shape("area", "area", ((0.0, 0.0), (WIDTH, 0.0), (WIDTH, HEIGHT), (0.0, HEIGHT)))])
    app.until(lambda: shown_tracks(session) == 1)
    session.use_shapes([])
    app.until(lambda: shown_tracks(session) == 1)


def test_hovering_says_why_a_box_is_a_track(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    rendered = session.rendered
    assert rendered is not None
    x1, y1, x2, y2 = rendered.result.tracks.boxes[0].tolist()
    words = session.explain(((x1 + x2) / 2, (y1 + y2) / 2))
    assert "confirmed track" in words or "not a track yet" in words
    assert session.explain((1.0, 1.0)) == ""


def test_people_are_hidden_in_the_frame_and_in_what_is_recorded(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    window.panel._blur_people.setChecked(True)
    assert "person" in session.overlay_config().blur_classes
    assert "person" in session.recorder._config.blur_classes


def test_a_recording_is_written_and_a_snapshot_too(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    window.commands["live.record"].setChecked(True)
    app.until(lambda: session.recorder.seconds > 0.5)
    window.live.snapshot()
    folder = app.folder / "out"
    app.until(lambda: list(folder.glob("*.png")))
    files = list(session.recorder.files)
    window.commands["live.record"].setChecked(False)
    app.until(lambda: not session.recorder.recording)
    assert files
    app.until(lambda: all(path.exists() and path.stat().st_size > 0 for path in files))


def test_a_region_stays_hidden_in_a_snapshot_while_its_camera_is_opened_again(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    session.use_shapes([Shape("blur", "hidden 1", ((0.0, 0.0), (WIDTH, HEIGHT)))])
    before = session.overlay_config()
    session._again.stop()
    source, session._source = session._source, None
    assert session.latest is not None
    assert session.overlay_config().blur_regions == before.blur_regions == ((0.0, 0.0, 1.0, 1.0),)
    session._source = source


def test_lines_and_zones_are_drawn_into_what_is_recorded_and_into_snapshots(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    session.use_shapes([Shape("line", "gate", ((80.0, 0.0), (80.0, HEIGHT - 1.0)))])
    session.record(annotated=True, raw=True)
    app.until(lambda: session.recorder.seconds > 0.5)
    window.live.snapshot()
    folder = app.folder / "out"
    app.until(lambda: list(folder.glob("*.png")))
    drawn, plain = (path for path in session.recorder.stop() if path.suffix == ".mp4")
    (snapshot,) = folder.glob("*.png")
    app.until(lambda: cv2.imread(str(snapshot)) is not None)

    def line_of(image: Image) -> float:
        """How bright the line's darkest place is, away from the block's way and the name."""
        return float(image[85:120, 79:82].max(axis=(1, 2)).min())

    frames = {path: next(iter(FileSource(path))).image for path in (drawn, plain)}
    assert line_of(cv2.imread(str(snapshot))) > 150
    assert line_of(frames[drawn]) > 150
    assert line_of(frames[plain]) < 60


def test_the_heat_map_lies_over_every_tile_and_hides_what_must_be_hidden(app: App) -> None:
    window = start(app)
    for name in ("north", "south"):
        window.watch(name)
    tiles, sessions = window.live.tiles, window.live.sessions
    app.until(lambda: all(shown_tracks(session) == 1 for session in sessions))
    window.commands["live.heat"].setChecked(True)
    app.until(lambda: all(tile.view.layer is not None for tile in tiles))
    window.docks.bring("counts")
    app.until(lambda: window.counts.shows_heat)
    assert sessions[0].still() is not None
    sessions[0].use_shapes([Shape("blur", "hidden 1", ((10.0, 10.0), (60.0, 60.0)))])
    assert sessions[0].still() is None, "the small heat map shows no frame with a hidden region in it"
    window.commands["live.heat"].setChecked(False)
    assert all(tile.view.layer is None for tile in tiles)


def test_a_closed_source_leaves_nothing_behind(app: App) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    window.live.remove(window.live.tiles[0])
    app.until(lambda: isdeleted(session))
    assert not window.live.sessions
    assert not window.live.tiles
    before = window.engine.settings.overlay.trails
    window.engine.change("overlay.trails", not before)
    assert window.engine.settings.overlay.trails is not before, "no session that is gone is in its way"


def test_what_gives_no_frame_is_not_recorded(app: App) -> None:
    window = start(app)
    window.watch("dying")
    (session,) = window.live.sessions
    app.until(lambda: session.state is SessionState.FAILED)
    said: list[str] = []
    window.live.said.connect(said.append)
    window.commands["live.record"].setChecked(True)
    assert "nothing to record" in said[0]
    app.until(lambda: not window.commands["live.record"].isChecked())


def test_a_camera_that_is_not_there_yet_is_tried_again(app: App) -> None:
    def open_late(_: str) -> FakeCamera:
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise UnreachableError("gate: it does not open (Connection refused).")
        return FakeCamera("gate")

    tries: list[float] = []
    window = app.start(open_source=open_late, load_detector=lambda settings: BlockDetector(settings.detector.conf))
    window.watch("gate")
    (session,) = window.live.sessions
    app.until(lambda: session.state is SessionState.WAITING)
    assert "Connection refused" in session.message
    app.until(lambda: session.state is SessionState.LIVE)
    assert len(tries) == 3


def test_a_set_of_cameras_opens_with_names_and_zones(app: App, tmp_path: Path) -> None:
    window = start(app)
    path = tmp_path / "cameras.toml"
    path.write_text(
        '[[camera]]\nname = "gate"\naddress = "north"\n[[camera.rules.zone]]\nname = "door"\n'
        'polygon = [[10, 10], [60, 10], [60, 60]]\n[[camera]]\nname = "yard"\naddress = "south"\n'
    )
    window.open(str(path))
    gate, yard = window.live.sessions
    app.until(lambda: gate.state is yard.state is SessionState.LIVE)
    assert (gate.name, yard.name) == ("gate", "yard")
    assert [(shape.kind, shape.name) for shape in gate.shapes] == [("zone", "door")]
    path.write_text("[[camera]]\n")
    window.open(str(path))
    assert len(window.live.sessions) == 2


def test_each_camera_of_a_set_has_settings_of_its_own(app: App, tmp_path: Path) -> None:
    asked: dict[str, dict[str, object]] = {}

    def open_camera(name: str, **own: object) -> FakeCamera:
        asked[name] = own
        return FakeCamera(name)

    window = start(app, open_source=open_camera)
    path = tmp_path / "cameras.toml"
    path.write_text(
        '[[camera]]\nname = "gate"\naddress = "north"\nclasses = ["car"]\nblur_classes = ["car"]\n'
        "blur_regions = [[0, 0, 0.5, 0.5]]\n"
        f'[[camera]]\nname = "yard"\naddress = "south"\nrtsp_transport = "udp"\n'
        f"roi = [[0, 0], [{WIDTH}, 0], [{WIDTH}, 9]]\n"
        f'[camera.rules]\nsize = [{2 * WIDTH}, {2 * HEIGHT}]\n[[camera.rules.line]]\nname = "edge"\nstart = [20, 0]\n'
        'end = [20, 40]\n[[camera]]\nname = "lane"\naddress = "west"\nclasses = ["cart"]\n'
        '[[camera]]\nname = "all"\naddress = "east"\n'
    )
    window.open(str(path))
    gate, yard, lane, everything = window.live.sessions
    app.until(lambda: shown_tracks(everything) == 1)
    app.until(lambda: lane.state is SessionState.FAILED)
    assert "did you mean 'car'" in lane.message
    app.until(lambda: gate.progress().frames > 10 and yard.progress().frames > 10)  # type: ignore[union-attr]
    assert shown_tracks(gate) == shown_tracks(yard) == 0
    assert gate.overlay_config().blur_classes == ("car",)
    assert gate.overlay_config().blur_regions == ((0.0, 0.0, 0.5, 0.5),)
    assert everything.overlay_config().blur_classes == ()
    assert asked["south"] == {"rtsp_transport": "udp"}
    assert asked["east"] == {}
    line, area = window.live.tiles[1].view.shapes
    assert (line.kind, line.points, area.kind) == ("line", ((10.0, 0.0), (10.0, 20.0)), "area")
    assert "classes: car" in window.live.tiles[0]._name.toolTip()


def test_a_set_is_there_again_until_it_is_closed(app: App, tmp_path: Path) -> None:
    window = start(app)
    path = tmp_path / "cameras.toml"
    path.write_text('[[camera]]\nname = "gate"\naddress = "north"\n')
    window.open(str(path))
    app.close(window)
    window = start(app)
    window.sets.restore()
    assert [session.name for session in window.live.sessions] == ["gate"]
    assert window.page is window.live
    window.live.remove(window.live.tiles[0])
    app.close(window)
    window = start(app)
    window.sets.restore()
    assert window.live.sessions == []
    window.open(str(path))
    app.close(window)
    path.unlink()
    window = start(app)
    window.sets.restore()
    assert window.live.sessions == []
    bar = window.statusBar()
    assert bar is not None
    assert "no longer there" in bar.currentMessage()


def answer_passwords(monkeypatch: pytest.MonkeyPatch, *answers: str, keep: bool = False) -> list[PasswordDialog]:
    """Answer each question for a password, an empty answer being Cancel; the dialogs that asked, as they come."""
    asked: list[PasswordDialog] = []

    def answer(dialog: PasswordDialog) -> int:
        text = answers[len(asked)]
        asked.append(dialog)
        dialog._edit.setText(text)
        dialog._keep.setChecked(keep)
        return int(QDialog.DialogCode.Accepted if text else QDialog.DialogCode.Rejected)

    monkeypatch.setattr(PasswordDialog, "exec", answer)
    return asked


def write_cameras(path: Path, addresses: dict[str, str], more: str = "") -> None:
    """A set of cameras of the user `me`, with more lines for each."""
    camera = '[[camera]]\nname = "{}"\naddress = "rtsp://{}"\nuser = "me"\n{}\n'
    path.write_text("".join(camera.format(name, address, more) for name, address in addresses.items()))


def test_a_password_is_asked_for_once_and_kept_where_it_is_wanted(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    kept: dict[str, str] = {}

    def open_camera(address: str) -> FakeCamera:
        opened.append(address)
        return FakeCamera("camera")

    keyring = ModuleType("keyring")
    keyring.get_password = lambda _, name: kept.get(name)  # type: ignore[attr-defined]
    keyring.set_password = lambda _, name, password: kept.update({name: password})  # type: ignore[attr-defined]
    keyring.errors = ModuleType("errors")  # type: ignore[attr-defined]
    keyring.errors.KeyringError = RuntimeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    asked = answer_passwords(monkeypatch, "s3cret", "", keep=True)
    path = tmp_path / "cameras.toml"
    write_cameras(path, {"gate": "host/a", "yard": "other/b"})
    window = start(app, open_source=open_camera)
    window.open(str(path))
    app.until(lambda: opened)
    assert opened == ["rtsp://me:s3cret@host/a"]
    assert [dialog.windowTitle() for dialog in asked] == ["Password of gate", "Password of yard"]
    assert asked[0]._edit.echoMode() == QLineEdit.EchoMode.Password
    assert kept == {"me@host": "s3cret"}
    bar = window.statusBar()
    assert bar is not None
    assert "left out: yard" in bar.currentMessage()
    window.preferences.store.sync()
    assert "s3cret" not in (app.folder / "settings.ini").read_text()
    app.close(window)
    write_cameras(path, {"gate": "host/a"})
    window = start(app, open_source=open_camera)
    window.sets.restore()
    app.until(lambda: len(opened) == 2)
    assert len(asked) == 2
    write_cameras(path, {"gate": "elsewhere/a"})  # a set of somebody else, with a camera of that name
    asked = answer_passwords(monkeypatch, "")
    window.open(str(path))
    assert len(asked) == 1
    assert all("elsewhere" not in address for address in opened)


def test_a_password_that_is_refused_is_forgotten_and_asked_for_again(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cameras of one account: the second takes the password that was typed for the first."""
    tried: list[str] = []

    def open_camera(address: str) -> FakeCamera:
        tried.append(address)
        if ":right@" not in address:
            raise UnreachableError("gate: it does not open (401 Unauthorized).", retry_s=30.0, denied=True)
        return FakeCamera("camera")

    monkeypatch.setitem(sys.modules, "keyring", None)
    asked = answer_passwords(monkeypatch, "wrong", "", "right")
    path = tmp_path / "cameras.toml"
    write_cameras(path, {"gate": "host/a", "yard": "host/b"}, 'record = "never"')
    window = start(app, open_source=open_camera)
    window.open(str(path))
    gate, yard = window.live.sessions
    app.until(lambda: len(asked) == 3 and not window.sets._denied)
    app.until(lambda: SessionState.LIVE in (gate.state, yard.state))
    texts = [dialog.findChildren(QLabel)[0].text() for dialog in asked]
    assert "asks me for a password" in texts[0]
    assert "refused the password of me" in texts[1]
    assert sum(":wrong@" in address for address in tried) == 2  # once each, and not again
    left_out = next(tile for tile in window.live.tiles if tile.session.state is SessionState.WAITING)
    assert "401" in left_out.session.message
    left_out._retry.click()
    app.until(lambda: gate.state is yard.state is SessionState.LIVE)
    assert len(asked) == 3


def test_events_are_told_by_sound_and_notice_within_limits(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    beeps: list[int] = []
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(QApplication, "beep", lambda: beeps.append(1))
    monkeypatch.setattr(Notifier, "_show", lambda _, title, text: shown.append((title, text)))
    window = start(app)
    now = [0.0]
    window.notifier._clock = lambda: now[0]
    bar, sound, desktop = window.notifier_bar, *window.notifier_bar.switches.values()
    status = window.statusBar()
    assert status is not None
    bar.test.click()
    assert "Neither sound nor notice" in status.currentMessage()
    event = Event(EventKind.LINE, "gate", 0.0, 1, 0, 1.0)
    notice = Notice("yard", event, "person", 0.0, np.zeros((84, 112, 4), np.uint8), b"", None)
    window.live.noticed.emit(notice)
    assert (beeps, shown) == ([], [])
    sound.setChecked(True)
    desktop.setChecked(True)
    for now[0] in (10.0, 10.5, 11.5, 15.5):
        window.live.noticed.emit(notice)
    assert len(beeps) == 3
    assert [title for title, _ in shown] == ["yard", "yard"]
    assert shown[1][1].endswith(", and 2 more before")
    bar.test.click()
    assert (len(beeps), shown[-1][0]) == (4, "Test")
    assert status.currentMessage().startswith("Sent: a sound, ")
    assert window.events.count == 5
    app.close(window)
    assert [box.isChecked() for box in start(app).notifier_bar.switches.values()] == [True, True]


def test_sixteen_sources_all_show_their_name_and_numbers(app: App) -> None:
    window = start(app)
    window.resize(1280, 800)
    for number in range(17):
        window.watch(f"camera {number}")
    assert len(window.live.tiles) == 16
    bar = window.statusBar()
    assert bar is not None
    assert "16 sources are open" in bar.currentMessage()
    app.until(lambda: all("fps" in tile._numbers.text() for tile in window.live.tiles))
    for tile in window.live.tiles:
        for label in (tile._name, tile._numbers):
            assert label.width() >= label.fontMetrics().horizontalAdvance(label.text())
            assert not label.visibleRegion().isEmpty()


def test_a_double_click_enlarges_a_tile_and_a_second_one_brings_the_grid_back(app: App) -> None:
    window = start(app)
    for name in ("north", "south"):
        window.watch(name)
    first, second = window.live.tiles
    app.until(lambda: shown_tracks(first.session) == 1)
    QTest.mouseDClick(first.view, Qt.MouseButton.LeftButton, pos=QPointF(5, 5).toPoint())
    assert first.isVisible()
    assert not second.isVisible()
    QTest.mouseDClick(first.view, Qt.MouseButton.LeftButton, pos=QPointF(5, 5).toPoint())
    assert second.isVisible()


@pytest.mark.parametrize("name", ["vtest.avi"])
def test_a_real_file_is_watched_like_a_camera(app: App, shared: Path, name: str) -> None:
    window = app.start(load_detector=lambda settings: BlockDetector(Settings().detector.conf))
    window.watch(str(shared / "data" / "video" / name), loop=True)
    (session,) = window.live.sessions
    app.until(lambda: session.state is SessionState.LIVE and session.shown_age_s is not None)
    rendered = session.rendered
    assert rendered is not None
    assert session.frame_size == rendered.frame_size
    assert rendered.pixels.max() > 0


def test_a_thumbnail_keeps_its_own_pixels(qtbot: QtBot) -> None:
    pixels = np.full((20, 30, 4), 200, np.uint8)
    pixmap = to_pixmap(pixels)
    pixels[:] = 0
    assert pixmap.toImage().pixelColor(5, 5).red() == 200
