"""A training as its command starts it."""

from __future__ import annotations

import argparse
from types import ModuleType


def run_training(command: ModuleType, kind: str, *arguments: str) -> int:
    """The exit code of `train KIND ...`; errors come as they are raised."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args([kind, *arguments])
    code: int = options.run(options)
    return code
