"""What people made is never lost: corrections under way, rules of other recordings, files of the same name, shapes."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QMessageBox

from gui.canvas.hit_testing import Shape
from gui.recording import session as played
from gui.recording.export_dialog import ExportDialog
from gui.recording.store_reader import correct
from tests.annotate.tiny import HEIGHT, WIDTH
from tests.gui.conftest import App, put_line
from tests.gui.live.test_page import start
from tracker.analytics import LineRule, Rules
from tracker.annotate.recount import change_rules, edit_recording
from tracker.overlay import OverlayConfig
from tracker.store import Recording
from tracker.types import Detections, Event, Frame, FrameResult, Tracks
from tracker.video import open_source
from tracker.watch.clips import ClipKeeper, Recorder


def test_closing_at_once_saves_every_correction_that_was_made(
    finished: App, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(path: Path, change: object) -> object:
        time.sleep(0.5)
        return correct(path, change)  # type: ignore[arg-type]

    monkeypatch.setattr(played, "correct", slowly)
    window = finished.start()
    recording = finished.open_finished(window, clip)
    for track in window.recordings.tracks.shown[:4]:
        recording.select([track])
        window.recordings.corrections.delete()
    window.quit()
    finished.until(lambda: not window.isVisible())
    finished.windows.remove(window)
    with edit_recording(recording.store) as editor:
        assert len(editor.edits()) == 4


def test_a_recording_made_elsewhere_keeps_its_own_lines_and_what_is_hidden_stays_hidden(
    finished: App, clip: Path, tmp_path: Path
) -> None:
    window = finished.start()
    page = window.recordings
    recording = finished.open_finished(window, clip)
    window.commands["recording.line"].setChecked(True)
    put_line(page.view, (80.0, 2.0), (80.0, 126.0))
    hidden = Shape("blur", "hidden 1", ((1.0, 1.0), (20.0, 20.0)))
    recording.use_shapes([*recording.counts.shapes, hidden])
    finished.until(lambda: not window.background.busy)
    with Recording(recording.store) as store:
        own = store.info.rules

    other = tmp_path / "labels" / "clip.sqlite"
    other.parent.mkdir()
    shutil.copy(recording.store, other)
    change_rules(other, Rules(size=(160, 128), line=(LineRule("gate", (10.0, 64.0), (150.0, 64.0)),)))
    with Recording(other) as store:
        before = store.info.rules, [row.event for row in store.events()]
    for _ in range(2):
        elsewhere = finished.open_finished(window, other)
        finished.until(lambda: not window.background.busy)
        assert [shape.name for shape in page.view.shapes] == ["gate", "hidden 1"]
        assert elsewhere.hides
        with Recording(other) as store:
            assert (store.info.rules, [row.event for row in store.events()]) == before
        elsewhere.use_shapes(elsewhere.counts.shapes)

    finished.open_finished(window, clip)
    finished.until(lambda: not window.background.busy)
    assert [shape.name for shape in page.view.shapes] == ["line 1", "hidden 1"]
    with Recording(recording.store) as store:
        assert store.info.rules == own


def test_an_export_asks_before_it_replaces_a_file(
    finished: App, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "100 % \N{LATIN SMALL LETTER U WITH DIAERESIS}"
    folder.mkdir()
    (folder / "clip.txt").write_text("my own notes")
    window = finished.start()
    finished.open_finished(window, clip)
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog.choose(["mot", "csv"], folder)
    asked: list[str] = []

    def answer(role: QMessageBox.ButtonRole) -> None:
        def click(box: QMessageBox) -> int:
            asked.append(box.informativeText())
            next(button for button in box.buttons() if box.buttonRole(button) == role).click()
            return 0

        monkeypatch.setattr(QMessageBox, "exec", click)

    answer(QMessageBox.ButtonRole.RejectRole)
    dialog.write()
    assert not dialog.busy
    assert asked == [str(folder / "clip.txt")]
    assert [path.name for path in folder.iterdir()] == ["clip.txt"]
    assert (folder / "clip.txt").read_text() == "my own notes"
    answer(QMessageBox.ButtonRole.AcceptRole)
    dialog.write()
    finished.until(lambda: "Written" in dialog.words)
    assert (folder / "clip.txt").read_text().startswith("1,")
    dialog.close()


def test_two_files_of_one_name_keep_their_own_zones_and_find_them_again(app: App, clip: Path, tmp_path: Path) -> None:
    paths = [tmp_path / name / "camera.mp4" for name in ("north", "south")]
    for path in paths:
        path.parent.mkdir()
        shutil.copy(clip, path)
    window = app.start(open_source=open_source)
    shape = Shape("zone", "zone 1", ((1.0, 1.0), (20.0, 1.0), (20.0, 20.0)))
    window.watch(str(paths[0]))
    tile = window.live.tiles[0]
    app.until(lambda: tile.session.rendered is not None)
    tile.view.shapes_changed.emit([shape])
    window.watch(str(paths[1]))
    assert window.live.sessions[1].shapes == []
    app.close(window)
    again = app.start(open_source=open_source)
    again.watch(str(paths[0]))
    assert again.live.sessions[0].shapes == [shape]


def test_a_source_that_calls_itself_otherwise_once_open_finds_its_shapes_again(app: App) -> None:
    shape = Shape("blur", "hidden 1", ((1.0, 1.0), (20.0, 20.0)))
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: session.rendered is not None)
    session.name = "camera north"
    window.live.tiles[0].view.shapes_changed.emit([shape])
    app.close(window)
    again = start(app)
    again.watch("north")
    assert again.live.sessions[0].shapes == [shape]


def result_at(time_s: float, *, events: tuple[Event, ...] = ()) -> FrameResult:
    image = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    frame = Frame(image, round(time_s * 10), time_s, "camera")
    return FrameResult(frame, Detections.empty(), Tracks.empty(), (), events=events)


def test_a_clip_holds_five_seconds_before_its_event_and_nothing_of_an_earlier_run(tmp_path: Path) -> None:
    keeper = ClipKeeper("camera", OverlayConfig(), lambda: tmp_path)
    keeper.arm(armed=True)
    for tick in range(36_000, 36_100):
        keeper.write(result_at(tick / 10))
    keeper.close()  # the source is lost; it is opened again and its clock begins anew
    event = Event("line", "gate", 1, 0, 8.0, 1.0)
    for tick in range(200):
        keeper.write(result_at(tick / 10, events=(event,) if tick == 80 else ()))
    keeper.close()
    (clip,) = tmp_path.glob("*.mp4")
    source = open_source(str(clip))
    times = source.times()  # type: ignore[attr-defined]
    source.close()
    assert 10.0 <= times[-1] - times[0] <= 10.2, "5 s before it, 5 s after, and at most a frame more at each end"
    assert len(times) == round(10 * (times[-1] - times[0])) + 1, "every frame in between"


def test_a_clip_that_was_begun_hides_what_is_to_be_hidden_from_now_on(tmp_path: Path) -> None:
    keeper = ClipKeeper("camera", OverlayConfig(), lambda: tmp_path)
    keeper.arm(armed=True)
    stripes = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stripes[:, ::16] = stripes[:, 1::16] = stripes[:, 2::16] = stripes[:, 3::16] = 255
    event = Event("line", "gate", 1, 0, 0.0, 1.0)
    for tick in range(60):
        if tick == 30:
            keeper.configure(OverlayConfig(blur_regions=((0.0, 0.0, 1.0, 1.0),)))
        result = result_at(tick / 10, events=(event,) if tick == 0 else ())
        keeper.write(replace(result, frame=replace(result.frame, image=stripes)))
    keeper.close()
    (clip,) = tmp_path.glob("*.mp4")
    source = open_source(str(clip))
    contrast = [float(frame.image.astype(float).std(axis=1).mean()) for frame in source]
    source.close()
    assert min(contrast[:30]) > 2 * max(contrast[30:])


def test_a_recording_without_a_single_frame_names_no_file_that_is_not_there(tmp_path: Path) -> None:
    recorder = Recorder("camera", OverlayConfig())
    recorder.start(tmp_path, annotated=True, raw=False)
    assert recorder.stop() == [path for path in tmp_path.iterdir() if path.suffix == ".mp4"] == []


def test_enter_alone_never_loses_or_replaces_anything(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[QMessageBox] = []

    def press_enter(box: QMessageBox) -> int:
        asked.append(box)
        box.show()
        QTest.keyClick(box, Qt.Key.Key_Return)
        return box.result()

    monkeypatch.setattr(QMessageBox, "exec", press_enter)
    window = app.start()
    assert not window.recordings.annotation._may_overwrite()
    assert len(asked) == 1
    monkeypatch.setattr(type(window.jobs), "busy", True)
    assert not window._may_close()
    assert len(asked) == 2
