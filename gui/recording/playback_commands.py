"""Keys and buttons of the player, as in mpv."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from gui.qt.commands import Commands
from gui.qt.icons import icon
from gui.recording.session import PlayedRecording

__all__ = ["Playback"]

SKIP_S = 5.0
SAME_TIME_S, PASSED_S = 0.001, 0.2
"""The next event lies later than this; the one before at least this far back, or playing on would hold one there."""
BEYOND_END = 2**62
"""A frame that no recording has: seeking is held at the last one."""
LONG_SKIP_S = 60.0


class Playback(QObject):
    """Plays, steps, skips, speeds, loops."""

    full_screen = pyqtSignal()
    buttons = ("back", "play", "step", "loop", "snapshot", "full")
    """Names of the commands that have a button below the frame."""

    def __init__(self, page: QWidget, commands: Commands, recording: Callable[[], PlayedRecording | None]) -> None:
        super().__init__(page)
        self._commands = commands
        self._recording = recording
        self._mark: int | None = None
        self._resume = False
        self._shown_playing: bool | None = None
        for name, text, slot, keys, icon_name in (
            ("play", self.tr("&Play or pause"), self.toggle, ["Space", "P"], "play"),
            ("back", self.tr("One frame &back"), lambda: self._step(-1), [","], "step-back"),
            ("step", self.tr("One frame &on"), lambda: self._step(1), ["."], "step"),
            ("left", self.tr("5 seconds back"), lambda: self._skip(-SKIP_S), ["Left"], ""),
            ("right", self.tr("5 seconds on"), lambda: self._skip(SKIP_S), ["Right"], ""),
            ("down", self.tr("1 minute back"), lambda: self._skip(-LONG_SKIP_S), ["Down"], ""),
            ("up", self.tr("1 minute on"), lambda: self._skip(LONG_SKIP_S), ["Up"], ""),
            ("home", self.tr("To the beginning"), lambda: self._seek(0), ["Home"], ""),
            ("end", self.tr("To the end"), lambda: self._seek(BEYOND_END), ["End"], ""),
            ("slower", self.tr("Slower"), lambda: self._speed(-1), ["["], ""),
            ("faster", self.tr("Faster"), lambda: self._speed(1), ["]"], ""),
            ("normal", self.tr("Normal speed"), lambda: self._speed(0), ["Backspace"], ""),
            ("next_event", self.tr("Next event"), lambda: self._to_event(1), ["PgDown"], ""),
            ("last_event", self.tr("Event before"), lambda: self._to_event(-1), ["PgUp"], ""),
            ("loop", self.tr("&Loop: set its start, its end, clear it"), self.loop, ["L"], "loop"),
            ("mark_in", self.tr("Mark the &first frame of a range"), self.mark_in, ["Shift+I"], "mark-in"),
            ("mark_out", self.tr("Mark the &last frame of a range"), self.mark_out, ["Shift+O"], "mark-out"),
            ("next_keyframe", self.tr("Next &keyframe"), lambda: self._to_keyframe(1), ["Shift+PgDown"], ""),
            ("last_keyframe", self.tr("Keyframe &before"), lambda: self._to_keyframe(-1), ["Shift+PgUp"], ""),
            ("snapshot", self.tr("&Snapshot"), self.snapshot, ["S"], "snapshot"),
            ("full", self.tr("&Full screen"), self.full_screen.emit, ["F"], "full"),
        ):
            commands.add(f"recording.{name}", text, slot, keys=keys, owner=page, scope="recording", icon_name=icon_name)

    def begin(self) -> None:
        """Another recording is open: what was marked in the one before means nothing in it."""
        self._mark, self._resume = None, False

    def refresh(self) -> None:
        """Offer what can be done now."""
        recording = self._recording()
        closed = "" if recording is not None else self.tr("Open a recording first.")
        ready = recording is not None and recording.player.ready
        for name in (*self.buttons, "mark_in", "mark_out", "next_keyframe", "last_keyframe"):
            self._commands.offer(f"recording.{name}", closed or ("" if ready else self.tr("The file is being read.")))
        playing = recording is not None and recording.player.playing
        if playing != self._shown_playing:
            self._shown_playing = playing
            self._commands["recording.play"].setIcon(icon("pause" if playing else "play"))

    def toggle(self) -> None:
        """Play, or hold."""
        recording = self._recording()
        if recording is not None:
            recording.player.play(on=not recording.player.playing)

    def loop(self) -> None:
        """The range's start, then its end, then none."""
        recording = self._recording()
        if recording is None:
            return
        player = recording.player
        if player.loop_range is not None:
            player.repeat(None)
            self._mark = None
        elif self._mark is None:
            self._mark = player.index
            recording.said.emit(self.tr("The loop begins at frame {0}; again for its end").format(self._mark + 1))
        else:
            player.repeat((self._mark, player.index))
            self._mark = None

    def mark_in(self) -> None:
        """The range that is repeated, and can be annotated alone, begins at this frame."""
        recording = self._recording()
        if recording is not None:
            player = recording.player
            last = player.loop_range[1] if player.loop_range is not None else player.count - 1
            self._mark_range(recording, player.index, max(last, player.index))

    def mark_out(self) -> None:
        """It ends at this frame."""
        recording = self._recording()
        if recording is not None:
            player = recording.player
            first = player.loop_range[0] if player.loop_range is not None else 0
            self._mark_range(recording, min(first, player.index), player.index)

    def _mark_range(self, recording: PlayedRecording, first: int, last: int) -> None:
        self._mark = None
        recording.player.repeat((first, last))
        recording.said.emit(self.tr("The range is frame {0} to {1}; L clears it").format(first + 1, last + 1))

    def snapshot(self) -> None:
        """Save the frame shown."""
        recording = self._recording()
        if recording is not None:
            recording.snapshot()

    def scrub(self, on: bool) -> None:
        """Hold while the timeline is dragged, go on afterwards."""
        recording = self._recording()
        if recording is None:
            return
        if on:
            self._resume = recording.player.playing
            recording.player.play(on=False)
        elif self._resume:
            recording.player.play(on=True)

    def hold_at(self, frame: int) -> None:
        """A box is being drawn or dragged in this frame; the next one must not take its place."""
        recording = self._recording()
        if recording is not None and recording.player.playing:
            recording.player.play(on=False)
            recording.player.seek(frame)

    def _step(self, frames: int) -> None:
        recording = self._recording()
        if recording is not None:
            recording.player.step(frames)

    def _skip(self, seconds: float) -> None:
        recording = self._recording()
        if recording is not None:
            recording.player.skip(seconds)

    def _seek(self, frame: int) -> None:
        recording = self._recording()
        if recording is not None:
            recording.player.seek(frame)

    def _speed(self, steps: int) -> None:
        recording = self._recording()
        if recording is not None:
            speed = recording.player.change_speed(steps)
            recording.said.emit(self.tr("Speed {0}").format(f"{speed:g}"))

    def _to_keyframe(self, way: int) -> None:
        """To the next box set by a person, of the selected tracks if any has one."""
        recording = self._recording()
        if recording is None or recording.overview is None:
            return
        keyframes = recording.overview.keyframes
        own = sorted(frame for track, frame in keyframes if track in recording.selected)
        frames = own or sorted(frame for _, frame in keyframes)
        now = recording.player.wanted
        wanted = [frame for frame in frames if frame > now][:1] if way > 0 else [f for f in frames if f < now][-1:]
        if wanted:
            recording.player.play(on=False)
            recording.player.seek(wanted[0])
        else:
            recording.said.emit(self.tr("No further keyframe: drag a box, or add one, to set one"))

    def _to_event(self, way: int) -> None:
        recording = self._recording()
        if recording is None or not recording.player.ready:
            return
        player = recording.player
        now = float(player.times[min(player.wanted, player.count - 1)])
        times = sorted({event.time for event in recording.counts.events})
        later = [time for time in times if time > now + SAME_TIME_S]
        earlier = [time for time in times if time < now - PASSED_S]
        wanted = later[:1] if way > 0 else earlier[-1:]
        if wanted:
            player.play(on=False)
            player.seek_time(wanted[0])
