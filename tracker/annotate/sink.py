"""From results to rows: a pipeline that notes its state at checkpoints, and the sink that writes both together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracker.analytics import Analytics
from tracker.annotate.recordings import printable
from tracker.formats.core.live_rows import recorded_rows
from tracker.formats.core.rle import masks_to_rle
from tracker.observations import Observations
from tracker.pipeline import Pipeline, StageDetections
from tracker.protocols import Sink
from tracker.store import ImageEntry, RecordedEvent, RecordingWriter, SemanticMap
from tracker.types import Frame, FrameResult, Image, Tracks, TrackState

__all__ = ["CheckpointingPipeline", "RecordingSink", "as_tracks", "last_events"]

CHECKPOINT_S = 2.0
"""Seconds of video after which rows and state are written."""


class CheckpointingPipeline(Pipeline):
    """A pipeline that notes what it remembers each time two seconds of video, in whole batches, have gone through.

    Whole batches, so that a run that goes on from there gives the network the same batches as an unbroken one.
    """

    def __init__(self, pipeline: Pipeline, *, batch: int, done: int = 0) -> None:
        super().__init__(pipeline.detector, pipeline.tracker)
        self._inner = pipeline
        self._batch = batch
        self._done = done
        self._last_time: float | None = None
        self._notes: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._lock = threading.Lock()

    def detect(self, images: Sequence[Image]) -> list[StageDetections]:
        return self._inner.detect(images)

    def follow(self, frame: Frame, seen: StageDetections) -> FrameResult:
        result = self._inner.follow(frame, seen)
        self._done += 1
        if self._last_time is None:
            self._last_time = frame.time
        elapsed = frame.time - self._last_time
        if self._done % self._batch == 0 and not 0 <= elapsed < CHECKPOINT_S:
            self._last_time = frame.time
            with self._lock:
                self._notes.append((frame.index, self.state()))
        return result

    def state(self) -> dict[str, Any]:
        return {"done": self._done, "pipeline": self._inner.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._done = int(state["done"])
        self._inner.restore(state["pipeline"])

    def note_at(self, frame: int) -> Mapping[str, Any] | None:
        """What was noted right after that frame, once; frames are asked for in order."""
        with self._lock:
            if self._notes and self._notes[0][0] == frame:
                return self._notes.popleft()[1]
        return None


class RecordingSink(Sink):
    """Writes results into a recording, and at each checkpoint what every stage remembers in the same transaction.

    With `images` also the name and size of each, for sources of single images.
    With `refine` also what refinement wants to see: tracks not confirmed yet, and the detections' own boxes.
    `finish` writes the last rows; `close` without it keeps what the last checkpoint has.
    """

    def __init__(
        self,
        writer: RecordingWriter,
        pipeline: CheckpointingPipeline,
        *,
        damage: Callable[[], int],
        analyse: Analytics | None = None,
        refine: bool = False,
        images: bool = False,
    ) -> None:
        self._writer = writer
        self._pipeline = pipeline
        self._damage = damage
        self._analyse = analyse
        self._refine = refine
        self._images = images
        self._last_frame = -1
        self.frames = 0
        self.rejected = 0

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self._pipeline.restore(state)
        self._last_frame = int(state["last_frame"])
        self.frames, self.rejected = int(state["done"]), int(state["rejected"])
        if self._analyse is not None:
            self._analyse.restore(state["analyse"])

    def write(self, result: FrameResult) -> None:
        tracks, frame = result.tracks, result.frame
        confirmed = recorded_rows(tracks)
        kept = self._rows(result, confirmed)
        tentative = None
        if self._refine:
            unconfirmed = (tracks.states == TrackState.TENTATIVE) & (tracks.detection_rows >= 0)
            tentative = self._rows(result, np.flatnonzero(unconfirmed))
        events = self._analyse(as_tracks(kept), frame.time) if self._analyse is not None else ()
        height, width = frame.image.shape[:2]
        entry = ImageEntry(printable(frame.source), width, height) if self._images else None
        labelled = None if result.semantic is None else SemanticMap(result.semantic, result.semantic_labels)
        self._writer.add(frame.index, frame.time, kept, events, tentative, entry, labelled)
        self.frames += 1
        self._last_frame = frame.index
        self.rejected += result.rejected
        noted = self._pipeline.note_at(frame.index)
        if noted is not None:
            self._commit(noted)

    def last_events(self) -> list[RecordedEvent]:
        """What the rules find out once the source has ended."""
        return last_events(self._analyse, self._last_frame)

    def finish(self) -> None:
        """Write the last rows: every frame of the source has come through."""
        self._commit(self._pipeline.state())

    def close(self) -> None:
        """Nothing is lost that a checkpoint holds; the file itself is closed by who opened it."""

    discard = close

    def _commit(self, state: Mapping[str, Any]) -> None:
        analyse = self._analyse.state() if self._analyse is not None else None
        own = {"rejected": self.rejected, "damage": self._damage(), "analyse": analyse, "last_frame": self._last_frame}
        self._writer.commit({**state, **own})

    def _rows(self, result: FrameResult, rows: np.ndarray) -> Observations:
        tracks = result.tracks[rows]
        detections = result.detections[tracks.detection_rows]
        masks: list[str | None] | None = None
        if detections.masks is not None:
            height, width = result.frame.image.shape[:2]
            codes = masks_to_rle(detections.masks, detections.boxes, width=width, height=height)
            masks = [code["counts"] for code in codes]
        return Observations.rounded(
            result.frame.index,
            tracks=tracks.ids,
            class_ids=tracks.class_ids,
            scores=tracks.scores,
            boxes=detections.boxes if self._refine else tracks.boxes,
            masks=masks,
        )


def last_events(analyse: Analytics | None, frame: int) -> list[RecordedEvent]:
    """What rules find out when nothing comes behind a frame."""
    events = analyse.finish() if analyse is not None else ()
    return [RecordedEvent(frame, event) for event in events]


def as_tracks(rows: Observations) -> Tracks:
    """One frame's rows as the tracks that a live run gave, as far as a recording keeps them."""
    count = len(rows)
    return Tracks(
        ids=rows.tracks.astype(np.int64),
        boxes=rows.boxes.astype(np.float32),
        velocities=np.zeros((count, 2), np.float32),
        scores=rows.scores.astype(np.float32),
        class_ids=rows.class_ids.astype(np.int32),
        states=np.full(count, TrackState.CONFIRMED, np.uint8),
        ages=np.zeros(count, np.float32),
        unseen=np.zeros(count, np.float32),
        detection_rows=np.arange(count, dtype=np.int32),
    )
