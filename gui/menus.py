"""The window's menus: which command stands where, by name."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QCoreApplication
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QMainWindow, QMenu

from gui.docks import Docks
from gui.qt.commands import Commands
from gui.qt.preferences import Preferences
from gui.qt.theme import THEMES

__all__ = ["add_menus"]

FILE = (
    ("file.open", "file.store", "file.watch", "file.folder"),
    ("file.settings", "file.results"),
    ("file.quit",),
)
RECORDING = tuple(
    tuple(f"recording.{name}" for name in group)
    for group in (
        ("play", "step", "back", "loop", "snapshot", "full"),
        ("undo", "redo"),
        ("merge", "split", "class", "relabel", "delete", "delete_here", "interpolate", "box"),
        ("next_keyframe", "last_keyframe", "mark_in", "mark_out"),
        ("follow", "solo", "inspect", "heat", "unselect"),
        ("similar", "across"),
        ("again", "range", "export"),
    )
)
VIEW = (("view.zoom_in", "view.zoom_out", "view.zoom_all", "view.frame"), ("view.reset",))
JOBS = (("jobs.new", "jobs.annotate", "jobs.train"),)
HELP = (("help.keys", "help.about"),)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Menus", text)


def add_menus(window: QMainWindow, commands: Commands, docks: Docks, preferences: Preferences) -> None:
    """File, Recording, View, Jobs, Help; raises KeyError for a command that nobody added."""
    _place(_menu(window, _tr("&File")), commands, FILE)
    recording = _menu(window, _tr("&Recording"))
    recording.setToolTipsVisible(True)  # they say why something cannot be done now
    _place(recording, commands, RECORDING)
    recording.addAction(_refine_new(window, preferences))
    view = _menu(window, _tr("&View"))
    view.addActions(docks.actions())
    view.addSeparator()
    _place(view, commands, VIEW)
    themes = view.addMenu(_tr("&Theme"))
    assert themes is not None
    _place(themes, commands, [[f"theme.{theme}" for theme in THEMES]])
    jobs = _menu(window, _tr("&Jobs"))
    _place(jobs, commands, JOBS)
    jobs.addSeparator()
    jobs.addAction(docks["jobs"].toggleViewAction())
    _place(_menu(window, _tr("&Help")), commands, HELP)


def _menu(window: QMainWindow, title: str) -> QMenu:
    bar = window.menuBar()
    assert bar is not None
    menu = bar.addMenu(title)
    assert menu is not None
    return menu


def _place(menu: QMenu, commands: Commands, groups: Sequence[Sequence[str]]) -> None:
    """Put commands into a menu, with a line between two groups."""
    for number, names in enumerate(groups):
        if number:
            menu.addSeparator()
        menu.addActions([commands[name] for name in names])


def _refine_new(window: QMainWindow, preferences: Preferences) -> QAction:
    """Whether recordings made from now on are refined when they are done."""
    action = QAction(_tr("Go over &new annotations once more: link, fill, smooth"), window)
    action.setCheckable(True)
    action.setChecked(preferences.flag("refine"))
    action.toggled.connect(lambda on: preferences.keep("refine", on))
    return action
