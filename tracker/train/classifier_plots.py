"""Plots of a classifier's training: curves, the confusion matrix, and the images it was most wrongly sure of."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from tracker.evaluate.classification import confusion_matrix
from tracker.train.data.classification import LabelledImages
from tracker.train.plots import draw_confusion, optional, plot_name, save_charts, sheet, two_charts, write_image
from tracker.types import Image

__all__ = ["draw_classifier", "draw_history", "draw_wrong"]

MOST_WRONG = 16
LEAST_SIDE = 96
"""Pixels that small images are enlarged to."""


def draw_classifier(
    folder: Path, data: LabelledImages, probabilities: Float32[ndarray, "n k"], *, results: Path
) -> None:
    """results.png, confusion.png and wrong.png of the validation images, as far as there is anything to draw."""
    draw_history(folder / "results.png", results)
    found = probabilities.argmax(axis=1)
    draw_confusion(folder / "confusion.png", confusion_matrix(data.labels, found, classes=len(data.names)), data.names)
    if (found != data.labels).any():
        draw_wrong(folder / "wrong.png", data, probabilities)


@optional
def draw_history(path: Path, results: Path) -> None:
    """Losses, and what was measured, over the epochs that results.csv lists."""
    with results.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure, left, right = two_charts("epoch", "on the validation images")
    epochs = [int(row["epoch"]) for row in rows]
    for name in rows[0] if rows else ():
        if name in ("epoch", "minutes", "score"):
            continue
        axes = left if name.startswith("loss_") else right
        values = [float(row[name] or "nan") for row in rows]
        axes.plot(epochs, values, marker=".", label=plot_name(name.removeprefix("loss_").replace("_", " ")))
    save_charts(path, figure)


@optional
def draw_wrong(path: Path, data: LabelledImages, probabilities: Float32[ndarray, "n k"]) -> None:
    """The wrong images, surest first, each with what was said and what it is."""
    rows = most_wrong(data.labels, probabilities)[:MOST_WRONG]
    images = []
    for row in rows.tolist():
        said = int(probabilities[row].argmax())
        text = f"{data.names[said]} {probabilities[row, said]:.2f}, is {data.names[int(data.labels[row])]}"
        images.append(_captioned(data.images[row], text))
    write_image(path, sheet(images))


def most_wrong(labels: Int64[ndarray, " n"], probabilities: Float32[ndarray, "n k"]) -> Int64[ndarray, " m"]:
    """Rows that were predicted wrong, the surest first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return np.asarray(wrong[order], np.int64)


def _captioned(image: ndarray, text: str) -> Image:
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.shape[2] == 1 else pixels
    factor = -(-LEAST_SIDE // min(pixels.shape[:2]))
    pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    strip = np.full((18, pixels.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, plot_name(text), (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.asarray(np.concatenate((pixels, strip)), np.uint8)
