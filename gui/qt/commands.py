"""Everything the user can do, by name: actions with keys that can be changed, and what keys are taken twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget

from gui.qt.icons import icon
from gui.qt.preferences import Preferences

__all__ = ["Command", "Commands"]

EVERYWHERE = "window"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do and its keys."""

    name: str
    """Stable, for the settings store."""
    scope: str
    """Where its keys work: the window, or one page of it."""
    action: QAction
    default: tuple[str, ...]


class Commands(QObject):
    """All commands of a window."""

    def __init__(self, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._commands: dict[str, Command] = {}
        self._front = EVERYWHERE

    def add(
        self,
        name: str,
        text: str,
        slot: Callable[[], object] | Callable[[bool], object],
        *,
        keys: Sequence[str] = (),
        owner: QWidget,
        scope: str = EVERYWHERE,
        icon_name: str = "",
        checkable: bool = False,
    ) -> QAction:
        """A new command; its keys work in `owner` and what is inside it, and where `work_everywhere` says."""
        action = QAction(text, owner)
        action.setObjectName(name)
        action.setCheckable(checkable)
        if checkable:
            action.toggled.connect(slot)
        else:
            action.triggered.connect(lambda _checked=False: slot())  # type: ignore[call-arg]
        if icon_name:
            action.setIcon(icon(icon_name))
        owner.addAction(action)
        self._commands[name] = Command(name, scope, action, tuple(keys))
        self._place(self._commands[name])
        self._bind(self._commands[name], self.keys_of(name))
        return action

    def offer(self, name: str, why_not: str = "") -> None:
        """Let a command be used, or say in its tooltip why it cannot be used now."""
        action = self._commands[name].action
        if (action.isEnabled(), action.property("why not") or "") != (not why_not, why_not):
            action.setEnabled(not why_not)
            action.setProperty("why not", why_not)
            self._word(self._commands[name], self.keys_of(name))

    def why_not(self, name: str) -> str:
        """Why a command cannot be used now; empty where it can."""
        return str(self._commands[name].action.property("why not") or "")

    def work_everywhere(self, scope: str) -> None:
        """Make the keys of the page in front work in the whole window, in docks and bars too; no other page's do."""
        self._front = scope
        for command in self._commands.values():
            self._place(command)

    def __getitem__(self, name: str) -> QAction:
        return self._commands[name].action

    def all(self) -> list[Command]:
        """In the order in which they were added."""
        return list(self._commands.values())

    def keys_of(self, name: str) -> tuple[str, ...]:
        """The keys of a command, the user's or the default ones."""
        saved = self._preferences.tree("keys").get(name)
        if isinstance(saved, list) and all(isinstance(key, str) for key in saved):
            return tuple(saved)
        return self._commands[name].default

    def change_keys(self, name: str, keys: Sequence[str] | None) -> None:
        """Use other keys for a command; None gives the default ones back."""
        saved = self._preferences.tree("keys")
        if keys is None:
            saved.pop(name, None)
        else:
            saved[name] = list(keys)
        self._preferences.keep_tree("keys", saved)
        self._bind(self._commands[name], self.keys_of(name))

    def conflicts(self) -> dict[str, list[str]]:
        """Keys that more than one command of the same place has, with those commands' names."""
        users: dict[tuple[str, str], list[str]] = defaultdict(list)
        scopes = {command.scope for command in self._commands.values()} - {EVERYWHERE}
        for command in self._commands.values():
            places = scopes or {EVERYWHERE} if command.scope == EVERYWHERE else {command.scope}
            for place in places:
                for key in self.keys_of(command.name):
                    users[place, QKeySequence(key).toString()].append(command.name)
        twice: dict[str, list[str]] = {}
        for (_, key), names in users.items():
            if key and len(names) > 1:
                twice[key] = sorted({*twice.get(key, []), *names})
        return twice

    def _place(self, command: Command) -> None:
        whole = command.scope in (EVERYWHERE, self._front)
        context = Qt.ShortcutContext.WindowShortcut if whole else Qt.ShortcutContext.WidgetWithChildrenShortcut
        command.action.setShortcutContext(context)

    def _bind(self, command: Command, keys: Sequence[str]) -> None:
        command.action.setShortcuts([QKeySequence(key) for key in keys if key])
        self._word(command, keys)

    def _word(self, command: Command, keys: Sequence[str]) -> None:
        shown = ", ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys if key)
        text = command.action.text().replace("&", "")
        words = f"{text} ({shown})" if shown else text
        why_not = command.action.property("why not")
        command.action.setToolTip(f"{words}\n{why_not}" if why_not else words)
        command.action.setStatusTip(str(why_not or ""))
