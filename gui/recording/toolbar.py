"""The tools over a recording's frame: drawing, following, showing some tracks alone, looking closer."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, QSize
from PyQt6.QtWidgets import QToolBar, QWidget

from gui.canvas.drawing_keys import DRAWING_KEYS, drawing_hint
from gui.canvas.video_view import Tool, VideoView
from gui.qt.commands import Commands
from gui.recording.inspection import Inspection
from gui.recording.session import PlayedRecording

__all__ = ["RecordingTools"]

TOOLS: tuple[Tool, ...] = ("box", "line", "zone", "blur")


class RecordingTools(QObject):
    """Gives the page its tool bar and does what needs no more than the view."""

    def __init__(
        self,
        page: QWidget,
        commands: Commands,
        view: VideoView,
        inspection: Inspection,
        recording: Callable[[], PlayedRecording | None],
        *,
        export: Callable[[], object],
        annotate_again: Callable[[], object],
        annotate_range: Callable[[], object],
        leave_full_screen: Callable[[], object],
        show_heat: Callable[[bool], object],
    ) -> None:
        super().__init__(page)
        self._page = page
        self._leave_full_screen = leave_full_screen
        self._commands = commands
        self._view = view
        self._inspection = inspection
        self._recording = recording
        view.tool_done.connect(self._tool_done)
        inspection.changed.connect(self._show_inspection)
        self._add(page, export, annotate_again, annotate_range)
        commands.add("recording.heat", self.tr("Heat &map: where objects spend their time"), show_heat,
                     keys=["Shift+M"], owner=page, scope="recording", icon_name="heat", checkable=True)  # fmt: skip

    def _add(
        self,
        page: QWidget,
        export: Callable[[], object],
        annotate_again: Callable[[], object],
        annotate_range: Callable[[], object],
    ) -> None:
        add = self._commands.add
        for name, text, keys, icon_name in (
            ("box", self.tr("Add a &box"), ["B"], "box"),
            ("line", self.tr("Draw a &line"), DRAWING_KEYS["line"], "line"),
            ("zone", self.tr("Draw a &zone"), DRAWING_KEYS["zone"], "zone"),
            ("blur", self.tr("Draw a &hidden region"), DRAWING_KEYS["blur"], "blur"),
        ):
            add(f"recording.{name}", text, lambda on, name=name: self._use_tool(name, on=on), keys=keys, owner=page,
                scope="recording", icon_name=icon_name, checkable=True)  # fmt: skip
        for name, text, slot, keys, icon_name in (
            ("follow", self.tr("&Follow the selected track"), self._follow, ["T"], "pointer"),
            ("solo", self.tr("&Only the selected tracks"), self._solo, ["O"], "solo"),
            ("inspect", self.tr("&What the network sees here that is no track"), self._inspect, ["I"], "inspect"),
        ):
            add(f"recording.{name}", text, slot, keys=keys, owner=page, scope="recording", icon_name=icon_name,
                checkable=True)  # fmt: skip
        leave = self.tr("Select nothing; leave full screen")
        add("recording.unselect", leave, self._unselect, keys=["Escape"], owner=page, scope="recording")
        add("recording.again", self.tr("&Annotate again with the settings of now"), annotate_again, owner=page,
            scope="recording", icon_name="retry")  # fmt: skip
        add("recording.range", self.tr("Annotate only from the &in mark to the out mark"), annotate_range, owner=page,
            scope="recording", icon_name="range")  # fmt: skip
        add("recording.export", self.tr("&Export\N{HORIZONTAL ELLIPSIS}"), export, keys=["Ctrl+E"], owner=page,
            scope="recording", icon_name="export")  # fmt: skip

    def tool_bar(self) -> QToolBar:
        """All tools, corrections first."""
        bar = QToolBar()
        bar.setAccessibleName(self.tr("Recording tools"))
        bar.setIconSize(QSize(20, 20))
        groups = (
            ("undo", "redo"),
            ("merge", "split", "class", "relabel", "delete", "delete_here", "interpolate", "box"),
            ("line", "zone", "blur"),
            ("follow", "solo", "inspect", "heat"),
            ("mark_in", "mark_out", "range", "again", "export"),
        )
        for number, names in enumerate(groups):
            if number:
                bar.addSeparator()
            for name in names:
                bar.addAction(self._commands[f"recording.{name}"])
        return bar

    @property
    def following(self) -> bool:
        """Whether the view goes along with the selected track."""
        return self._commands["recording.follow"].isChecked()

    def refresh(self) -> None:
        """Offer what can be done now."""
        recording = self._recording()
        chosen = recording is not None and bool(recording.selected)
        if recording is not None and not recording.soloed:
            self._commands["recording.solo"].setChecked(False)
        closed = "" if recording is not None else self.tr("Open a recording first.")
        unusable = closed or (recording.unreadable if recording is not None else "")
        unselected = self.tr("Select a track first: click its box, its bar or its row.")
        for name in ("follow", "solo"):
            on = chosen or self._commands[f"recording.{name}"].isChecked()
            self._commands.offer(f"recording.{name}", closed or ("" if on else unselected))
        for name in ("line", "zone", "blur", "inspect", "again"):
            self._commands.offer(f"recording.{name}", unusable)
        ready = recording is not None and recording.overview is not None
        self._commands.offer("recording.export", closed or ("" if ready else self.tr("Nothing is annotated yet.")))
        marked = recording is not None and recording.player.loop_range is not None
        marks = self.tr("Mark the first frame of the range with Shift+I and the last with Shift+O first.")
        self._commands.offer("recording.range", unusable or ("" if marked else marks))

    def follow_now(self) -> None:
        """Bring the selected track into the middle."""
        recording = self._recording()
        if self.following and recording is not None and len(recording.selected) == 1:
            box = recording.box_of(next(iter(recording.selected)))
            if box is not None:
                self._view.follow(box)

    def selection_changed(self) -> None:
        """Other tracks are selected: those are followed and shown alone now."""
        recording = self._recording()
        if recording is not None and self._commands["recording.solo"].isChecked() and recording.selected:
            recording.solo(recording.selected)
        self.follow_now()
        self.refresh()

    def explain(self, point: tuple[float, float]) -> str:
        """Words about what lies at a point of the frame."""
        recording = self._recording()
        if recording is None:
            return ""
        track = self._view.track_at(point)
        return recording.explain(track) if track else self._inspection.words_at(point)

    def _follow(self, on: bool) -> None:
        if on:
            self.follow_now()
        else:
            self._view.reset_zoom()
        self.refresh()

    def _solo(self, on: bool) -> None:
        recording = self._recording()
        if recording is not None:
            recording.solo(recording.selected if on else ())
        self.refresh()

    def _unselect(self) -> None:
        window = self._page.window()
        if window is not None and window.isFullScreen():
            self._leave_full_screen()
            return
        recording = self._recording()
        if recording is not None:
            recording.select(())

    def _inspect(self, on: bool) -> None:
        recording = self._recording()
        icon_name = recording.rendered if recording is not None else None
        self._inspection.turn(on=on, result=icon_name.result if icon_name is not None else None)

    def _show_inspection(self) -> None:
        self._view.marked = [found.box for found in self._inspection.found]
        self._view.update()

    def _use_tool(self, name: Tool, *, on: bool) -> None:
        if on:
            for other in TOOLS:
                if other != name:
                    self._commands[f"recording.{other}"].setChecked(False)
            self._view.use_tool(name)
            recording = self._recording()
            if recording is not None:
                recording.said.emit(drawing_hint(name))
        elif self._view.tool == name:
            self._view.use_tool("look")

    def _tool_done(self) -> None:
        for name in TOOLS:
            self._commands[f"recording.{name}"].setChecked(False)
