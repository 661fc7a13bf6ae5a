"""Training of U-Net and FCN on images with a label per pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional

from tracker.detect.engines.torch import find_device
from tracker.errors import ConfigError
from tracker.evaluate.pixel_accuracy import SegmentationScore
from tracker.nets.saved import save_network
from tracker.nets.segmenter import SegmentationConfig, SegmentationNet, load_segmentation
from tracker.nets.transfer import fill_backbone, read_backbone
from tracker.train.data.classification import AugmentImages
from tracker.train.data.segmentation import IGNORED, PixelLabels, augment_pixels
from tracker.train.seeds import seed_of
from tracker.train.trainer import FitConfig, FitResult, fit

__all__ = ["SegmentationTraining", "score_segmentation", "train_segmentation"]


@dataclass(frozen=True, slots=True)
class SegmentationTraining:
    """How a segmentation network is trained."""

    network: SegmentationConfig = field(default_factory=SegmentationConfig)
    """Which network; its classes come from the labels."""
    pretrained: Path | None = None
    """Weights of the backbone: any network of ours that holds it, or a published one (torchvision's or timm's). A
    segmentation network of the same layers gives its other layers too, its classes' where their names are the same."""
    ignore: tuple[int, ...] = ()
    """Label numbers that count neither way, besides 255; `evaluate` passes over them too."""
    batch: int = 8
    """Images per step."""
    crop: int = 0
    """Side of the squares cut out of training images; 0 trains on whole ones."""
    balance: float = 0.5
    """Weight of a class is its fraction of the pixels to the power of minus this: 0 counts pixels, 1 counts classes."""
    overlap: float = 0.0
    """Weight of 1 - IoU of the probabilities, averaged over a batch's classes, beside the cross-entropy."""
    augment: AugmentImages = field(default_factory=AugmentImages)
    """How training images are moved and changed."""
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("crop", 0), ("balance", 0), ("overlap", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, found {getattr(self, name)}")


class _Batch(NamedTuple):
    images: Float32[Tensor, "b 3 h w"]
    labels: Int64[Tensor, "b h w"]


class _SegmentationTask:
    def __init__(
        self, config: SegmentationTraining, labels: Sequence[str], train: PixelLabels, val: PixelLabels | None
    ) -> None:
        self.config, self.names, self.val = config, tuple(labels), val
        self.device = find_device(config.fit.device)
        self.images = torch.from_numpy(train.images).to(self.device)
        self.labels = torch.from_numpy(train.labels).to(self.device)
        self.weights = torch.from_numpy(class_weights(train, len(self.names), config.balance)).to(self.device)
        self.steps = max(1, math.ceil(len(train) / config.batch))

    def batches(self, epoch: int) -> Iterator[_Batch]:
        generator = torch.Generator().manual_seed(seed_of(self.config.fit.seed, epoch))
        order = torch.randperm(len(self.images), generator=generator).to(self.device)
        for rows in order.tensor_split(self.steps):
            augment, crop = self.config.augment, self.config.crop
            yield _Batch(*augment_pixels(self.images[rows], self.labels[rows], augment, generator, crop=crop))

    def losses(self, network: nn.Module, batch: _Batch) -> Mapping[str, Tensor]:
        assert isinstance(network, SegmentationNet)
        logits = network.own_scores(batch.images).float()
        labels = one_in(batch.labels, network.finest) if network.finest > 1 else crop_to(batch.labels, logits)
        losses = {"cross_entropy": functional.cross_entropy(logits, labels, self.weights, ignore_index=IGNORED)}
        if self.config.overlap:
            losses["overlap"] = self.config.overlap * overlap_loss(logits, labels)
        return losses

    def measure(self, network: nn.Module) -> Mapping[str, float]:
        if self.val is None:
            return {}
        score = score_segmentation(network, self.val, classes=len(self.names), batch=self.config.batch)
        figures = {"mean_iou": score.mean_iou, "class_accuracy": score.mean_accuracy}
        return {"score": score.mean_iou, **figures, "pixel_accuracy": score.pixel_accuracy}

    def save(self, path: Path, network: nn.Module, measures: Mapping[str, float]) -> None:
        assert isinstance(network, SegmentationNet)
        description = {
            "network": asdict(network.config),
            "labels": list(self.names),
            "image_size": list(self.images.shape[2:]),
            "ignore": list(self.config.ignore),
            "training": {key: value for key, value in asdict(self.config.fit).items() if key != "resume"},
            "accuracy": dict(measures),
        }
        save_network(path, network, kind="segmentation", description=description)


def train_segmentation(
    config: SegmentationTraining,
    labels: Sequence[str],
    train: PixelLabels,
    val: PixelLabels | None,
    out: Path,
    *,
    report: Callable[[str], None],
) -> FitResult:
    """Train on `train`, choose the epoch with the best mean IoU on `val` (else the last), leave the files in `out`."""
    torch.manual_seed(config.fit.seed)
    start = None if config.pretrained is None else read_backbone(config.pretrained)
    folded = start is not None and start.folded
    network = SegmentationNet(replace(config.network, classes=len(labels), norm=config.network.norm and not folded))
    if start is not None:
        if network.backbone is None:
            raise ConfigError(f"--pretrained {start.where}: this U-Net has no backbone to fill; name one by --backbone")
        report(fill_backbone(network.backbone, start, name=config.network.backbone))
        if start.kind == "segmentation" and config.pretrained is not None:
            report(fill_path(network, config.pretrained, labels))
    _check_size(network, train, config.crop)
    network = network.to(memory_format=torch.channels_last)  # a fifth faster on a CPU
    return fit(
        network,
        _SegmentationTask(config, labels, train, val),
        config.fit,
        out,
        started=config.pretrained is not None,
        report=report,
    )


def fill_path(network: SegmentationNet, path: Path, labels: Sequence[str]) -> str:
    """Give the layers behind the backbone those of the segmentation network in `path`; the line to report.

    The layers of classes are taken where both name the same classes in the same order; nothing is where another layer
    has another shape.
    """
    other, description = load_segmentation(path)
    known = tuple(description["labels"]) == tuple(labels)
    of_classes = set() if known else _of_classes(network.config)
    own = network.state_dict()
    taken = {
        key: value
        for key, value in other.state_dict().items()
        if not key.startswith("network.backbone.") and key not in of_classes
    }
    if any(key not in own or own[key].shape != value.shape for key, value in taken.items()):
        return f"{path}: the layers behind the backbone are others than this network's, and begin fresh"
    network.load_state_dict(taken, strict=False)
    left_out = "" if known else ", those of its classes left out"
    return f"{path}: {len(taken)} tensors behind the backbone taken{left_out}"


def _of_classes(config: SegmentationConfig) -> set[str]:
    """Names of the tensors whose shape follows the number of classes."""
    some, more = (SegmentationNet(replace(config, classes=config.classes + add)).state_dict() for add in (0, 1))
    return {key for key, value in some.items() if value.shape != more[key].shape}


def _check_size(network: SegmentationNet, data: PixelLabels, crop: int) -> None:
    """ConfigError where images, or what is cut out of them, are smaller than the network's convolutions reach."""
    height, width = (min(side, crop or side) for side in data.images.shape[2:])
    try:
        with torch.inference_mode():
            answered = network.eval()(torch.zeros(1, 3, height, width)).shape[2:]
        if not all(answered):
            raise RuntimeError("no pixel is left")
    except RuntimeError as error:
        raise ConfigError(
            f"images of {width} x {height} are smaller than what this network's convolutions reach "
            f"({str(error).splitlines()[0]}); give a larger --image-size or --crop, or fewer levels"
        ) from error


@torch.inference_mode()
def score_segmentation(network: nn.Module, data: PixelLabels, *, classes: int, batch: int = 8) -> SegmentationScore:
    """The figures of a network in evaluation mode, at the size the data was loaded with."""
    device = next(network.parameters()).device
    score = SegmentationScore(classes, ignore=IGNORED)
    for start in range(0, len(data), batch):
        images = torch.from_numpy(data.images[start : start + batch]).to(device).float() / 255
        predicted = network(images).argmax(dim=1).to(torch.uint8).cpu().numpy()
        ground_truth = crop_to(torch.from_numpy(data.labels[start : start + batch]), predicted).numpy()
        for each, truth in zip(predicted, ground_truth, strict=True):
            score.add(each, truth)
    return score


def overlap_loss(logits: Float32[Tensor, "b k h w"], labels: Int64[Tensor, "b h w"]) -> Float32[Tensor, ""]:
    """1 - IoU of the probabilities with the labels, averaged over the classes that occur in the batch.

    Source: Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation", 2016.
    """
    known = (labels != IGNORED)[:, None]
    probabilities = logits.softmax(dim=1) * known
    right = functional.one_hot(labels.where(known[:, 0], 0), logits.shape[1]).permute(0, 3, 1, 2) * known
    shared = (probabilities * right).sum(dim=(0, 2, 3))
    true = right.sum(dim=(0, 2, 3))
    union = probabilities.sum(dim=(0, 2, 3)) + true - shared
    return 1 - (shared / union.clamp(min=1))[true > 0].mean()


def crop_to(labels: Int64[Tensor, "b h w"], logits: Tensor) -> Int64[Tensor, "b i j"]:
    """The centre of the labels that a network with valid convolutions answers for."""
    (height, width), (tall, wide) = labels.shape[1:], logits.shape[-2:]
    top, left = (height - tall) // 2, (width - wide) // 2
    return labels[:, top : top + tall, left : left + wide]


def one_in(labels: Int64[Tensor, "b h w"], stride: int) -> Int64[Tensor, "b i j"]:
    """The labels of every `stride`-th row and column, beginning at a random one so that none is favoured."""
    top, left = torch.randint(stride, (2,)).tolist()
    tall, wide = (side // stride for side in labels.shape[1:])
    return labels[:, top::stride, left::stride][:, :tall, :wide].contiguous()


def class_weights(data: PixelLabels, classes: int, balance: float) -> Float32[ndarray, " k"]:
    """Weights that make rare classes count: share ** -balance, 0 for absent ones, 1 on average over the pixels."""
    shares = data.shares(classes)
    weights = np.where(shares > 0, np.maximum(shares, 1e-6) ** -balance, 0).astype(np.float32)
    return np.asarray(weights / max(float((weights * shares).sum()), 1e-12), np.float32)
