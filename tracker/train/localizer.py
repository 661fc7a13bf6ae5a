"""Training of a localizer: one object an image, its class by cross-entropy, its box by squared or smooth distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional

from tracker.config import LARGEST_IMAGE
from tracker.detect.engines.torch import find_device
from tracker.errors import ConfigError, FormatError
from tracker.evaluate.ground_truth import DataSet
from tracker.nets.localizer import LocalizerConfig, LocalizerNet, localize
from tracker.nets.saved import save_network
from tracker.nets.transfer import fill_backbone, read_backbone
from tracker.train.data.classification import AugmentImages, change_colours
from tracker.train.seeds import seed_of
from tracker.train.trainer import FitConfig, FitResult, fit

__all__ = [
    "LocalizerScore",
    "LocalizerTraining",
    "SingleObjects",
    "load_single_objects",
    "overlap",
    "score_localizer",
    "train_localizer",
]


SMOOTH_BELOW = 0.1
"""Distance, as a fraction of the image, below which the box loss is square: near edges are pulled ever more gently."""


@dataclass(frozen=True, slots=True)
class LocalizerTraining:
    """How a localizer is trained."""

    network: LocalizerConfig = field(default_factory=LocalizerConfig)
    """Which network; its classes come from the data."""
    pretrained: Path | None = None
    """What the backbone starts from: a network of ours, or torchvision's or timm's weights."""
    batch: int = 32
    """Images per step."""
    box_loss: Literal["smooth_l1", "mse"] = "smooth_l1"
    """Distance of the box's edges: smooth_l1 or mse (the squared one)."""
    box_weight: float = 20.0
    """What the box's loss counts beside the class's."""
    image_size: int = 96
    """Side in pixels that images are stretched to."""
    augment: AugmentImages = field(default_factory=lambda: AugmentImages(flip=True, colour=0.2))
    """Mirroring and colours of training images; nothing else is used."""
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=30, learning_rate=2e-3))

    def __post_init__(self) -> None:
        if self.batch < 1 or self.image_size < 1:
            raise ValueError(f"batch and image_size must be 1 or more, found {self.batch} and {self.image_size}")
        if self.image_size > LARGEST_IMAGE:
            raise ValueError(f"image_size goes up to {LARGEST_IMAGE} pixels, found {self.image_size}")
        if self.box_weight < 0:
            raise ValueError(f"box_weight must be 0 or more, found {self.box_weight}")


@dataclass(frozen=True, slots=True, eq=False)
class SingleObjects:
    """Images with one object each."""

    images: UInt8[ndarray, "n 3 s s"]
    labels: Int64[ndarray, " n"]
    boxes: Float32[ndarray, "n 4"]
    """xyxy in 0..1 of the image; NaN where there is no object, as in crops of the background."""
    names: tuple[str, ...]
    skipped: int
    """Images with none, several, or one of a group of classes."""
    windows: tuple[float, ...] = ()
    """Of crops of images: the sides of windows to slide, as fractions of an image's shorter side."""

    def __len__(self) -> int:
        return len(self.labels)


class _Batch(NamedTuple):
    images: Float32[Tensor, "b 3 s s"]
    labels: Int64[Tensor, " b"]
    boxes: Float32[Tensor, "b 4"]


def load_single_objects(data: DataSet, size: int) -> SingleObjects:
    """The samples with just one object, stretched to `size`. Raises FormatError where there is none."""
    chosen = [sample for sample in data.samples if len(sample.boxes) == 1 and sample.class_ids[0] < len(data.labels)]
    if not chosen:
        raise FormatError(
            f"none of {len(data.samples)} images shows just one object, which a localizer learns from; for several "
            "take `train detector`"
        )
    images = np.stack([cv2.resize(sample.read(), (size, size), interpolation=cv2.INTER_AREA) for sample in chosen])
    scales = np.array([(one.width, one.height, one.width, one.height) for one in chosen], np.float32)
    return SingleObjects(
        np.ascontiguousarray(images.transpose(0, 3, 1, 2)),
        np.array([int(sample.class_ids[0]) for sample in chosen], np.int64),
        np.asarray(np.concatenate([sample.boxes for sample in chosen]) / scales, np.float32),
        data.labels,
        len(data.samples) - len(chosen),
    )


def overlap(one: Float32[ndarray, "n 4"], other: Float32[ndarray, "n 4"]) -> Float32[ndarray, " n"]:
    """Intersection over union of each pair of boxes."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (one, other)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-9), np.float32)


class LocalizerScore(NamedTuple):
    """How good a localizer is, each 0 to 1."""

    accuracy: float
    """Right classes."""
    mean_iou: float
    """Of the boxes with the true ones, where there is an object."""
    localized: float
    """Of the objects: the right class and an IoU of 0.5 or more."""


def score_localizer(
    data: SingleObjects, probabilities: Float32[ndarray, "n k"], boxes: Float32[ndarray, "n 4"]
) -> LocalizerScore:
    """What the answers for the images of `data` are worth."""
    right, objects = probabilities.argmax(axis=1) == data.labels, ~np.isnan(data.boxes).any(axis=1)
    iou = overlap(boxes[objects], data.boxes[objects])
    return LocalizerScore(float(right.mean()), float(iou.mean()), float((right[objects] & (iou >= 0.5)).mean()))


class _LocalizerTask:
    def __init__(self, config: LocalizerTraining, train: SingleObjects, val: SingleObjects | None) -> None:
        self.config, self.val, self.names, self.windows = config, val, train.names, train.windows
        device = find_device(config.fit.device)
        self.images, self.labels, self.boxes = (
            torch.from_numpy(part).to(device) for part in (train.images, train.labels, train.boxes)
        )
        self.steps = max(1, math.ceil(len(train) / config.batch))

    def batches(self, epoch: int) -> Iterator[_Batch]:
        generator = torch.Generator().manual_seed(seed_of(self.config.fit.seed, epoch))
        order = torch.randperm(len(self.labels), generator=generator)
        for rows in order.tensor_split(self.steps):
            mirrored = torch.rand(len(rows), generator=generator) < (0.5 if self.config.augment.flip else 0.0)
            rows, mirrored = rows.to(self.images.device), mirrored.to(self.images.device)
            images, boxes = self.images[rows].float() / 255, self.boxes[rows]
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
            x1, y1, x2, y2 = boxes.unbind(1)
            boxes = torch.where(mirrored[:, None], torch.stack((1 - x2, y1, 1 - x1, y2), dim=1), boxes)
            yield _Batch(change_colours(images, self.config.augment, generator), self.labels[rows], boxes)

    def losses(self, network: nn.Module, batch: _Batch) -> Mapping[str, Tensor]:
        logits, boxes = network(batch.images)
        objects = ~batch.boxes.isnan().any(dim=1)
        found, wanted = boxes.float()[objects], batch.boxes[objects]
        if self.config.box_loss == "mse":
            distance = functional.mse_loss(found, wanted, reduction="sum")
        else:
            distance = functional.smooth_l1_loss(found, wanted, beta=SMOOTH_BELOW, reduction="sum")
        distance = distance / max(wanted.numel(), 1)
        return {
            "cross_entropy": functional.cross_entropy(logits.float(), batch.labels),
            "box": self.config.box_weight * distance,
        }

    def measure(self, network: nn.Module) -> Mapping[str, float]:
        if self.val is None:
            return {}
        probabilities, boxes = localize(network, self.val.images, batch=4 * self.config.batch)
        score = score_localizer(self.val, probabilities, boxes)
        return {"score": score.accuracy + score.mean_iou, **score._asdict()}

    def save(self, path: Path, network: nn.Module, measures: Mapping[str, float]) -> None:
        assert isinstance(network, LocalizerNet)
        description = {
            "network": asdict(network.config),
            "labels": list(self.names),
            "image_size": self.images.shape[-1],
            "training": {key: value for key, value in asdict(self.config.fit).items() if key != "resume"},
            "accuracy": {name: value for name, value in measures.items() if name != "score"},
            **({"windows": list(self.windows)} if self.windows else {}),
        }
        save_network(path, network, kind="localizer", description=description)


def train_localizer(
    config: LocalizerTraining,
    train: SingleObjects,
    val: SingleObjects | None,
    out: Path,
    *,
    report: Callable[[str], None],
) -> FitResult:
    """Train on `train`, judge by class accuracy and IoU on `val`, leave the files in `out`.

    Raises ConfigError where the images are too small for the backbone.
    """
    torch.manual_seed(config.fit.seed)
    start = None if config.pretrained is None else read_backbone(config.pretrained)
    norm = config.network.norm and not (start is not None and start.folded)
    network = LocalizerNet(replace(config.network, classes=len(train.names), norm=norm))
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, *train.images.shape[1:]))
    except (RuntimeError, AssertionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"images of {config.image_size} pixels do not fit {config.network.backbone!r} ({reason}); "
            "give another --image-size"
        ) from error
    if start is not None and start.name:
        report(fill_backbone(network.backbone, start, name=config.network.backbone))
    elif start is not None:
        network.backbone.load_published(start.state, where=start.where)
    return fit(
        network,
        _LocalizerTask(config, train, val),
        config.fit,
        out,
        started=config.pretrained is not None,
        report=report,
    )
