"""YOLO data sets as programs lay them out: which text files are labels, of which images, and what data.yaml says.

The last folder called images (or JPEGImages) in an image's path is labels in that of its label file; else both lie
side by side. Darknet, CVAT, LabelImg, Roboflow and ultralytics put lists, class names and notes among the labels: a
text file that belongs to no image and has no row of numbers is none.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tracker.errors import FormatError
from tracker.formats.core.class_names import NAME_FILES, is_null, names_beside, names_of, read_yaml
from tracker.formats.core.folder import by_numbers
from tracker.formats.core.parsing import read_text
from tracker.formats.core.yolo_rows import looks_like_row
from tracker.image_file import IMAGE_SUFFIXES, ImageFinder

__all__ = ["LabelFile", "YoloFolder", "find_yolo_folder", "label_path", "labels_without_image"]

log = logging.getLogger(__name__)

IMAGE_FOLDERS = ("images", "jpegimages")
PARTS = frozenset(
    {"labels", "images", "train", "val", "valid", "validation", "test", "obj_train_data", "obj_valid_data"}
)
"""Folders inside a data set, whose settings and names lie above them."""
USUAL = re.compile(r"readme.*|license.*|licence.*|(train|val|valid|validation|test)(2017)?", re.IGNORECASE)
"""Stems of text files that are expected among labels and need no word."""


class LabelFile(NamedTuple):
    """The label file of an image; one of both may be missing."""

    labels: Path | None
    image: Path | None
    name: str
    """Of the image, below the folder of images where there is one, with forward slashes."""


class YoloFolder(NamedTuple):
    """What there is to read of a data set."""

    root: Path
    settings: dict[str, Any]
    """Of its data.yaml, values as they are written; empty where there is none."""
    names: tuple[str, ...]
    """Of the classes; empty where no file gives them."""
    files: list[LabelFile]
    """In the order of the images' names, numbers in them by their value."""


def find_yolo_folder(path: Path) -> YoloFolder:
    """The data set at a folder, a data.yaml, or a single label file. Raises FormatError where there are no labels."""
    if not path.exists():
        raise FormatError(f"{path}: no such file or folder")
    is_settings = path.suffix.lower() in (".yaml", ".yml")
    root = path if path.is_dir() else path.parent
    finder = ImageFinder()
    if path.is_file() and not is_settings:
        image = image_of(path, finder)
        files = [LabelFile(path, image, image.name if image else f"{path.stem}.jpg")]
    else:
        files = _label_files(root, finder)
    above = [root]
    while above[-1].name.lower() in PARTS and above[-1] != above[-1].parent:
        above.append(above[-1].parent)
    settings_file = path if is_settings else _settings_file(above)
    settings = _settings(settings_file) if settings_file else {}
    names = () if is_null(settings.get("names")) else names_of(settings["names"], settings_file or root)
    if not names:
        inside = dict.fromkeys(file.labels.parent for file in files if file.labels is not None)
        names = names_beside([*above, *inside])
    return YoloFolder(root, settings, names, files)


def label_path(image: Path) -> Path:
    """The label file of an image; where there is none, where it would be looked for first."""
    places = [*_swapped(image, IMAGE_FOLDERS, "labels"), image]
    files = [file for place in places for file in (place.with_suffix(".txt"), place.with_name(f"{place.name}.txt"))]
    return next((file for file in files if file.is_file()), files[0])


def image_of(label: Path, finder: ImageFinder) -> Path | None:
    """The image that a label file is about; None where there is none."""
    places = [place for folder in ("images", "JPEGImages") for place in _swapped(label, ("labels",), folder)]
    for place in (*places, label):
        image = finder.find(place.with_suffix(""))
        if image is not None:
            return image
        full = place.with_suffix("")
        if full.suffix.lower() in IMAGE_SUFFIXES and full.is_file():
            return full
    return None


def labels_without_image(images: Path) -> list[Path]:
    """The label files of a folder of images, wherever they lie, whose image is not there; in order of their names."""
    finder, folder = ImageFinder(), label_path(images / "any.png").parent
    files = sorted(folder.rglob("*.txt")) if folder.is_dir() else []
    return [file for file in files if image_of(file, finder) is None and _may_be_labels(file)]


def _swapped(path: Path, names: tuple[str, ...], other: str) -> list[Path]:
    """The path with its last folder of one of these names called otherwise, in lower and in title case."""
    parts = path.parts
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() in names:
            return [Path(*parts[:place], name, *parts[place + 1 :]) for name in dict.fromkeys((other, other.title()))]
    return []


def _label_files(root: Path, finder: ImageFinder) -> list[LabelFile]:
    """The label files below a folder, of its `labels` where it has one, and the images that have none."""
    found, left_out = [], []
    for file in _below(root / "labels" if (root / "labels").is_dir() else root, {".txt"}):
        image = image_of(file, finder)
        if image is None and not _may_be_labels(file):
            left_out.append(file)
        else:
            found.append(LabelFile(file, image, _name(file, image, root)))
    if not found:
        some = f"; {left_out[0].name} is none" if left_out else ""
        raise FormatError(f"{root}: expected a folder with label files (.txt), found none{some}")
    strange = [file.name for file in left_out if file.name not in NAME_FILES and not USUAL.fullmatch(file.stem)]
    if strange:
        names = f"{', '.join(strange[:5])}{', ...' if len(strange) > 5 else ''}"
        log.warning("%s: text files without a row of labels were left out: %s", root, names)
    found += _images_without(root, {file.labels for file in found}, {file.image for file in found})
    return sorted(found, key=lambda file: by_numbers(file.name))


def _images_without(root: Path, known: set[Path | None], seen: set[Path | None]) -> list[LabelFile]:
    """The images below a folder that no label file was found for; one may lie beside it all the same."""
    missed = []
    for image in _below(root, IMAGE_SUFFIXES):
        if image in seen:
            continue
        labels = label_path(image)
        has_own = labels.is_file() and labels not in known
        missed.append(LabelFile(labels if has_own else None, image, _name(labels, image, root)))
    without = [file.name for file in missed if file.labels is None]
    if without:
        text = "%s: images without a label file are taken for empty: %d, such as %s"
        log.warning(text, root, len(without), without[0])
    return missed


def _below(folder: Path, suffixes: set[str] | frozenset[str]) -> Iterator[Path]:
    """Files with one of the suffixes, those of the system left out."""
    try:
        for file in folder.rglob("*"):
            if file.suffix.lower() in suffixes and not file.name.startswith(".") and "__MACOSX" not in file.parts:
                yield file
    except OSError as error:
        raise FormatError(f"{folder}: cannot be read: {error.strerror}") from error


def _may_be_labels(file: Path) -> bool:
    """Whether a text file without an image has a row of labels, or nothing at all, as for an image without objects."""
    if file.name in NAME_FILES or USUAL.fullmatch(file.stem):
        return False
    try:
        lines = [line.split() for line in read_text(file).splitlines() if line.strip()]
    except FormatError:
        return False
    return not lines or any(map(looks_like_row, lines))


def _name(labels: Path, image: Path | None, root: Path) -> str:
    file, folder = (image, "images") if image is not None else (labels.with_suffix(".jpg"), "labels")
    for place in (root / folder, root):
        if file.is_relative_to(place):
            return file.relative_to(place).as_posix()
    return file.name


def _settings_file(folders: list[Path]) -> Path | None:
    """The data.yaml of a data set, or the only YAML file in one of its folders that names classes."""
    for folder in folders:
        files = sorted(file for pattern in ("*.yaml", "*.yml") for file in folder.glob(pattern))
        usual = [file for file in files if file.stem.lower() in ("data", "dataset")]
        if usual:
            return usual[0]
        naming = [file for file in files if "names" in _settings(file)]
        if len(naming) == 1:
            return naming[0]
    return None


def _settings(file: Path) -> dict[str, Any]:
    settings = read_yaml(file)
    if not isinstance(settings, dict):
        raise FormatError(f"{file}: expected settings such as names, found a {type(settings).__name__}")
    return settings
