"""How likely a track is a real object, and a row that nobody detected: what each decision of refinement rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

__all__ = ["EarlyEvidence", "FillEvidence", "TrackEvidence", "certainty"]


SHORTEST_S, LONGEST_S = 1 / 240, 3600.0
"""Seconds between frames that a rate is taken for: a fast camera's, and a time lapse's."""
SHARP = 0.01
"""Standard deviations below this fraction of a size are all the same: no box is better known."""
INSIDE_LIMITS, TRACK_LIMITS = (-1.0, 2.0), (-1.0, 5.0)
"""Where distances from the sides, and log-odds of tracks, end to speak: the sequences fitted to have few beyond."""
SUREST = 1e-4
"""Scores nearer to 1 than this are all as sure."""


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
        rate = -np.log(np.clip(interval, SHORTEST_S, LONGEST_S))
        odds: ndarray = (
            self.base
            + self.rows_weight * np.log(np.maximum(counts, 1))
            + self.rate_weight * rate
            + self.rank_weight * _ranks(counts, scores)
        )
        return odds


@dataclass(frozen=True, slots=True)
class FillEvidence:
    """Log-odds that an object is where nothing was detected: a logistic regression on rows between two others.

    Fitted to the same sequences at full, half and third frame rate. A detector has reason to miss what stands behind
    something; in the open, and at the image's sides, it is more often gone, or never was.
    """

    base: float = -6.6
    """Log-odds of a box at the side of the image, in the open, known to its own size."""
    blur_weight: float = -1.33
    """For the logarithm of how well the place is known: the standard deviation as a fraction of the box's size."""
    hidden_weight: float = 0.9
    """For the fraction of the box behind another one whose lower edge is lower."""
    inside_weight: float = 1.0
    """For the distance from the sides, in box widths, -1 to 2."""
    track_weight: float = 0.57
    """For the log-odds that the track is real, -1 to 5."""
    halfway_weight: float = 9.6
    """For how often rows of this recording lie halfway between the two beside them, as far as that is below
    `usually_halfway`: where objects go otherwise between two frames, what is filled in is beside them."""
    usually_halfway: float = 0.9

    def log_odds(
        self,
        position_std: Float64[ndarray, " n"],
        hidden: Float64[ndarray, " n"],
        inside: Float64[ndarray, " n"],
        track_log_odds: Float64[ndarray, " n"],
        halfway: float,
    ) -> Float64[ndarray, " n"]:
        """Of boxes so well known, so far hidden, so far from the sides, of such tracks, in such a recording."""
        odds: ndarray = (
            self.base
            + self.blur_weight * np.log(position_std + SHARP)
            + self.hidden_weight * hidden
            + self.inside_weight * np.clip(inside, *INSIDE_LIMITS)
            + self.track_weight * np.clip(track_log_odds, *TRACK_LIMITS)
            + self.halfway_weight * min(halfway - self.usually_halfway, 0.0)
        )
        return odds


@dataclass(frozen=True, slots=True)
class EarlyEvidence:
    """Log-odds that a row from before its track was confirmed is on the track's own object: a logistic regression.

    Fitted to the same sequences, played forwards and backwards, at full, half and third frame rate. Such rows are each
    to be believed by their own score: a long track may have begun on something else.
    """

    base: float = -1.26
    """Log-odds of a row that scores 0, of a track that is as likely real as not."""
    score_weight: float = 2.5
    """For how sure the detector was, as a share of how sure it is where it is surest."""
    most_sure: float = 6.0
    """Surer than this no detector needs to be: a score of 0.9975."""
    track_weight: float = 0.2
    """For the log-odds that the track is real, -1 to 5."""

    def log_odds(self, scores: Float64[ndarray, " n"], track_log_odds: float, surest: float) -> Float64[ndarray, " n"]:
        """Of rows of such scores, of one track; `surest` is the detector's own height of certainty."""
        share = certainty(scores) / min(surest, self.most_sure)
        of_track = self.track_weight * np.clip(track_log_odds, *TRACK_LIMITS)
        odds: ndarray = self.base + self.score_weight * share + of_track
        return odds


def certainty(scores: Float64[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """How sure scores are: the logarithm of 1 / (1 - score).

    >>> certainty(np.array([0.0, 0.5, 0.9, 0.99])).round(1).tolist()
    [0.0, 0.7, 2.3, 4.6]
    """
    sure: ndarray = 0.0 - np.log(np.clip(1 - scores, SUREST, 1.0))
    return sure


def _ranks(counts: Int64[ndarray, " n"], scores: Float64[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """The fraction of the rows in long tracks whose track scores no more; half of all rows lie in long tracks or more.

    By the rule of succession, as if one more long track scored less and one more higher: below all of three long ones
    says less than below all of thirty.

    >>> _ranks(np.array([1, 10, 30]), np.array([0.2, 0.9, 0.8])).round(2).tolist()
    [0.33, 0.67, 0.67]
    """
    if not len(counts):
        return np.zeros(0)
    longest = np.sort(counts)[::-1]
    typical = longest[min(int(longest.cumsum().searchsorted(longest.sum() / 2)), len(longest) - 1)]
    long = counts >= typical
    order = scores[long].argsort(kind="stable")
    below = np.concatenate([[0.0], counts[long][order].cumsum()])
    fractions = below[scores[long][order].searchsorted(scores, side="right")] / below[-1]
    known = int(long.sum())
    ranks: ndarray = (fractions * known + 1) / (known + 2)
    return ranks
