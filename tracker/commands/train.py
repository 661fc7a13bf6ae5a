"""`train`: detector, classifier, re-identification and segmentation networks, each kind in a module of its own."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["add_parsers"]

KINDS: tuple[str, ...] = (
    "tracker.train.detector_command",
    "tracker.train.classifier_command",
    "tracker.train.reid_command",
    "tracker.train.segmentation_command",
)


def add_parsers(subparsers: Any) -> None:
    """Add `train` with its kinds."""
    parser = subparsers.add_parser("train", help="train a network of your own")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    for module in KINDS:
        importlib.import_module(module).add_parser(kinds)
