"""`evaluate`, `associate` and `tune`: scores against ground truth, each kind in a module of its own."""

from __future__ import annotations

import importlib
from typing import Any

from tracker.commands import evaluate_tracking as tracking_commands

__all__ = ["add_parsers"]

KINDS: tuple[str, ...] = (
    "tracker.commands.evaluate_detector",
    "tracker.commands.evaluate_networks",
    "tracker.commands.evaluate_rcnn",
)


def add_parsers(subparsers: Any) -> None:
    """Add all three."""
    parser = subparsers.add_parser("evaluate", help="measure a network or tracks against ground truth")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    tracking_commands.add_parsers(subparsers, kinds)
    for module in KINDS:
        importlib.import_module(module).add_parser(kinds)
