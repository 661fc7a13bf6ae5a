"""Which of a classifier's labels each track has: a vote over several views of it.

One view may be blurred, cut off or hidden; the mean of the probabilities of up to `MOST` views, taken some time apart,
is steadier. A track keeps the detector's class until its first view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32
from numpy import ndarray

from tracker.types import Image, Tracks

__all__ = ["TrackClasses"]

MOST = 12
"""Views of one track that vote."""
APART_S = 0.2
"""Seconds between two of them: frames in a row show the same."""
SMALLEST = 12.0
"""Sides in pixels below which there is nothing to be seen."""
REMEMBERED = 4000
"""Tracks whose votes are kept: one that comes back goes on where it was."""


class TrackClasses:
    """Gives tracks the classifier's labels in place of the detector's, as class numbers from `first` on."""

    def __init__(
        self,
        classify: Callable[[Sequence[Image]], Float32[ndarray, "n k"]],
        crop: Callable[[Image, Float32[ndarray, " 4"]], Image],
        *,
        first: int,
        of: Int32[ndarray, " c"] | None = None,
    ) -> None:
        self._classify, self._crop, self._first, self._of = classify, crop, first, of
        self._votes: dict[int, Float64[ndarray, " k"]] = {}
        self._views: dict[int, tuple[int, float]] = {}

    def __call__(self, image: Image, tracks: Tracks) -> Tracks:
        """The same tracks, those with a vote under their new class; `of` says which of the detector's classes vote."""
        wanted = tracks.detection_rows >= 0
        if self._of is not None:
            wanted &= np.isin(tracks.class_ids, self._of)
        sides = tracks.boxes[:, 2:] - tracks.boxes[:, :2]
        wanted &= sides.min(axis=1, initial=np.inf) >= SMALLEST
        due = [row for row in np.flatnonzero(wanted).tolist() if self._is_due(tracks, row)]
        if due:
            answers = self._classify([self._crop(image, tracks.boxes[row]) for row in due])
            for row, answer in zip(due, answers, strict=True):
                track = int(tracks.ids[row])
                self._votes[track] = self._votes.pop(track, np.zeros(answer.shape)) + answer
                count, _ = self._views.pop(track, (0, 0.0))
                self._views[track] = count + 1, float(tracks.ages[row])
            self._forget()
        class_ids = tracks.class_ids.copy()
        for row, track in enumerate(tracks.ids.tolist()):
            if track in self._votes:
                class_ids[row] = self._first + int(self._votes[track].argmax())
        return replace(tracks, class_ids=class_ids)

    def state(self) -> dict[str, Any]:
        """All votes, to go on with."""
        return {str(track): [self._votes[track].tolist(), *self._views[track]] for track in self._votes}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with votes that `state` gave."""
        self._votes = {int(track): np.array(votes) for track, (votes, _, _) in state.items()}
        self._views = {int(track): (int(count), float(age)) for track, (_, count, age) in state.items()}

    def _is_due(self, tracks: Tracks, row: int) -> bool:
        count, age = self._views.get(int(tracks.ids[row]), (0, -np.inf))
        return count < MOST and float(tracks.ages[row]) - age >= APART_S

    def _forget(self) -> None:
        while len(self._votes) > REMEMBERED:
            oldest = next(iter(self._votes))
            del self._votes[oldest], self._views[oldest]
