"""Corrections as commands: what is selected, asked for where something is missing, made and worded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QInputDialog, QWidget

from gui.canvas.hit_testing import Box
from gui.qt.commands import Commands
from gui.recording.session import PlayedRecording
from tracker.store import Edit

__all__ = ["Corrections", "describe_edit"]

MOST_NAMED = 8


class Corrections(QObject):
    """Gives the page its commands and makes corrections in the recording that is open."""

    def __init__(self, page: QWidget, commands: Commands, recording: Callable[[], PlayedRecording | None]) -> None:
        super().__init__(page)
        self._page = page
        self._commands = commands
        self._recording = recording
        for name, text, slot, keys, icon_name in (
            ("undo", self.tr("&Undo"), self.undo, ["Ctrl+Z"], "undo"),
            ("redo", self.tr("Re&do"), self.redo, ["Ctrl+Shift+Z", "Ctrl+Y"], "redo"),
            ("merge", self.tr("&Merge selected tracks"), self.merge, ["M"], "merge"),
            ("split", self.tr("S&plit at this frame"), self.split, ["X"], "split"),
            ("class", self.tr("Change &class"), self.ask_class, ["C"], "tag"),
            ("relabel", self.tr("Change &id"), self.ask_id, ["N"], "person"),
            ("delete", self.tr("D&elete track"), self.delete, ["Delete"], "trash"),
            ("delete_here", self.tr("Delete in &this frame"), self.delete_here, ["Shift+Delete"], "close"),
            ("interpolate", self.tr("&Interpolate between keyframes"), self.interpolate, ["K"], "interpolate"),
        ):
            commands.add(f"recording.{name}", text, slot, keys=keys, owner=page, scope="recording", icon_name=icon_name)

    def refresh(self) -> None:
        """Offer what can be done now, and say of the rest why not."""
        recording = self._recording()
        overview = recording.overview if recording is not None else None
        selected = len(recording.selected) if recording is not None else 0
        closed = self._why_closed(recording)
        none, one, two = (
            closed or ("" if enough else words)
            for enough, words in (
                (selected >= 1, self.tr("Select a track first: click its box, its bar or its row.")),
                (selected == 1, self.tr("Select one track first: click its box, its bar or its row.")),
                (selected >= 2, self.tr("Select two or more tracks first: hold Ctrl while you click.")),
            )
        )
        undoable, redoable = (overview.can_undo, overview.can_redo) if overview is not None else (False, False)
        for name, why_not in (
            ("undo", closed or ("" if undoable else self.tr("Nothing was corrected yet."))),
            ("redo", closed or ("" if redoable else self.tr("Nothing was undone."))),
            ("merge", two),
            ("split", one),
            ("class", none),
            ("relabel", one),
            ("delete", none),
            ("delete_here", none),
            ("interpolate", one),
            ("box", closed),
        ):
            self._commands.offer(f"recording.{name}", why_not)

    def _why_closed(self, recording: PlayedRecording | None) -> str:
        if recording is None:
            return self.tr("Open a recording first.")
        if recording.damage:
            return self.tr("The recording is damaged: repair it first.")
        return "" if recording.correctable else self.tr("Nothing is annotated yet: wait for the first seconds.")

    def undo(self) -> None:
        """Take the last correction back."""
        recording = self._recording()
        if recording is not None:
            recording.correct(
                lambda editor: editor.undo(), lambda edit: self.tr("Undone: {0}").format(describe_edit(edit))
            )

    def redo(self) -> None:
        """Make it once more."""
        recording = self._recording()
        if recording is not None:
            recording.correct(
                lambda editor: editor.redo(), lambda edit: self.tr("Done again: {0}").format(describe_edit(edit))
            )

    def merge(self) -> None:
        """One track of those selected, under the id that is seen first; whose boxes stay is asked where it matters."""
        recording, tracks = self._chosen()
        if recording is None or len(tracks) < 2:
            return
        recording.ask_store(
            lambda store: store.shared_frames(*tracks), lambda shared: self._merge(recording, tracks, shared)
        )

    def _merge(self, recording: PlayedRecording, tracks: Sequence[int], shared: Sequence[int]) -> None:
        keep, *others = tracks
        boxes_of = None
        if shared:
            boxes_of = self._ask_whose_boxes(tracks, shared)
            if boxes_of is None:
                return
        recording.correct(
            lambda editor: editor.merge(keep, *others, boxes_of=boxes_of),
            lambda edit: (
                self.tr("Merged {0} into {1}").format(_named(others), keep)
                + (
                    self.tr("; in {0} frames the box of {1} stayed").format(edit.details["shared"], boxes_of)
                    if boxes_of is not None
                    else ""
                )
            ),
        )

    def _ask_whose_boxes(self, tracks: Sequence[int], shared: Sequence[int]) -> int | None:
        words = self.tr(
            "Tracks {0} are visible together in {1} frames, first in frame {2}.\n"
            "A merged track has one box a frame. Keep there the boxes of track:"
        ).format(_named(tracks), len(shared), shared[0] + 1)
        names = list(map(str, tracks))
        chosen, taken = QInputDialog.getItem(self._page, self.tr("Merge tracks"), words, names, 0, editable=False)
        return int(chosen) if taken else None

    def split(self) -> None:
        """Two tracks of the one selected: what comes from this frame on is another."""
        recording, tracks = self._chosen()
        if recording is None or len(tracks) != 1:
            return
        track, frame = tracks[0], recording.player.index
        recording.correct(
            lambda editor: editor.split(track, frame),
            lambda edit: self.tr("From frame {0} on, {1} is {2}").format(frame + 1, track, edit.details["new"]),
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
            lambda _: self.tr("Deleted {0} in frame {1}").format(_named(tracks), frame + 1),
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

    def interpolate(self) -> None:
        """Straight lines between the keyframes around the frame shown, in place of what the network gave there."""
        recording, tracks = self._chosen()
        if recording is None or recording.overview is None or len(tracks) != 1:
            return
        track, now = tracks[0], recording.player.index
        frames = [frame for owner, frame in recording.overview.keyframes if owner == track]
        first = max((frame for frame in frames if frame <= now), default=None)
        last = min((frame for frame in frames if frame > now), default=None)
        if first is None or last is None:
            words = self.tr("Set the box of {0} by hand in a frame before and in one after this; it has {1} keyframes")
            recording.said.emit(words.format(track, len(frames)))
            return
        recording.correct(
            lambda editor: editor.interpolate(track, first, last),
            lambda edit: self.tr("Frames {0} to {1} of {2} are interpolated; {3} boxes of the network replaced").format(
                first + 1, last + 1, track, edit.details["replaced"]
            ),
        )

    def move_box(self, track_id: int, box: Box, *, frame: int | None = None) -> bool:
        """The track's box in that frame, else in the one shown, lies here; whether that is being saved."""
        recording = self._recording()
        if recording is None:
            return False
        frame = recording.player.index if frame is None else frame
        return recording.correct(
            lambda editor: editor.set_box(track_id, frame, box),
            lambda edit: self.tr("Moved the box of {0} in frame {1}").format(track_id, frame + 1) + self._more(edit),
        )

    def add_box(self, box: Box, label: str | None = None, *, frame: int | None = None) -> bool:
        """A box in that frame, else in the one shown: of the selected track, or of a new one, whose class is asked.

        Whether it is being saved.
        """
        recording, tracks = self._chosen()
        if recording is None:
            return False
        frame = recording.player.index if frame is None else frame
        track = tracks[0] if len(tracks) == 1 else None
        if track is None and label is None:
            label = self._ask_label(self.tr("Class of the new track"))
            if label is None:
                return False
        return recording.correct(
            lambda editor: editor.set_box(track, frame, box, label=label if track is None else None),
            lambda edit: (
                self.tr("Added a box of {0} in frame {1}").format(edit.details["track"], frame + 1) + self._more(edit)
            ),
        )

    def _more(self, edit: Edit) -> str:
        """What else a box that was set brought about."""
        more = ""
        if edit.details.get("mask") == "dropped":
            more += self.tr("; its mask was dropped, since the size is another")
        if edit.details.get("filled"):
            more += self.tr("; {0} frames between keyframes filled").format(edit.details["filled"])
        return more

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


def describe_edit(edit: Edit) -> str:
    """A correction in a few words: of which tracks, in which frames, and what became of them."""
    details = edit.details
    which = details.get("track", _named(details.get("tracks", details.get("others", ()))))
    if not which:
        return {"rules": "lines and zones"}.get(edit.kind, edit.kind)
    became = ""
    if edit.kind == "merge":
        became = f" into {details['keep']}"
    elif edit.kind == "relabel":
        became = f" to {details['new']}"
    elif edit.kind == "split":
        became = f": {details['new']} from there on"
    elif edit.kind == "class":
        became = f": {details['label']}"
    return f"{edit.kind} {which}{_where(details)}{became}"


def _where(details: Mapping[str, Any]) -> str:
    """The frames that are concerned, where these are not all of a track's."""
    first = details.get("frame", details.get("first"))
    last = details.get("frame", details.get("last"))
    if first is None or last is None or details.get("open"):
        return ""
    return f", frame {first + 1}" if first == last else f", frames {first + 1} to {last + 1}"


def _named(tracks: Sequence[int]) -> str:
    """The ids in words, the first of many."""
    more = f" +{len(tracks) - MOST_NAMED}" if len(tracks) > MOST_NAMED else ""
    return ", ".join(map(str, tracks[:MOST_NAMED])) + more
