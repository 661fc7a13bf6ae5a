"""Names of classes as other programs write them: in a data.yaml, or one a line in a text file beside the labels.

YAML makes False of no, 7 of 007 and 750 of 12:30. Here every value stays the text it is written as, so that a class is
called as its author called it; what is meant as a number is made one where it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tracker.config.expansion import MOST_VALUES, is_too_deep, is_too_large
from tracker.errors import FormatError
from tracker.formats.core.parsing import read_text
from tracker.formats.core.yolo_rows import looks_like_row
from tracker.image_file import ImageFinder

__all__ = ["is_null", "names_beside", "names_in", "names_of", "parse_yaml", "read_yaml"]

NAME_FILES = ("obj.names", "classes.txt", "labels.txt", "predefined_classes.txt", "_darknet.labels", "notes.json")
"""What Darknet, CVAT, LabelImg, Label Studio, make-sense and Roboflow call the file."""
NULLS = ("", "~", "null", "Null", "NULL")


class _TextLoader(yaml.SafeLoader):
    """Leaves scalars the texts they are, and refuses a key that stands twice."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yaml_implicit_resolvers = {"<": self.yaml_implicit_resolvers["<"]}  # merging of tables, nothing else

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        again = next((key for place, key in enumerate(own) if key in own[:place]), None)
        if again is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {again!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str, path: Path | str) -> Any:
    """The lists, tables and texts of a YAML document. Raises FormatError with the line of a fault."""
    if is_too_deep(text):
        raise FormatError(f"{path}: nested too deeply")
    try:
        content = yaml.load(text, _TextLoader)
    except yaml.YAMLError as error:
        raise FormatError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise FormatError(f"{path}: nested too deeply") from error
    except (ValueError, TypeError, AttributeError) as error:  # the library's own, for a value that its tag does not fit
        raise FormatError(f"{path}: not YAML: a value is not what it is marked as ({error})") from error
    if is_too_large(content):
        raise FormatError(f"{path}: stands for more than {MOST_VALUES} values by naming its own lists again and again")
    return content


def read_yaml(path: Path | str) -> Any:
    """The lists, tables and texts of a YAML file. Raises FormatError where it cannot be read."""
    return parse_yaml(read_text(path), path)


def is_null(value: Any) -> bool:
    """Whether YAML means nothing by it."""
    return value is None or (isinstance(value, str) and value in NULLS)


def names_of(value: Any, path: Path | str) -> tuple[str, ...]:
    """Class names given as a list or numbered from 0. Raises FormatError for anything else, and for a name twice."""
    if isinstance(value, dict):
        numbers = {str(number): name for number, name in value.items()}
        if sorted(numbers) != sorted(map(str, range(len(numbers)))):
            raise FormatError(
                f"{path}: numbers in 'names' must run from 0 to {len(numbers) - 1}, found {', '.join(numbers)[:200]}"
            )
        value = [numbers[str(number)] for number in range(len(numbers))]
    if not isinstance(value, list):
        raise FormatError(f"{path}: 'names' must list the classes, such as [cat, dog], found {value!r}")
    for name in value:
        if not isinstance(name, str):
            raise FormatError(f"{path}: 'names': a class name must be a text, found {name!r}; put it in quotes")
        if not name.strip() or any(character < " " for character in name):
            raise FormatError(f"{path}: 'names': {name!r} is empty or holds control characters")
    again = next((name for place, name in enumerate(value) if name in value[:place]), None)
    if again is not None:
        raise FormatError(f"{path}: 'names' has {again!r} twice")
    return tuple(value)


def names_beside(folders: Iterable[Path]) -> tuple[str, ...]:
    """The names that a text file in the first of the folders with one gives; empty where there is none.

    Raises FormatError where two files of a folder tell different names.
    """
    for folder in folders:
        files = [folder / name for name in NAME_FILES] + sorted(folder.glob("*.names"))
        found = {file: names_in(file) for file in files if file.is_file() and not _is_label_file(file)}
        named = {file: names for file, names in found.items() if names}
        if len(set(named.values())) > 1:
            raise FormatError(f"{folder}: {' and '.join(file.name for file in named)} give different class names")
        if named:
            return next(iter(named.values()))
    return ()


def names_in(file: Path) -> tuple[str, ...]:
    """The names of one such file, nothing where it holds none."""
    text = read_text(file)
    if file.suffix == ".json":
        try:
            categories = json.loads(text)["categories"]
            return names_of({str(entry["id"]): entry["name"] for entry in categories}, file)
        except (ValueError, KeyError, TypeError, RecursionError):
            return ()
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return names_of(lines, file) if lines else ()


def _is_label_file(file: Path) -> bool:
    """Whether it belongs to an image called labels or classes, or holds rows of numbers."""
    if file.suffix != ".txt":
        return False
    return ImageFinder().find(file.with_suffix("")) is not None or any(
        looks_like_row(line.split()) for line in read_text(file).splitlines()
    )
