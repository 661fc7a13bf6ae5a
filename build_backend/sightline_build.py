"""Setuptools as the build backend, with one difference: who installs a checkout to work on it gets every command.

A wheel needs little, and its extras bring the rest. An editable install needs the extra `all` too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

EXTRAS = ("gui", "train", "ultralytics")
"""Those that `all` stands for."""


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Any = None) -> str:
    """The metadata of a wheel, with what the extras need among what the program needs; the folder's name."""
    name: str = build_meta.prepare_metadata_for_build_editable(metadata_directory, config_settings)
    path = Path(metadata_directory) / name / "METADATA"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    end = lines.index("\n") if "\n" in lines else len(lines)
    wanted = []
    for line in lines[:end]:
        requirement, _, extra = line.strip().partition("; extra == ")
        if line.startswith("Requires-Dist:") and extra.strip("\"'") in EXTRAS:
            wanted.append(f"{requirement}\n")
    path.write_text("".join([*lines[:end], *wanted, *lines[end:]]), encoding="utf-8")
    return name


def build_editable(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """The editable wheel, with the metadata prepared before."""
    name: str = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    return name
