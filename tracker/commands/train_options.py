"""Options of `train classifier`, `train reid` and `train segmentation` that set the loop they share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tracker.config import build, field_docs
from tracker.train.trainer import FitConfig

__all__ = ["add_fit_options", "fit_config"]

NAMES = {"max_minutes": "minutes"}
"""Options that are called otherwise than their setting."""


def add_fit_options(parser: argparse.ArgumentParser, defaults: FitConfig, *, out: str) -> None:
    """One option per setting of the loop, and --out."""
    parser.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help=f"where files go (default {out})")
    docs, group = field_docs(FitConfig), parser.add_argument_group("training")
    for name, text in docs.items():
        value: Any = getattr(defaults, name)
        option = f"--{NAMES.get(name, name).replace('_', '-')}"
        if isinstance(value, bool):
            group.add_argument(option, dest=name, action=argparse.BooleanOptionalAction, default=value, help=text)
        else:
            help_text = f"{text} (default {value})"
            group.add_argument(option, dest=name, type=type(value), default=value, metavar="VALUE", help=help_text)


def fit_config(options: argparse.Namespace) -> FitConfig:
    """The settings that the options ask for."""
    return build(FitConfig, {name: getattr(options, name) for name in field_docs(FitConfig)}, "command line")
