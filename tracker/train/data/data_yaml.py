"""What a data.yaml says, checked before anything it names is read. `data.py` tells what each key means."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tracker.errors import ConfigError

__all__ = ["Description", "read_description"]

SPLITS = ("train", "val", "test")
OWN_KEYS = ("labelled", "groups", "validation_share", "repeat")
"""Keys that only this program knows; others that it does not know belong to other programs and are left alone."""
KEYS = ("path", *SPLITS, "names", "nc", *OWN_KEYS)


@dataclass(frozen=True)
class Description:
    """A data.yaml, or what stands for it when a COCO JSON file is given alone."""

    path: Path
    """The file itself, for messages."""
    root: Path
    names: tuple[str, ...]
    """What class numbers mean, groups included."""
    splits: Mapping[str, tuple[str, ...]]
    """Sources below `root` of each split that there is."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labelled: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    """Folder, list or COCO file -> the classes labelled there."""
    validation_share: float = 0.0
    repeat: Mapping[Path, int] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes a network learns."""
        return tuple(name for name in self.names if name not in self.groups)


def read_description(path: Path) -> Description:
    """The file at `path`; ConfigError, with what was expected and found, where it does not make sense."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            categories = json.loads(text)["categories"]
            ordered = sorted(categories, key=lambda category: category["id"])
            told = [str(category["name"]) for category in ordered]
            content: Any = {"train": path.name, "names": told, "validation_share": 0.15}
        else:
            content = yaml.safe_load(text)
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read as a data.yaml or COCO JSON file ({error}).") from error
    if not isinstance(content, dict) or "names" not in content or "train" not in content:
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ConfigError(f"{path}: expected the keys path, train, val and names, found {found}.")
    _refuse_misspelt_keys(content, path)
    names = _read_names(content["names"], path)
    if content.get("nc") not in (None, len(names)):
        raise ConfigError(
            f"{path}: 'nc' says {content['nc']} classes, 'names' lists {len(names)}. Correct one of them."
        )
    root = path.parent / str(content.get("path") or ".")
    splits = {split: _read_sources(content[split], split, path, root) for split in SPLITS if content.get(split)}
    groups = _read_lists(content, "groups", path)
    labels = [name for name in names if name not in groups]
    labelled = _read_lists(content, "labelled", path)
    for where, members in (*groups.items(), *labelled.items()):
        unknown = [member for member in members if member not in labels]
        if unknown:
            raise ConfigError(f"{path}: {where!r} lists the unknown class {unknown[0]!r}. Known: {', '.join(labels)}.")
    stray = next((name for name in groups if name not in names), None)
    if stray is not None:
        raise ConfigError(f"{path}: the group {stray!r} is not among 'names', so no row can mean it. Add it there.")
    return Description(
        path,
        root,
        names,
        splits,
        groups,
        {_existing(root / folder, "labelled", path): classes for folder, classes in labelled.items()},
        _read_share(content.get("validation_share"), path),
        _read_repeat(content.get("repeat"), root, path),
    )


def _refuse_misspelt_keys(content: Mapping[str, Any], path: Path) -> None:
    for key in content:
        close = difflib.get_close_matches(str(key), OWN_KEYS, n=1, cutoff=0.75)
        if close and key not in KEYS:
            raise ConfigError(f"{path}: unknown key {key!r}; did you mean {close[0]!r}?")


def _read_names(names: Any, path: Path) -> tuple[str, ...]:
    """Class names given as a list or as number: name."""
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            found = ", ".join(map(str, names))
            raise ConfigError(f"{path}: numbers in 'names' must run from 0 to {len(names) - 1}, found {found}.")
        names = [names[number] for number in sorted(names, key=int)]
    if not isinstance(names, list) or not names:
        raise ConfigError(f"{path}: 'names' must list the classes, such as [cat, dog], found {names!r}.")
    told = tuple(map(str, names))
    again = next((name for place, name in enumerate(told) if name in told[:place]), None)
    if again is not None:
        raise ConfigError(f"{path}: 'names' has {again!r} twice.")
    return told


def _read_sources(sources: Any, split: str, path: Path, root: Path) -> tuple[str, ...]:
    """The sources of one split; Roboflow writes '../train/images' for what lies beside its data.yaml."""
    sources = [sources] if isinstance(sources, str) else sources
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise ConfigError(f"{path}: {split!r} must be a folder, a file, or a list of them, found {sources!r}.")
    beside = {source: source.removeprefix("../") for source in sources}
    return tuple(
        short if (root / short).exists() and not (root / source).exists() else source
        for source, short in beside.items()
    )


def _read_lists(content: Mapping[str, Any], key: str, path: Path) -> dict[str, tuple[str, ...]]:
    """A table of lists of class names."""
    table = content.get(key) or {}
    if not isinstance(table, dict) or not all(isinstance(members, list) for members in table.values()):
        first = "FOLDER" if key == "labelled" else "NAME"
        raise ConfigError(f"{path}: expected '{key}: {{{first}: [class, class]}}', found {table!r}.")
    return {str(name): tuple(map(str, members)) for name, members in table.items()}


def _read_share(share: Any, path: Path) -> float:
    if share is None:
        return 0.0
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise ConfigError(f"{path}: 'validation_share' must be from 0 to below 1, found {share!r}.")
    return float(share)


def _read_repeat(table: Any, root: Path, path: Path) -> dict[Path, int]:
    table = table or {}
    if not isinstance(table, dict) or not all(isinstance(times, int) and times >= 1 for times in table.values()):
        raise ConfigError(f"{path}: expected 'repeat: {{FOLDER: 2}}' with whole numbers from 1, found {table!r}.")
    return {_existing(root / str(folder), "repeat", path): times for folder, times in table.items()}


def _existing(place: Path, key: str, path: Path) -> Path:
    if not place.exists():
        raise ConfigError(f"{path}: {key!r} names {place}, which does not exist. Give it as 'train' has it.")
    return place
