"""`completion`: a script that lets a shell complete commands, options and file names."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from typing import Any

from tracker.commands.command_parser import CommandParser
from tracker.extras import how_to_install

__all__ = ["add_parsers"]

log = logging.getLogger(__name__)


def add_parsers(subparsers: Any) -> None:
    """Add `completion`."""
    parser = subparsers.add_parser(
        "completion",
        help="a script for the shell's completion",
        description="Print the script that completes the words of `sightline` in a shell.",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell it is for")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import shtab

    parser = CommandParser(prog="sightline")
    subparsers = parser.add_subparsers(parser_class=CommandParser)
    for module in options.command_modules:
        try:
            importlib.import_module(module).add_parsers(subparsers)
        except ModuleNotFoundError as error:
            if not how_to_install(error):
                raise
            log.warning("left out, as %s: %s", how_to_install(error), module.rpartition(".")[2])
    sys.stdout.write(shtab.complete(parser, shell=options.shell) + "\n")
    return 0
