"""`config`: every setting with its meaning, as a TOML file to start from."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from tracker.commands.options import add_settings_options, settings_from
from tracker.config import to_toml
from tracker.extras import explain_missing
from tracker.factory import Settings

__all__ = ["add_parsers"]

TRAININGS = ("detector", "classifier", "segmentation", "localizer", "reid")


def add_parsers(subparsers: Any) -> None:
    """Add `config`."""
    parser = subparsers.add_parser("config", help="print every setting as TOML")
    text = "the settings of a training instead: what --config and --set of `train KIND` take"
    parser.add_argument("--of", choices=TRAININGS, metavar="KIND", help=f"{text} ({', '.join(TRAININGS)})")
    add_settings_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.of is not None:
        with explain_missing(f"config --of {options.of}"):
            sys.stdout.write(to_toml(_training(options.of)))
        return 0
    settings: Settings = settings_from(options)
    sys.stdout.write(to_toml(settings))
    return 0


def _training(kind: str) -> Any:
    """The settings that `train KIND` begins with."""
    if kind == "detector":
        from tracker.train.detector_config import TrainConfig

        return TrainConfig(data=Path("data.yaml"))
    module = importlib.import_module(f"tracker.commands.train_{kind}")
    return module.DEFAULTS
