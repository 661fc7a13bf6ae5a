"""Training of a classifier on images with one label each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from tracker.detect.engines.torch import find_device
from tracker.errors import ConfigError
from tracker.evaluate.classification import report_classification
from tracker.nets.classifier import Classifier, ClassifierConfig, classify, load_classifier
from tracker.nets.saved import save_network
from tracker.nets.transfer import fill_backbone, read_backbone
from tracker.train.classifier_plots import draw_classifier
from tracker.train.data.classification import AugmentImages, LabelledImages, augment_images, split
from tracker.train.run_folder import RunFolder
from tracker.train.seeds import seed_of
from tracker.train.trainer import FitConfig, FitResult, fit

__all__ = ["ClassifierTraining", "train_classifier"]


@dataclass(frozen=True, slots=True)
class ClassifierTraining:
    """How a classifier is trained."""

    network: ClassifierConfig = field(default_factory=ClassifierConfig)
    """Which network; its classes and channels come from the data."""
    pretrained: Path | None = None
    """Weights of the backbone: any network of ours that holds it, or a published one (torchvision's or timm's; its head
    is taken too where it fits)."""
    batch: int = 128
    """Images per step."""
    label_smoothing: float = 0.0
    """Share of the truth spread over all classes."""
    validation_share: float = 0.1
    """Share of the training data set aside where there is no validation data."""
    augment: AugmentImages = field(default_factory=AugmentImages)
    """How training images are moved and changed."""
    plots: bool = True
    """Draw curves, the confusion matrix and the wrong images into the output folder."""
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch must be 1 or more, found {self.batch}")
        for name in ("label_smoothing", "validation_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1, found {getattr(self, name)}")


class _Batch(NamedTuple):
    images: Float32[Tensor, "b c h w"]
    labels: Int64[Tensor, " b"]


class _ClassifierTask:
    def __init__(self, config: ClassifierTraining, train: LabelledImages, val: LabelledImages | None) -> None:
        self.config, self.val, self.names = config, val, train.names
        self.device = find_device(config.fit.device)
        self.images = torch.from_numpy(train.images).to(self.device)
        self.labels = torch.from_numpy(train.labels).to(self.device)
        self.steps = max(1, math.ceil(len(train) / config.batch))

    def batches(self, epoch: int) -> Iterator[_Batch]:
        generator = torch.Generator().manual_seed(seed_of(self.config.fit.seed, epoch))
        order = torch.randperm(len(self.labels), generator=generator)
        for rows in order.to(self.device).tensor_split(self.steps):
            yield _Batch(augment_images(self.images[rows], self.config.augment, generator), self.labels[rows])

    def losses(self, network: nn.Module, batch: _Batch) -> Mapping[str, Tensor]:
        logits = network(batch.images)
        smoothing = self.config.label_smoothing
        return {"cross_entropy": functional.cross_entropy(logits.float(), batch.labels, label_smoothing=smoothing)}

    def measure(self, network: nn.Module) -> Mapping[str, float]:
        if self.val is None:
            return {}
        predicted = classify(network, self.val.images, batch=4 * self.config.batch).argmax(axis=1)
        report = report_classification(self.val.labels, predicted, classes=len(self.names))
        return {"score": report.accuracy, "error": report.error}

    def save(self, path: Path, network: nn.Module, measures: Mapping[str, float]) -> None:
        assert isinstance(network, Classifier)
        height = self.images.shape[-1]
        description = {
            "network": asdict(network.config),
            "labels": list(self.names),
            "image_size": height,
            "training": {key: value for key, value in asdict(self.config.fit).items() if key != "resume"},
            "accuracy": dict(measures),
        }
        save_network(path, network, kind="classifier", description=description)


def train_classifier(
    config: ClassifierTraining,
    train: LabelledImages,
    val: LabelledImages | None,
    out: Path,
    *,
    report: Callable[[str], None],
) -> FitResult:
    """Train on `train`, judge on `val` (or on a share of `train`), leave the files in `out`.

    `report` takes one line per epoch.
    """
    if val is None and config.validation_share > 0:
        train, val = split(train, config.validation_share, seed=config.fit.seed)
        val = val if len(val) else None  # too few of each class to set one aside
    if val is not None and val.names != train.names:
        raise ConfigError(f"validation data has classes {', '.join(val.names)}, training data {', '.join(train.names)}")
    torch.manual_seed(config.fit.seed)
    start = None if config.pretrained is None else read_backbone(config.pretrained)
    norm = config.network.norm and not (start is not None and start.folded)
    network = Classifier(
        replace(config.network, classes=len(train.names), in_channels=train.images.shape[1], norm=norm)
    )
    _check_size(network, train)
    if start is not None and start.name:
        report(fill_backbone(network.backbone, start, name=config.network.backbone))
    elif start is not None:
        network.load_published(start.state, where=start.where)
    result = fit(
        network,
        _ClassifierTask(config, train, val),
        config.fit,
        out,
        started=config.pretrained is not None,
        report=report,
    )
    if config.plots and val is not None:
        best, _ = load_classifier(result.best)
        draw_classifier(out, val, classify(best, val.images), results=RunFolder(out).results)
    return result


def _check_size(network: Classifier, data: LabelledImages) -> None:
    """ConfigError where the network does not run on images of that size: too small, or not the only one it takes."""
    _, channels, height, width = data.images.shape
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, channels, height, width))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"images of {width} x {height} do not fit {network.config.backbone!r} ({reason}); give another --image-size"
        ) from error
