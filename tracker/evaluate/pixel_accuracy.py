"""How well pixels are labelled: intersection over union per class and its mean, from one confusion matrix.

Mean IoU as in the PASCAL VOC challenge and Long et al., CVPR 2015: over all images together, per class, then averaged
over the classes that occur in the truth.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy import ndarray

from tracker.evaluate.classification import confusion_matrix

__all__ = ["SegmentationScore"]


class SegmentationScore:
    """Counts of pixels by true and predicted label, added up image by image."""

    def __init__(self, classes: int, *, ignore: int = 255) -> None:
        self.confusion: Int64[ndarray, "k k"] = np.zeros((classes, classes), np.int64)
        """Rows: truth; columns: what was said."""
        self.ignore = ignore

    def add(self, predicted: UInt8[ndarray, "h w"], ground_truth: UInt8[ndarray, "h w"]) -> None:
        """Count the pixels of one image, those with the ignored truth aside."""
        judged = ground_truth != self.ignore
        self.confusion += confusion_matrix(ground_truth[judged], predicted[judged], classes=len(self.confusion))

    @property
    def iou(self) -> Float64[ndarray, " k"]:
        """Intersection over union of each class; NaN where the class is not in the truth."""
        right, true = np.diag(self.confusion), self.confusion.sum(axis=1)
        union = true + self.confusion.sum(axis=0) - right
        return np.where(true > 0, right / np.maximum(union, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur; NaN when nothing was counted."""
        known = self.iou[~np.isnan(self.iou)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels that were labelled right."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def mean_accuracy(self) -> float:
        """Share of each class's pixels that were labelled right, averaged over the classes that occur."""
        true = self.confusion.sum(axis=1)
        if not true.any():
            return float("nan")
        return float((np.diag(self.confusion)[true > 0] / true[true > 0]).mean())
