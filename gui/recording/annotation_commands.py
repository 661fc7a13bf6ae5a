"""What a person asks of the annotation behind the player: hold it, end it here, begin anew, repair its store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QMessageBox, QWidget

from gui.recording.repair_bar import RepairBar
from gui.recording.session import PlayedRecording
from tracker.errors import TrackerError
from tracker.store import restore_copy, set_aside

__all__ = ["AnnotationCommands"]


class AnnotationCommands(QObject):
    """Asks the recording that is open, and first the person where corrections would be lost."""

    said = pyqtSignal(str)
    restored = pyqtSignal(Path)
    """A store that is not open is whole again."""

    def __init__(self, page: QWidget, recording: Callable[[], PlayedRecording | None], repair_bar: RepairBar) -> None:
        super().__init__(page)
        self._page = page
        self._recording = recording
        self._repair_bar = repair_bar
        repair_bar.again.connect(self._annotate_damaged_again)
        repair_bar.copy_chosen.connect(self._restore)

    def annotate_again(self) -> None:
        """Begin the annotation anew with the settings of now; ask where corrections would be lost."""
        recording = self._recording()
        if recording is None:
            return
        overview = recording.overview
        if overview is not None and overview.can_undo and not self._may_overwrite():
            return
        recording.annotate_again()

    def annotate_range(self) -> None:
        """Annotate only from the in mark to the out mark; ask where corrections would be lost."""
        recording = self._recording()
        span = recording.player.loop_range if recording is not None else None
        if recording is None or span is None:
            self.said.emit(self.tr("Mark the first frame of the range with Shift+I and the last with Shift+O first."))
            return
        overview = recording.overview
        if overview is None or not overview.can_undo or self._may_overwrite():
            recording.annotate_again(*span)

    def hold_or_go_on(self) -> None:
        """Stop what is at work, or go on with what is left."""
        recording = self._recording()
        if recording is None:
            return
        if recording.annotating:
            recording.stop_annotation()
        else:
            recording.go_on()

    def finish_here(self) -> None:
        """Make what is annotated so far the whole recording."""
        recording = self._recording()
        if recording is not None:
            recording.finish_here()

    def _annotate_damaged_again(self, store: Path) -> None:
        recording = self._recording()
        self._repair_bar.hide()
        if recording is not None and recording.store == store:
            recording.repair()
            return
        try:  # without the store nothing says which video it was of
            aside = set_aside(store)
        except TrackerError as error:
            self.said.emit(str(error))
            return
        self.said.emit(self.tr("{0} is kept as {1}; open its video to annotate it again").format(store, aside.name))

    def _restore(self, store: Path, copy: Path) -> None:
        recording = self._recording()
        self._repair_bar.hide()
        if recording is not None and recording.store == store:
            recording.restore(copy)
            return
        try:
            restore_copy(store, copy)
        except TrackerError as error:
            self._repair_bar.show_damage(str(error), store)
            return
        self.restored.emit(store)

    def _may_overwrite(self) -> bool:
        box = QMessageBox(self._page)
        box.setWindowTitle("Sightline")
        box.setText(self.tr("This recording holds corrections made by hand."))
        box.setInformativeText(self.tr("Annotating again loses them."))
        box.setStandardButtons(QMessageBox.StandardButton.Discard | QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)  # a stray Enter loses nothing
        return box.exec() == QMessageBox.StandardButton.Discard
