"""A detector's training before its first step: everything the steps share, from the images to the optimizer."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tracker.detect.engines.torch import find_device
from tracker.errors import ConfigError
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.nets.anchors import AnchorGrid, lay_grid
from tracker.nets.model_card import ModelCard, scaled_side
from tracker.nets.yolo import YoloNet, is_mask_part
from tracker.train.data.augment import TrainingSample
from tracker.train.data.augment_gpu import DeviceData
from tracker.train.data.batches import Batch, epoch_batches
from tracker.train.data.detection import load_data
from tracker.train.detector_config import TrainConfig
from tracker.train.distil import ask_teachers, known_truth, unlabelled
from tracker.train.distributed import Distributed
from tracker.train.ema import ModelEma
from tracker.train.initial_weights import change_masks, check_start, start_network
from tracker.train.plots import draw_labels
from tracker.train.run_folder import Progress, RunFolder
from tracker.train.schedule import learning_rate_factor, least_warm_up, parameter_groups
from tracker.train.teacher import Teacher
from tracker.train.tensorboard import TensorBoardWriter

__all__ = ["DetectorRun", "set_up", "spread"]

log = logging.getLogger(__name__)

WITHOUT_VALIDATION = (
    "no 'val', so nothing is validated: 'best' is simply the last epoch, its default threshold is not measured, and "
    "--patience never stops. Name a folder under 'val', or write 'validation_share: 0.15' to set images aside."
)
CANNOT_TEACH = (
    "--start %s knows no %s, so it cannot teach them where a folder does not label them, and nothing is taught of them "
    "there. Name a model that knows them with --teacher, or nobody with --teacher none."
)
NO_MASKS = (
    "--masks-only: no object of 'train' in {data} has an outline, and {teachers}, so there is no mask to learn from. "
    "Give outlines, or name a network with masks that knows these classes with --teacher."
)
NOT_ASKED = "the teacher is not asked: every folder labels what it knows ('labelled' says which do not)."

RATE_GRAINS = 10_000
"""Grains into which a run is cut to find its learning rate: its part done may be one of time, not of steps."""
BODY_FACTOR_AFTER_FREEZE = 0.1
"""Share of the rate for a backbone that was frozen at first: it is pretrained, and is adjusted, not overwritten."""
NORM_WINDOW = 30.0
"""Times over a run that the norms' running statistics are renewed, so that they end as those of its last steps."""
LEAST_NORM_MOMENTUM, MOST_NORM_MOMENTUM = 0.03, 0.1
"""Of a long run (Ultralytics' for YOLO), and torch's own, which very short runs are held to."""


@dataclass
class DetectorRun:
    """What set-up, steps and ends of epochs share. The first block stays, the second changes as the run goes on."""

    config: TrainConfig
    ranks: Distributed
    device: torch.device
    folder: RunFolder
    validation: DataSet | None
    """All images of the validation split."""
    evaluated: DataSet | None
    """Those of them that are evaluated during training (`evaluate_images`)."""
    card: ModelCard
    grids: dict[int, AnchorGrid]
    """The anchors of each training size, as the network scales it."""
    samples: list[TrainingSample]
    on_device: DeviceData | None
    """The same on the device, with `data_on_device`."""
    steps_per_epoch: int
    board: TensorBoardWriter | None

    network: YoloNet
    average: ModelEma
    optimizer: Optimizer
    progress: Progress
    begun: float
    """On time.monotonic, as if it had never been interrupted."""
    evaluated_at: float = field(default_factory=time.monotonic)
    finished: bool = False
    """Out of steps, time or patience."""

    @property
    def started(self) -> bool:
        """Whether it begins from weights that were given."""
        return bool(self.config.start or self.config.pretrained)

    @property
    def goes_on(self) -> bool:
        """Whether there is another epoch, or the rest of one."""
        return self.progress.epoch < self.config.epochs and not self.finished

    @property
    def step(self) -> int:
        """Steps before this one, over all epochs."""
        return self.progress.epoch * self.steps_per_epoch + self.progress.step

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.config.epochs

    @property
    def draws(self) -> bool:
        """Whether this process draws plots."""
        return self.config.pictures and self.ranks.is_main

    def batches(self) -> Iterator[Batch]:
        """This process' share of what is left of the epoch's batches; they depend on (seed, epoch, step) alone."""
        config, progress = self.config, self.progress
        which: dict[str, Any] = {"epoch": progress.epoch, "first_step": progress.step, "batch_size": config.batch}
        which |= {"sizes": config.training_sizes, "augment": config.augment, "seed": config.seed}
        which |= {"rank": self.ranks.rank, "ranks": self.ranks.count}
        if self.on_device is not None:
            return self.on_device.epoch(**which)
        return epoch_batches(self.samples.__getitem__, len(self.samples), threads=config.threads, **which)

    def choose_learning_parts(self) -> None:
        """What learns in this epoch: masks alone, all but a frozen backbone, or everything."""
        if self.config.masks_only:
            learn_masks_alone(self.network)
        else:
            freeze(self.network, frozen=self.progress.epoch < self.config.freeze)

    def passed(self, minutes: float) -> float:
        """The part of the run that is over, by steps or by time, whichever is further; 1 and more at its end."""
        limit = self.config.max_minutes
        return max(self.step / self.total_steps, minutes / limit if limit else 0.0)

    def rate_factor(self, passed: float) -> float:
        """Share of the peak rate: warm-up by steps, then a cosine over steps or time, whichever is further."""
        least = least_warm_up(self.total_steps) if self.started else 0
        warmup = min(self.config.warmup_steps, max(self.total_steps // 10, least))
        if self.step < warmup:
            return (self.step + 1) / warmup
        return learning_rate_factor(
            int(passed * RATE_GRAINS), total_steps=RATE_GRAINS, final_factor=self.config.final_factor
        )


def set_up(config: TrainConfig, teachers: Sequence[Teacher]) -> DetectorRun:
    """Everything before the first step; of a resumed run, as its last save left it.

    Raises ConfigError for data without one label, CheckpointError where the run to resume learned other classes.
    """
    check_start(config.start)
    # Data: labels checked, teachers only where a folder leaves something to them.
    splits, check = load_data(config.data, keep_images=True)
    train, validation = splits["train"], splits.get("val")
    teachers = useful_teachers(config, train, teachers)
    if not teachers and not any(len(sample.boxes) for sample in train.samples):
        raise ConfigError(
            f"{config.data}: 'train' has {len(train.samples)} images without one usable label.\n{check.report()}"
        )
    if config.masks_only and not teachers and not any(map(has_outline, train.samples)):
        raise ConfigError(NO_MASKS.format(data=config.data, teachers="no teacher lends any"))
    folder = RunFolder(config.out)

    # Processes: each on its own device, all with the same random state for fresh weights.
    device = find_device(config.device)
    if device.type == "cuda":  # torchrun gives each process one of its own
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", device.index or 0)))
    ranks = Distributed.join(device)
    torch.manual_seed(config.seed)

    # Network: fresh or from a file, with the mask branch that is asked for.
    initial = start_network(
        train,
        weights=config.start,
        backbone=config.backbone,
        pretrained=config.pretrained,
        norm=config.norm,
        residual=config.residual,
        input_size=config.input_size,
        input_scale=config.input_scale,
    )
    network, card, fresh = change_masks(
        initial,
        prototypes=config.prototypes,
        prototype_width=config.prototype_width,
        mask_width=config.mask_width,
    )
    going_on = config.resume and folder.can_go_on
    if going_on:
        card = replace(card, anchors=folder.kept_anchors(train.labels))

    # Folder: settings and labels written by the main process.
    folder.make()
    if validation is None and ranks.is_main:
        log.warning("%s: %s", config.data, WITHOUT_VALIDATION)
    board = TensorBoardWriter(folder.path) if config.tensorboard and ranks.is_main else None
    if ranks.is_main:
        folder.write_config(config)
        if config.pictures:
            draw_labels(folder.path / "labels.png", train)

    # Images: read once, with what their labels and the teachers say.
    samples = labelled_samples(config, train, teachers, folder.path, ranks)
    if config.masks_only and not any(sample.ground_truth.has_mask.any() for sample in samples):
        raise ConfigError(NO_MASKS.format(data=config.data, teachers="the teacher lends none"))
    on_device = None
    if config.data_on_device:
        on_device = DeviceData(samples, size=max(config.training_sizes), device=device, threads=config.threads)
    evaluated = validation
    if validation is not None:
        evaluated = replace(validation, samples=spread(validation.samples, config.evaluate_images))

    # Optimizer: slower for what is pretrained, without weight decay on norms and biases.
    network = network.to(device).to(memory_format=torch.channels_last).train()
    if ranks.count > 1 and device.type == "cuda":  # gloo has none: on CPUs each process keeps its own statistics
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    body_factor = config.body_factor or (BODY_FACTOR_AFTER_FREEZE if config.freeze else 1.0)
    factors = {"backbone": body_factor, "neck": config.neck_factor, **dict.fromkeys(fresh, config.fresh_factor)}
    if config.masks_only:
        learn_masks_alone(network)
    groups = parameter_groups(
        network, learning_rate=config.learning_rate, weight_decay=config.weight_decay, rate_factors=factors
    )
    optimizer = torch.optim.AdamW(groups)
    # The average has its full length only after a few times the warm-up, when the weights have left their start.
    average = ModelEma(network, decay=config.average, warmup_steps=max(1, config.warmup_steps // 4))
    progress = folder.restore(network, average, optimizer) if going_on else Progress()

    # What depends on how long the run is, and the anchors of each size of image.
    steps_per_epoch = max(1, len(train.samples) // config.batch)
    set_norm_momentum(network, steps=steps_per_epoch * config.epochs)
    grids = {
        size: lay_grid([(size // s, size // s) for s in card.strides], card.anchors, card.strides, device)
        for size in (scaled_side(size, card.input_scale) for size in config.training_sizes)
    }
    return DetectorRun(
        config=config,
        ranks=ranks,
        device=device,
        folder=folder,
        validation=validation,
        evaluated=evaluated,
        card=card,
        grids=grids,
        samples=samples,
        on_device=on_device,
        steps_per_epoch=steps_per_epoch,
        board=board,
        network=network,
        average=average,
        optimizer=optimizer,
        progress=progress,
        begun=time.monotonic() - progress.seconds,
    )


def useful_teachers(config: TrainConfig, train: DataSet, teachers: Sequence[Teacher]) -> Sequence[Teacher]:
    """The teachers, or none where every folder labels what they know and none blends labels with their opinion.

    Where masks alone are learned they lend these to labelled objects without an outline.
    """
    if not teachers or any(sample.blend for sample in train.samples):
        return teachers
    if config.masks_only and config.teacher != "start" and not all(map(has_outline, train.samples)):
        return teachers
    missing = unlabelled(train)
    if set(missing) & {label for teacher in teachers for label in teacher.detector.labels}:
        return teachers
    if config.teacher != "start":
        log.warning("%s: %s", config.data, NOT_ASKED)
    elif missing:
        log.warning("%s: " + CANNOT_TEACH, config.data, config.start, ", ".join(missing))
    return ()


def has_outline(sample: Sample) -> bool:
    """Whether an object of the image has one."""
    return any(polygon is not None for polygon in sample.polygons)


def labelled_samples(
    config: TrainConfig, train: DataSet, teachers: Sequence[Teacher], out: Path, ranks: Distributed
) -> list[TrainingSample]:
    """Every training image with what its labels and the teacher say; the main process asks, the others read."""
    from_teachers = {}
    if teachers:
        if not ranks.is_main:
            ranks.barrier()
        cache = Path(config.teaching.cache) if config.teaching.cache else out / "teacher"
        from_teachers = ask_teachers(train, teachers, cache, config.teaching)
        if ranks.is_main:
            ranks.barrier()
    known_to_them = {label for teacher in teachers for label in teacher.detector.labels}
    taught = tuple(row for row, label in enumerate(train.labels) if label in known_to_them)
    tables = train.targets()

    def read(sample: Sample) -> TrainingSample:
        detections = from_teachers.get(sample.path)
        return TrainingSample(
            sample.read(), known_truth(sample, train, detections, config.teaching, tables, taught=taught)
        )

    single = list({sample.path: sample for sample in train.samples}.values())
    with ThreadPoolExecutor(config.threads) as pool:
        by_path = dict(zip((sample.path for sample in single), pool.map(read, single), strict=True))
    return [by_path[sample.path] for sample in train.samples]


def spread(samples: Sequence[Sample], count: int) -> tuple[Sample, ...]:
    """At most `count` samples, evenly over all of them."""
    if not count or count >= len(samples):
        return tuple(samples)
    return tuple(samples[row * len(samples) // count] for row in range(count))


def freeze(network: YoloNet, *, frozen: bool) -> None:
    """Keep the backbone as it is, the statistics of its norms too, or let it learn."""
    network.backbone.requires_grad_(not frozen)
    network.backbone.train(not frozen)


def learn_masks_alone(network: YoloNet) -> None:
    """Keep everything as it is but prototypes and mask coefficients."""
    network.eval()
    network.prototypes.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(is_mask_part(name))


def set_norm_momentum(network: YoloNet, *, steps: int) -> None:
    """Let the norms' running statistics follow a short run; at the usual 0.03 they would still show its beginning."""
    momentum = min(MOST_NORM_MOMENTUM, max(LEAST_NORM_MOMENTUM, NORM_WINDOW / steps))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
