"""The window: what it remembers, what it shows before anything is loaded, how it looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtGui import QColor, QPalette, qGray
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QToolBar, QToolButton

from gui.qt.icons import app_icon
from gui.qt.theme import THEMES, Theme
from gui.settings.networks import confidence_of
from tests.gui.conftest import App
from tracker.factory import load_settings, make_detector


def test_a_dock_that_was_closed_stays_closed(finished: App, clip: Path) -> None:
    window = finished.start()
    finished.open_finished(window, clip)
    window.docks["tracks"].close()
    window.show_page(window.start)
    window.show_page(window.recordings)
    assert not window.docks["tracks"].isVisible()
    finished.close(window)
    again = finished.start()
    finished.open_finished(again, clip)
    assert not again.docks["tracks"].isVisible()
    again.docks.bring("tracks")
    assert again.docks["tracks"].isVisible()


def test_a_dock_that_a_job_brought_up_is_gone_at_the_next_start(app: App) -> None:
    window = app.start()
    assert not window.docks["jobs"].isVisible()
    window.docks.bring("jobs")
    window.show_page(window.networks)
    assert window.docks["jobs"].isVisible(), "a job is followed from every page"
    app.close(window)
    again = app.start()
    assert not again.docks["jobs"].isVisible()
    again.docks["jobs"].toggleViewAction().trigger()  # type: ignore[union-attr]
    app.close(again)
    assert app.start().docks["jobs"].isVisible(), "what the user opened stays open"


def test_a_panel_that_is_asked_for_comes_to_the_front(finished: App, clip: Path) -> None:
    window = finished.start()
    finished.open_finished(window, clip)
    for name in ("corrections", "evidence", "settings", "images", "jobs"):
        dock = window.docks[name]
        toggle = dock.toggleViewAction()
        assert toggle is not None
        if dock.isVisible():
            toggle.trigger()
        window.docks["tracks"].raise_()
        finished.until(lambda: not window.recordings.tracks.visibleRegion().isEmpty())
        toggle.trigger()
        finished.until(lambda dock=dock: not dock.widget().visibleRegion().isEmpty())


def test_one_theme_is_ticked_whichever_is_chosen(app: App) -> None:
    window = app.start()
    actions = {theme: window.commands[f"theme.{theme}"] for theme in THEMES}
    assert [theme for theme, action in actions.items() if action.isChecked()] == ["system"]
    for chosen in ("light", "dark", "system", "light"):
        actions[chosen].trigger()
        assert [theme for theme, action in actions.items() if action.isChecked()] == [chosen]
        assert window.preferences.text("theme", "") == chosen


def test_what_cannot_be_read_is_not_among_what_was_opened_lately(finished: App, clip: Path) -> None:
    window = finished.start()
    broken = finished.folder / "broken.mp4"
    broken.write_bytes(b"\0" * 5000)
    window.open(str(broken))
    recording = window.recordings.recording
    assert recording is not None
    finished.until(lambda: recording.player.problem)
    finished.open_finished(window, clip)
    assert window.preferences.recents() == [str(clip)]


def test_the_last_frame_of_a_recording_reads_as_their_number(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    finished.show(recording, 149)
    finished.until(lambda: "frame 150 of 150" in window.recordings.transport.position_words)
    finished.show(recording, 0)
    finished.until(lambda: "frame 1 of 150" in window.recordings.transport.position_words)
    finished.until(lambda: recording.player.index == 0)
    assert recording.player.count == 150, "as many as the words name"


def test_the_confidence_is_the_network_s_before_it_is_loaded() -> None:
    detector = make_detector(load_settings({}, "test").detector, threads=1)
    assert confidence_of("auto") == pytest.approx(detector.conf)
    assert confidence_of("/nowhere/network.onnx") is None


def test_lists_to_choose_from_are_readable_in_both_themes(app: App) -> None:
    window = app.start()
    box = QComboBox(window)
    box.addItems(["one", "two"])
    for theme in THEMES:
        window.use_theme(theme)
        view = box.view()
        assert view is not None
        box.showPopup()
        colours = view.grab().toImage()
        box.hidePopup()
        base, text = (QApplication.palette().color(role) for role in (QPalette.ColorRole.Base, QPalette.ColorRole.Text))
        assert abs(base.lightness() - text.lightness()) > 100
        seen = QColor(colours.pixel(colours.width() - 3, colours.height() - 3))
        assert abs(seen.lightness() - base.lightness()) < 20
    window.use_theme("light")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_small_buttons_of_bars_and_panels_can_be_seen(app: App, theme: Theme) -> None:
    app.start().use_theme(theme)
    window = app.start()
    window.resize(760, 700)
    window.show_page(window.recordings)
    window.docks.bring("settings")
    bar = window.recordings.findChildren(QToolBar)[0]
    buttons = [bar.findChild(QToolButton, "qt_toolbar_ext_button")]
    buttons += [
        window.docks["settings"].findChild(QAbstractButton, f"qt_dockwidget_{n}button") for n in ("float", "close")
    ]
    for button in buttons:
        assert button is not None
        app.until(button.isVisible)
        picture = window.grab(QRect(button.mapTo(window, QPoint(0, 0)), button.size())).toImage()
        greys = np.array(
            [[qGray(picture.pixel(x, y)) for x in range(picture.width())] for y in range(picture.height())]
        )
        assert np.sum(abs(greys - greys[0, 0]) > 80) > 6, f"pixels of {button.objectName()} that stand out"
    window.use_theme("light")


def test_the_program_has_an_icon_in_all_usual_sizes() -> None:
    assert {size.width() for size in app_icon().availableSizes()} >= {16, 32, 48, 256}
