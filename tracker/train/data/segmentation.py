"""Images with a label per pixel: `train/images`, `train/labels`, `val/images`, `val/labels` in a folder or a .tar.

A label image is a PNG of the image's size with the class number as its grey value, or the number of its palette's
colour; 255 and the numbers said to be ignored count neither for nor against.
"""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from tracker.errors import FormatError
from tracker.image_file import decode_image
from tracker.train.data.classification import AugmentImages, change_colours, random_grid
from tracker.train.data.label_image import decode_label_image

__all__ = ["IGNORED", "PixelLabels", "augment_pixels", "load_pixel_labels"]

log = logging.getLogger(__name__)

IGNORED = 255
"""The label of pixels that count neither for nor against."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelLabels:
    """One split of a data set, scaled to one size."""

    images: UInt8[ndarray, "n 3 h w"]
    labels: UInt8[ndarray, "n h w"]
    skipped: tuple[str, ...]
    """Files that could not be used, and why."""

    def __len__(self) -> int:
        return len(self.images)

    def shares(self, classes: int) -> Float32[ndarray, " k"]:
        """The share of the labelled pixels that each class has."""
        counts = np.bincount(self.labels.ravel(), minlength=256)[:classes]
        return np.asarray(counts / max(counts.sum(), 1), np.float32)


def load_pixel_labels(
    path: Path, part: str, *, classes: int, size: tuple[int, int], ignore: Iterable[int] = ()
) -> PixelLabels:
    """The split `part` ("train" or "val"), images and labels scaled to `size` (height, width).

    Pairs that cannot be decoded, differ in size or lack a label image are listed and skipped. Raises FormatError when
    nothing is left, for more than 255 classes, or when a label is neither below `classes` nor ignored.
    """
    if classes > IGNORED:
        raise FormatError(f"{path}: {classes} classes; there may be {IGNORED}, numbered from 0, as labels are bytes")
    files = _open(path)
    ignored = sorted({*ignore, IGNORED})
    images, labels, skipped = [], [], []
    places = {PurePosixPath(name).stem: name for name in files if _is_in(name, part, "labels")}
    for name in sorted(name for name in files if _is_in(name, part, "images")):
        partner = places.get(PurePosixPath(name).stem)
        image = decode_image(files[name]()).pixels
        try:
            label = None if partner is None else decode_label_image(files[partner]())
        except ValueError as error:
            raise FormatError(f"{path}: {partner} {error}; write the class numbers") from error
        if image is None or label is None or image.shape[:2] != label.shape:
            fault = "cannot be decoded" if image is None else "has no label image of its size"
            if image is not None and label is not None:
                (tall, wide), (height, width) = image.shape[:2], label.shape
                fault = f"is {wide} x {tall}, its label image {width} x {height}"
            skipped.append(f"{path}: {name} {fault}")
            log.warning("%s; skipped", skipped[-1])
            continue
        strange = np.setdiff1d(label, [*range(classes), *ignored])
        if len(strange):
            raise FormatError(
                f"{path}: {partner} has label {strange[0]}, there are {classes} classes. Name it, or ignore it."
            )
        label = np.where(np.isin(label, ignored), IGNORED, label).astype(np.uint8)
        height, width = size
        images.append(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).transpose(2, 0, 1))
        labels.append(cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST))
    if not images:
        raise FormatError(f"{path}: no pairs found; expected {part}/images/NAME.jpg with {part}/labels/NAME.png")
    return PixelLabels(np.stack(images), np.stack(labels), tuple(skipped))


def augment_pixels(
    images: UInt8[Tensor, "b 3 h w"],
    labels: UInt8[Tensor, "b h w"],
    config: AugmentImages,
    generator: torch.Generator,
    *,
    crop: int = 0,
) -> tuple[Float32[Tensor, "b 3 i j"], Int64[Tensor, "b i j"]]:
    """Images in 0..1 and their labels, moved together at random; what comes in from outside is ignored.

    With `crop`, squares of that side cut out at random places, as far as the images are larger.
    """
    moved, targets = images.float() / 255, labels.long()
    grid = random_grid(config, len(images), images.shape[2:], generator)
    if crop and grid is None:
        identity = torch.eye(2, 3).expand(len(images), -1, -1)
        grid = functional.affine_grid(identity, [len(images), 1, *images.shape[2:]], align_corners=False)
    if grid is not None:
        grid = _cut_out(grid, crop, generator) if crop else grid
        grid = grid.to(moved)
        moved = functional.grid_sample(moved, grid, padding_mode="border", align_corners=False)
        shifted = (labels.float() + 1)[:, None]  # outside becomes 0
        targets = functional.grid_sample(shifted, grid, mode="nearest", align_corners=False)[:, 0].round().long() - 1
        targets[targets < 0] = IGNORED
    return change_colours(moved, config, generator), targets


def _cut_out(grid: Float32[Tensor, "b h w 2"], side: int, generator: torch.Generator) -> Float32[Tensor, "b i j 2"]:
    count, height, width, _ = grid.shape
    tall, wide = min(side, height), min(side, width)
    tops = torch.randint(height - tall + 1, (count,), generator=generator).tolist()
    lefts = torch.randint(width - wide + 1, (count,), generator=generator).tolist()
    places = zip(grid, tops, lefts, strict=True)
    return torch.stack([each[top : top + tall, left : left + wide] for each, top, left in places])


def _open(path: Path) -> dict[str, Callable[[], bytes]]:
    """Reader of each file by its name."""
    if path.is_dir():
        found = (file for file in path.rglob("*") if file.is_file())
        return {file.relative_to(path).as_posix(): file.read_bytes for file in found}
    try:
        with tarfile.open(path) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            contents = {member.name: archive.extractfile(member) for member in members}
            return {name: _keep(file.read()) for name, file in contents.items() if file is not None}
    except (OSError, tarfile.TarError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no tar archive"
        raise FormatError(f"{path}: expected a folder or a .tar with train/images, ... ({reason})") from error


def _keep(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _is_in(name: str, part: str, kind: str) -> bool:
    return PurePosixPath(name).parts[-3:-1] == (part, kind)
