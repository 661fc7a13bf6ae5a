"""`train`: each kind of network, in a module of its own."""

from __future__ import annotations

import importlib
import os
from typing import Any

__all__ = ["add_parsers"]

KINDS: tuple[str, ...] = (
    "tracker.commands.train_detector",
    "tracker.commands.train_classifier",
    "tracker.commands.train_reid",
    "tracker.commands.train_segmentation",
    "tracker.commands.train_localizer",
)


def add_parsers(subparsers: Any) -> None:
    """Add `train` with its kinds.

    Threads of OpenMP then sleep while they wait for each other: on a machine that does something else too, threads that
    spin cost a small network eight times as much, and give a tenth where nothing else runs. OMP_WAIT_POLICY=ACTIVE in
    the environment brings that back; it is read when torch is loaded, hence here.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parser = subparsers.add_parser("train", help="train a network of your own")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    for module in KINDS:
        importlib.import_module(module).add_parser(kinds)
