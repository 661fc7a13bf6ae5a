"""What the window itself offers to do, by name; the pages add their own commands. Menus and keys go by these names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from PyQt6.QtCore import QCoreApplication
from PyQt6.QtGui import QActionGroup
from PyQt6.QtWidgets import QMainWindow

from gui.about import About
from gui.engine.live_network import Engine
from gui.qt.commands import Commands
from gui.qt.theme import THEMES, Theme
from gui.recording.page import RecordingPage
from gui.settings.dialog import open_settings
from gui.settings.shortcuts import ShortcutsEditor
from gui.start_page import StartPage

__all__ = ["add_window_commands"]

MORE = "\N{HORIZONTAL ELLIPSIS}"
Rows: TypeAlias = tuple[tuple[str, str, Callable[[], object], list[str], str], ...]
"""Name, text, what it does, keys, icon."""
ZOOM = 1.5
"""How much nearer or farther the timeline is after one step."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Menus", text)


def add_window_commands(
    commands: Commands,
    window: QMainWindow,
    *,
    start: StartPage,
    recordings: RecordingPage,
    engine: Engine,
    choose_results: Callable[[], None],
    reset_layout: Callable[[], None],
    new_job: Callable[[str], None],
    use_theme: Callable[[Theme], None],
    theme: str,
) -> None:
    """Add the commands of files, timeline, layout, jobs and help; `theme` is the one in use."""
    timeline, view = recordings.timeline, recordings.view
    first: Rows = (
        ("file.open", _tr("&Open video") + MORE, start.choose_files, ["Ctrl+O"], "film"),
        ("file.store", _tr("Open re&cording") + MORE, start.choose_recording, [], "film"),
        ("file.watch", _tr("&Watch video like a camera") + MORE, start.choose_watched, [], "grid"),
        ("file.folder", _tr("Open image &folder") + MORE, start.choose_folder, [], "folder"),
        ("file.settings", _tr("&Settings") + MORE, lambda: open_settings(engine, window), ["Ctrl+,"], "settings"),
        ("file.results", _tr("Folder for &recordings") + MORE, choose_results, [], ""),
        ("file.quit", _tr("&Quit"), window.close, ["Ctrl+Q"], ""),
        ("view.zoom_in", _tr("Timeline &nearer"), lambda: timeline.zoom(ZOOM), ["Ctrl++", "Ctrl+="], ""),
        ("view.zoom_out", _tr("Timeline &farther"), lambda: timeline.zoom(1 / ZOOM), ["Ctrl+-"], ""),
        ("view.zoom_all", _tr("Timeline &whole"), timeline.zoom_all, ["Ctrl+0"], ""),
        ("view.frame", _tr("&Whole frame"), view.reset_zoom, ["Ctrl+9"], ""),
        ("view.reset", _tr("&Reset layout"), reset_layout, [], ""),
    )
    for name, text, slot, keys, icon_name in first:
        commands.add(name, text, slot, keys=keys, owner=window, icon_name=icon_name)
    _add_themes(commands, window, use_theme, theme)
    then: Rows = (
        ("jobs.new", _tr("&New job") + MORE, lambda: new_job(""), ["Ctrl+J"], "jobs"),
        ("jobs.annotate", _tr("&Annotate videos") + MORE, lambda: new_job("Annotate videos"), [], ""),
        ("jobs.train", _tr("&Train a detector") + MORE, lambda: new_job("Train a detector"), [], ""),
        ("help.keys", _tr("&Keys") + MORE, lambda: ShortcutsEditor(commands, window).exec(), ["F1"], ""),
        ("help.about", _tr("&About Sightline"), lambda: About(window).exec(), [], ""),
    )
    for name, text, slot, keys, icon_name in then:
        commands.add(name, text, slot, keys=keys, owner=window, icon_name=icon_name)


def _add_themes(commands: Commands, window: QMainWindow, use_theme: Callable[[Theme], None], chosen: str) -> None:
    names = {"system": _tr("As the &system"), "light": _tr("&Light"), "dark": _tr("&Dark")}
    group = QActionGroup(window)
    for theme in THEMES:
        action = commands.add(
            f"theme.{theme}", names[theme], _when_chosen(use_theme, theme), owner=window, checkable=True
        )
        action.blockSignals(True)
        action.setChecked(theme == chosen)
        action.blockSignals(False)
        group.addAction(action)  # now that it is ticked: that is how a group learns which one is


def _when_chosen(use_theme: Callable[[Theme], None], theme: Theme) -> Callable[[bool], None]:
    def toggled(on: bool) -> None:
        if on:
            use_theme(theme)

    return toggled
