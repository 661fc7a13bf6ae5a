"""What lines and zones count in a recording, and where objects spend their time: known anew after every correction."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from gui.canvas.heat_layer import read_heat
from gui.canvas.hit_testing import Shape
from gui.qt.background import Background
from gui.recording.store_reader import Overview, count_recording, count_rows
from gui.rules.counting import CountRow, change_shapes, shapes_from_rules
from gui.rules.event_text import describe_event
from tracker.analytics import Rules
from tracker.analytics.heat import HeatMap
from tracker.annotate.rules import change_rules
from tracker.types import Event

__all__ = ["RecordedCounts"]

HEAT_PAUSE = 10.0
"""Times as long as a look at the heat map takes until the next one, while the recording grows."""


class RecordedCounts(QObject):
    """Follows the shapes that are drawn and the rows that are there. All work is done beside the window's thread."""

    changed = pyqtSignal()
    """Other events."""
    kept = pyqtSignal()
    """The store holds other rules and events than before."""
    failed = pyqtSignal(str)

    def __init__(
        self, store: Path, shapes: list[Shape], background: Background, lane: str, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.shapes = shapes
        self.events: tuple[Event, ...] = ()
        """What lines and zones noticed, as far as it is known."""
        self._store = store
        self._background = background
        self._lane = lane
        self._overview: Overview | None = None
        self._correctable = False
        self._heat: HeatMap | None = None
        self._heat_of: Overview | None = None
        self._heat_due = 0.0

    def refresh_from_store(self, overview: Overview, *, correctable: bool) -> None:
        """The store holds this now."""
        rules = overview.rules.scaled(*overview.size)
        if self._overview is None and (rules.line or rules.zone):  # what the recording was counted by, goes before
            self.shapes = shapes_from_rules(rules) + [shape for shape in self.shapes if shape.kind == "blur"]
        self._overview, self._correctable = overview, correctable
        if self._rules(overview) == overview.rules.scaled(*overview.size):
            self.events = overview.events
        else:
            self._count()

    def use_shapes(self, shapes: list[Shape]) -> None:
        """Count at these lines and zones."""
        self.shapes = list(shapes)
        self._count()

    def words(self, label_of: Callable[[int], str]) -> list[tuple[float, str]]:
        """Time and words of each event."""
        return [(event.time, describe_event(event, label_of(event.class_id))) for event in self.events]

    def rows(self) -> list[CountRow]:
        """What lines and zones count."""
        return [] if self._overview is None else count_rows(self.events, self._rules(self._overview))

    def heat(self) -> HeatMap | None:
        """Where objects spend their time, as far as it is known. Who asks again sees what a correction changed."""
        overview, now = self._overview, time.monotonic()
        if overview is not None and overview is not self._heat_of and now >= self._heat_due:
            self._heat_of, self._heat_due = overview, math.inf
            store, rules = self._store, self._rules(overview)
            self._background.run(
                lambda: read_heat(store, rules),
                lambda heat: self._heated(heat, now),
                self._heat_failed,
                lane="heat",
                owner=self,
            )
        return self._heat

    def _rules(self, overview: Overview) -> Rules:
        return change_shapes(overview.rules, self.shapes, overview.size)

    def _count(self) -> None:
        """Find the events of what is drawn; a finished recording keeps them, so that reports and exports follow."""
        overview = self._overview
        if overview is None:
            return
        rules, store = self._rules(overview), self._store
        if self._correctable:
            if rules != overview.rules.scaled(*overview.size):
                self._background.run(
                    lambda: change_rules(store, rules),
                    lambda _: self.kept.emit(),
                    lambda error: self.failed.emit(str(error)),
                    lane=self._lane,
                    owner=self,
                    saves=True,
                )
            return
        self._background.drop_waiting("counts")
        self._background.run(
            lambda: count_recording(store, rules),
            self._counted,
            lambda error: self.failed.emit(str(error)),
            lane="counts",
            owner=self,
        )

    def _counted(self, events: tuple[Event, ...]) -> None:
        if not self._correctable:
            self.events = events
            self.changed.emit()

    def _heated(self, heat: HeatMap, began: float) -> None:
        now = time.monotonic()
        self._heat_due = now if self._correctable else now + HEAT_PAUSE * (now - began)
        self._heat = heat if heat.seconds.any() else None

    def _heat_failed(self, error: Exception) -> None:
        self._heat_due = time.monotonic()
        self.failed.emit(str(error))
