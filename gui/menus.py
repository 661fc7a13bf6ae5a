"""The window's menus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PyQt6.QtCore import QCoreApplication, Qt
from PyQt6.QtGui import QAction, QActionGroup
from PyQt6.QtWidgets import QMenu

from gui.about import About
from gui.qt.theme import THEMES, Theme
from gui.settings.dialog import SettingsDialog
from gui.settings.shortcuts import ShortcutsEditor

if TYPE_CHECKING:
    from gui.window import Window

__all__ = ["add_menus"]

MORE = "\N{HORIZONTAL ELLIPSIS}"


def _tr(text: str) -> str:
    return QCoreApplication.translate("Menus", text)


def add_menus(window: Window) -> None:
    """File, View, Recording, Jobs, Help."""
    _add_file(window)
    _add_recording(window)
    _add_view(window)
    _add_jobs(window)
    _add_help(window)


def open_settings(window: Window) -> None:
    """Every setting in a window of its own, of which there is one."""
    open_already = window.findChildren(SettingsDialog)
    dialog = open_already[0] if open_already else SettingsDialog(window.engine, window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


def _menu(window: Window, title: str) -> QMenu:
    bar = window.menuBar()
    assert bar is not None
    menu = bar.addMenu(title)
    assert menu is not None
    return menu


def _add_file(window: Window) -> None:
    add, start = window.commands.add, window.start
    menu = _menu(window, _tr("&File"))
    for name, text, slot, keys, picture in (
        ("file.open", _tr("&Open video") + MORE, start.choose_files, ["Ctrl+O"], "film"),
        ("file.store", _tr("Open re&cording") + MORE, start.choose_recording, [], "film"),
        ("file.watch", _tr("&Watch video like a camera") + MORE, start.choose_watched, [], "grid"),
        ("file.folder", _tr("Open image &folder") + MORE, start.choose_folder, [], "folder"),
        ("", "", None, [], ""),
        ("file.settings", _tr("&Settings") + MORE, lambda: open_settings(window), ["Ctrl+,"], "settings"),
        ("file.results", _tr("Folder for &recordings") + MORE, window.choose_results, [], ""),
        ("", "", None, [], ""),
        ("file.quit", _tr("&Quit"), window.close, ["Ctrl+Q"], ""),
    ):
        if slot is None:
            menu.addSeparator()
        else:
            menu.addAction(add(name, text, slot, keys=keys, owner=window, picture=picture))


def _add_recording(window: Window) -> None:
    menu = _menu(window, _tr("&Recording"))
    menu.setToolTipsVisible(True)  # they say why something cannot be done now
    groups = (
        ("play", "step", "back", "loop", "snapshot", "full"),
        ("undo", "redo"),
        ("merge", "split", "class", "relabel", "delete", "delete_here", "interpolate", "box"),
        ("next_keyframe", "last_keyframe", "mark_in", "mark_out"),
        ("follow", "solo", "inspect", "heat", "unselect"),
        ("again", "range", "export"),
    )
    for number, names in enumerate(groups):
        if number:
            menu.addSeparator()
        for name in names:
            menu.addAction(window.commands[f"recording.{name}"])
    refine = QAction(_tr("Go over &new annotations once more: link, fill, smooth"), window)
    refine.setCheckable(True)
    refine.setChecked(window.preferences.flag("refine"))
    refine.toggled.connect(lambda on: window.preferences.keep("refine", on))
    menu.addAction(refine)


def _add_view(window: Window) -> None:
    add = window.commands.add
    menu = _menu(window, _tr("&View"))
    for action in window.docks.actions():
        menu.addAction(action)
    menu.addSeparator()
    for name, text, factor, keys in (
        ("view.zoom_in", _tr("Timeline &nearer"), 1.5, ["Ctrl++", "Ctrl+="]),
        ("view.zoom_out", _tr("Timeline &farther"), 1 / 1.5, ["Ctrl+-"]),
    ):
        zoom = window.recordings.timeline.zoom
        menu.addAction(add(name, text, lambda zoom=zoom, factor=factor: zoom(factor), keys=keys, owner=window))
    menu.addAction(add("view.zoom_all", _tr("Timeline &whole"), window.recordings.timeline.zoom_all, keys=["Ctrl+0"],
                       owner=window))  # fmt: skip
    menu.addAction(add("view.picture", _tr("&Whole picture"), window.recordings.view.reset_zoom, keys=["Ctrl+9"],
                       owner=window))  # fmt: skip
    menu.addSeparator()
    menu.addAction(add("view.reset", _tr("&Reset layout"), window.reset_layout, owner=window))
    themes = menu.addMenu(_tr("&Theme"))
    assert themes is not None
    names = {"system": _tr("As the &system"), "light": _tr("&Light"), "dark": _tr("&Dark")}
    group = QActionGroup(window)
    chosen = window.preferences.text("theme", "system")
    for theme in THEMES:
        action = add(f"theme.{theme}", names[theme], _themer(window, theme), owner=window, checkable=True)
        group.addAction(action)
        action.blockSignals(True)
        action.setChecked(theme == chosen)
        action.blockSignals(False)
        themes.addAction(action)


def _themer(window: Window, theme: Theme) -> Callable[[bool], None]:
    def use(on: bool) -> None:
        if on:
            window.use_theme(theme)

    return use


def _add_jobs(window: Window) -> None:
    add = window.commands.add
    menu = _menu(window, _tr("&Jobs"))
    menu.addAction(add("jobs.new", _tr("&New job") + MORE, lambda: window.new_job(), keys=["Ctrl+J"], owner=window,
                       picture="jobs"))  # fmt: skip
    menu.addAction(add("jobs.annotate", _tr("&Annotate videos") + MORE, lambda: window.new_job("Annotate videos"),
                       owner=window))  # fmt: skip
    menu.addAction(add("jobs.train", _tr("&Train a detector") + MORE, lambda: window.new_job("Train a detector"),
                       owner=window))  # fmt: skip
    toggle = window.docks["jobs"].toggleViewAction()
    menu.addSeparator()
    menu.addAction(toggle)


def _add_help(window: Window) -> None:
    add = window.commands.add
    menu = _menu(window, _tr("&Help"))
    menu.addAction(add("help.keys", _tr("&Keys") + MORE, lambda: ShortcutsEditor(window.commands, window).exec(),
                       keys=["F1"], owner=window))  # fmt: skip
    menu.addAction(add("help.about", _tr("&About Sightline"), lambda: About(window).exec(), owner=window))
