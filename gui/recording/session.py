"""One recording in the player: its frames, the annotation behind it, its corrections and counts; no widget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from gui.canvas.hit_testing import Shape
from gui.canvas.renderer import FrameRenderer, RenderedFrame, with_hidden
from gui.engine.live_network import Engine
from gui.qt.background import POLL_MS, Background
from gui.qt.preferences import Preferences
from gui.qt.wording import words_of
from gui.recording.annotation import Annotation, request_of_settings, request_of_store, stand_alone
from gui.recording.counts import RecordedCounts
from gui.recording.player import Player, by_decoding
from gui.recording.store_reader import Change, Overview, RowReader, correct, read_overview
from gui.rules.counting import CountRow, rules_text
from gui.rules.saved_shapes import keep_recorded_shapes, recorded_shapes
from tracker.analytics.heat import HeatMap
from tracker.annotate.plan import AnnotateRequest
from tracker.annotate.recordings import RecordingJob
from tracker.annotate.recount import edit_recording
from tracker.annotate.run import finish_recording
from tracker.errors import DamagedStoreError, SinkError, TrackerError
from tracker.overlay import OverlayConfig
from tracker.protocols import FrameSource
from tracker.store import Edit, RecordingEditor, restore_copy
from tracker.types import Frame, FrameResult, Image
from tracker.video import open_source
from tracker.watch.clips import save_snapshot

__all__ = ["PlayedRecording"]

OVERVIEW_S = 0.7
"""Least time between two reads of a store that is being written."""
STOP_S = 1.5
EDITING = "corrections"

Answer = TypeVar("Answer")


class PlayedRecording(QObject):
    """Plays while annotation runs, and applies what people correct. Everything slow runs beside the window's thread."""

    frame_rendered = pyqtSignal()
    moved = pyqtSignal()
    """Position, playing, speed or range are not what they were."""
    changed = pyqtSignal()
    """The overview is another one: tracks, events, corrections."""
    progressed = pyqtSignal()
    """Annotation went on, began or ended."""
    selection_changed = pyqtSignal()
    hiding_changed = pyqtSignal()
    renumbered = pyqtSignal()
    """Frames have other numbers than before."""
    corrected = pyqtSignal()
    """A correction was saved, or could not be."""
    damaged = pyqtSignal(str)
    """The store cannot be read, and why."""
    said = pyqtSignal(str)

    def __init__(
        self,
        job: RecordingJob,
        engine: Engine,
        background: Background,
        preferences: Preferences,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.job = job
        self.name = job.source.name
        self.overview: Overview | None = None
        self.rendered: RenderedFrame | None = None
        self.selected: frozenset[int] = frozenset()
        self.counts = RecordedCounts(job.store, recorded_shapes(preferences, job), background, EDITING, self)
        self.annotation: Annotation | None = None
        self.damage = ""
        """What is wrong with the store; empty where nothing is known to be."""
        self._engine = engine
        self._background = background
        self._preferences = preferences
        self._reader = RowReader(job.store)
        self._renderer = FrameRenderer(engine.settings.overlay)
        self._damaged = False
        self.player = Player(lambda: open_source(job.source), self._render)
        self._begun_playing = False
        self._position: tuple[object, ...] = ()
        self._times = self.player.times
        self._last_state: tuple[object, ...] = ()
        self._looking = False
        self._looked_at = 0.0
        self._editing = 0
        self._closed = False
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        engine.changed.connect(self.configure)
        self.counts.changed.connect(self.changed)
        self.counts.kept.connect(self._look)
        self.counts.failed.connect(self.said)
        self.configure()

    # life

    def open(self) -> None:
        """Show the first frame, read what is there, go on annotating what is not finished."""
        self._timer.start(POLL_MS)
        self.player.start()
        self.go_on()

    def go_on(self) -> None:
        """Annotate what is left."""
        if self.annotating:
            return
        if self.job.store.exists():
            self._look(then=self._resume)
        else:
            self.annotate(self._new_request())

    def annotate(self, request: AnnotateRequest) -> None:
        """Annotate behind the player."""
        self.annotation = Annotation(self.job, request)
        self.annotation.start()
        self._last_state = ()
        self.progressed.emit()

    def finish_here(self) -> None:
        """Hold, and make what is annotated so far the whole recording."""
        self._after_annotation(self._finish)

    def annotate_again(self, first: int = 0, last: int | None = None) -> None:
        """Begin anew with the settings of now, once what is at work has ended; corrections by people are lost.

        Frames from `first` to `last` are annotated, both included.
        """
        request = replace(self._new_request(), overwrite=True, first_frame=first, last_frame=last)
        self.select([])
        self._after_annotation(lambda: self.annotate(request))

    def restore(self, copy: Path) -> None:
        """Put a copy in the place of the store, which is kept beside it as damaged."""
        store = self.job.store
        self._reader.close()
        self._background.run(
            lambda: restore_copy(store, copy),
            lambda kept: self._repaired(self.tr("Restored from {0}; the damaged file is {1}").format(copy, kept)),
            self._failed,
            lane=EDITING,
            owner=self,
            saves=True,
        )

    def repair(self) -> None:
        """Annotate again; the damaged store is kept beside it."""
        self._reader.close()
        self._repaired(self.tr("Annotating again; the damaged file is kept beside, as .damaged"), anew=True)

    def _repaired(self, words: str, *, anew: bool = False) -> None:
        self.damage = ""
        self.overview = None
        self.said.emit(words)
        self.changed.emit()
        self.annotate_again() if anew else self.go_on()

    def _new_request(self) -> AnnotateRequest:
        alone = self.job.source.is_dir() and stand_alone(self.job.source)
        if alone:
            self.said.emit(self.tr("These images have nothing to do with one another: detected, not followed"))
        refine = self._preferences.flag("refine") and not alone
        rules = "" if alone else rules_text(self.counts.shapes)
        return replace(request_of_settings(self._engine.settings, refine=refine, rules=rules), track=not alone)

    def _after_annotation(self, then: Callable[[], None]) -> None:
        """Do it once what is at work has ended."""
        self.stop_annotation()
        before = self.annotation
        self._background.run(
            lambda: before is None or before.wait(STOP_S),
            lambda _: None if self.annotating or self._closed else then(),
            lane=EDITING,
            owner=self,
        )

    def _finish(self) -> None:
        job = self.job
        self._background.run(
            lambda: finish_recording(job),
            self._finished,
            self._failed,
            lane=EDITING,
            owner=self,
            saves=True,
        )

    def _finished(self, last: int) -> None:
        self.said.emit(self.tr("The recording ends with frame {0} now").format(last + 1))
        self._look()

    def stop_annotation(self) -> None:
        """Hold it soon; what was written stays."""
        if self.annotation is not None:
            self.annotation.stop()
            self.progressed.emit()

    def close(self) -> None:
        """End soon."""
        self._closed = True
        self._timer.stop()
        if self.annotation is not None:
            self.annotation.stop()
        self.player.close(0.0)

    def wait(self, timeout_s: float = STOP_S) -> bool:
        """Whether all has ended by then."""
        deadline = time.monotonic() + timeout_s
        ended = self.player.close(timeout_s)
        if self.annotation is not None:
            ended &= self.annotation.wait(max(0.0, deadline - time.monotonic()))
        ended &= self._background.wait(EDITING, max(0.0, deadline - time.monotonic()))
        self._reader.close()
        return ended

    def open_video(self) -> FrameSource:
        """Another reader of the video whose frames have the numbers of the recording's."""
        source = open_source(self.job.source)
        return by_decoding(source) if self._damaged else source

    @property
    def annotating(self) -> bool:
        """Whether annotation is at work."""
        return self.annotation is not None and self.annotation.running

    @property
    def correctable(self) -> bool:
        """Whether there is something to correct: also while it is annotated."""
        return self.overview is not None and self.overview.last_frame >= 0 and not self.damage

    @property
    def finished(self) -> bool:
        """Whether the annotation has come to its end."""
        return self.overview is not None and self.overview.complete and not self.annotating

    @property
    def unreadable(self) -> str:
        """Why there is nothing of it to annotate, show or draw on; empty where there is, or may be soon."""
        return self.player.problem if self.overview is None and not self.player.ready else ""

    @property
    def busy(self) -> bool:
        """Whether a correction is being written."""
        return self._editing > 0

    @property
    def hides(self) -> bool:
        """Whether something in its frames is to be unrecognisable, so that no part of one is to be shown bare."""
        config = self._renderer.config
        return bool(config.blur_classes or config.blur_regions)

    # what is shown

    def show_at(self, size: tuple[int, int] | None, density: float = 1.0) -> None:
        """Make frames of this size for a screen of that many pixels a unit; None while nobody looks."""
        self._renderer.fit(size, density)
        if size is not None:
            self.player.redraw()

    def configure(self) -> None:
        """Draw and hide by the settings as they are now."""
        size = self.overview.size if self.overview is not None else self._frame_size()
        config = with_hidden(self._engine.settings.overlay, self.counts.shapes, size)
        if config != self._renderer.config:
            hid = self.hides
            self._renderer.configure(config)
            self.player.redraw()
            if hid != self.hides:
                self.hiding_changed.emit()

    def select(self, track_ids: Iterable[int]) -> None:
        """Mark these tracks everywhere."""
        selected = frozenset(track_ids)
        if selected != self.selected:
            self.selected = selected
            self.selection_changed.emit()

    def solo(self, track_ids: Iterable[int]) -> None:
        """Show only these tracks, or all when empty."""
        self._reader.solo = frozenset(track_ids)
        self.player.redraw()

    @property
    def soloed(self) -> frozenset[int]:
        """Tracks shown alone; empty where all are shown."""
        return self._reader.solo

    def explain(self, track_id: int) -> str:
        """Where a box of the frame shown comes from."""
        overview = self.overview
        return "" if overview is None else self._reader.explain(self.player.index, track_id, overview.labels)

    def label_of(self, class_id: int) -> str:
        """A class's name."""
        labels = self.overview.labels if self.overview is not None else ()
        return labels[class_id] if 0 <= class_id < len(labels) else ""

    def count_rows(self) -> list[CountRow]:
        """What lines and zones count, and who is inside at the frame shown."""
        player = self.player
        return self.counts.rows(float(player.times[min(player.index, player.count - 1)]) if player.count else 0.0)

    def heat(self) -> HeatMap | None:
        """Where objects spend their time, as far as it is known."""
        return self.counts.heat()

    def still(self) -> Image | None:
        """The frame shown, unless something in it is to be hidden."""
        return None if self.rendered is None or self.hides else self.rendered.result.frame.image

    def snapshot(self) -> None:
        """Save the frame shown, whole and with its overlay; not where hidden classes would be clear in it."""
        rendered, config, folder = self.rendered, self._renderer.config, self._preferences.folder()
        if rendered is not None:
            figures = self.counts.figures(rendered.result.frame.time)
            self._background.run(
                lambda: save_snapshot(self._hideable(rendered.result, config), config, folder, self.name, figures),
                lambda path: self.said.emit(self.tr("Saved {0}").format(path)),
                self._failed,
                owner=self,
            )

    def _hideable(self, shown: FrameResult, config: OverlayConfig) -> FrameResult:
        """The frame with all that is known of whom to hide in it. Raises SinkError where nothing is."""
        if not config.blur_classes:
            return shown
        known = self._reader.recorded(shown.frame)
        if known is None:
            raise SinkError(
                self.tr("No snapshot: this frame is not annotated, so nothing says where to hide {0} in it").format(
                    ", ".join(config.blur_classes)
                )
            )
        missing = [name for name in config.blur_classes if name not in known.labels]
        if missing:
            raise SinkError(
                self.tr("No snapshot: {0} is to be hidden, and the recording's network knows no such class").format(
                    ", ".join(missing)
                )
            )
        return known

    # corrections

    def correct(self, change: Change, done: Callable[[Edit], str]) -> bool:
        """Make a correction and save it; `done` words what was done. Whether that is begun."""
        if not self.correctable:
            self.said.emit(self.damage or self.tr("Nothing is annotated yet."))
            return False
        self._editing += 1
        store = self.job.store
        self._background.run(
            lambda: correct(store, change),
            lambda edit: self._corrected(edit, done),
            self._not_corrected,
            lane=EDITING,
            owner=self,
            saves=True,
        )
        return True

    def ask_store(self, question: Callable[[RecordingEditor], Answer], then: Callable[[Answer], None]) -> None:
        """Ask the store, after what is being saved, and go on with the answer."""
        store = self.job.store

        def ask() -> Answer:
            with edit_recording(store) as editor:
                return question(editor)

        self._background.run(ask, then, self._failed, lane=EDITING, owner=self)

    def use_shapes(self, shapes: list[Shape]) -> None:
        """Count at these lines and zones, hide these regions."""
        keep_recorded_shapes(self._preferences, self.job, shapes)
        self.counts.use_shapes(shapes)
        self.configure()

    # on the window's thread

    def _frame_size(self) -> tuple[int, int] | None:
        return self.rendered.frame_size if self.rendered is not None else None

    def _poll(self) -> None:
        rendered = self.player.take()
        if rendered is not None:
            before, first, self.rendered = self._renderer.config, self.rendered is None, rendered
            if first:
                self.configure()
            if self._renderer.config == before:  # else it was drawn without the regions to hide, and is drawn again
                self.frame_rendered.emit()
        player = self.player
        if player.ready and not self._begun_playing:
            self._begun_playing = True
            player.play(on=self._preferences.flag("autoplay", default=True))
        self._compare_numbers()
        position = (player.index, player.playing, player.speed, player.loop_range, player.count, player.problem)
        if position != self._position:
            self._position = position
            self.moved.emit()
        if player.times is not self._times:
            self._times = player.times
            self.changed.emit()
        self._poll_annotation()

    def _compare_numbers(self) -> None:
        """Where the recording's last frame is not when the player says, damage has taken frames that were promised."""
        if self._damaged or self.overview is None or self.overview.agrees_with(self.player.times):
            return
        self._damaged = True
        self.player.renumber()
        self.renumbered.emit()
        self.said.emit(self.tr("{0} is damaged; its frames are being numbered anew").format(self.name))

    def _poll_annotation(self) -> None:
        annotation = self.annotation
        if annotation is None:
            return
        state = (annotation.running, annotation.stage, annotation.done, annotation.problem)
        if state == self._last_state:
            return
        now = time.monotonic()
        if annotation.running and now - self._looked_at < OVERVIEW_S:
            return
        self._last_state = state
        self._looked_at = now
        self.progressed.emit()
        if annotation.stage or not annotation.running:
            self._look()

    def _look(self, *, then: Callable[[], None] | None = None) -> None:
        if self._looking and then is None:
            self._last_state = ()  # look again after this look
            return
        self._looking = True
        store = self.job.store
        self._background.run(
            lambda: read_overview(store),
            lambda found: self._looked(found, then),
            self._look_failed,
            lane=EDITING,
            owner=self,
        )

    def _looked(self, overview: Overview | None, then: Callable[[], None] | None) -> None:
        self._looking = False
        self.overview = overview
        if overview is not None:
            living = {track.track_id for track in overview.tracks}
            if overview.complete:
                self._reader.solo &= living
                self.select(self.selected & living)
            self.counts.refresh_from_store(overview)
        self.player.redraw()
        self.changed.emit()
        self.progressed.emit()
        if then is not None:
            then()

    def _look_failed(self, error: Exception) -> None:
        self._looking = False
        self._failed(error)

    def _resume(self) -> None:
        if self._closed or self.overview is None or self.overview.complete:
            self.progressed.emit()
            return
        try:
            self.annotate(request_of_store(self.job.store, self._engine.settings))
        except TrackerError as error:
            self._failed(error)

    def _corrected(self, edit: Edit | None, done: Callable[[Edit], str]) -> None:
        self._editing -= 1
        if edit is None:
            self.said.emit(self.tr("There is nothing more of that."))
            return
        new = edit.details.get("new")
        if not edit.undone:
            if edit.kind == "merge":
                self.select([int(edit.details["keep"])])
            elif edit.kind in ("split", "relabel") and isinstance(new, int):
                self.select([new])
            elif edit.kind == "box":
                self.select([int(edit.details["track"])])
        if self.counts.follow(edit):
            keep_recorded_shapes(self._preferences, self.job, self.counts.shapes)
            self.configure()
        self.said.emit(done(edit))
        self.corrected.emit()
        self._look()

    def _not_corrected(self, error: Exception) -> None:
        self._editing -= 1
        self.corrected.emit()
        self._failed(error)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, DamagedStoreError) and not self._closed:
            self.damage = words_of(error)
            self.stop_annotation()
            self.damaged.emit(self.damage)
        self.said.emit(words_of(error))

    # on the player's thread

    def _render(self, frame: Frame) -> RenderedFrame | None:
        return self._renderer(self._reader(frame))

    def box_of(self, track_id: int) -> tuple[float, float, float, float] | None:
        """Where a track is in the frame shown."""
        return None if self.rendered is None else self.rendered.box_of(track_id)

    @property
    def store(self) -> Path:
        """The recording's file."""
        return self.job.store
