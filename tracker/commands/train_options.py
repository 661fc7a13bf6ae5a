"""Options of `train classifier`, `train reid` and `train segmentation`: settings, each also by --config and --set.

What is typed wins over --config, and --set over both, as in every other command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tracker.config import assign, assign_tables, build, field_docs, parse_assignment, read_settings, to_mapping
from tracker.paths import typed_path
from tracker.train.trainer import FitConfig

__all__ = ["add_fit_options", "add_training_settings", "training_settings", "write_line"]

NAMES = {"max_minutes": "minutes"}
"""Options that are called otherwise than their setting."""
Training = TypeVar("Training")


def add_fit_options(parser: argparse.ArgumentParser, defaults: FitConfig, *, out: str) -> None:
    """One option per setting of the loop, and --out."""
    parser.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help=f"where files go (default {out})")
    docs, group = field_docs(FitConfig), parser.add_argument_group("training")
    for name, text in docs.items():
        value: Any = getattr(defaults, name)
        option = f"--{NAMES.get(name, name).replace('_', '-')}"
        if isinstance(value, bool):
            action = argparse.BooleanOptionalAction
            shown = f"{text} (default {'on' if value else 'off'})"
            group.add_argument(option, dest=name, action=action, default=None, help=shown)
        else:
            help_text = f"{text} (default {value})"
            group.add_argument(option, dest=name, type=type(value), metavar="VALUE", help=help_text)


def add_training_settings(parser: argparse.ArgumentParser, keys: Mapping[str, str], *, kind: str) -> None:
    """--config and --set; the options named in `keys` tell from then on whether they were typed."""
    group = parser.add_argument_group("settings")
    text = f"settings file, TOML or YAML: what `config --of {kind}` prints; options given here win"
    group.add_argument("--config", type=typed_path, metavar="FILE", help=text)
    text = "any setting by its key, such as augment.rotate=5 or network.norm=false; may be repeated"
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    parser.set_defaults(**dict.fromkeys(keys))


def training_settings(options: argparse.Namespace, defaults: Training, keys: Mapping[str, str]) -> Training:
    """`defaults` < --config < what was typed < --set; `keys` has the setting of each option, those of the loop aside.

    Raises ConfigError for an unknown setting, with the nearest known one.
    """
    tree = to_mapping(defaults)
    where = "command line"
    if options.config is not None:
        where = f"{options.config}, command line"
        assign_tables(tree, read_settings(options.config))
    for name, key in {**{name: f"fit.{name}" for name in field_docs(FitConfig)}, **keys}.items():
        value = getattr(options, name)
        if value is not None:
            assign(tree, key.split("."), value)
    for text in options.set:
        path, value = parse_assignment(text)
        assign(tree, path, value)
    return build(type(defaults), tree, where)


def write_line(line: str) -> None:
    """One line of progress on stdout, at once, also where it goes into a file or a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
