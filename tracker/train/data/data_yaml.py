"""What a data.yaml says, checked before anything it names is read. `detection.py` says what each key means."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracker.errors import ConfigError, FormatError
from tracker.formats.core.class_names import is_null, names_of, read_yaml
from tracker.formats.core.coco_content import coco_categories
from tracker.formats.core.image_names import is_elsewhere, relative_parts
from tracker.formats.core.parsing import as_mapping, read_json
from tracker.formats.core.yolo_rows import keypoint_values
from tracker.nets.model_card import LONGEST_LABEL, MOST_LABELS

__all__ = ["Description", "read_description"]

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
OWN_KEYS = ("labelled", "groups", "validation_share", "repeat", "blend")
"""Keys that only this program knows; others that it does not know belong to other programs and are left alone."""
ROBOFLOW_COCO = "_annotations.coco.json"
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
    blend: Mapping[Path, float] = field(default_factory=dict)
    """Folder -> the teacher's share of the truth about classes that the folder labels."""
    keypoints: int = 0
    """Values of a pose behind each box in text files, of `kpt_shape`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes a network learns."""
        return tuple(name for name in self.names if name not in self.groups)


def read_description(path: Path) -> Description:
    """The file at `path`; ConfigError, with what was expected and found, where it does not make sense."""
    path = path if not path.is_dir() else _inside(path)
    try:
        content: Any = read_yaml(path) if path.suffix != ".json" else _of_coco(path)
    except FormatError as error:
        raise ConfigError(f"{error}. Expected a data.yaml or a COCO JSON file.") from error
    if isinstance(content, dict):
        content = {key: None if is_null(value) else value for key, value in content.items()}
        if "val" not in content and "validation" in content:  # as ultralytics takes it too
            content["val"] = content.pop("validation")
    if not isinstance(content, dict) or content.get("names") is None or content.get("train") is None:
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ConfigError(f"{path}: expected the keys path, train, val and names, found {found}.")
    _refuse_misspelt_keys(content, path)
    names = _read_names(content["names"], path)
    if content.get("nc") not in (None, str(len(names))):
        raise ConfigError(
            f"{path}: 'nc' says {content['nc']} classes, 'names' lists {len(names)}. Correct one of them."
        )
    root = _root(path, content.get("path"))
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
        _read_blend(content.get("blend"), root, path),
        keypoint_values(content.get("kpt_shape")),
    )


def _inside(folder: Path) -> Path:
    """The description in a folder: its data.yaml, or the COCO file that Roboflow puts into each part."""
    for name in ("data.yaml", "data.yml", "dataset.yaml", ROBOFLOW_COCO, f"train/{ROBOFLOW_COCO}"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"{folder} has no data.yaml, which names the classes and the folders of images. Write one there.")


def _of_coco(path: Path) -> dict[str, Any]:
    """What a COCO file given alone stands for; Roboflow's for training has those of the other parts beside it."""
    names = list(coco_categories(as_mapping(read_json(path), "file", path), path).names)
    beside = {split: path.parent.parent / folder / path.name for split, folder in (("val", "valid"), ("test", "test"))}
    if path.name == ROBOFLOW_COCO and path.parent.name == "train" and beside["val"].is_file():
        others = {split: f"../{file.parent.name}/{file.name}" for split, file in beside.items() if file.is_file()}
        return {"train": path.name, **others, "names": names}
    return {"train": path.name, "names": names, "validation_share": 0.15}


def _root(path: Path, named: Any) -> Path:
    """The folder that sources lie below: `path`, or that of the file where `path` is a folder of another machine."""
    root = path.parent / str(named or ".").replace("\\", "/")
    if not root.is_dir():
        log.warning("%s: 'path' names %s, which is not there; %s is looked into", path, root, path.parent)
        return path.parent
    return root


def _refuse_misspelt_keys(content: Mapping[str, Any], path: Path) -> None:
    for key in content:
        close = difflib.get_close_matches(str(key), OWN_KEYS, n=1, cutoff=0.75)
        if close and key not in KEYS:
            raise ConfigError(f"{path}: unknown key {key!r}; did you mean {close[0]!r}?")


def _read_names(names: Any, path: Path) -> tuple[str, ...]:
    """Class names given as a list or as number: name."""
    try:
        labels = names_of(names, path)
    except FormatError as error:
        raise ConfigError(f"{error}.") from error
    if not labels:
        raise ConfigError(f"{path}: 'names' must list the classes, such as [cat, dog], found none.")
    longest = max(labels, key=len)
    if len(labels) > MOST_LABELS or len(longest) > LONGEST_LABEL:
        raise ConfigError(
            f"{path}: {len(labels)} class names of up to {len(longest)} letters ({longest[:20]}...); a network holds "
            f"{MOST_LABELS} of {LONGEST_LABEL}. Shorten them."
        )
    return labels


def _read_sources(sources: Any, split: str, path: Path, root: Path) -> tuple[str, ...]:
    """The sources of one split, those found elsewhere than the file says too."""
    sources = [sources] if isinstance(sources, str) else sources
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise ConfigError(f"{path}: {split!r} must be a folder, a file, or a list of them, found {sources!r}.")
    return tuple(_existing_source(source, root) for source in sources)


def _existing_source(source: str, root: Path) -> str:
    """The source as it is found below `root`: as it stands, or by its last folders.

    Roboflow writes ../train/images for what lies beside its data.yaml; a path of another machine ends in the same two
    folders or more.
    """
    if (root / source).exists():
        return source
    parts = relative_parts(source)
    shorter = ["/".join(parts)]
    if is_elsewhere(source):
        shorter += ["/".join(parts[start:]) for start in range(1, len(parts) - 1)]
    return next((name for name in shorter if (root / name).exists()), source)


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
    try:
        value = float(share)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < 1:
        raise ConfigError(f"{path}: 'validation_share' must be from 0 to below 1, found {share!r}.")
    return value


def _read_repeat(table: Any, root: Path, path: Path) -> dict[Path, int]:
    table = table or {}
    if not isinstance(table, dict) or not all(str(times).isdecimal() and int(times) >= 1 for times in table.values()):
        raise ConfigError(f"{path}: expected 'repeat: {{FOLDER: 2}}' with whole numbers from 1, found {table!r}.")
    return {_existing(root / str(folder), "repeat", path): int(times) for folder, times in table.items()}


def _read_blend(table: Any, root: Path, path: Path) -> dict[Path, float]:
    table = table or {}
    try:
        shares = {str(folder): float(share) for folder, share in table.items()}
    except (AttributeError, TypeError, ValueError):
        shares = {"": math.nan}
    if not all(0 <= share <= 1 for share in shares.values()):
        raise ConfigError(f"{path}: expected 'blend: {{FOLDER: 0.5}}' with shares from 0 to 1, found {table!r}.")
    return {_existing(root / folder, "blend", path): share for folder, share in shares.items()}


def _existing(place: Path, key: str, path: Path) -> Path:
    if not place.exists():
        raise ConfigError(f"{path}: {key!r} names {place}, which does not exist. Give it as 'train' has it.")
    return place
