"""One live source: where Qt meets a Runner. Threads fill slots, `poll` empties them; no thread touches a widget."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from gui.canvas.hit_testing import Point, Shape
from gui.canvas.renderer import FrameRenderer, RenderedFrame, with_hidden
from gui.engine.explaining import explain_at
from gui.engine.live_network import Engine
from gui.engine.stages import AreaDetector, LiveClasses, LiveTracker, Polygon
from gui.live.camera_settings import opener_of, shapes_of, with_privacy
from gui.live.notices import Notice, notices_of
from gui.live.source import WatchedSource
from gui.qt.background import Background
from gui.rules.counting import CountRow, LiveCounts, fit_shapes
from tracker.analytics.heat import HeatMap
from tracker.errors import ConfigError, SourceError, TrackerError, UnreachableError
from tracker.overlay import OverlayConfig
from tracker.pipeline import Pipeline
from tracker.protocols import FrameSource, Sink
from tracker.runner import Progress, Runner
from tracker.types import FrameResult, Image, LinkState
from tracker.video import open_source
from tracker.video.address import is_address, redact
from tracker.video.stream_source import is_denied
from tracker.watch.camera_records import CameraRecords, refuse_unknown_classes
from tracker.watch.camera_set import CameraConfig
from tracker.watch.clips import ClipKeeper, Recorder, save_snapshot

__all__ = ["Session", "SessionState"]

SILENT_S = 2.0
"""Without a frame for longer than that, the tile says so: cameras of one frame a second are live."""
NOTE_EVERY_S = 0.25
"""Between two checks of the link, which cost more than taking a frame."""
STOP_S = 1.5
"""What closing waits for threads; files are finished by then, and a camera that hangs does not hold up the window."""
RETRY_MS = 1000
"""Least time between two attempts to open, whatever the error asks for."""
DENIED_RETRY_MS = 300_000
"""Between two attempts with a password that was refused: cameras lock accounts for less."""

OpenSource = Callable[[str], FrameSource]


class SessionState(Enum):
    """Where a live source stands."""

    OPENING = "opening"
    WAITING = "waiting"
    LIVE = "live"
    SILENT = "silent"
    ENDED = "ended"
    FAILED = "failed"
    CLOSED = "closed"


class Session(QObject):
    """A source that is opened, run, shown, recorded and closed without ever holding up the window."""

    frame_rendered = pyqtSignal()
    changed = pyqtSignal()
    noticed = pyqtSignal(object)
    said = pyqtSignal(str)
    """Words for the status line."""
    denied = pyqtSignal()
    """The camera of a set refused the password."""
    rescaled = pyqtSignal()
    """The shapes may have been fitted into images of another size than they were drawn on."""

    def __init__(
        self,
        spec: str,
        engine: Engine,
        background: Background,
        folder: Callable[[], Path],
        *,
        loop: bool = False,
        camera: CameraConfig | None = None,
        open_source: OpenSource = open_source,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.spec = spec
        self.camera = camera
        """What a set asks for it; None for a source that was opened by itself."""
        shown = redact(spec) if is_address(spec) else (Path(spec).name or spec)
        self.name = shown if camera is None else camera.name
        self.state = SessionState.OPENING
        self.message = ""
        self.rendered: RenderedFrame | None = None
        self.shown_age_s: float | None = None
        self.shapes: list[Shape] = []
        self._drawn_on: tuple[int, int] | None = None
        """Width and height of the frames that the shapes are drawn on; None until that is known."""
        self._of_set = False
        self.records: CameraRecords | None = None
        """What its set has recorded of it; None for a source that was opened by itself, or where that cannot be."""
        self._settled = camera is None
        self._asked = False
        """Whether another password has been asked for since it was opened."""
        self._resized: tuple[int, int] | None = None
        """The size of images that no longer fit the run."""
        self._record_again: tuple[bool, bool] | None = None
        """What was being recorded when the run ended for that, drawn and plain."""
        self._noted_at = 0.0
        self.counts = LiveCounts()
        if camera is not None:
            self.counts.use_rules(camera.rules)
        self._engine = engine
        self._background = background
        self._folder = folder
        self._loop = loop
        self._open_source = open_source if camera is None else opener_of(camera, open_source)
        self._source: WatchedSource | None = None
        self._runner: Runner | None = None
        self._tracker: LiveTracker | None = None
        self._areas: AreaDetector | None = None
        self._lock = threading.Lock()
        self._waiting: RenderedFrame | None = None
        self._latest: FrameResult | None = None
        self._notices: deque[Notice] = deque()
        self._size: tuple[int, int] | None = (640, 360)
        self._density = 1.0
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._reopen)
        self._renderer = FrameRenderer(engine.settings.overlay, self._read_at)
        self.recorder = Recorder(self.name, engine.settings.overlay, figures=self.counts.figures)
        self.clips = ClipKeeper(self.name, engine.settings.overlay, folder, figures=self.counts.figures)
        engine.ready.connect(self._begin)
        engine.changed.connect(self.configure)
        self.open()

    # life

    def open(self) -> None:
        """Open the source, again after it failed or ended."""
        self._asked = False
        self._set_state(SessionState.OPENING, self.tr("Opening {0}").format(self.name))
        self._reopen()

    def _reopen(self) -> None:
        self._again.stop()
        self._runner = self._source = None
        spec = self.spec
        self._background.run(lambda: self._open_source(spec), self._opened, self._open_failed)
        self._engine.start()

    def close(self) -> None:
        """End soon: recordings are finished on the runner's own threads."""
        self.state = SessionState.CLOSED
        self._again.stop()
        if self._runner is not None:
            self._runner.stop()
        elif self._source is not None:
            self._source.close()

    def wait(self, timeout_s: float = STOP_S) -> bool:
        """Whether all of its threads have ended by then."""
        if self._runner is None:
            return True
        try:
            self._runner.wait(timeout_s)
        except Exception as error:  # noqa: BLE001 - the session shows its user what went wrong
            self.message = str(error)
        return not self._runner.running

    @property
    def _has_password(self) -> bool:
        return self.camera is not None and bool(self.camera.user)

    def _denied_reason(self) -> str:
        """Why a camera that was lost does not take its password any more; empty where it is not that."""
        link = self._source.link if self._source is not None and self._has_password else None
        away = link is not None and link.state in (LinkState.LOST, LinkState.REFUSED)
        return link.reason if away and link is not None and is_denied(link.reason) else ""

    def _deny(self, message: str) -> None:
        """Try a password that was refused seldom, since cameras lock accounts for that; ask for another one once."""
        self._set_state(SessionState.WAITING, self.tr("{0} It is tried again in five minutes.").format(message))
        self._again.start(DENIED_RETRY_MS)
        if not self._asked:
            self._asked = True
            self.denied.emit()

    def open_as(self, spec: str) -> None:
        """Open the camera by another address, such as with another password."""
        self.spec = spec
        self.open()

    def record_by(self, records: CameraRecords | None) -> None:
        """Have a camera of a set recorded by its rules, or not at all; it is opened, and waits for this."""
        self.records, self._settled = records, True
        if self.state is SessionState.WAITING:
            self._note("refused", self.message)
        self._begin()

    def poll(self) -> None:
        """Take what the threads left; called by a timer."""
        with self._lock:
            rendered, self._waiting = self._waiting, None
        if rendered is not None:
            self.rendered = rendered
            self.shown_age_s = rendered.age_s()
            self.frame_rendered.emit()
        while self._notices:
            self.noticed.emit(self._notices.popleft())
        if self._runner is None or self.state in (SessionState.CLOSED, SessionState.FAILED, SessionState.ENDED):
            return
        if not self._runner.running:
            if self.state is not SessionState.WAITING:  # for another password
                self._ended()
            return
        if time.monotonic() - self._noted_at >= NOTE_EVERY_S:
            self._noted_at = time.monotonic()
            link = self._source.link if self._source is not None else None
            self._note(*("live", "") if link is None else (str(link.state), link.reason))
            if reason := self._denied_reason():
                self._runner.stop()
                self._deny(self.tr("{0}: the password is refused now ({1})").format(self.name, reason))
                return
        if self._source is not None and self._source.silent_s() > SILENT_S:
            text = self.tr("No frame for {0} s, trying to come back").format(int(self._source.silent_s()))
            link = self._source.link
            if link is not None and link.reason:
                text = f"{text} ({link.reason})"
            self._set_state(SessionState.SILENT, text)
        elif self.state is not SessionState.LIVE and self.rendered is not None:
            self._set_state(SessionState.LIVE, "")

    # what the window asks for

    def show_at(self, size: tuple[int, int] | None, density: float = 1.0) -> None:
        """Make frames of this size for a screen of that many pixels a unit; None while nobody looks."""
        self._size, self._density = size, density
        self._renderer.fit(size, density)

    def progress(self) -> Progress | None:
        """How the run goes; None before it began."""
        return self._runner.progress() if self._runner is not None else None

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Width and height of the source's frames."""
        if self._source is None:
            return None
        return self._source.info.width, self._source.info.height

    @property
    def recording(self) -> bool:
        """Whether a video is being written, as the user asked or by the rules of its set."""
        return self.recorder.recording or (self.records is not None and self.records.recording)

    @property
    def latest(self) -> FrameResult | None:
        """The newest whole result."""
        return self._latest

    def explain(self, point: Point) -> str:
        """Why what is below that point of the frame is a track or is not, in words."""
        rendered = self.rendered
        return "" if rendered is None else explain_at(rendered.result, point)

    def configure(self) -> None:
        """Draw, hide and track by the settings as they are now."""
        overlay = self.overlay_config()
        self._renderer.configure(overlay)
        self.recorder.configure(overlay)
        self.clips.configure(overlay)
        if self.records is not None:
            self.records.configure(overlay)
        if self._tracker is not None:
            self._tracker.change(self._engine.tracker(), self._engine.embedder)

    def use_shapes(self, shapes: list[Shape], drawn_on: tuple[int, int] | None = None) -> None:
        """Count by these lines and zones, hide these regions, detect in these areas alone where there are any.

        `drawn_on` are width and height of the frames they are drawn on, without it the present ones.
        """
        self._of_set &= self.camera is not None and shapes == shapes_of(self.camera, self.frame_size)
        self.shapes = list(shapes)
        self._drawn_on = drawn_on or self.frame_size
        self._fit_shapes()
        self.counts.use_shapes(self.shapes)
        if self._areas is not None:
            self._areas.use(areas_of(self.shapes))
        self.configure()

    def _fit_shapes(self) -> None:
        """Where frames have another size than the shapes were drawn on, put these at the same shares of them."""
        size = self.frame_size
        if size is not None and self._drawn_on is not None and self._drawn_on != size:
            self.shapes = fit_shapes(self.shapes, self._drawn_on, size)
        self._drawn_on = size or self._drawn_on

    def use_shapes_of_set(self) -> None:
        """Count, hide and detect as the camera's set says."""
        if self.camera is not None:
            self._of_set = True
            self.use_shapes(shapes_of(self.camera, self.frame_size))

    def overlay_config(self) -> OverlayConfig:
        """What is drawn on this source: the settings, and its own hidden regions."""
        size = self.frame_size or self._drawn_on  # while it is opened again, its last frame stays in sight
        return with_hidden(with_privacy(self._engine.settings.overlay, self.camera), self.shapes, size)

    def count_rows(self) -> list[CountRow]:
        """What its lines and zones have counted so far."""
        return self.counts.rows()

    def heat(self) -> HeatMap | None:
        """Where objects have spent their time so far."""
        return self.counts.heat()

    @property
    def hides(self) -> bool:
        """Whether something in its frames is to be unrecognisable, so that none is to be shown bare."""
        config = self.overlay_config()
        return bool(config.blur_classes or config.blur_regions or any(shape.kind == "blur" for shape in self.shapes))

    def still(self) -> Image | None:
        """The newest frame, unless something in it is to be hidden."""
        latest = self._latest
        return None if latest is None or self.hides else latest.frame.image

    def record(self, *, annotated: bool, raw: bool) -> None:
        """Begin to record. Raises SourceError without a frame to record, SinkError where nothing can be written."""
        if self.state not in (SessionState.LIVE, SessionState.SILENT):
            raise SourceError(self.tr("{0} gives no frame; nothing to record").format(self.name))
        self.recorder.start(self._folder(), annotated=annotated, raw=raw)
        self.changed.emit()

    def stop_recording(self, done: Callable[[list[Path]], None]) -> None:
        """End the recording, off the window's thread; `done` is given its files."""
        self._background.run(self.recorder.stop, done, owner=self)

    def arm_clips(self, *, armed: bool) -> None:
        """Save a clip of each event from now on, or no more, where the camera's set does not say so itself."""
        by_set = self.camera is not None and self.camera.record == "event"
        self.clips.arm(armed=armed and not by_set)

    def snapshot(self, done: Callable[[Path], None], failed: Callable[[Exception], None]) -> None:
        """Save the newest frame with its overlay; `done` is given the file."""
        result, config, folder = self._latest, self.overlay_config(), self._folder()
        figures = self.counts.figures()
        if result is not None:
            self._background.run(
                lambda: save_snapshot(result, config, folder, self.name, figures), done, failed, owner=self
            )

    # on the window's thread

    def _opened(self, source: FrameSource) -> None:
        if self.state is SessionState.CLOSED:
            self._background.run(source.close, lambda _: None)
            return
        if self.camera is None:
            self.name = redact(source.name) if is_address(source.name) else source.name
        self._asked = False
        size, self._resized = self._resized, None
        self._source = WatchedSource(source, loop=self._loop, size=size)
        if self._of_set and self._drawn_on is None:
            self.use_shapes_of_set()
        else:
            self._fit_shapes()
            self.use_shapes(self.shapes)
        self.rescaled.emit()
        self._begin()

    def _open_failed(self, error: Exception) -> None:
        if self.state is SessionState.CLOSED:
            return
        self._note("refused", str(error))
        if isinstance(error, UnreachableError) and error.denied and self._has_password:
            self._deny(str(error))
        elif isinstance(error, UnreachableError):
            self._set_state(SessionState.WAITING, self.tr("{0} It is tried again.").format(error))
            self._again.start(max(RETRY_MS, round(1000 * error.retry_s)))
        else:
            self._set_state(SessionState.FAILED, str(error))

    def _begin(self) -> None:
        detector, source = self._engine.detector, self._source
        if detector is None or self.state is SessionState.CLOSED or self._refuses(detector.labels):
            return
        if source is None or self._runner is not None or not self._settled:
            if self._tracker is not None:
                self._tracker.change(self._engine.tracker(), self._engine.embedder)
            return
        recorders: list[Sink] = [self.recorder, self.clips]
        try:
            recorders += [] if self.records is None else self.records.sinks(self.counts.figures)
        except TrackerError as error:
            self._fail(error)
            return
        tracker = self._tracker = LiveTracker(self._engine.tracker(), self._engine.embedder)
        self.counts.begin((*detector.labels, *self._engine.classifier.labels), *(self.frame_size or (0, 0)))
        self.counts.use_shapes(self.shapes)
        self.configure()
        self._renderer.fit(self._size, self._density)
        classes = () if self.camera is None else self.camera.classes
        self._areas = AreaDetector(detector, areas_of(self.shapes), classes=classes)
        classifier = self._engine.classifier
        pipeline = Pipeline(
            self._areas,
            tracker,
            embed=tracker.embed,
            name_tracks=LiveClasses(classifier, detector),
            more_labels=lambda: classifier.labels,
            label_pixels=self._engine.labeller,
            analyse=self.counts,
        )
        self._runner = Runner(source, pipeline, recorders, on_result=self._took)
        if self._record_again is not None:
            annotated, raw = self._record_again
            self._record_again = None
            try:
                self.recorder.start(self._folder(), annotated=annotated, raw=raw)
            except TrackerError as error:
                self.said.emit(str(error))
        self._runner.start()

    def _refuses(self, labels: Sequence[str]) -> bool:
        """Whether the network does not know a class that the set names; then nothing of the camera is shown.

        What is to be hidden would else be shown.
        """
        if self.camera is None or self.state is SessionState.FAILED:
            return False
        try:
            refuse_unknown_classes(self.camera, labels)
        except ConfigError as error:
            self._fail(error)
            return True
        return False

    def _fail(self, error: Exception) -> None:
        self._set_state(SessionState.FAILED, str(error) if isinstance(error, TrackerError) else repr(error))
        self._note("lost", self.message)
        if self._runner is not None:
            self._runner.stop()
        elif self._source is not None:
            source, self._source = self._source, None
            self._background.run(source.close, lambda _: None)

    def _ended(self) -> None:
        assert self._runner is not None
        try:
            self._runner.wait(0.0)
        except Exception as error:  # noqa: BLE001 - the session shows its user what went wrong
            self._fail(error)
            return
        if self._resized is None:
            self._set_state(SessionState.ENDED, self.tr("Ended"))
            self._note("ended")
            return
        text = self.tr("{0}: its images have {1} x {2} pixels now; lines, zones and areas are fitted into them")
        self.said.emit(text.format(self.name, *self._resized))
        self._set_state(SessionState.OPENING, self.tr("Opening {0}").format(self.name))
        self._reopen()

    def _note(self, link: str, problem: str = "") -> None:
        """How the camera stands, for the events of its set."""
        if self.records is not None:
            self.records.note(link, problem)

    def _set_state(self, state: SessionState, message: str) -> None:
        if (state, message) != (self.state, self.message):
            self.state, self.message = state, message
            self.changed.emit()

    # on the runner's threads

    def _read_at(self, index: int) -> float | None:
        return self._source.read_at(index) if self._source is not None else None

    def _has_other_size(self, result: FrameResult) -> bool:
        """Whether a camera sends images of another size than the run was made for; then the run is ended."""
        height, width = result.frame.image.shape[:2]
        if self._source is None or self._source.recorded or (width, height) == self.frame_size:
            return False
        if self._resized is None and self._runner is not None:
            self._resized, self._record_again = (width, height), self.recorder.wanted
            self._runner.stop()
        return True

    def _took(self, result: FrameResult) -> None:
        if self._has_other_size(result):
            return
        self._latest = result
        rendered = self._renderer(result)
        if rendered is not None:
            with self._lock:
                self._waiting = rendered
        if result.events:
            config, clip = self._renderer.config, self.clips.current
            if self.records is not None:
                clip = clip or self.records.clip
            self._notices.extend(notices_of(result, rendered, config, source=self.name, clip=clip))
        if self.records is not None:
            self.records.took(result)


def areas_of(shapes: Sequence[Shape]) -> list[Polygon]:
    """The polygons of the areas that are detected in."""
    return [shape.points for shape in shapes if shape.kind == "area"]
