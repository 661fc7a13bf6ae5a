"""Annotations in and out: one file per format, each with `read` and `write`, some with a sink for live runs.

May import geometry, config, types and errors. A format's module is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.config import nearest
from tracker.errors import ConfigError
from tracker.formats.core.write_options import DEFAULT_OPTIONS, WriteOptions

if TYPE_CHECKING:
    from tracker.formats.core.annotations import Annotations, ExternalInfo
    from tracker.formats.core.chunks import AnnotationParts

__all__ = ["FORMATS", "Format", "find_format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format's place in the code and what its output is called."""

    title: str
    module: str
    suffix: str
    """Of the file written; empty where the output is a folder."""
    options: tuple[str, ...] = ()
    """Fields of WriteOptions that make a difference."""
    images: bool = False
    """Whether it is for single images, and can be written as a data set with them."""

    def load(self) -> Any:
        """The module with `read(path, known)` and `write(path, annotations)`."""
        return importlib.import_module(f"tracker.formats.{self.module}")

    def read(self, path: Path | str, known: ExternalInfo | None = None) -> Annotations:
        """What a file or folder of the format says, also one that is zipped, or a folder around the one file."""
        from tracker.formats.core.archive import opened  # brings OpenCV with it

        with opened(Path(path), self.suffix) as inner:
            return self.load().read(inner, *([known] if known else []))  # type: ignore[no-any-return]

    def write(self, path: Path | str, annotations: AnnotationParts, options: WriteOptions = DEFAULT_OPTIONS) -> None:
        """Write the annotations; options that the format does not have make no difference."""
        self.load().write(path, annotations, *([options] if self.options else []))


FORMATS: dict[str, Format] = {
    "mot": Format("MOTChallenge text", "mot", ".txt", ("class_column",)),
    "mots": Format("MOTS text with masks", "mots", ".txt"),
    "coco": Format("COCO instances JSON with tracks", "coco", ".json", images=True),
    "yolo": Format("YOLO text dataset", "yolo_txt", "", ("outlines", "track_ids"), images=True),
    "voc": Format("Pascal VOC XML", "voc", "", images=True),
    "cvat": Format("CVAT for video 1.1 XML", "cvat", ".xml", ("outlines",)),
    "cvatimages": Format("CVAT for images 1.1 XML", "cvat_images", ".xml"),
    "labelstudio": Format("Label Studio video JSON", "label_studio", ".json"),
    "kitti": Format("KITTI tracking text", "kitti", ".txt"),
    "jsonl": Format("JSON Lines", "jsonl", ".jsonl"),
    "csv": Format("CSV table", "csv_text", ".csv", ("guard_cells",)),
    "parquet": Format("Parquet table", "parquet", ".parquet"),
}


def find_format(name: str) -> Format:
    """The format of that name. Raises ConfigError with the nearest known name."""
    if name not in FORMATS:
        raise ConfigError(f"unknown format {name!r}; {nearest(name, FORMATS)}")
    return FORMATS[name]
