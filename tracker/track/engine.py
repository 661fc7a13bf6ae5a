"""One tracker: births, confirmations, coasting and deaths over arrays; presets only choose its settings.

SORT (Bewley et al., ICIP 2016), DeepSORT (Wojke et al., ICIP 2017), ByteTrack (Zhang et al., ECCV 2022), OC-SORT
(Cao et al., CVPR 2023) and BoT-SORT (Aharon et al., 2022) are settings of this lifecycle and of the list of
association stages in `association.py`. Where we differ from all of them: durations are seconds, motion takes the true
time between frames, and state lives in arrays over all tracks.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from tracker.config.tracking import TrackerConfig
from tracker.errors import FormatError
from tracker.protocols import EmbedRows, Explain
from tracker.track.assignment import overlapping, similarity
from tracker.track.association import Matching, UsableDetections, associate, usable
from tracker.track.association_trace import AssociationTrace, Candidates, Endings, Outcome
from tracker.track.gallery import Galleries
from tracker.track.kalman import BoxFilter
from tracker.track.reid_policy import embed_where_needed, usable_embeddings
from tracker.track.track_table import TrackTable, alive_mask, export_columns, states_of
from tracker.types import Detections, Tracks, TrackState, Warp

__all__ = ["TrackingEngine"]

STATE_VERSION = 3
DEFAULT_INTERVAL = 1 / 30
LONGEST_STEP = 300.0
"""Nominal intervals a track is moved on at most: after a longer gap any position is as good as another."""
HICCUP = 4
"""Nominal intervals a frame may be late before tracks due to end cannot match in it any more."""
NEW_RATE = 0.01
"""Fraction by which the measured interval must differ from the one assumed before the filter's time is rescaled."""
ON_TIME = 1e-3
"""A frame this near to one interval (as a fraction) is one interval: containers round their time stamps."""
WARM_UP = 30
"""Frames over which the nominal interval is measured, where no frame rate is given."""


@dataclass(slots=True)
class _Clock:
    """Time as the tracker counts it, and the nominal interval between frames."""

    stamp: float | None = None
    now: float = 0.0
    frames: int = 0
    interval: float = DEFAULT_INTERVAL
    steps: tuple[float, ...] = ()


class TrackingEngine:
    """Gives detections lasting ids. Deterministic; one instance per source; ids start at 1 and are never reused."""

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._filter = BoxFilter(
            self.config.filter,
            position_weight=self.config.position_noise,
            velocity_weight=self.config.velocity_noise,
            measurement_weight=self.config.measurement_noise,
        )
        unseen = "unseen beyond {:g} s"
        self._coasted_out = unseen.format(self.config.max_coast_s)
        self._never_confirmed = unseen.format(self.config.tentative_coast_s) + (
            f" before {self.config.confirm_hits} detections confirmed it"
        )
        self._next_id = 1
        self._classes: list[int] = []
        self.reset()

    def reset(self) -> None:
        """Forget every track and the clock; ids go on and are not reused."""
        config = self.config
        self._table = TrackTable(
            direction_span=config.direction_span if config.direction_weight else 0, keeps_filter=config.reupdate
        )
        self._galleries = Galleries(config.gallery) if config.appearance in ("native", "reid") else None
        interval = 1 / config.frame_rate if config.frame_rate else DEFAULT_INTERVAL
        self._clock = _Clock(interval=interval)
        self._trace: AssociationTrace | None = None
        self._endings = Endings()

    def update(
        self,
        detections: Detections,
        time: float,
        camera_motion: Warp | None = None,
        embed_rows: EmbedRows | None = None,
    ) -> Tracks:
        """Every live track at `time` seconds, by id; see `reported`. `embed_rows` gives vectors where they lack one."""
        found = self._clean(detections)
        ratio = self._tick(time)
        table = self._table
        if len(table):
            if ratio > HICCUP - 1:
                self._expire()
            self._move(ratio, camera_motion)
            if embed_rows is not None and found.embeddings is None and self._galleries is not None:
                boxes = self._filter.boxes(table.filter[0])
                found = embed_where_needed(found, boxes, self._galleries, self.config, embed_rows, now=self._clock.now)
        seen_since = self._clock.now - self.config.max_coast_s - self._clock.interval / 4
        elapsed = ratio * self._clock.interval
        matching = associate(
            found, table, self._filter, self.config, self._galleries, seen_since=seen_since, elapsed=elapsed
        )
        before = Candidates(table.ids, table.confirmed == 1, table.missed.copy())
        rows, cols = matching.pairs
        self._continue(found, rows, cols)
        detection_rows = np.empty(len(table), np.int64)
        detection_rows.fill(-1)
        detection_rows[rows] = found.rows[cols]
        alive = self._alive()
        if np.count_nonzero(alive) < len(alive):
            self._end(alive)
            detection_rows = detection_rows[alive]
        born = self._start(found, matching)
        if len(born):
            detection_rows = np.concatenate([detection_rows, found.rows[born]])
        if self.config.duplicate_overlap < 1:
            single = self._single()
            if not single.all():
                self._endings.add(self._table.ids[~single], "doubled an older track in its place")
                self._drop(single)
                detection_rows = detection_rows[single]
        self._trace = self._trace_of(detections, found, matching, before, born)
        return self._tracks(detection_rows)

    def reported(self, tracks: Tracks) -> Bool[ndarray, " n"]:
        """Which of the tracks that `update` just gave are meant to be written and drawn; ask before the next update.

        Confirmed ones seen in this frame, and with `report_coast_s` those unseen for no longer than that, as long as
        they moved as expected before.
        """
        shown: ndarray = tracks.states == TrackState.CONFIRMED
        if self.config.report_coast_s:
            limit = self.config.report_coast_s + self._clock.interval / 4
            coasting = (tracks.states == TrackState.COASTING) & (tracks.unseen <= limit)
            if self.config.report_coast_residual < 1:
                steady = self._table.ids[self._table.residual_ema <= self.config.report_coast_residual]
                coasting &= np.isin(tracks.ids, steady)
            shown |= coasting
        return shown

    def explain(self, row: int) -> str:
        """Why detection `row` of the last frame is not a confirmed track, or which one it is. Raises IndexError."""
        if self._trace is None:
            raise IndexError(f"explain: no frame has come yet, found row {row}")
        return self._trace.explain(row)

    @property
    def trace(self) -> AssociationTrace | None:
        """What the last update made of its detections; None before the first."""
        return self._trace

    @property
    def explanation(self) -> Explain | None:
        """`explain` of the last frame, which stays so when the engine goes on; None before the first."""
        return None if self._trace is None else self._trace.explain

    def explain_end(self, track_id: int) -> str | None:
        """Why a track ended; None while it lives, for one ended a thousand tracks ago or before `restore`."""
        return self._endings[track_id]

    def _clean(self, detections: Detections) -> UsableDetections:
        boxes, scores, rows = usable(detections.boxes, detections.scores, self.config.low_score)
        if detections.embeddings is not None and self._galleries is None and self.config.appearance == "auto":
            self._galleries = Galleries(self.config.gallery)
            self._galleries.append(len(self._table))
        embeddings = usable_embeddings(detections.embeddings, rows) if self._galleries is not None else None
        return UsableDetections(boxes, scores, self._places(detections.class_ids.take(rows)), embeddings, rows)

    def _places(self, class_ids: ndarray) -> Int64[ndarray, " n"]:
        """The place of each class in the vote, in the order the classes were first met."""
        if len(self._classes) == 1 and np.count_nonzero(class_ids != self._classes[0]) == 0:
            return np.zeros(len(class_ids), np.int64)
        known = self._classes
        places = {class_id: place for place, class_id in enumerate(known)}
        for class_id in class_ids.tolist():
            if class_id not in places:
                places[class_id] = len(known)
                known.append(class_id)
        if len(known) > len(self._table.votes):
            self._table.add_classes(len(known))
        return np.array([places[class_id] for class_id in class_ids.tolist()], np.int64)

    def _tick(self, time: float) -> float:
        """Advance the clock; the time since the last frame in nominal intervals.

        A stamp that stands still, runs backwards or is no number counts as one nominal interval.
        """
        clock = self._clock
        if clock.stamp is None:
            self._clock = _Clock(float(time), 0.0, 1, clock.interval)
            return 1.0
        elapsed = float(time) - clock.stamp
        if not 0 < elapsed < float("inf"):
            elapsed = clock.interval
        interval, steps = clock.interval, clock.steps
        if not self.config.frame_rate and clock.frames <= WARM_UP:
            steps = (*steps, elapsed)
            measured = statistics.median_low(steps)
            if abs(measured - interval) > NEW_RATE * interval:
                self._table.filter = self._filter.rescale_time(self._table.filter, measured / interval)
                interval = measured
        stamp = float(time) if np.isfinite(time) else clock.stamp + elapsed
        self._clock = _Clock(stamp, clock.now + elapsed, clock.frames + 1, interval, steps)
        ratio = elapsed / interval
        return 1.0 if abs(ratio - 1) < ON_TIME else min(ratio, LONGEST_STEP)

    def _expire(self) -> None:
        """Drop what could not have lived until now, before it may match."""
        clock, config = self._clock, self.config
        longest = max(config.max_coast_s, config.tentative_coast_s) + HICCUP * clock.interval
        unseen = clock.now - self._table.last_seen
        if unseen.max() > longest:
            self._end(unseen <= longest)

    def _end(self, alive: Bool[ndarray, " n"]) -> None:
        """Drop the tracks that went unseen for too long."""
        gone = (~alive).nonzero()[0]
        ids, confirmed = self._table.ids[gone], self._table.confirmed[gone] == 1
        if self.config.confirm_in_a_row or confirmed.all():
            self._endings.add(ids, self._coasted_out)
        else:
            self._endings.add(ids[confirmed], self._coasted_out)
            self._endings.add(ids[~confirmed], self._never_confirmed)
        self._drop(alive)

    def _drop(self, alive: Bool[ndarray, " n"]) -> None:
        self._table.keep(alive)
        if self._galleries is not None:
            self._galleries.keep(alive)

    def _move(self, ratio: float, camera_motion: Warp | None) -> None:
        table = self._table
        if self.config.freeze_lost_size:
            table.filter[1, 2:] *= table.missed == 0
        if self.config.coast_slowdown_s:
            slowdown = math.exp(-ratio * self._clock.interval / self.config.coast_slowdown_s)
            table.filter[1] *= np.where(table.missed == 0, 1.0, slowdown)
        weight = self.config.wander_noise
        table.filter = self._filter.predict(table.filter, ratio, weight * table.residual_ema**2 if weight else None)
        table.missed += 1
        if camera_motion is not None and self.config.camera_motion and np.isfinite(camera_motion).all():
            table.filter = self._filter.warp(table.filter, np.asarray(camera_motion, np.float64))

    def _continue(self, found: UsableDetections, rows: Int64[ndarray, " k"], cols: Int64[ndarray, " k"]) -> None:
        """Give the matched tracks their detections."""
        table, config = self._table, self.config
        if config.confirm_in_a_row and len(table):
            table.streak[table.missed > 1] = 0
        if len(rows) == 0:
            table.push_centres(rows, np.empty((4, 0)))
            return
        boxes, scores, places = found.boxes.take(cols, axis=1), found.scores.take(cols), found.class_places.take(cols)
        lost = (table.missed[rows] > 1).nonzero()[0] if config.reupdate else ()
        if len(lost):
            again = rows[lost]
            table.filter[:, :, again] = self._filter.along_straight_path(
                table.filter_when_seen[:, :, again], table.observed[:, again], boxes[:, lost], table.missed[again]
            )
        offset = self._filter.correct(table.filter, rows, boxes, scores if config.score_adaptive_noise else None)
        if config.reupdate:
            table.filter_when_seen[:, :, rows] = table.filter[:, :, rows]
        table.push_centres(rows, boxes)
        table.mark_detected(rows, boxes, scores, offset, self._clock.now)
        if len(table.votes) > 1:
            table.votes[places, rows] += scores
            table.class_places[rows] = table.votes[:, rows].argmax(axis=0)
        if self._galleries is not None and found.embeddings is not None:
            self._galleries.add(rows, found.embeddings[cols], self._clock.now)
        if config.confirm_in_a_row:
            table.confirmed[:] = table.streak >= config.confirm_hits
        else:
            table.confirmed[rows] |= table.hits[rows] >= config.confirm_hits

    def _alive(self) -> Bool[ndarray, " n"]:
        table, config, clock = self._table, self.config, self._clock
        tentative = config.max_coast_s if config.confirm_in_a_row else config.tentative_coast_s
        moment = clock.now - clock.interval / 4
        return alive_mask(table.last_seen, table.confirmed, table.filter, moment, config.max_coast_s, tentative)

    def _single(self) -> Bool[ndarray, " n"]:
        """False for the younger one of a seen and an unseen track in the same place."""
        table = self._table
        single = np.ones(len(table), bool)
        last_seen, unseen = np.flatnonzero(table.missed == 0), np.flatnonzero(table.missed > 0)
        if len(last_seen) and len(unseen):
            boxes = self._filter.boxes(table.filter[0])
            rows, cols = overlapping(boxes.take(last_seen, axis=1), boxes.take(unseen, axis=1))
            rows, cols = last_seen[rows], unseen[cols]
            double = similarity("iou", boxes, boxes, rows, cols) > self.config.duplicate_overlap
            rows, cols = rows[double], cols[double]
            lifetime = table.last_seen - table.born
            single[np.where(lifetime[rows] > lifetime[cols], cols, rows)] = False
        return single

    def _start(self, found: UsableDetections, matching: Matching) -> Int64[ndarray, " b"]:
        """Start tracks from what nobody claimed; the columns of `found` that did."""
        config, table, clock = self.config, self._table, self._clock
        free = matching.free_detections & (found.scores >= config.new_score)
        born = free.nonzero()[0]
        if len(born) == 0:
            return born
        boxes, scores = found.boxes.take(born, axis=1), found.scores.take(born)
        ids = np.arange(self._next_id, self._next_id + len(born))
        self._next_id += len(born)
        confirmed = scores >= config.instant_score
        confirmed |= clock.frames <= config.confirm_first_frames or config.confirm_hits <= 1
        table.append(
            self._filter.start(self._filter.measure(boxes), config.start_speed * clock.interval),
            ids=ids,
            confirmed=confirmed,
            time=clock.now,
            scores=scores,
            boxes=boxes,
            class_places=found.class_places.take(born),
        )
        if self._galleries is not None:
            self._galleries.append(len(born))
            if found.embeddings is not None:
                self._galleries.add(np.arange(len(table) - len(born), len(table)), found.embeddings[born], clock.now)
        return born

    def _trace_of(
        self,
        detections: Detections,
        found: UsableDetections,
        matching: Matching,
        before: Candidates,
        born: Int64[ndarray, " b"],
    ) -> AssociationTrace:
        table = self._table
        counts = table.streak if self.config.confirm_in_a_row else table.hits
        born_ids = np.arange(self._next_id - len(born), self._next_id)
        outcome = Outcome(table.ids, table.confirmed == 1, counts.copy(), born, born_ids)
        return AssociationTrace(detections, found, matching, before, outcome, self.config)

    def _tracks(self, detection_rows: Int64[ndarray, " n"]) -> Tracks:
        table, config, clock = self._table, self.config, self._clock
        if len(table) == 0:
            return Tracks.empty()
        boxes = self._filter.boxes(table.filter[0])
        if config.report == "detection":
            boxes = np.where(table.missed > 0, boxes, table.observed)
        speeds = self._filter.velocities(table.filter)
        corners, velocities, ages, unseen = export_columns(boxes, speeds, clock.interval, table.since, clock.now)
        states = states_of(table.missed, table.confirmed, clock.frames <= config.confirm_first_frames)
        class_ids = np.array(self._classes, np.int32).take(table.class_places)
        scores = table.scores.astype(np.float32)
        rows = detection_rows.astype(np.int32)
        return Tracks(table.ids.copy(), corners, velocities, scores, class_ids, states, ages, unseen, rows)

    def state(self) -> Mapping[str, Any]:
        """All that is needed to go on later, as plain values and arrays."""
        clock = self._clock
        return {
            "version": STATE_VERSION,
            "next_id": self._next_id,
            "classes": list(self._classes),
            "clock": [clock.stamp, clock.now, clock.frames, clock.interval, list(clock.steps)],
            "tracks": self._table.state(),
            "galleries": self._galleries.state() if self._galleries is not None else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where the tracker that gave `state` stood; its settings must be the same. Raises FormatError."""
        if state.get("version") != STATE_VERSION:
            raise FormatError(
                f"tracker state: expected version {STATE_VERSION}, found {state.get('version')}; "
                "another version of the program wrote it, so start the recording anew"
            )
        self.reset()
        self._next_id = int(state["next_id"])
        self._classes = [int(class_id) for class_id in state["classes"]]
        stamp, now, frames, interval, steps = state["clock"]
        self._clock = _Clock(stamp, now, frames, interval, tuple(steps))
        self._table.restore(state["tracks"])
        if state["galleries"] is not None:
            self._galleries = Galleries(self.config.gallery)
            self._galleries.restore(state["galleries"])
