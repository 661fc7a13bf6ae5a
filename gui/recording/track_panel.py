"""The track table with the recording behind it: rows from its overview, thumbnails from its frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QWidget

from gui.recording.session import PlayedRecording
from gui.recording.store_reader import Overview
from gui.recording.thumbnails import Thumbnailer, Wish
from gui.recording.track_list_view import TrackRow, TrackTable
from tracker.errors import FormatError
from tracker.store import Recording

__all__ = ["TrackPanel"]

THUMBNAILS_MS = 200


class TrackPanel(TrackTable):
    """Shows the tracks of the recording that is open."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._recording: PlayedRecording | None = None
        self._thumbnailer: Thumbnailer[int] | None = None
        self._edits: object = None
        self._timer = QTimer(self)
        self._timer.setInterval(THUMBNAILS_MS)
        self._timer.timeout.connect(self._take)
        self.wanted.connect(self._ask)

    def begin(self, recording: PlayedRecording) -> None:
        """Show this recording."""
        self.end()
        self._recording = recording
        self._thumbnailer = Thumbnailer(recording.open_video, lambda track: _find(recording, track))
        self._timer.start()
        recording.hiding_changed.connect(self.drop_thumbnails)
        recording.renumbered.connect(self._thumbnailer.reopen)
        recording.renumbered.connect(self.drop_thumbnails)

    def end(self) -> None:
        """Show none."""
        if self._thumbnailer is not None:
            self._thumbnailer.close()
        self._thumbnailer = self._recording = None
        self._timer.stop()
        self.show_tracks([], anew=True)

    def show_overview(self, overview: Overview | None, time_of: Callable[[int], float]) -> None:
        """These tracks."""
        if overview is None:
            self.show_tracks([], anew=True)
            return
        rows = [
            TrackRow(
                track.track_id,
                track.class_id,
                overview.labels[track.class_id] if 0 <= track.class_id < len(overview.labels) else "",
                time_of(track.first_frame),
                time_of(track.last_frame),
            )
            for track in overview.tracks
        ]
        edits = (overview.complete, [(edit.number, edit.undone) for edit in overview.edits])
        anew, self._edits = edits != self._edits, edits
        self.show_tracks(rows, anew=anew)

    def _ask(self, track_id: int) -> None:
        if self._thumbnailer is not None:
            self._thumbnailer.ask(track_id)

    def _take(self) -> None:
        if self._thumbnailer is not None:
            self.put_thumbnails(self._thumbnailer.take())


def _find(recording: PlayedRecording, track_id: int) -> Wish | None:
    """Where a track is seen large and sure; None where something is to be hidden."""
    if recording.hides:
        return None
    try:
        with Recording(recording.store) as store:
            rows = store.observations_of(track_id)
    except FormatError:
        return None
    if not len(rows):
        return None
    x1, y1, x2, y2 = rows.boxes.T
    best = int(np.argmax((x2 - x1) * (y2 - y1) * rows.scores))
    left, top, right, bottom = rows.boxes[best].tolist()
    return Wish(int(rows.frames[best]), (left, top, right, bottom))
