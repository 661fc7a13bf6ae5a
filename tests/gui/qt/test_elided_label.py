"""Words that give way to the room there is."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from gui.qt.elided_label import ElidedLabel

TEXT = "Annotating  51 %  0:33 left  9 frames/s"


def test_a_wide_label_shows_all_and_a_narrow_one_says_that_it_does_not(qtbot: QtBot) -> None:
    label = ElidedLabel()
    qtbot.addWidget(label)
    label.setText(TEXT)
    label.resize(label.sizeHint())
    label.show()
    assert label.shown == TEXT
    label.resize(label.sizeHint().width() // 2, label.height())
    assert label.shown.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert TEXT.startswith(label.shown[:-1].rstrip())
    assert label.text() == TEXT
    assert label.fontMetrics().horizontalAdvance(label.shown) <= label.width()


def test_what_is_wanted_follows_the_text_and_not_the_room(qtbot: QtBot) -> None:
    label = ElidedLabel()
    qtbot.addWidget(label)
    label.setText(TEXT)
    wanted = label.sizeHint()
    label.resize(30, 20)
    assert label.sizeHint() == wanted
    assert label.minimumSizeHint().width() < wanted.width() / 3
    label.setText("")
    assert label.minimumSizeHint().width() <= 2
