"""The player: a recording's frame, its transport and timeline, and the tools to correct and export it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import QApplication, QLabel, QSplitter, QVBoxLayout, QWidget

from gui.canvas.heat_layer import HeatLayer
from gui.canvas.hit_testing import Box, Shape
from gui.canvas.renderer import with_hidden
from gui.canvas.video_view import VideoView
from gui.engine.live_network import Engine
from gui.qt.background import Background
from gui.qt.commands import Commands
from gui.qt.keyboard import order_tabs, reach_by_tab
from gui.qt.preferences import Preferences
from gui.qt.wording import words_of
from gui.recording.annotation import job_of
from gui.recording.annotation_commands import AnnotationCommands
from gui.recording.corrections_panel import CorrectionsPanel
from gui.recording.edit_commands import Corrections
from gui.recording.export_dialog import ExportDialog
from gui.recording.image_list import ImageList, images_of
from gui.recording.inspection import Inspection
from gui.recording.playback_commands import Playback
from gui.recording.repair_bar import RepairBar
from gui.recording.session import PlayedRecording
from gui.recording.timeline import Timeline
from gui.recording.timeline_layout import Bar
from gui.recording.toolbar import RecordingTools
from gui.recording.track_panel import TrackPanel
from gui.recording.transport import Transport
from tracker.analytics.heat import HeatMap
from tracker.annotate.replay import replay_stored
from tracker.errors import DamagedStoreError, TrackerError
from tracker.paths import typed_path
from tracker.protocols import Explain
from tracker.types import Detections, Image

__all__ = ["RecordingPage"]


class RecordingPage(QWidget):
    """One recording at a time."""

    said = pyqtSignal(str)
    opened = pyqtSignal(object)
    """The recording that is open now, or None."""
    changed = pyqtSignal()
    """Its tracks, events or counts are not what they were."""
    train = pyqtSignal(str)
    """A detector is to be trained on this data set."""
    full_screen = pyqtSignal()
    selected = pyqtSignal()
    """Other tracks are selected."""

    def __init__(
        self,
        engine: Engine,
        background: Background,
        preferences: Preferences,
        commands: Commands,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._background = background
        self._preferences = preferences
        self._commands = commands
        self._recording: PlayedRecording | None = None
        self._followed = False
        self._unpend = False
        self.view = VideoView()
        self.timeline = Timeline()
        self.images = ImageList()
        self.corrected = CorrectionsPanel()
        self.tracks = TrackPanel()
        self.corrections = Corrections(self, commands, lambda: self._recording)
        self.playback = Playback(self, commands, lambda: self._recording)
        self.inspection = Inspection(engine, background, self._replay, self)
        self.repair_bar = RepairBar()
        self.annotation = AnnotationCommands(self, lambda: self._recording, self.repair_bar)
        self.annotation.said.connect(self.said)
        self.annotation.restored.connect(self.open)
        self.tools = RecordingTools(
            self, commands, self.view, self.inspection, lambda: self._recording, export=self.export,
            annotate_again=self.annotation.annotate_again, annotate_range=self.annotation.annotate_range,
            leave_full_screen=self.full_screen.emit, show_heat=self._show_heat,
        )  # fmt: skip
        self.view.explain = self.tools.explain
        self.heat = HeatLayer(self.view, self._heat_now, background, self)
        self._problem = QLabel()
        self._problem.setProperty("role", "wrong")
        self._problem.setWordWrap(True)
        self._problem.setContentsMargins(10, 4, 10, 4)
        self._problem.hide()
        self.transport = Transport([commands[f"recording.{name}"] for name in self.playback.buttons])
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.setChildrenCollapsible(False)
        top = QWidget()
        column = QVBoxLayout(top)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.view, 1)
        column.addWidget(self._problem)
        column.addWidget(self.repair_bar)
        column.addWidget(self.transport)
        self._split.addWidget(top)
        self._split.addWidget(self.timeline)
        self._split.setStretchFactor(0, 1)
        self._split.setSizes([600, 130])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        bar = self.tools.tool_bar()
        layout.addWidget(bar)
        layout.addWidget(self._split, 1)
        order_tabs(*reach_by_tab(bar), self.view, *self.transport.buttons, self.timeline)
        self.setFocusProxy(self.view)
        self._connect()
        self._refresh_tools()
        self._invite()
        commands["recording.heat"].setChecked(preferences.flag("recording/heat"))

    @property
    def recording(self) -> PlayedRecording | None:
        """What is open."""
        return self._recording

    @property
    def exporting(self) -> bool:
        """Whether files are being written."""
        return any(dialog.busy for dialog in self.findChildren(ExportDialog))

    def open(self, path: Path) -> bool:
        """Play a video, a folder of images or a store; whether that could begin."""
        try:
            job = job_of(path, self._preferences.folder())
        except DamagedStoreError as error:
            self.close_recording()
            self.repair_bar.show_damage(words_of(error), path)
            return True
        except TrackerError as error:
            self.said.emit(str(error))
            return False
        self.repair_bar.hide()
        self.close_recording()
        recording = PlayedRecording(job, self._engine, self._background, self._preferences, self)
        self._recording = recording
        self._engine.start()
        self.tracks.begin(recording)
        self.images.show_images(images_of(job.source))
        self.heat.turn(on=self._commands["recording.heat"].isChecked())
        self.view.show_frame(None)
        self.view.reset_zoom()
        self.view.show_message(self.tr("Opening {0}").format(recording.name))
        recording.frame_rendered.connect(self._show_rendered)
        recording.moved.connect(self._moved)
        recording.changed.connect(self._overview_changed)
        recording.progressed.connect(self._progressed)
        recording.selection_changed.connect(self._selection_changed)
        recording.corrected.connect(self._corrected)
        recording.damaged.connect(lambda words: self.repair_bar.show_damage(words, recording.store))
        recording.said.connect(self.said)
        recording.open()
        if job.source != typed_path(path).resolve() and path.is_dir():
            self.said.emit(self.tr("{0} is the first recording of that folder; a job annotates all.").format(job.name))
        self._fit()
        self._overview_changed()
        self._progressed()
        self.opened.emit(recording)
        return True

    def close_recording(self) -> None:
        """Let go of what is open; its annotation goes on when it is opened again."""
        recording, self._recording = self._recording, None
        if recording is None:
            return
        recording.close()
        self.tracks.end()
        self.corrected.show_overview(None, self._time_of)
        self._background.run(recording.wait, lambda _: None)
        recording.deleteLater()
        self._invite()
        self.opened.emit(None)

    def wait_closed(self, timeout_s: float) -> bool:
        """Whether all threads and processes of what was open have ended by then."""
        return self._recording is None or self._recording.wait(timeout_s)

    def stop(self) -> None:
        """End soon, without letting go: the window closes."""
        if self._recording is not None:
            self._recording.close()
            self.tracks.end()

    def shown(self) -> tuple[Image, Box | None] | None:
        """The frame shown and where the only selected track is in it."""
        recording = self._recording
        if recording is None or recording.rendered is None:
            return None
        box = recording.box_of(next(iter(recording.selected))) if len(recording.selected) == 1 else None
        return recording.rendered.result.frame.image, box

    def hides(self) -> bool:
        """Whether something is to be unrecognisable in the frames of what is open, or of all that will be."""
        overlay = self._engine.settings.overlay
        general = bool(overlay.blur_classes or overlay.blur_regions)
        return general or (self._recording is not None and self._recording.hides)

    def jump(self, seconds: float) -> None:
        """Hold and show this moment."""
        if self._recording is not None:
            self._recording.player.play(on=False)
            self._recording.player.seek_time(seconds)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Make frames again."""
        super().showEvent(event)
        self._fit()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Hold the player; annotation goes on."""
        super().hideEvent(event)
        if self._recording is not None:
            self._recording.player.play(on=False)
            self._recording.show_at(None)

    # parts

    def _connect(self) -> None:
        self.view.resized.connect(self._fit)
        self.view.clicked_track.connect(self._clicked)
        self.view.activated.connect(self.full_screen)
        self.view.shapes_changed.connect(self._use_shapes)
        self.view.box_begun.connect(self.playback.hold_at)
        self.view.box_drawn.connect(self._box_drawn)
        self.view.box_moved.connect(self._box_moved)
        self.timeline.sought.connect(self._seek)
        self.images.chosen.connect(self._show_image)
        self.corrected.jumped.connect(self._go_to_correction)
        self.timeline.scrubbed.connect(self.playback.scrub)
        self.timeline.clicked_track.connect(self._clicked)
        self.tracks.chosen.connect(self._select)
        self.tracks.activated.connect(self._go_to_track)
        self.transport.held.connect(self.annotation.hold_or_go_on)
        self.transport.finished.connect(self.annotation.finish_here)
        self.playback.full_screen.connect(self.full_screen)
        self.opened.connect(self.playback.begin)

    def _heat_now(self) -> HeatMap | None:
        return self._recording.heat() if self._recording is not None else None

    def export(self) -> None:
        """Ask for formats and a folder."""
        recording = self._recording
        if recording is None or recording.overview is None:
            self.said.emit(self.tr("Nothing is annotated yet."))
            return
        settings = self._engine.settings
        hidden = with_hidden(settings.overlay, recording.counts.shapes, recording.overview.size)
        settings = replace(settings, overlay=hidden)
        dialog = ExportDialog(
            recording.job, settings, self._background, self._preferences, self,
            label_maps=bool(recording.overview.semantic_labels),
        )  # fmt: skip
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.said.connect(self.said)
        dialog.train.connect(self.train)
        dialog.open()

    def _show_heat(self, on: bool) -> None:
        self._preferences.keep("recording/heat", on)
        self.heat.turn(on=on)

    def _invite(self) -> None:
        """Say what to do while nothing is open."""
        self.view.show_frame(None)
        self.view.show_message(self.tr("Open a video with Ctrl+O, or drop one here."))

    def follow(self, on: bool) -> None:
        """Have images made also while this page is not seen: another page shows them."""
        self._followed = on
        self._fit()

    def _fit(self) -> None:
        if self._recording is not None:
            size = self.view.wanted_size() if self.isVisible() or self._followed else None
            self._recording.show_at(size, self.view.devicePixelRatioF())

    # what the recording says

    def _show_rendered(self) -> None:
        recording = self._recording
        if recording is None:
            return
        self.view.show_message("")
        self.view.show_frame(recording.rendered)
        if self._unpend:
            self._unpend = False
            self.view.show_pending(None)
        self.tools.follow_now()
        if recording.rendered is not None:
            self.images.mark(recording.rendered.result.frame.index)
        if recording.rendered is not None:
            self.inspection.show_result(recording.rendered.result, playing=recording.player.playing)

    def _replay(self, frame: int, detections: Detections, conf: float) -> Explain | None:
        """What became of detections of the frame, by the store; on any thread."""
        recording = self._recording
        return None if recording is None else replay_stored(recording.job.store, frame, detections, conf)

    def _moved(self) -> None:
        recording = self._recording
        if recording is None:
            return
        player = recording.player
        self.transport.show_position(player)
        self.playback.refresh()
        self.tools.refresh()
        if player.problem:
            self._problem.setText(player.problem)
            self.view.show_message("" if player.ready else player.problem)
            if not player.ready:
                self._progressed()  # there is nothing to go on with
        self._problem.setVisible(bool(player.problem) and player.ready)
        if not player.ready:
            return
        first, last = float(player.times[0]), float(player.times[-1])
        new = (first, last) != (self.timeline.span.start_s, self.timeline.span.end_s)
        self.timeline.show_times(first, last)
        if new:
            self._overview_changed()
        self.timeline.show_position(self._time_of(player.index), follow=player.playing)
        span = player.loop_range
        self.timeline.show_range(None if span is None else (self._time_of(span[0]), self._time_of(span[1])))

    def _overview_changed(self) -> None:
        recording = self._recording
        if recording is None:
            return
        overview = recording.overview
        ready = recording.player.ready
        self.view.show_shapes(recording.counts.shapes)
        self.view.editable = recording.correctable
        if ready and overview is not None:
            bars = [
                Bar(track.track_id, track.class_id, self._time_of(track.first_frame), self._time_of(track.last_frame))
                for track in overview.tracks
            ]
            self.timeline.show_tracks(bars, overview.labels)
            last = recording.player.count - 1 if overview.whole else overview.last_frame
            annotated = (self._time_of(overview.first_frame), self._time_of(last)) if last >= 0 else None
            self.timeline.show_annotated(annotated)
            self.timeline.show_keyframes([(track, self._time_of(frame)) for track, frame in overview.keyframes])
        elif overview is None:
            self.timeline.show_tracks([], ())
            self.timeline.show_annotated(None)
            self.timeline.show_keyframes([])
        self.timeline.show_events(recording.counts.words(recording.label_of))
        self.tracks.show_overview(overview, self._time_of)
        self.corrected.show_overview(overview, self._time_of)
        self._refresh_tools()
        self.changed.emit()

    def _progressed(self) -> None:
        recording = self._recording
        if recording is None:
            return
        complete = recording.overview is not None and recording.overview.complete
        self.transport.show_annotation(
            recording.annotation,
            complete=complete,
            frames=recording.player.count or 1,
            readable=not recording.unreadable,
        )
        self._refresh_tools()

    def _selection_changed(self) -> None:
        recording = self._recording
        if recording is None:
            return
        selected = recording.selected
        self.view.select(tuple(selected))
        self.timeline.select(selected)
        self.tracks.select(selected)
        self.tools.selection_changed()
        self._refresh_tools()
        self.selected.emit()

    def _refresh_tools(self) -> None:
        recording = self._recording
        self.corrections.refresh()
        self.playback.refresh()
        self.tools.refresh()
        if recording is not None:
            self.view.editable = recording.correctable

    def _box_drawn(self, box: Box, frame: int) -> None:
        self.view.show_pending(box)  # stays in sight while its class is asked and until it is saved
        if not self.corrections.add_box(box, frame=frame):
            self.view.show_pending(None)

    def _box_moved(self, track_id: int, box: Box, frame: int) -> None:
        self.view.show_pending(box)
        if not self.corrections.move_box(track_id, box, frame=frame):
            self.view.show_pending(None)

    def _corrected(self) -> None:
        self._unpend = True

    # what the user does

    def _use_shapes(self, shapes: list[Shape]) -> None:
        if self._recording is not None:
            self._recording.use_shapes(shapes)

    def _seek(self, seconds: float) -> None:
        if self._recording is not None:
            self._recording.player.seek_time(seconds)

    def _go_to_correction(self, frame: int, track: int) -> None:
        recording = self._recording
        if recording is not None:
            self._show_image(frame)
            if recording.overview is not None and any(one.track_id == track for one in recording.overview.tracks):
                recording.select([track])

    def _show_image(self, frame: int) -> None:
        if self._recording is not None:
            self._recording.player.play(on=False)
            self._recording.player.seek(frame)

    def _select(self, track_ids: list[int]) -> None:
        if self._recording is not None:
            self._recording.select(track_ids)

    def _time_of(self, frame: int) -> float:
        player = self._recording.player if self._recording is not None else None
        if player is None or not player.count:
            return 0.0
        return float(player.times[min(max(frame, 0), player.count - 1)])

    def _clicked(self, track_id: int) -> None:
        recording = self._recording
        if recording is None:
            return
        several = bool(QApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier)
        one = {track_id} if track_id else set()
        recording.select(recording.selected ^ one if several else one)

    def _go_to_track(self, track_id: int) -> None:
        recording = self._recording
        overview = recording.overview if recording is not None else None
        if recording is None or overview is None:
            return
        recording.select([track_id])
        first = next((track.first_frame for track in overview.tracks if track.track_id == track_id), None)
        if first is not None:
            recording.player.play(on=False)
            recording.player.seek(first)
