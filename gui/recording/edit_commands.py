"""Corrections as commands: what is selected, asked for where something is missing, made and worded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QInputDialog, QWidget

from gui.canvas.hit_testing import Box
from gui.qt.commands import Commands
from gui.recording.session import PlayedRecording

__all__ = ["Corrections"]

MOST_NAMED = 8


class Corrections(QObject):
    """Gives the page its commands and makes corrections in the recording that is open."""

    def __init__(self, page: QWidget, commands: Commands, recording: Callable[[], PlayedRecording | None]) -> None:
        super().__init__(page)
        self._page = page
        self._commands = commands
        self._recording = recording
        for name, text, slot, keys, picture in (
            ("undo", self.tr("&Undo"), self.undo, ["Ctrl+Z"], "undo"),
            ("redo", self.tr("Re&do"), self.redo, ["Ctrl+Shift+Z", "Ctrl+Y"], "redo"),
            ("merge", self.tr("&Merge selected tracks"), self.merge, ["M"], "merge"),
            ("split", self.tr("S&plit at this frame"), self.split, ["X"], "split"),
            ("class", self.tr("Change &class"), self.ask_class, ["C"], "tag"),
            ("relabel", self.tr("Change &id"), self.ask_id, ["N"], "person"),
            ("delete", self.tr("D&elete track"), self.delete, ["Delete"], "trash"),
            ("delete_here", self.tr("Delete in &this frame"), self.delete_here, ["Shift+Delete"], "close"),
        ):
            commands.add(f"recording.{name}", text, slot, keys=keys, owner=page, scope="recording", picture=picture)

    def refresh(self) -> None:
        """Offer what can be done now."""
        recording = self._recording()
        ready = recording is not None and recording.correctable
        selected = len(recording.selected) if recording is not None else 0
        overview = recording.overview if recording is not None else None
        allowed = {
            "undo": ready and overview is not None and overview.can_undo,
            "redo": ready and overview is not None and overview.can_redo,
            "merge": ready and selected >= 2,
            "split": ready and selected == 1,
            "class": ready and selected >= 1,
            "relabel": ready and selected == 1,
            "delete": ready and selected >= 1,
            "delete_here": ready and selected >= 1,
            "box": ready,
        }
        for name, on in allowed.items():
            self._commands[f"recording.{name}"].setEnabled(on)

    def undo(self) -> None:
        """Take the last correction back."""
        recording = self._recording()
        if recording is not None:
            recording.correct(lambda editor: editor.undo(), lambda edit: self.tr("Undone: {0}").format(edit.kind))

    def redo(self) -> None:
        """Make it once more."""
        recording = self._recording()
        if recording is not None:
            recording.correct(lambda editor: editor.redo(), lambda edit: self.tr("Done again: {0}").format(edit.kind))

    def merge(self) -> None:
        """One track of those selected, under the id that is seen first."""
        recording, tracks = self._chosen()
        if recording is None or len(tracks) < 2:
            return
        keep, *others = tracks
        recording.correct(
            lambda editor: editor.merge(keep, *others),
            lambda _: self.tr("Merged {0} into {1}").format(_named(others), keep),
        )

    def split(self) -> None:
        """Two tracks of the one selected: what comes from this frame on is another."""
        recording, tracks = self._chosen()
        if recording is None or len(tracks) != 1:
            return
        track, frame = tracks[0], recording.player.index
        recording.correct(
            lambda editor: editor.split(track, frame),
            lambda edit: self.tr("From frame {0} on, {1} is {2}").format(frame, track, edit.details["new"]),
        )

    def delete(self) -> None:
        """Without the selected tracks."""
        recording, tracks = self._chosen()
        if recording is None:
            return
        recording.correct(lambda editor: editor.delete(tracks), lambda _: self.tr("Deleted {0}").format(_named(tracks)))

    def delete_here(self) -> None:
        """Without the selected tracks in this frame."""
        recording, tracks = self._chosen()
        if recording is None:
            return
        frame = recording.player.index
        recording.correct(
            lambda editor: editor.delete(tracks, frame, frame),
            lambda _: self.tr("Deleted {0} in frame {1}").format(_named(tracks), frame),
        )

    def change_class(self, label: str) -> None:
        """The selected tracks are something else."""
        recording, tracks = self._chosen()
        if recording is None:
            return
        recording.correct(
            lambda editor: editor.change_class(tracks, label),
            lambda _: self.tr("{0} is {1}").format(_named(tracks), label),
        )

    def relabel(self, new_id: int) -> None:
        """The selected track has another id."""
        recording, tracks = self._chosen()
        if recording is None or len(tracks) != 1:
            return
        track = tracks[0]
        recording.correct(
            lambda editor: editor.relabel(track, new_id), lambda _: self.tr("{0} is {1} now").format(track, new_id)
        )

    def move_box(self, track_id: int, box: Box, *, frame: int | None = None) -> None:
        """The track's box in that frame, else in the one shown, lies here."""
        recording = self._recording()
        if recording is None:
            return
        frame = recording.player.index if frame is None else frame
        recording.correct(
            lambda editor: editor.set_box(track_id, frame, box),
            lambda _: self.tr("Moved the box of {0} in frame {1}").format(track_id, frame),
        )

    def add_box(self, box: Box, label: str | None = None, *, frame: int | None = None) -> None:
        """A box in that frame, else in the one shown: of the selected track, or of a new one, whose class is asked."""
        recording, tracks = self._chosen()
        if recording is None:
            return
        frame = recording.player.index if frame is None else frame
        track = tracks[0] if len(tracks) == 1 else None
        if track is None and label is None:
            label = self._ask_label(self.tr("Class of the new track"))
            if label is None:
                return
        recording.correct(
            lambda editor: editor.set_box(track, frame, box, label=label if track is None else None),
            lambda edit: self.tr("Added a box of {0} in frame {1}").format(edit.details["track"], frame),
        )

    def ask_class(self) -> None:
        """Ask which class the selected tracks are of."""
        label = self._ask_label(self.tr("Class"))
        if label is not None:
            self.change_class(label)

    def ask_id(self) -> None:
        """Ask for the selected track's new id."""
        recording, tracks = self._chosen()
        if recording is None or len(tracks) != 1:
            return
        new_id, taken = QInputDialog.getInt(
            self._page, self.tr("Change id"), self.tr("New id of {0}").format(tracks[0]), tracks[0], 1, 2**31 - 1
        )
        if taken:
            self.relabel(new_id)

    def _ask_label(self, title: str) -> str | None:
        recording, tracks = self._chosen()
        if recording is None or recording.overview is None:
            return None
        labels = list(recording.overview.labels)
        classes = {track.track_id: track.class_id for track in recording.overview.tracks}
        present = max(classes.get(tracks[0], 0), 0) if tracks else 0
        label, taken = QInputDialog.getItem(
            self._page, title, self.tr("Choose or write one"), labels, min(present, len(labels) - 1), True
        )
        return label.strip() if taken and label.strip() else None

    def _chosen(self) -> tuple[PlayedRecording | None, list[int]]:
        """The recording and its selected tracks, the one seen first first."""
        recording = self._recording()
        if recording is None or recording.overview is None:
            return None, []
        chosen = [track for track in recording.overview.tracks if track.track_id in recording.selected]
        chosen.sort(key=lambda track: (track.first_frame, track.track_id))
        return recording, [track.track_id for track in chosen]


def _named(tracks: Sequence[int]) -> str:
    """The ids in words, the first of many."""
    more = f" +{len(tracks) - MOST_NAMED}" if len(tracks) > MOST_NAMED else ""
    return ", ".join(map(str, tracks[:MOST_NAMED])) + more
