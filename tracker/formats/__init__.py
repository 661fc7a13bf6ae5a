"""Annotations in and out: one file per format, each with `read` and `write`, some with a sink for live runs.

May import geometry, config, types and errors. A format's module is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from tracker.config import nearest
from tracker.errors import ConfigError

__all__ = ["FORMATS", "Format", "find_format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format's place in the code and what its output is called."""

    title: str
    module: str
    suffix: str
    """Of the file written; empty where the output is a folder."""

    def load(self) -> Any:
        """The module with `read(path, known)` and `write(path, annotations)`."""
        return importlib.import_module(f"tracker.formats.{self.module}")


FORMATS: dict[str, Format] = {
    "mot": Format("MOTChallenge text", "mot", ".txt"),
    "mots": Format("MOTS text with masks", "mots", ".txt"),
    "coco": Format("COCO instances JSON with tracks", "coco", ".json"),
    "yolo": Format("YOLO text dataset", "yolo_txt", ""),
    "voc": Format("Pascal VOC XML", "voc", ""),
    "cvat": Format("CVAT for video 1.1 XML", "cvat", ".xml"),
    "labelstudio": Format("Label Studio video JSON", "label_studio", ".json"),
    "kitti": Format("KITTI tracking text", "kitti", ".txt"),
    "jsonl": Format("JSON Lines", "jsonl", ".jsonl"),
    "csv": Format("CSV table", "csv_text", ".csv"),
    "parquet": Format("Parquet table", "parquet", ".parquet"),
}


def find_format(name: str) -> Format:
    """The format of that name. Raises ConfigError with the nearest known name."""
    if name not in FORMATS:
        raise ConfigError(f"unknown format {name!r}; {nearest(name, FORMATS)}")
    return FORMATS[name]
