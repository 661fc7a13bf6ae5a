"""What a detector is taught and judged by: images with their labelled objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from tracker.errors import FormatError
from tracker.formats.core.rle import Rle
from tracker.image_file import read_image
from tracker.types import Image

__all__ = ["DataSet", "ObjectMask", "Outline", "Sample"]

Outline: TypeAlias = tuple[Float32[ndarray, "p 2"], ...]
"""Polygons whose union is one object."""
ObjectMask: TypeAlias = Outline | Rle
"""Outlines, or the run lengths of a mask over the whole image."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One image's truth, in pixels of that image."""

    path: Path
    width: int
    height: int
    boxes: Float32[ndarray, "n 4"]
    class_ids: Int64[ndarray, " n"]
    """Numbers in the data set's `names`, groups included."""
    polygons: tuple[ObjectMask | None, ...]
    """Outline or mask of each object where the file gives one."""
    labelled: tuple[int, ...]
    """Classes that the image's folder labels."""
    ignored: Float32[ndarray, "r 4"]
    """Crowds and the like: neither objects nor background."""
    image: Image | None = None
    """The decoded image where it is kept in memory."""
    ignored_ids: Int64[ndarray, " r"] | None = None
    """The class that each ignored region is a crowd of; None where that is unknown."""
    blend: float = 0.0
    """A teacher's share of the truth about the classes that the folder labels; the labels have the rest."""

    def ignored_for(self, class_id: int) -> Float32[ndarray, "r 4"]:
        """The regions in which finds of that class count neither way."""
        return self.ignored if self.ignored_ids is None else self.ignored[self.ignored_ids == class_id]

    def read(self) -> Image:
        """The image, RGB."""
        if self.image is not None:
            return self.image
        image = read_image(self.path).pixels
        if image is None:
            raise FormatError(f"{self.path}: the image can no longer be read. Run the data check again.")
        return image


@dataclass(frozen=True, eq=False)
class DataSet:
    """The samples of one split and what their class numbers mean."""

    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    """The classes a network learns; groups are not among them."""
    names: tuple[str, ...]
    """What class numbers mean: those of `labels`, then the groups."""
    groups: Mapping[str, tuple[str, ...]]

    def targets(self) -> tuple[Float32[ndarray, "names classes"], Float32[ndarray, "names classes"]]:
        """Per name: the class target, and the weight of each class in the loss (0 for the members of a group)."""
        target = np.zeros((len(self.names), len(self.labels)), np.float32)
        weight = np.ones_like(target)
        for row, name in enumerate(self.names):
            if name in self.groups:
                members = [self.labels.index(member) for member in self.groups[name]]
                weight[row, members] = 0.0
            else:
                target[row, self.labels.index(name)] = 1.0
        return target, weight
