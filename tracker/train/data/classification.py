"""Images with one label each: an .npz with `images` and `labels`, or a folder with one folder per class.

Everything is decoded once, when it is loaded: what cannot be read is listed and skipped then, not met in the last
epoch. Images stay in memory as bytes at the size the network takes.
"""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from tracker.classify import to_square
from tracker.config.bounds import check_least, check_shares
from tracker.errors import FormatError
from tracker.image_file import IMAGE_SUFFIXES, read_image

__all__ = [
    "AugmentImages",
    "LabelledImages",
    "augment_images",
    "change_colours",
    "load_labelled_images",
    "random_grid",
    "split",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Images of one size, and what each shows."""

    images: UInt8[ndarray, "n c h w"]
    labels: Int64[ndarray, " n"]
    names: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    """Files that could not be read, and why."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Int64[ndarray, " k"] | slice) -> LabelledImages:
        return LabelledImages(self.images[rows], self.labels[rows], self.names, self.skipped)


@dataclass(frozen=True, slots=True)
class AugmentImages:
    """How far a training image may be moved and changed."""

    rotate: float = 0.0
    """Degrees, either way."""
    scale: float = 0.0
    """0.1 makes it up to a tenth larger or smaller."""
    shift: float = 0.0
    """Share of the side, either way."""
    flip: bool = False
    """Mirror every second image."""
    colour: float = 0.0
    """0.2 changes brightness and contrast by up to a fifth."""
    elastic: float = 0.0
    """Pixels that the corners of a coarse 3 x 3 grid are moved by (standard deviation; U-Net's paper: 10)."""
    coarse: float = 1.0
    """0.4 takes every second image down to as little as that share of its resolution, as if seen from afar."""

    def __post_init__(self) -> None:
        check_shares(self, "scale", "shift", "colour")
        check_least(self, "rotate", "elastic", least=0)
        if not 0 < self.coarse <= 1:
            raise ValueError(f"coarse must be above 0, up to 1, found {self.coarse}")


def load_labelled_images(
    path: Path, *, size: int | None = None, names: Sequence[str] | None = None, channels: int | None = None
) -> LabelledImages:
    """The images of an .npz file or of a folder per class, as squares of `size` pixels.

    Shorter side to size, centre cut out; without `size` those of an .npz keep their shorter side and those of a
    folder become 224 pixels. `names` asks for these classes in this order (those of the training data), `channels`
    for grey (1) or RGB (3) images, else those of an .npz are as it has them and those of a folder RGB. An unknown
    class is refused with a FormatError, as is a file that is neither or holds nothing usable.
    """
    if path.is_dir():
        return _load_folder(path, size or 224, names, grey=channels == 1)
    if path.suffix == ".npz" and path.is_file():
        return _load_npz(path, size, names, channels)
    raise FormatError(
        f"{path}: expected an .npz file with 'images' and 'labels', or a folder with one folder per class"
    )


def split(data: LabelledImages, share: float, *, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """(training, validation): `share` of each class set aside."""
    order = np.random.default_rng(seed).permutation(len(data))
    aside = np.zeros(len(data), bool)
    for label in range(len(data.names)):
        rows = order[data.labels[order] == label]
        aside[rows[: round(share * len(rows))]] = True
    return data[np.flatnonzero(~aside)], data[np.flatnonzero(aside)]


def augment_images(
    images: UInt8[Tensor, "b c h w"], config: AugmentImages, generator: torch.Generator
) -> Float32[Tensor, "b c h w"]:
    """The images in 0..1, each moved and changed at random, on the device they are on.

    `generator` is one of the CPU, so that a GPU draws the same numbers.
    """
    result = images.float() / 255
    grid = random_grid(config, len(images), images.shape[2:], generator)
    if grid is not None:
        result = functional.grid_sample(result, grid.to(result), padding_mode="border", align_corners=False)
    return change_colours(_from_afar(result, config, generator), config, generator)


def _from_afar(
    images: Float32[Tensor, "b c h w"], config: AugmentImages, generator: torch.Generator
) -> Float32[Tensor, "b c h w"]:
    if config.coarse >= 1:
        return images
    share = config.coarse + (1 - config.coarse) * float(torch.rand(1, generator=generator))
    chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    small = functional.interpolate(images, scale_factor=share, mode="area")
    again = functional.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)
    return torch.where(chosen[:, None, None, None], again, images)


def random_grid(
    config: AugmentImages, count: int, size: Sequence[int], generator: torch.Generator
) -> Float32[Tensor, "b h w 2"] | None:
    """Where each pixel of an augmented image comes from, for grid_sample; None when nothing is moved."""
    angle, zoom = torch.deg2rad(_draw(config.rotate, count, generator)), 1 + _draw(config.scale, count, generator)
    shift_x, shift_y = _draw(2 * config.shift, count, generator), _draw(2 * config.shift, count, generator)
    mirrored = torch.rand(count, generator=generator) < 0.5
    if not (config.rotate or config.scale or config.shift or config.flip or config.elastic):
        return None
    mirror = 1 - 2 * mirrored.float() if config.flip else torch.ones(count)
    height, width = size
    sine, cosine, aspect = angle.sin() / zoom, angle.cos() / zoom, height / width
    rows = (
        torch.stack((mirror * cosine, -sine * aspect, shift_x), dim=1),
        torch.stack((mirror * sine / aspect, cosine, shift_y), dim=1),
    )
    grid = functional.affine_grid(torch.stack(rows, dim=1), [count, 1, height, width], align_corners=False)
    return grid + _elastic(config.elastic, count, size, generator) if config.elastic else grid


def _elastic(std: float, count: int, size: Sequence[int], generator: torch.Generator) -> Float32[Tensor, "b h w 2"]:
    """Smooth random displacements: normal ones of a 3 x 3 grid, bicubic between (Ronneberger et al., 2015, 3.1)."""
    height, width = size
    coarse = std * torch.randn(count, 2, 3, 3, generator=generator)
    pixels = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    return pixels.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])


def change_colours(
    images: Float32[Tensor, "b c h w"], config: AugmentImages, generator: torch.Generator
) -> Float32[Tensor, "b c h w"]:
    """The images with brightness and contrast changed at random, each by its own amount."""
    if not config.colour:
        return images
    brightness, contrast = (
        (1 + _draw(config.colour, len(images), generator)).to(images).view(-1, 1, 1, 1) for _ in range(2)
    )
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean * brightness).clamp(0, 1)


def _draw(limit: float, count: int, generator: torch.Generator) -> Float32[Tensor, " b"]:
    return (2 * torch.rand(count, generator=generator) - 1) * limit


def _load_npz(path: Path, size: int | None, names: Sequence[str] | None, channels: int | None) -> LabelledImages:
    try:
        with path.open("rb") as file, np.load(file) as content:
            found = set(content.files)
            if not {"images", "labels"} <= found:
                raise FormatError(f"{path}: expected arrays 'images' and 'labels', found {', '.join(sorted(found))}")
            images, labels = content["images"], content["labels"]
            known = [str(name) for name in content["names"]] if "names" in found else None
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{path}: not a whole .npz file ({error}); copy or download it again") from error
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))):
        raise FormatError(
            f"{path}: expected images uint8 (n, h, w) or (n, h, w, 3), found {images.dtype} {images.shape}"
        )
    if not len(images):
        raise FormatError(f"{path}: holds no image")
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise FormatError(f"{path}: expected {len(images)} whole-number labels, found {labels.dtype} {labels.shape}")
    classes = tuple(names or known or (str(number) for number in range(int(labels.max()) + 1)))
    own = tuple(known or classes)
    if labels.min() < 0 or labels.max() >= len(own):
        raise FormatError(f"{path}: labels run from {labels.min()} to {labels.max()}, there are {len(own)} classes")
    numbers = np.array([classes.index(name) if name in classes else -1 for name in own], np.int64)[labels]
    if numbers.min() < 0:
        raise _unknown_class(path, own[labels[numbers.argmin()]], classes)
    images = images[..., None] if images.ndim == 3 else images
    if channels == 1 and images.shape[3] == 3:
        images = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])[..., None]
    elif channels == 3 and images.shape[3] == 1:
        images = np.repeat(images, 3, axis=3)
    side = min(images.shape[1:3]) if size is None else size
    if images.shape[1:3] != (side, side):
        images = np.stack([np.atleast_3d(to_square(image, side)) for image in images])
    return LabelledImages(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), numbers, classes)


def _load_folder(path: Path, size: int, names: Sequence[str] | None, *, grey: bool) -> LabelledImages:
    folders = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    classes = tuple(names) if names is not None else tuple(each.name for each in folders)
    unknown = [each.name for each in folders if each.name not in classes]
    if unknown:
        raise _unknown_class(path, unknown[0], classes)
    files = [
        (file, classes.index(folder.name))
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in IMAGE_SUFFIXES
    ]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda each: _read(each[0], size, grey=grey), files))
    kept = [(image, label) for image, (_, label) in zip(images, files, strict=True) if image is not None]
    skipped = tuple(
        f"{file}: cannot be decoded" for image, (file, _) in zip(images, files, strict=True) if image is None
    )
    for line in skipped:
        log.warning("%s; skipped", line)
    if not kept:
        raise FormatError(
            f"{path}: no readable image in any of its {len(folders)} folders; expected CLASS/IMAGE.jpg. Where it holds "
            "train and val, give each by itself: --data FOLDER/train --val FOLDER/val"
        )
    empty = [classes[label] for label in sorted({*range(len(classes))} - {label for _, label in kept})]
    if names is None and empty:
        log.warning("%s: no image of the class %s, which cannot be learned", path, ", ".join(empty))
    stacked = np.stack([image for image, _ in kept])
    channels_first = stacked[:, None] if grey else stacked.transpose(0, 3, 1, 2)
    labels = np.array([label for _, label in kept], np.int64)
    return LabelledImages(np.ascontiguousarray(channels_first), labels, classes, skipped)


def _unknown_class(path: Path, name: str, classes: Sequence[str]) -> FormatError:
    return FormatError(f"{path}: unknown class {name!r}; the training data has {', '.join(classes)}")


def _read(file: Path, size: int, *, grey: bool) -> UInt8[ndarray, ...] | None:
    image: ndarray | None = read_image(file).pixels
    if image is None:
        return None
    return to_square(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if grey else image, size)
