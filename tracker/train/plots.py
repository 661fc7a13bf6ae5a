"""Images of a training run for a person to look at: the labels, the batches, the curves, and what goes wrong.

Files in the run's folder: labels.png, batch-0.png ..., curves.png; after the last evaluation precision-recall.png,
confusion.png and worst.png (finds in colour, labelled objects that were missed or ignored in white). A plot that
cannot be drawn is reported and left out: it never costs the network. With very many classes those with most objects are
shown by name.
"""

from __future__ import annotations

import csv
import functools
import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec

import cv2
import numpy as np
from jaxtyping import Float32, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.evaluate.matching import Matches, confuse, match_finds
from tracker.geometry import Letterbox, iou
from tracker.nets.weight_files import write_atomically
from tracker.overlay.palette import WHITE, Colour, colour_of
from tracker.overlay.shapes import blend_mask, draw_box, draw_dashed_box, to_pixels
from tracker.train.data.augment import Truth
from tracker.types import Detections, Image

__all__ = [
    "draw_batch",
    "draw_confusion",
    "draw_curves",
    "draw_labels",
    "draw_precision_recall",
    "draw_verdict",
    "draw_worst",
    "image_with_ground_truth",
]

log = logging.getLogger(__name__)

Rest = ParamSpec("Rest")

TILE = 320
"""Side of one image in a sheet of images."""
MOST_CLASSES = 40
"""Classes that a plot shows apart: a confusion of a thousand would take 30 GiB to draw."""
MOST_CURVES = 20
LONGEST_NAME = 32
"""Characters of a class name that a plot has room for."""


def optional(draw: Callable[Concatenate[Path, Rest], None]) -> Callable[Concatenate[Path, Rest], None]:
    """The function, which logs where it fails for whatever reason, and goes on."""

    @functools.wraps(draw)
    def attempt(path: Path, /, *rest: Rest.args, **named: Rest.kwargs) -> None:
        try:
            draw(path, *rest, **named)
        except Exception as error:  # noqa: BLE001 - hours of training are behind it, and nothing depends on a plot
            log.warning("%s: %s failed (%s: %s); the run goes on", path, draw.__name__, type(error).__name__, error)

    return attempt


@optional
def draw_verdict(
    folder: Path, samples: Sequence[Sample], found: Sequence[Detections], labels: Sequence[str], *, confidence: float
) -> None:
    """precision-recall.png, confusion.png and worst.png of finds on the validation images."""
    matches = match_finds(samples, found, len(labels))
    draw_precision_recall(folder / "precision-recall.png", matches, labels, confidence=confidence)
    draw_confusion(folder / "confusion.png", confuse(samples, found, len(labels), confidence=confidence), labels)
    draw_worst(folder / "worst.png", samples, found, matches, confidence=confidence)


@optional
def draw_labels(path: Path, data: DataSet) -> None:
    """How many objects of each class, how large, where, how many to an image; outlined ones apart."""
    samples = data.samples
    class_ids = np.concatenate([sample.class_ids for sample in samples])
    outlined = np.array([part is not None for sample in samples for part in sample.polygons], bool)
    extents = np.array([(sample.width, sample.height) * 2 for sample in samples], np.float32)
    boxes = np.concatenate([sample.boxes / extent for sample, extent in zip(samples, extents, strict=True)])
    figure = Figure((12, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    counts = np.bincount(class_ids, minlength=len(data.names))
    shown = most(counts, MOST_CLASSES)
    places = np.arange(len(shown))
    axes[0, 0].bar(places, counts[shown], color="#56b4e9", label="boxes")
    with_outline = np.bincount(class_ids[outlined], minlength=len(data.names))
    axes[0, 0].bar(places, with_outline[shown], color="#0072b2", label="of them outlined")
    axes[0, 0].set_xticks(places, [plot_name(data.names[row]) for row in shown], rotation=45, ha="right")
    axes[0, 0].margins(y=0.2)
    axes[0, 0].legend()
    axes[0, 0].set_title(f"{len(class_ids)} objects on {len(samples)} images{some_of(shown, counts)}")
    x1, y1, x2, y2 = boxes.T
    axes[0, 1].scatter(x2 - x1, y2 - y1, s=3, alpha=0.3, color="#0072b2")
    axes[0, 1].set(title="size of boxes, share of the image", xlabel="width", ylabel="height", xlim=(0, 1), ylim=(0, 1))
    axes[1, 0].hist2d((x1 + x2) / 2, (y1 + y2) / 2, bins=40, range=((0, 1), (0, 1)), cmap="viridis")
    axes[1, 0].invert_yaxis()
    axes[1, 0].set(title="centres of boxes", xlabel="left to right", ylabel="top to bottom")
    each = np.array([len(sample.boxes) for sample in samples])
    step = max(1, round((each.max(initial=0) + 1) / 30))
    axes[1, 1].hist(each, bins=np.arange(0, each.max(initial=0) + step + 1, step) - 0.5, color="#56b4e9")
    axes[1, 1].set(title="objects on an image", xlabel="objects", ylabel="images", yscale="log")
    save(path, figure)


@optional
def draw_batch(path: Path, images: Sequence[Image], truths: Sequence[Truth]) -> None:
    """The first sixteen images of a batch as the network sees them, with boxes, masks and ignored regions."""
    shown = list(zip(images, truths, strict=True))[:16]
    write_image(path, sheet([image_with_ground_truth(image, ground_truth) for image, ground_truth in shown]))


def image_with_ground_truth(image: Image, ground_truth: Truth) -> Image:
    """One training image: boxes coloured by class (white where the class is not known), ignored regions dashed."""
    canvas = image.copy()
    size = (canvas.shape[1], canvas.shape[0])
    for box in ground_truth.ignored:
        corners = to_pixels(box.tolist(), size)
        if corners is not None:
            draw_dashed_box(canvas, corners, WHITE, line=1)
    for row, box in enumerate(ground_truth.boxes):
        is_known = ground_truth.classes[row].max(initial=0) > 0
        colour = colour_of(int(ground_truth.classes[row].argmax()) + 1) if is_known else WHITE
        corners = to_pixels(box.tolist(), size)
        if corners is None:
            continue
        if ground_truth.has_mask[row]:
            x1, y1, x2, y2 = corners
            seen = slice(y1, y2 + 1), slice(x1, x2 + 1)  # what is cut off is not taught
            tinted = canvas.copy()
            tint(tinted, ground_truth.full_boxes[row], ground_truth.masks[row], colour)
            canvas[seen] = tinted[seen]
        draw_box(canvas, corners, colour, line=1)
    return canvas


@optional
def draw_curves(path: Path, results: Path) -> None:
    """Losses and average precision over the evaluations that results.csv lists."""
    with results.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return
    figure, left, right = two_charts("minutes", "AP50 on the validation images")
    time = [float(row["minutes"]) for row in rows]
    precisions: dict[str, list[float]] = {}
    for name in rows[0]:
        values = [float(row[name] or "nan") for row in rows]
        if name.startswith("loss_"):
            left.plot(time, values, marker=".", label=plot_name(name.removeprefix("loss_")))
        elif name.startswith(("ap50_", "mask_ap50_")) and not all(map(math.isnan, values)):
            precisions[name] = values
    for name, values in (precisions if len(precisions) <= MOST_CURVES else means(precisions)).items():
        right.plot(time, values, marker=".", label=plot_name(name))
    save_charts(path, figure)


def two_charts(along: str, measured: str) -> tuple[Figure, Axes, Axes]:
    """A figure, its chart of losses and its chart of fractions that were measured."""
    figure = Figure((12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set(title="losses", xlabel=along)
    right.set(title=measured, xlabel=along, ylim=(0, 1))
    return figure, left, right


def save_charts(path: Path, figure: Figure) -> None:
    """Write it, with a grid, and a legend wherever there are lines."""
    for axes in figure.axes:
        if axes.lines:
            axes.legend()
        axes.grid(alpha=0.3)
    save(path, figure)


@optional
def draw_precision_recall(path: Path, matches: Matches, labels: Sequence[str], *, confidence: float) -> None:
    """Precision over recall per class at IoU 0.5, with the place of the chosen threshold."""
    figure = Figure((7, 6), layout="constrained")
    axes = figure.subplots()
    by_class = {class_id: matches.of_class(class_id) for class_id in range(len(labels))}
    found = {class_id: own for class_id, own in by_class.items() if own.objects.sum() and len(own.scores)}
    counts = np.array([own.objects.sum() for own in found.values()], np.int64)
    shown = most(counts, MOST_CURVES)
    for class_id in (list(found)[row] for row in shown):
        own, label = found[class_id], plot_name(labels[class_id])
        scores, precision, recall = own.curve()
        red, green, blue = (part / 255 for part in colour_of(class_id + 1))
        (line,) = axes.plot(recall, precision, label=label, color=(red, green, blue))
        chosen = int((scores >= confidence).sum()) - 1
        if chosen >= 0:
            axes.plot(recall[chosen], precision[chosen], "o", color=line.get_color())
    title = f"dots: score {confidence:.2f}{some_of(shown, counts)}"
    axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    if axes.lines:
        axes.legend()
    axes.grid(alpha=0.3)
    save(path, figure)


@optional
def draw_confusion(path: Path, counts: Int64[ndarray, "k k"], labels: Sequence[str]) -> None:
    """Rows: labelled; columns: found; shade is the fraction of the row. A last one more stands for nothing there."""
    counts, names = folded(counts, labels)
    side = max(5.0, 0.7 * len(names) + 2)
    figure = Figure((side, side), layout="constrained")
    axes = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts > 0):
        ink = "white" if fractions[row, column] > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="found", ylabel="labelled")
    save(path, figure)


def folded(counts: Int64[ndarray, "k k"], labels: Sequence[str]) -> tuple[Int64[ndarray, "m m"], list[str]]:
    """A confusion of few enough classes and the names of its rows; the rarer classes are one row, "others".

    A row more than there are labels stands for nothing there.
    """
    nothing = ["nothing"] if len(counts) > len(labels) else []
    if len(labels) <= MOST_CLASSES:
        return counts, [*map(plot_name, labels), *nothing]
    shown = most((counts.sum(axis=0) + counts.sum(axis=1))[: len(labels)], MOST_CLASSES)
    target = np.full(len(counts), MOST_CLASSES)
    target[shown] = np.arange(MOST_CLASSES)
    if nothing:
        target[-1] = MOST_CLASSES + 1
    summed = np.zeros((MOST_CLASSES + 1 + len(nothing), MOST_CLASSES + 1 + len(nothing)), np.int64)
    np.add.at(summed, (target[:, None], target[None, :]), counts)
    others = f"{len(labels) - MOST_CLASSES} others"
    return summed, [*(plot_name(labels[row]) for row in shown), others, *nothing]


@optional
def draw_worst(
    path: Path, samples: Sequence[Sample], found: Sequence[Detections], matches: Matches, *, confidence: float
) -> None:
    """The sixteen images with most mistakes: wrong finds, weighed by their score, and objects not found."""
    mistakes = count_mistakes(samples, matches, confidence=confidence)
    worst = [int(row) for row in np.argsort(-mistakes, kind="stable")[:16] if mistakes[row] > 0]
    if not worst:
        path.unlink(missing_ok=True)
        return
    write_image(path, sheet([image_with_detections(samples[row], found[row], confidence) for row in worst]))


def count_mistakes(samples: Sequence[Sample], matches: Matches, *, confidence: float) -> Float32[ndarray, " s"]:
    """Per image: scores of the finds that are wrong, plus the labelled objects without a find."""
    mistakes = np.zeros(len(samples), np.float32)
    shown = matches.scores >= confidence
    wrong = shown & ~matches.right
    np.add.at(mistakes, matches.images[wrong], matches.scores[wrong])
    np.add.at(mistakes, matches.images[shown & matches.right], -1.0)
    labelled = [int(np.isin(sample.class_ids, sample.labelled).sum()) for sample in samples]
    return mistakes + np.array(labelled, np.float32)


def image_with_detections(sample: Sample, found: Detections, confidence: float) -> Image:
    """The image with its finds, coloured by class, and the labelled objects that none of them covers, dashed white."""
    canvas = sample.read().copy()
    size = (canvas.shape[1], canvas.shape[0])
    shown = found[found.scores >= confidence]
    for row, box in enumerate(shown.boxes):
        colour = colour_of(int(shown.class_ids[row]) + 1)
        if shown.masks is not None:
            tint(canvas, box, shown.masks[row], colour)
        corners = to_pixels(box.tolist(), size)
        if corners is not None:
            draw_box(canvas, corners, colour, line=2)
    covered = iou(sample.boxes, shown.boxes).max(axis=1, initial=0) >= 0.5
    for box in sample.boxes[~covered]:
        corners = to_pixels(box.tolist(), size)
        if corners is not None:
            draw_dashed_box(canvas, corners, WHITE, line=2)
    return canvas


def tint(canvas: Image, box: ndarray, mask: ndarray, colour: Colour) -> None:
    """Tint the covered pixels of one object."""
    corners = to_pixels(box.tolist(), (canvas.shape[1], canvas.shape[0]))
    if corners is not None:
        blend_mask(canvas, mask, corners, colour, opacity=0.45, line=1)


def most(counts: Int64[ndarray, " k"], limit: int) -> list[int]:
    """Places of the largest counts, at most so many, in their own order."""
    return sorted(np.argsort(-counts, kind="stable")[:limit].tolist())


def some_of(shown: Sequence[int], counts: Int64[ndarray, " k"]) -> str:
    """What to add to a title where not all classes are shown."""
    return f"; the {len(shown)} of {len(counts)} classes with most objects" if len(shown) < len(counts) else ""


def means(curves: dict[str, list[float]]) -> dict[str, list[float]]:
    """The mean over all classes in place of very many curves, boxes and masks apart."""
    kinds: dict[str, list[list[float]]] = {}
    for name, values in curves.items():
        kinds.setdefault("mask_ap50" if name.startswith("mask_") else "ap50", []).append(values)
    stacked = {f"{kind}, mean of {len(rows)} classes": np.array(rows) for kind, rows in kinds.items()}
    return {
        name: [float(column[~np.isnan(column)].mean()) if not np.isnan(column).all() else math.nan for column in rows.T]
        for name, rows in stacked.items()
    }


def plot_name(name: str) -> str:
    """A class name as matplotlib shows it: short, without formulas, and not hidden as those that begin with _ are."""
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return f" {short}".replace("$", r"\$") if short.startswith("_") else short.replace("$", r"\$")


def sheet(images: Sequence[Image]) -> Image:
    """Images of any size side by side in tiles."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    canvas = np.full((rows * TILE, columns * TILE, 3), 255, np.uint8)
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        height, width = image.shape[:2]
        fitted = Letterbox.inside(width, height, width=TILE, height=TILE).apply(image, fill=255)
        canvas[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = fitted
    return canvas


def write_image(path: Path, image: Image) -> None:
    """Write an RGB image as PNG."""
    _, content = cv2.imencode(".png", image[..., ::-1])
    write_atomically(path, lambda temporary: temporary.write_bytes(content.tobytes()))


def save(path: Path, figure: Figure) -> None:
    """Write a figure as PNG; characters that the font lacks become boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=90))
