"""Every control says what it is, and Tab goes through them as one reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from PyQt6.QtCore import QEvent, QPoint, QRect, Qt
from PyQt6.QtGui import QKeyEvent, QKeySequence
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QSpinBox,
    QTabBar,
    QToolBar,
    QWidget,
)

from gui.about import PARTS, About
from gui.jobs.dialog import JobDialog
from gui.recording.export_dialog import ExportDialog
from gui.settings.dialog import SettingsDialog, open_settings
from gui.settings.shortcuts import ShortcutsEditor
from gui.window import Window
from tests.gui.conftest import App
from tests.gui.live.test_page import start

MOST_STEPS = 400
NEAR = 12
"""Pixels by which two controls of one row may be apart in height."""


def is_named(control: QWidget, root: QWidget) -> bool:
    """Whether a screen reader has words for it: its own, its text, or those of the label in front of it."""
    own = control.accessibleName() or (control.text() if isinstance(control, QAbstractButton | QLabel) else "")
    if isinstance(control, QTabBar):
        return all(control.tabText(tab) for tab in range(control.count()))
    return bool(own) or any(label.buddy() is control for label in root.findChildren(QLabel))


def is_inner(control: QWidget) -> bool:
    """Whether it is a part that Qt made of another control, or a mere frame around controls."""
    parent = control.parentWidget()
    return control.objectName().startswith("qt_") or isinstance(parent, QComboBox | QSpinBox | QLineEdit)


def controls_of(root: QWidget) -> list[QWidget]:
    """All that Tab should reach in it now."""
    tab = Qt.FocusPolicy.TabFocus.value
    return [
        one
        for one in root.findChildren(QWidget)
        if one.focusPolicy().value & tab and one.isVisible() and one.isEnabled() and not is_inner(one)
        and one.focusProxy() is None and one.size().width() > 2
    ]  # fmt: skip


def place(control: QWidget, root: QWidget) -> QRect:
    return QRect(control.mapTo(root, QPoint(0, 0)), control.size())


def goes_on(before: QRect, after: QRect) -> bool:
    """Whether one comes after the other when reading: to the right in a row, else below, else in the next column."""
    shared = min(before.bottom(), after.bottom()) - max(before.top(), after.top())
    if shared > min(before.height(), after.height()) / 2:
        return after.left() >= before.left() - NEAR
    return after.top() >= before.top() - NEAR or after.left() >= before.right() - NEAR


def walk(app: App, root: QWidget) -> list[QWidget]:
    """The controls of `root` in the order in which Tab visits them, from its first until they come again."""
    window = root.window()
    assert window is not None
    window.activateWindow()
    app.until(lambda: QApplication.activeWindow() is window)
    controls = controls_of(root)
    seen: list[QWidget] = []
    controls[0].setFocus(Qt.FocusReason.TabFocusReason)
    for _ in range(MOST_STEPS):
        focused = QApplication.focusWidget()
        assert focused is not None, f"the focus is lost after {seen[-1:]}"
        if focused in seen:
            break
        if focused in controls:
            seen.append(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is not focused or len(controls) == 1, f"Tab is caught in {focused!r}"
    assert seen, f"Tab comes nowhere in {type(root).__name__}, the focus is at {QApplication.focusWidget()!r}"
    corners = [place(one, root).topLeft() for one in seen]
    first = min(range(len(seen)), key=lambda number: (corners[number].y() // NEAR, corners[number].x()))
    return seen[first:] + seen[:first]


def described(control: QWidget) -> str:
    words = control.accessibleName() or getattr(control, "text", str)()
    return f"{type(control).__name__} {words!r}"


def check(app: App, root: QWidget) -> None:
    """All controls named, all reached, in reading order."""
    controls = controls_of(root)
    assert controls, f"{type(root).__name__} has no control at all"
    assert [described(one) for one in controls if not is_named(one, root)] == []
    visited = walk(app, root)
    assert {described(one) for one in controls} - {described(one) for one in visited} == set(), "never reached"
    wrong = [
        f"{described(one)} at {place(one, root).getRect()} to {described(two)} at {place(two, root).getRect()}"
        for one, two in itertools.pairwise(visited)
        if not goes_on(place(one, root), place(two, root))
    ]
    assert wrong == []


def test_tab_goes_through_each_page_and_dock_as_one_reads(finished: App, clip: Path) -> None:
    window = finished.start()
    window.resize(1360, 900)
    recording = finished.open_finished(window, clip)
    recording.select([window.recordings.tracks.shown[0]])
    for page in (window.start, window.networks, window.inside, window.recordings):
        window.show_page(page)
        if page is window.networks:
            finished.until(lambda: window.networks.names)
        check(finished, page)
    for name in ("tracks", "settings", "events", "counts", "evidence", "jobs"):
        window.docks.bring(name)
        finished.until(window.docks[name].widget().isVisible)  # type: ignore[union-attr]
        QApplication.processEvents()
        check(finished, window.docks[name])


def test_tab_goes_through_the_live_grid_and_chooses_the_tile_it_comes_to(app: App) -> None:
    window = start(app)
    window.resize(1360, 900)
    for name in ("north", "south", "east"):
        window.watch(name)
    app.until(lambda: all(session.rendered is not None for session in window.live.sessions))
    check(app, window.live)
    for tile in window.live.tiles:
        tile.view.setFocus(Qt.FocusReason.TabFocusReason)
        assert window.live.current is tile.session


def test_no_key_that_plays_can_close_a_source_by_accident(app: App) -> None:
    window = start(app)
    app.activate(window)
    window.start._address.setFocus()
    window.watch("north")
    focused = QApplication.focusWidget()
    assert focused is window.live.tiles[0].view
    QTest.keyClick(focused, Qt.Key.Key_Space)
    assert len(window.live.sessions) == 1


def open_dialogs(window: Window) -> Iterator[QWidget]:
    open_settings(window.engine, window)
    yield window.findChildren(SettingsDialog)[0]
    window.recordings.export()
    yield window.recordings.findChildren(ExportDialog)[0]
    window.new_job()
    yield window.jobs_panel.findChildren(JobDialog)[0]
    for kind in (ShortcutsEditor, About):
        dialog = kind(window.commands, window) if kind is ShortcutsEditor else About(window)
        dialog.show()
        yield dialog


def test_tab_goes_through_each_dialog_as_one_reads(finished: App, clip: Path) -> None:
    window = finished.start()
    finished.open_finished(window, clip)
    for dialog in open_dialogs(window):
        finished.until(dialog.isVisible)
        check(finished, dialog)
        dialog.close()


def test_a_focused_button_is_pressed_by_space_all_the_same(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    finished.activate(window)
    button = next(one for one in window.recordings.transport.findChildren(QAbstractButton) if "Loop" in one.toolTip())
    finished.until(button.isEnabled)
    button.setFocus(Qt.FocusReason.TabFocusReason)
    finished.until(button.hasFocus)
    marks: list[str] = []
    recording.said.connect(marks.append)
    QTest.keyClick(button, Qt.Key.Key_Space)
    assert not recording.player.playing
    assert any("loop" in words for words in marks)


DOCKS = ("tracks", "images", "settings", "events", "counts", "corrections", "evidence", "jobs")
NEEDED_BY_NONE = ("step", "snapshot", "full", "delete", "similar")
"""Commands whose keys no control needs for itself but those that are typed in."""


def focus(app: App, control: QWidget) -> None:
    control.setFocus(Qt.FocusReason.MouseFocusReason)
    app.until(control.hasFocus)


def count_only(window: Window, scope: str, names: Iterable[str], done: list[str]) -> dict[str, QKeySequence]:
    """Have these commands only note that they were called; their first keys."""
    keys = {}
    for name in names:
        action = window.commands[f"{scope}.{name}"]
        action.triggered.disconnect()
        action.triggered.connect(lambda _, name=name: done.append(name))
        keys[name] = QKeySequence(window.commands.keys_of(f"{scope}.{name}")[0])
    return keys


def test_a_recording_s_keys_work_wherever_the_focus_is_in_its_window(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    recording.select([window.recordings.tracks.shown[0]])
    finished.activate(window)
    done: list[str] = []
    keys = count_only(window, "recording", NEEDED_BY_NONE, done)
    tried = 0
    for dock in (window.docks[name] for name in DOCKS):
        window.docks.bring(dock.objectName())
        finished.until(dock.widget().isVisible)  # type: ignore[union-attr]
        for control in controls_of(dock):
            if not isinstance(control, QLineEdit | QAbstractSpinBox | QPlainTextEdit):
                focus(finished, control)
                done.clear()
                for key in keys.values():
                    QTest.keySequence(control, key)
                assert done == list(keys), f"in {described(control)} of {dock.windowTitle()}"
                tried += 1
    assert tried > len(DOCKS)
    bar = window.findChildren(QToolBar, "pages")[0]
    button = bar.widgetForAction(window.commands["page.recording"])
    assert button is not None
    focus(finished, button)
    QTest.keySequence(button, keys["step"])
    assert done[len(keys) :] == ["step"]


def test_live_keys_work_from_the_settings_and_only_live(app: App) -> None:
    window = start(app)
    window.watch("north")
    app.activate(window)
    done: list[str] = []
    keys = count_only(window, "live", ("snapshot", "enlarge"), done)
    recorded: list[str] = []
    count_only(window, "recording", ("snapshot", "full"), recorded)
    window.docks.bring("settings")
    trails = next(box for box in window.panel.findChildren(QCheckBox) if "rails" in box.text())
    app.until(trails.isVisible)
    focus(app, trails)
    for key in keys.values():
        QTest.keySequence(trails, key)
    assert (done, recorded) == (list(keys), [])


def test_controls_and_fields_keep_the_keys_that_they_need(finished: App, clip: Path) -> None:
    window = finished.start()
    finished.open_finished(window, clip)
    finished.activate(window)
    done: list[str] = []
    count_only(window, "recording", ("play", "step", "home", "end", "left", "down", "undo", "delete", "snapshot"), done)
    window.docks.bring("settings")
    trails = next(box for box in window.panel.findChildren(QCheckBox) if "rails" in box.text())
    finished.until(trails.isVisible)
    drawn = trails.isChecked()
    focus(finished, trails)
    QTest.keyClick(trails, Qt.Key.Key_Space)
    assert trails.isChecked() is not drawn
    QTest.keyClick(trails, Qt.Key.Key_Home)
    assert done == ["home"], "which a box does not need"
    cyrillic = QKeyEvent(
        QEvent.Type.ShortcutOverride, 0x424, Qt.KeyboardModifier.NoModifier, "\N{CYRILLIC CAPITAL LETTER EF}"
    )
    QApplication.sendEvent(trails, cyrillic)
    done.clear()
    slider = window.panel.findChildren(QSlider)[0]
    focus(finished, slider)
    QTest.keyClick(slider, Qt.Key.Key_Home)
    QTest.keyClick(slider, Qt.Key.Key_Left)
    assert slider.value() == slider.minimum()
    tracker = next(box for box in window.panel.findChildren(QComboBox) if box.accessibleName() == "Tracker")
    chosen = tracker.currentIndex()
    focus(finished, tracker)
    QTest.keyClick(tracker, Qt.Key.Key_End)
    QTest.keyClick(tracker, Qt.Key.Key_Home)
    QTest.keyClick(tracker, Qt.Key.Key_Down)
    assert tracker.currentIndex() == 1 != chosen
    window.docks.bring("tracks")
    words = window.recordings.tracks.findChildren(QLineEdit)[0]
    finished.until(words.isVisible)
    focus(finished, words)
    QTest.keyClicks(words, "s. ")
    QTest.keyClick(words, Qt.Key.Key_Home)
    QTest.keyClick(words, Qt.Key.Key_Delete)
    assert words.text() == ". "
    QTest.keyClick(words, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert words.text() == "s. "
    QTest.keyClick(words, Qt.Key.Key_Down)
    assert done == []


def test_all_that_the_program_depends_on_is_named_with_its_licence() -> None:
    names = set()
    for entry in metadata.requires("sightline") or []:
        requirement, _, extra = entry.partition(";")
        if extra.partition("==")[2].strip(" \"'") in ("", "gui", "train", "ultralytics"):
            names.add(requirement.partition(">")[0].strip().casefold())
    assert {"numpy", "pyqt6", "torch", "ultralytics"} <= names
    assert names - {name.casefold() for name in PARTS} == set()
