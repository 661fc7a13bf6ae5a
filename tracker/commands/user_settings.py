"""Settings of this user and this machine: a file in the configuration folder, and environment variables.

Precedence, the later wins: defaults, the user's file, SIGHTLINE_ variables, --config, options, --set.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tracker.config import assign, nearest, parse_assignment, read_settings
from tracker.errors import ConfigError
from tracker.factory import Settings
from tracker.paths import typed_path

__all__ = ["PREFIX", "user_file", "user_settings"]

log = logging.getLogger(__name__)

PREFIX = "SIGHTLINE_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
"""Names the user's file; empty for none at all."""


def user_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the user's settings file is looked for: SIGHTLINE_CONFIG, else sightline/config.toml in the folder that the
    system has for such files."""
    named = environment.get(FILE_VARIABLE)
    if named is not None:
        return typed_path(named) if named.strip() else None
    if sys.platform == "win32":
        home = Path(environment.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "sightline" / "config.toml"


def user_settings(environment: Mapping[str, str] = os.environ) -> tuple[dict[str, Any], str]:
    """The settings of the user's file and of SIGHTLINE_SECTION_KEY variables as nested tables, and what they came from.

    Raises ConfigError for a file that is named and not there, and for a variable of a section that has no such key.
    """
    tree: dict[str, Any] = {}
    origins = []
    path = user_file(environment)
    if path is not None and (path.exists() or FILE_VARIABLE in environment):
        tree = read_settings(path)
        origins.append(str(path))
        log.info("settings of %s are used", path)
    for variable, text in sorted(environment.items()):
        if variable.startswith(PREFIX) and (key := _key_of(variable)):
            _, value = parse_assignment(f"{'.'.join(key)}={text}")
            assign(tree, key, value)
            origins.append(variable)
            log.info("%s is used", variable)
    return tree, ", ".join(origins)


def _key_of(variable: str) -> list[str] | None:
    """Section and key of a variable; None for one that names no section."""
    section, _, key = variable.removeprefix(PREFIX).lower().partition("_")
    known = {each.name: getattr(Settings(), each.name) for each in fields(Settings)}
    if not is_dataclass(known.get(section)):
        return None
    keys = {each.name for each in fields(known[section])} | ({"preset"} if section == "tracker" else set())
    if key not in keys:
        names = [f"{PREFIX}{section}_{name}".upper() for name in keys]
        raise ConfigError(f"{variable}: no such setting; {nearest(variable, names)}")
    return [section, key]
