"""The row below the frame: play, position, speed, and how far the annotation is."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QAbstractButton,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QWidget,
)

from gui.qt.elided_label import ElidedLabel
from gui.recording.annotation import Annotation
from gui.recording.player import Player
from gui.recording.timeline_layout import clock

__all__ = ["Transport"]


class Transport(QWidget):
    """Shows where the player and the annotation stand."""

    held = pyqtSignal()
    """Hold the annotation, or go on with it."""
    finished = pyqtSignal()
    """What is annotated so far is to be the whole recording."""

    def __init__(self, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.setSpacing(2)
        for action in actions:
            button = QToolButton()
            button.setDefaultAction(action)
            button.setIconSize(QSize(20, 20))
            button.setAccessibleName(action.text().replace("&", ""))
            layout.addWidget(button)
        self._position = QLabel("0:00.00")
        self._position.setAccessibleName(self.tr("Position"))
        self._position.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        font = self._position.font()
        font.setBold(True)
        self._position.setFont(font)
        self._length = ElidedLabel()
        self._length.setProperty("role", "quiet")
        self._extra = ElidedLabel()
        self._extra.setProperty("role", "quiet")
        layout.addSpacing(8)
        for label in (self._position, self._length, self._extra):
            layout.addWidget(label)
            layout.addSpacing(8)
        layout.addStretch(1)
        self._words = ElidedLabel()
        self._words.setProperty("role", "quiet")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setMinimumWidth(24)
        self._bar.setMaximumWidth(120)
        self._bar.setAccessibleName(self.tr("Annotated so far"))
        self._hold = QPushButton(self.tr("&Hold"))
        self._hold.setAutoDefault(False)
        self._hold.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._hold.clicked.connect(self.held)
        self._finish = QPushButton(self.tr("Finish &here"))
        self._finish.setToolTip(self.tr("Ends the annotation: what is annotated so far is the whole recording"))
        self._finish.setAutoDefault(False)
        self._finish.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._finish.clicked.connect(self.finished)
        self.show_annotation(None, complete=False, frames=1)
        for widget in (self._words, self._bar, self._hold, self._finish):
            layout.addWidget(widget)
            layout.addSpacing(6)

    @property
    def buttons(self) -> list[QAbstractButton]:
        """From left to right."""
        return self.findChildren(QAbstractButton)

    @property
    def words(self) -> str:
        """What is reported about the annotation."""
        return self._words.text()

    @property
    def position_words(self) -> str:
        """Time, frame, speed and range in words."""
        return "  ".join(label.text() for label in (self._position, self._length, self._extra))

    def show_position(self, player: Player) -> None:
        """Time, frame, speed and range."""
        index, count = player.index, player.count
        if not count:
            self._length.setText(self.tr("looking through the file") if not player.problem else "")
            return
        seconds = float(player.times[min(index, count - 1)])
        self._position.setText(clock(seconds, parts=2))
        end = clock(float(player.times[-1]), parts=0)
        self._length.setText(self.tr("of {0}   frame {1} of {2}").format(end, index + 1, count))
        parts = []
        if player.speed != 1.0:
            parts.append(f"{player.speed:g}\N{MULTIPLICATION SIGN}")
        if player.loop_range is not None:
            first, last = player.loop_range
            parts.append(self.tr("repeats {0} to {1}").format(first + 1, last + 1))
        self._extra.setText("   ".join(parts))

    def show_annotation(
        self, annotation: Annotation | None, *, complete: bool, frames: int, readable: bool = True
    ) -> None:
        """How far it is and how long it will take, and what went wrong; what is not `readable` is not gone on with."""
        running = annotation is not None and annotation.running
        problem = annotation.problem if annotation is not None else ""
        self._words.setProperty("role", "wrong" if problem else "quiet")
        self._bar.setVisible(running)
        self._hold.setVisible(running or bool(annotation is not None and not complete and readable))
        self._finish.setVisible(not running and not self._hold.isHidden())
        self._hold.setText(self.tr("&Hold") if running else self.tr("&Go on"))
        self._hold.setEnabled(annotation is None or not annotation.stopping)
        if problem:
            self._words.setText(problem if len(problem) < 90 else problem[:88] + "\N{HORIZONTAL ELLIPSIS}")
        elif annotation is not None and running:
            self._words.setText(self._progress_words(annotation))
            total = annotation.total or frames
            self._bar.setRange(0, total)
            self._bar.setValue(min(annotation.done, total))
        elif complete:
            self._words.setText("")
        else:
            self._words.setText(self.tr("Annotation is held") if annotation is not None else "")
        self._words.setToolTip(problem or self._words.text())
        style = self._words.style()
        if style is not None:
            style.unpolish(self._words)
            style.polish(self._words)

    def _progress_words(self, annotation: Annotation) -> str:
        if annotation.stopping:
            return self.tr("Holding")
        if not annotation.stage:
            return self.tr("Network is loading")
        if annotation.stage != "reading":
            return self.tr("Finishing: {0}").format(annotation.stage)
        parts = [self.tr("Annotating")]
        if annotation.total:
            parts.append(f"{100 * annotation.done // annotation.total} %")
        left = annotation.seconds_left
        if left is not None:
            parts.append(self.tr("{0} left").format(clock(left)))
        if annotation.rate:
            rate = annotation.rate
            parts.append(self.tr("{0} frames/s").format(f"{rate:.0f}" if rate >= 1 else f"{rate:.1g}"))
        return "  ".join(parts)
