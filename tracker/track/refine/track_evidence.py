"""How likely a track is a real object, by what the recording itself shows of real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

__all__ = ["TrackEvidence"]


@dataclass(frozen=True, slots=True)
class TrackEvidence:
    """Log-odds that a track's rows lie on an object: a logistic regression.

    Fitted to the tracks of the MOT15, MOT17-02 and KITTI sequences we measure with, at full, half, third and tenth
    frame rates, each group weighing the same. Scores enter as ranks among the recording's own long tracks, since one
    detector's 0.6 is another's 0.9.
    """

    base: float = -0.8
    """Log-odds of one row at a frame a second that scores below all long tracks."""
    rows_weight: float = 0.97
    """For the logarithm of the number of rows."""
    rate_weight: float = -0.33
    """For the logarithm of the frames per second: at many, what flickers flickers more often."""
    rank_weight: float = 2.4
    """For the rank of the mean score, 0 to 1."""

    def log_odds(
        self, counts: Int64[ndarray, " n"], scores: Float64[ndarray, " n"], interval: float
    ) -> Float64[ndarray, " n"]:
        """Of tracks of so many rows and such mean scores, in a recording with that many seconds between frames."""
        rate = -np.log(np.clip(interval, 1 / 240, 3600.0))
        odds: ndarray = (
            self.base
            + self.rows_weight * np.log(np.maximum(counts, 1))
            + self.rate_weight * rate
            + self.rank_weight * _ranks(counts, scores)
        )
        return odds


def _ranks(counts: Int64[ndarray, " n"], scores: Float64[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """The share of the rows in long tracks whose track scores no more; half of all rows lie in long tracks or more.

    >>> _ranks(np.array([1, 10, 30]), np.array([0.2, 0.9, 0.8])).tolist()
    [0.0, 1.0, 1.0]
    """
    if not len(counts):
        return np.zeros(0)
    longest = np.sort(counts)[::-1]
    typical = longest[min(int(longest.cumsum().searchsorted(longest.sum() / 2)), len(longest) - 1)]
    long = counts >= typical
    order = scores[long].argsort(kind="stable")
    below = np.concatenate([[0.0], counts[long][order].cumsum()])
    ranks: ndarray = below[scores[long][order].searchsorted(scores, side="right")] / below[-1]
    return ranks
