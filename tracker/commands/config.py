"""`config`: every setting with its meaning, as a TOML file to start from."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tracker.commands.options import add_settings_options, settings_from
from tracker.config import to_toml
from tracker.factory import Settings

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `config`."""
    parser = subparsers.add_parser("config", help="print every setting as TOML")
    add_settings_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    settings: Settings = settings_from(options)
    sys.stdout.write(to_toml(settings))
    return 0
