"""For those who use no mouse: Tab reaches tool bars, and controls keep the keys that they need from commands."""

from __future__ import annotations

from itertools import pairwise

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialogButtonBox,
    QGroupBox,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QTabBar,
    QTextEdit,
    QToolBar,
    QToolButton,
    QWidget,
)

__all__ = ["keep_own_keys", "order_buttons", "order_tabs", "reach_by_tab"]

ARROWS = frozenset({Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right})
MOVES = ARROWS | {Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown}
MOVED_IN = QAbstractItemView | QAbstractSlider | QAbstractSpinBox | QLineEdit | QPlainTextEdit | QScrollArea | QTextEdit
"""What these keys move in. Fields claim by themselves what is typed into them and what edits it."""


class _OwnKeys(QObject):
    """Keeps for the control that has the focus the keys that it needs, where they are commands' keys as well."""

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Claim the key before it becomes a command: it comes here if no widget inside has claimed it."""
        claims = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride
        if claims and _needs(QApplication.focusWidget(), event):  # type: ignore[arg-type]
            event.accept()  # type: ignore[union-attr]
            return True
        return False


def _needs(control: QWidget | None, event: QKeyEvent) -> bool:
    if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
        return False
    key = event.key()
    if isinstance(control, QAbstractButton):
        chooses = control.autoExclusive() or control.group() is not None
        return key == Qt.Key.Key_Space or (chooses and key in ARROWS)
    if isinstance(control, QGroupBox):
        return key == Qt.Key.Key_Space
    if isinstance(control, QComboBox):
        return key == Qt.Key.Key_Space or key in MOVES
    if isinstance(control, QTabBar):
        return key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)
    if isinstance(control, QAbstractItemView) and key == Qt.Key.Key_Space:
        return bool(control.currentIndex().flags() & Qt.ItemFlag.ItemIsUserCheckable)
    return isinstance(control, MOVED_IN) and key in MOVES


def keep_own_keys(window: QWidget) -> None:
    """Let the controls in a window, or in a dock that can become one, use their keys though commands have them too."""
    window.installEventFilter(_OwnKeys(window))


def reach_by_tab(bar: QToolBar) -> list[QToolButton]:
    """Let Tab go through a tool bar; its buttons from left to right."""
    buttons = []
    for action in bar.actions():
        button = bar.widgetForAction(action)
        if isinstance(button, QToolButton):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            if not button.accessibleName():
                button.setAccessibleName(action.text().replace("&", ""))
            buttons.append(button)
    return buttons


def order_tabs(*controls: QWidget) -> None:
    """Tab goes through them in this order."""
    for before, after in pairwise(controls):
        QWidget.setTabOrder(before, after)


def order_buttons(box: QDialogButtonBox) -> None:
    """Tab goes through a dialog's buttons as this system lays them out."""
    layout = box.layout()
    if layout is not None:
        items = [layout.itemAt(number) for number in range(layout.count())]
        order_tabs(*(button for item in items if item is not None and (button := item.widget()) is not None))
