"""How well labels are predicted: accuracy, error, and per class precision and recall, from one confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Integer
from numpy import ndarray

__all__ = ["ClassificationReport", "confusion_matrix", "report_classification"]


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationReport:
    """Figures of one evaluation, per class in the order of the labels."""

    confusion: Int64[ndarray, "k k"]
    """Rows: truth; columns: what was said."""

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def error(self) -> float:
        return 1.0 - self.accuracy

    @property
    def recall(self) -> Float64[ndarray, " k"]:
        """Of each class, the share that was predicted as it; NaN where there was none."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def precision(self) -> Float64[ndarray, " k"]:
        """Of each class predicted, the share that was right; NaN where it was never predicted."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))


def confusion_matrix(
    ground_truth: Integer[ndarray, " n"], predicted: Integer[ndarray, " n"], *, classes: int
) -> Int64[ndarray, "k k"]:
    """How often each class (row) was predicted as each class (column)."""
    pairs = ground_truth.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def report_classification(
    ground_truth: Integer[ndarray, " n"], predicted: Integer[ndarray, " n"], *, classes: int
) -> ClassificationReport:
    """The figures of `predicted` against `ground_truth`, both class numbers below `classes`."""
    return ClassificationReport(confusion_matrix(ground_truth, predicted, classes=classes))


def _ratio(part: Int64[ndarray, " k"], whole: Int64[ndarray, " k"]) -> Float64[ndarray, " k"]:
    with np.errstate(invalid="ignore"):
        return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
