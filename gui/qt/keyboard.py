"""Tool bars and buttons for those who use no mouse: Tab reaches them, Space presses them."""

from __future__ import annotations

from itertools import pairwise

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QAbstractButton, QDialogButtonBox, QToolBar, QToolButton, QWidget

__all__ = ["let_space_press", "order_buttons", "order_tabs", "reach_by_tab"]


class _Space(QObject):
    """Keeps Space for the button that has the focus, where it is a command's key as well."""

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Claim the key before it becomes a command."""
        claims = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride
        if claims and event.key() == Qt.Key.Key_Space and not event.modifiers():  # type: ignore[union-attr]
            event.accept()  # type: ignore[union-attr]
            return True
        return False


def let_space_press(page: QWidget) -> None:
    """Let Space press whichever button of the page has the focus."""
    keeper = _Space(page)
    for button in page.findChildren(QAbstractButton):
        button.installEventFilter(keeper)


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
