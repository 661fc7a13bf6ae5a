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
from gui.rules.counting import CountRow, change_shapes, shapes_from_mapping, shapes_from_rules, shapes_to_mapping
from gui.rules.event_text import describe_event
from tracker.analytics import Rules
from tracker.analytics.figures import line_figure, zone_figure
from tracker.analytics.heat import HeatMap
from tracker.annotate.recount import change_rules
from tracker.overlay import Figure
from tracker.store import Edit
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
        self._heat: HeatMap | None = None
        self._heat_of: Overview | None = None
        self._heat_due = 0.0

    def refresh_from_store(self, overview: Overview) -> None:
        """The store holds this now."""
        rules = overview.rules.scaled(*overview.size)
        if self._overview is None and (rules.line or rules.zone):  # what the recording was counted by, goes before
            self.shapes = shapes_from_rules(rules) + [shape for shape in self.shapes if shape.kind == "blur"]
        self._overview = overview
        if not overview.complete:
            self._count()
        elif self._rules(overview) == rules:
            self.events = overview.events
        else:
            self._keep(self.shapes)

    def use_shapes(self, shapes: list[Shape]) -> None:
        """Count at these lines and zones; once there is a store, it keeps that as a correction that can be undone."""
        before, self.shapes = self.shapes, list(shapes)
        if self._overview is not None:
            self._keep(before)
            if not self._overview.complete:
                self._count()

    def follow(self, edit: Edit) -> bool:
        """Take the lines, zones and hidden regions that a correction undone or done again holds; whether it has any."""
        tree = edit.details.get("before" if edit.undone else "after")
        if edit.kind != "rules" or tree is None:
            return False
        self.shapes = shapes_from_mapping(tree)
        return True

    def words(self, label_of: Callable[[int], str]) -> list[tuple[float, str]]:
        """Time and words of each event."""
        return [(event.time, describe_event(event, label_of(event.class_id))) for event in self.events]

    def rows(self, now: float) -> list[CountRow]:
        """What lines and zones count, and who is inside at the time `now`."""
        return [] if self._overview is None else count_rows(self.events, self._rules(self._overview), now)

    def figures(self, now: float) -> list[Figure]:
        """Lines and zones with what they have counted by the time `now`, to be drawn as in the annotated video."""
        if self._overview is None:
            return []
        rules = self._rules(self._overview)
        rows = {(row.kind, row.name): row for row in count_rows((e for e in self.events if e.time <= now), rules, now)}
        crossed = [(line, rows["line", line.name]) for line in rules.line]
        lines = [line_figure(line, row.inward, row.outward) for line, row in crossed]
        return lines + [zone_figure(zone, rows["zone", zone.name].inside) for zone in rules.zone]

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

    def _keep(self, before: list[Shape]) -> None:
        """The store finds the events of what is drawn, so that reports and exports follow."""
        overview = self._overview
        if overview is None:
            return
        rules, store = self._rules(overview), self._store
        details = {"before": shapes_to_mapping(before), "after": shapes_to_mapping(self.shapes)}
        self._background.run(
            lambda: change_rules(store, rules, **details),
            lambda _: self.kept.emit(),
            lambda error: self.failed.emit(str(error)),
            lane=self._lane,
            owner=self,
            saves=True,
        )

    def _count(self) -> None:
        """Find the events of what is drawn in what there is so far."""
        overview = self._overview
        if overview is None:
            return
        rules, store = self._rules(overview), self._store
        self._background.drop_waiting("counts")
        self._background.run(
            lambda: count_recording(store, rules),
            self._counted,
            lambda error: self.failed.emit(str(error)),
            lane="counts",
            owner=self,
        )

    def _counted(self, events: tuple[Event, ...]) -> None:
        if self._overview is not None and not self._overview.complete:
            self.events = events
            self.changed.emit()

    def _heated(self, heat: HeatMap, began: float) -> None:
        now = time.monotonic()
        finished = self._overview is not None and self._overview.complete
        self._heat_due = now if finished else now + HEAT_PAUSE * (now - began)
        self._heat = heat if heat.seconds.any() else None

    def _heat_failed(self, error: Exception) -> None:
        self._heat_due = time.monotonic()
        self.failed.emit(str(error))
