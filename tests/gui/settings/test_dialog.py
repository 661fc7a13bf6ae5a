"""Settings, keys, what is remembered, and the window's manners."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from gui.qt.preferences import Preferences
from gui.settings.dialog import SettingsDialog, open_settings
from gui.settings.form import ConfigForm
from gui.settings.networks import list_networks
from gui.settings.shortcuts import ShortcutsEditor
from tests.gui.conftest import App
from tracker.commands.outputs import write_settings
from tracker.factory import Settings, load_settings

ROOT = Path(__file__).parents[3]


def test_the_form_shows_defaults_and_keeps_only_what_differs(qtbot: QtBot) -> None:
    form = ConfigForm({})
    qtbot.addWidget(form)
    assert form.tree() == {}
    assert load_settings(form.tree(), "form") == Settings()


TREES = st.fixed_dictionaries(
    {},
    optional={
        "detector": st.fixed_dictionaries(
            {},
            optional={
                "conf": st.floats(0, 1).map(lambda value: round(value, 3)),
                "classes": st.lists(st.sampled_from(["person", "car"]), min_size=1, unique=True),
                "max_det": st.integers(1, 500),
                "masks": st.just(False),
            },
        ),
        "tracker": st.fixed_dictionaries(
            {}, optional={"preset": st.sampled_from(["sort", "bytetrack"]), "max_coast_s": st.integers(0, 9)}
        ),
        "overlay": st.fixed_dictionaries(
            {},
            optional={
                "colour_by": st.just("class"),
                "blur_regions": st.just([[0.0, 0.0, 0.5, 0.5]]),
                "trails": st.just(True),
            },
        ),
    },
)


def test_a_choice_of_yes_no_and_neither_is_one_in_the_form_too(qtbot: QtBot) -> None:
    form = ConfigForm({})
    qtbot.addWidget(form)
    (choice,) = [box for box in form.findChildren(QComboBox) if box.accessibleName() == "wait"]
    assert [choice.itemText(place) for place in range(choice.count())] == ["automatic", "yes", "no"]
    assert choice.currentText() == "automatic"
    for place, wait in ((1, True), (2, False)):
        choice.setCurrentIndex(place)
        assert form.tree() == {"source": {"wait": wait}}
        form.reset()
        form.load({"source": {"wait": wait}})
        assert choice.currentIndex() == place
    form.reset()
    assert (form.tree(), choice.currentIndex()) == ({}, 0)


def test_any_settings_come_out_of_the_form_as_they_went_in(qtbot: QtBot) -> None:
    form = ConfigForm({})
    qtbot.addWidget(form)

    @settings(max_examples=25, deadline=None)
    @given(TREES)
    def check(tree: dict[str, dict[str, object]]) -> None:
        form.reset()
        form.load(tree)
        assert form.problems() == {}
        assert load_settings(form.tree(), "form") == load_settings(tree, "truth")

    check()


def test_a_value_that_does_not_fit_is_marked_at_its_field(qtbot: QtBot) -> None:
    form = ConfigForm({})
    qtbot.addWidget(form)
    signals: list[bool] = []
    form.changed.connect(lambda: signals.append(True))
    field = form.fields["detector"]["imgsz"]
    assert isinstance(field.editor, QLineEdit)
    field.editor.setText("417")
    assert "multiple of 32" in form.problems()["detector.imgsz"]
    assert field.editor.property("invalid") == "true"
    qtbot.wait(300)
    assert not signals, "what does not fit is not used"
    field.editor.setText("448")
    qtbot.waitUntil(lambda: bool(signals))
    assert form.tree() == {"detector": {"imgsz": 448}}


def test_every_field_explains_itself(qtbot: QtBot) -> None:
    form = ConfigForm({})
    qtbot.addWidget(form)
    for section, fields in form.fields.items():
        for name, field in fields.items():
            assert field.editor.toolTip(), f"{section}.{name} has no docstring"


def test_keys_that_two_commands_share_are_reported(app: App) -> None:
    window = app.start()
    assert window.commands.conflicts() == {}, "the default keys are free of conflicts"
    editor = ShortcutsEditor(window.commands, window)
    editor.change("recording.split", "M")
    assert "M" in window.commands.conflicts()
    assert "M" in editor.warning
    assert app.preferences().tree("keys") == {"recording.split": ["M"]}
    window.commands.change_keys("recording.split", None)
    assert window.commands.conflicts() == {}


def test_passwords_are_never_kept(tmp_path: Path) -> None:
    store = QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat)
    preferences = Preferences(store)
    preferences.add_recent("rtsp://eve:se@cret@camera.local/stream")
    store.sync()
    assert "cret" not in (tmp_path / "s.ini").read_text()
    assert "camera.local" in preferences.recents()[0]


def test_docks_and_theme_are_remembered_and_reset(app: App) -> None:
    window = app.start()
    window.show_page(window.live)
    window.docks["events"].toggleViewAction().trigger()  # type: ignore[union-attr]
    window.use_theme("dark")
    app.close(window)
    again = app.start()
    again.show_page(again.live)
    assert not again.docks["events"].isVisible()
    assert again.preferences.text("theme") == "dark"
    again.reset_layout()
    assert not again.docks["events"].isHidden()
    again.use_theme("system")


def test_what_is_changed_beside_the_frame_shows_in_the_open_form_and_is_kept(app: App) -> None:
    window = app.start()
    open_settings(window.engine, window)
    open_settings(window.engine, window)
    (dialog,) = window.findChildren(SettingsDialog)
    window.panel._switches["trails"].setChecked(True)
    assert dialog.form.tree()["overlay"] == {"trails": True}
    field = dialog.form.fields["detector"]["imgsz"]
    assert isinstance(field.editor, QLineEdit)
    field.editor.setText("448")
    app.until(lambda: window.engine.settings.detector.imgsz == 448)
    assert window.engine.settings.overlay.trails, "the form does not bring back what it showed before"
    kept = app.preferences().tree("settings")
    assert kept["detector"]["imgsz"] == 448, "kept at once, whatever becomes of the program"


def test_saved_settings_that_no_longer_fit_are_put_aside(app: App) -> None:
    app.tree = {"detector": {"no_such_setting": "1"}}
    window = app.start()
    bar = window.statusBar()
    assert bar is not None
    assert "no_such_setting" in bar.currentMessage()
    assert window.engine.settings == Settings()


def test_icons_follow_the_theme(app: App) -> None:
    window = app.start()

    def darkest(button: QAbstractButton) -> int:
        image = button.icon().pixmap(20, 20).toImage()
        pixels = [image.pixelColor(x, y) for x in range(20) for y in range(20)]
        return min(one.lightness() for one in pixels if one.alpha() > 200)

    button = window.start.findChildren(QPushButton)[0]
    window.use_theme("light")
    assert darkest(button) < 80
    window.use_theme("dark")
    assert darkest(button) > 150
    window.use_theme("system")


def test_every_control_has_a_name_for_screen_readers(app: App) -> None:
    window = app.start()
    for page in (window.start, window.live, window.recordings, window.networks, window.inside):
        window.show_page(page)
    parts = (window.start, window.live, window.recordings, window.networks, window.inside, window.panel,
             window.jobs_panel, window.recordings.tracks)  # fmt: skip
    kinds = (QAbstractButton, QComboBox, QLineEdit, QAbstractItemView)
    controls = [(part, control) for part in parts for kind in kinds for control in part.findChildren(kind)]
    assert len(controls) > 60
    nameless = [f"{type(part).__name__}: {type(one).__name__}" for part, one in controls if not _is_named(one)]
    assert nameless == []


def _is_named(widget: QWidget) -> bool:
    """Whether a person, or Qt itself for parts it made, named the control."""
    words = [widget.accessibleName(), widget.toolTip(), getattr(widget, "text", str)()]
    parents = []
    parent = widget.parent()
    while parent is not None:
        parents.append(parent)
        parent = parent.parent()
    own = widget.objectName().startswith("qt_") or any(isinstance(one, QComboBox | QLineEdit) for one in parents)
    return own or any(words) or type(widget).__name__ in ("QTableCornerButton", "QHeaderView", "CloseButton")


def test_the_networks_page_lists_what_comes_with_the_program(app: App) -> None:
    window = app.start()
    window.show_page(window.networks)
    app.until(lambda: window.networks.names)
    assert window.networks.names == [network.name for network in list_networks([])]


def test_trainings_that_all_end_in_a_best_network_are_told_apart(tmp_path: Path) -> None:
    for name in ("cars/best.onnx", "cars/best.safetensors", "people/best.onnx", "one.onnx"):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    names = [network.name for network in list_networks([tmp_path / "train"]) if not network.embedded]
    assert names == ["cars/best.onnx", "cars/best.safetensors", "one.onnx", "people/best.onnx"]


def _run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**known, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


OPEN_THE_WINDOW = """
import sys
import gui.app
from gui.qt.application import application
from gui.qt.preferences import Preferences
from gui.window import Window
from PyQt6.QtCore import QSettings
app = application()
window = Window(Preferences(QSettings(sys.argv[1], QSettings.Format.IniFormat)))
window.show()
app.processEvents()
print(*({"torch", "ultralytics", "onnxruntime", "scipy", "numba", "ray"} & set(sys.modules)))
window.quit()
"""


def test_the_window_comes_up_without_what_only_networks_need(tmp_path: Path) -> None:
    done = _run(OPEN_THE_WINDOW, str(tmp_path / "settings.ini"), QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_without_a_display_one_line_says_what_is_missing() -> None:
    done = _run("import main, sys; sys.exit(main.main([]))", QT_QPA_PLATFORM="")
    assert done.returncode == 2
    assert "no display" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_settings_of_a_run_are_loaded_into_the_form(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_settings({"detector": {"imgsz": 448}, "overlay": {"trails": True}}, "test")
    write_settings(tmp_path, "track", "street.mp4", run)
    window = app.start()
    open_settings(window.engine, window)
    (dialog,) = window.findChildren(SettingsDialog)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "args.yaml"), ""))
    (button,) = (each for each in dialog.findChildren(QPushButton) if each.text().startswith("&Load"))
    button.click()
    assert window.engine.settings.detector.imgsz == 448
    assert dialog.form.tree()["overlay"] == {"trails": True}
