"""The best weights of a run made ready for use: a threshold chosen, accuracy measured, an ONNX file beside them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.evaluate.detection import ClassPrecision, average_precision, detect_all, one_person_masks, rename
from tracker.evaluate.ground_truth import DataSet
from tracker.evaluate.matching import best_point, match_finds
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.export_detector import clone, export_onnx
from tracker.nets.model_card import ModelCard
from tracker.train.plots import draw_verdict
from tracker.types import Detections

__all__ = ["finish_detector", "measured_card"]

log = logging.getLogger(__name__)

MEASURED_SCORE = 0.01
"""Score from which detections count when the finished network is measured."""
LEAST_THRESHOLD, MOST_THRESHOLD = 0.05, 0.95
"""Where the default threshold is held: of few images the best F1 may lie anywhere."""
MOST_FIGURES = 40
"""Figures reported on one line; the model card has them all."""


def finish_detector(
    best: Path, judged: DataSet | None, *, recipe: Mapping[str, Any], precision: float, device: str, pictures: bool
) -> Path:
    """Give `best` its recipe, its default threshold and its accuracy on `judged`; write the ONNX file beside it.

    Without validation images threshold and accuracy stay as they are. Plots are drawn when the network is safe.
    Returns the ONNX file.
    """
    network, card = load_detector(best)
    card = replace(card, training=recipe)
    found: list[Detections] = []
    if judged is not None:
        judging = DetectorConfig(conf=MEASURED_SCORE, imgsz=card.input_size, device=device)
        found = detect_all(TorchDetector((clone(network), card), judging), judged.samples)
        card = measured_card(card, judged, rename(found, card.labels, judged.labels), precision=precision)
    save_detector(best, network, card)
    onnx = best.with_suffix(".onnx")
    export_onnx(onnx, network, card)
    if judged is not None and pictures:
        draw_verdict(best.parent, judged.samples, found, card.labels, confidence=card.confidence)
    log.info("%s: default threshold %.2f, %s", onnx, card.confidence, on_one_line(card.accuracy))
    return onnx


def measured_card(
    card: ModelCard, judged: DataSet, found: Sequence[Detections], *, precision: float = 0.0
) -> ModelCard:
    """The card with the accuracy of finds on these images, and the threshold of the best F1.

    With `precision`, of the best F1 among thresholds at which at least this share of the finds is right.
    """
    samples, names = judged.samples, dict(enumerate(judged.labels))
    accuracy = {"images": float(len(samples))}
    accuracy |= figures("", average_precision(samples, found, names))
    accuracy |= figures("mask ", average_precision(samples, found, names, masks=True))
    if "person" in judged.labels:
        alone = one_person_masks(samples, found, judged.labels.index("person"))
        accuracy |= figures("mask ", {"one person": alone})
    point = best_point(match_finds(samples, found, len(names)), precision=precision)
    if point is not None:
        accuracy |= {"precision": round(point.precision, 4), "recall": round(point.recall, 4)}
        card = replace(card, confidence=min(max(point.confidence, LEAST_THRESHOLD), MOST_THRESHOLD))
    return replace(card, accuracy=accuracy)


def figures(kind: str, scores: Mapping[str, ClassPrecision]) -> dict[str, float]:
    """AP and AP50 of every class that there is, in percent."""
    figures = {}
    for label, one in scores.items():
        if one.objects and math.isfinite(one.ap):
            figures[f"{kind}AP {label}"] = round(100 * one.ap, 2)
            figures[f"{kind}AP50 {label}"] = round(100 * one.ap50, 2)
    return figures


def on_one_line(accuracy: Mapping[str, float]) -> str:
    """The figures on one line, of very many the first."""
    shown = [f"{name} {value:g}" for name, value in accuracy.items()][:MOST_FIGURES]
    more = [f"and {len(accuracy) - len(shown)} more in the file"] if len(shown) < len(accuracy) else []
    return ", ".join([*shown, *more]) or "nothing measured"
