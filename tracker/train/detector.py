"""The training of a detector, as one loop to be read from top to bottom."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tracker.config import DetectorConfig, to_mapping
from tracker.detect.engines.torch import TorchDetector, find_device
from tracker.ending import raise_if_told_to_end
from tracker.errors import ConfigError, TrackerError
from tracker.evaluate.detection import evaluate_detector
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.nets.anchors import lay_grid
from tracker.nets.checkpoint import save_detector
from tracker.nets.export_detector import clone
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import YoloNet, is_mask_part
from tracker.train.aligned import aligned_loss
from tracker.train.data.augment import TrainingSample
from tracker.train.data.augment_gpu import DeviceData
from tracker.train.data.batches import epoch_batches, shown, to_device
from tracker.train.data.detection import load_data
from tracker.train.detector_config import TrainConfig
from tracker.train.distil import ask_teachers, known_truth, unlabelled
from tracker.train.distributed import Distributed
from tracker.train.ema import ModelEma
from tracker.train.finalize import finish_detector
from tracker.train.initial_weights import change_masks, start_network
from tracker.train.losses import yolo_loss
from tracker.train.plots import draw_batch, draw_curves, draw_labels
from tracker.train.run_folder import Progress, RunFolder, clean_mean
from tracker.train.schedule import learning_rate_factor, parameter_groups, set_learning_rate
from tracker.train.teacher import Teacher
from tracker.train.tensorboard import TensorBoardWriter

__all__ = ["train_detector"]

log = logging.getLogger(__name__)

WITHOUT_VALIDATION = (
    "no 'val', so nothing is validated: 'best' is simply the last epoch, its default threshold is not measured, and "
    "--patience never stops. Name a folder under 'val', or write 'validation_share: 0.15' to set images aside."
)
NOT_ASKED = "the teacher is not asked: every folder labels what it knows ('labelled' says which do not)."


def train_detector(config: TrainConfig, *, teachers: Sequence[Teacher] = ()) -> Path:
    """Train and return the path of the best weights; `teachers` are those of `config.teacher`, opened."""
    splits, check = load_data(config.data, keep_images=True)
    if check.counts:
        log.warning("%s: data check\n%s", config.data, check.report())
    train, val = splits["train"], splits.get("val")
    blended = any(sample.blend for sample in train.samples)
    if teachers and not (blended or set(unlabelled(train)) & {own for one in teachers for own in one.detector.labels}):
        if config.teacher != "start":
            log.warning("%s: %s", config.data, NOT_ASKED)
        teachers = ()
    if not teachers and not any(len(sample.boxes) for sample in train.samples):
        raise ConfigError(
            f"{config.data}: 'train' has {len(train.samples)} images without one usable label.\n{check.report()}"
        )
    folder = RunFolder(config.out)
    folder.check_free(resume=config.resume)
    device = find_device(config.device)
    if device.type == "cuda":  # torchrun gives each process one of its own
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", device.index or 0)))
    ranks = Distributed.join(device)
    torch.manual_seed(config.seed)
    initial = start_network(
        train,
        weights=config.start,
        backbone=config.backbone,
        pretrained=config.pretrained,
        norm=config.norm,
        residual=config.residual,
        input_size=config.input_size,
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
    folder.make()
    if val is None and ranks.is_main:
        log.warning("%s: %s", config.data, WITHOUT_VALIDATION)
    board = TensorBoardWriter(folder.path) if config.tensorboard and ranks.is_main else None
    draws = config.pictures and ranks.is_main
    if ranks.is_main:
        folder.write_config(config)
    if draws:
        draw_labels(folder.path / "labels.png", train)
    samples = labelled_samples(config, train, teachers, folder.path, ranks)
    on_device = None
    if config.data_on_device:
        on_device = DeviceData(samples, size=max(config.training_sizes), device=device, threads=config.threads)
    judged = replace(val, samples=spread(val.samples, config.evaluate_images)) if val is not None else None

    network = network.to(device).to(memory_format=torch.channels_last).train()
    if ranks.count > 1 and device.type == "cuda":  # gloo has none: on CPUs each process keeps its own statistics
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    body_factor = config.body_factor or (0.1 if config.freeze else 1.0)
    factors = {"backbone": body_factor, "neck": config.neck_factor, **dict.fromkeys(fresh, config.fresh_factor)}
    if config.masks_only:
        learn_masks_alone(network)
    groups = parameter_groups(
        network, learning_rate=config.learning_rate, weight_decay=config.weight_decay, rate_factors=factors
    )
    optimizer = torch.optim.AdamW(groups)
    average = ModelEma(network, decay=config.average, warmup_steps=max(1, config.warmup_steps // 4))
    progress = Progress()
    if going_on:
        progress = folder.restore(network, average, optimizer)

    steps_per_epoch = max(1, len(train.samples) // config.batch)
    total = steps_per_epoch * config.epochs
    warmup = min(config.warmup_steps, total // 10)
    set_norm_momentum(network, min(0.1, max(0.03, 30 / total)))
    grids = {
        size: lay_grid([(size // s, size // s) for s in card.strides], card.anchors, card.strides, device)
        for size in config.training_sizes
    }
    loss = yolo_loss if network.config.head == "offsets" else aligned_loss
    begun, judged_at = time.monotonic() - progress.seconds, time.monotonic()
    finished = False
    while progress.epoch < config.epochs and not finished:
        if config.masks_only:
            learn_masks_alone(network)
        else:
            freeze(network, frozen=progress.epoch < config.freeze)
        which: dict[str, Any] = {"epoch": progress.epoch, "first_step": progress.step, "batch_size": config.batch}
        which |= {"sizes": config.training_sizes, "augment": config.augment, "seed": config.seed}
        which |= {"rank": ranks.rank, "ranks": ranks.count}
        if on_device is not None:
            batches = on_device.epoch(**which)
        else:
            batches = epoch_batches(samples.__getitem__, len(samples), threads=config.threads, **which)
        for batch in batches:
            raise_if_told_to_end()
            step = progress.epoch * steps_per_epoch + progress.step
            if draws and step < 3:
                draw_batch(folder.path / f"batch-{step}.png", *shown(batch))
            images, truths = to_device(batch, device)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.mixed_precision):
                raw = network(images.contiguous(memory_format=torch.channels_last))
            grid = grids[images.shape[-1]]
            sums = loss(raw, truths, grid, config.losses, class_count=len(card.labels), seeds=batch.seeds)
            minutes = (time.monotonic() - begun) / 60 if ranks.is_main else 0.0
            positive, mask_count, minutes = ranks.all_reduce_sum(sums.positive, sums.mask_count, minutes)
            losses = sums.weighted(config.losses, positive, mask_count)
            passed = max(step / total, float(minutes) / config.max_minutes if config.max_minutes else 0.0)
            set_learning_rate(optimizer, rate(step, passed, config, warmup=warmup))
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            ranks.all_reduce_gradients(network.parameters())
            norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            if math.isfinite(float(norm)):
                optimizer.step()
                average.update(network)
                progress.broken_steps = 0
            else:
                progress.broken_steps += 1
                log.warning("step %d: gradient is not finite, step left out", step)
                if progress.broken_steps >= 20:
                    raise TrackerError(
                        f"{config.out}: 20 steps in a row without a finite gradient. "
                        f"{folder.tell_rest(progress)} with a lower --learning-rate."
                    )
            progress.step, progress.taken = progress.step + 1, progress.taken + 1
            progress.seconds = time.monotonic() - begun
            progress.add(dict(zip(losses, ranks.all_reduce_sum(*losses.values()).tolist(), strict=True)))
            finished = passed >= 1.0
            if step % 20 == 0 and ranks.is_main:
                report(step, total, passed, progress, float(positive), config.batch)
            due = bool(config.evaluate_minutes) and time.monotonic() - judged_at > 60 * config.evaluate_minutes
            if (finished or due) and ranks.is_main:
                judge(config, average, card, judged, folder, progress, board)
                folder.save(network, average, optimizer, card, progress)
                judged_at = time.monotonic()
            if finished:
                break
        else:
            progress.epoch, progress.step = progress.epoch + 1, 0
            if ranks.is_main and (not config.evaluate_minutes or progress.epoch == config.epochs):
                judge(config, average, card, judged, folder, progress, board)
            stale = float(ranks.is_main and 0 < config.patience <= progress.since_best)
            finished = bool(ranks.all_reduce_sum(stale)[0])
            if ranks.is_main and (finished or progress.epoch == config.epochs or folder.due()):
                folder.save(network, average, optimizer, card, progress)
            if stale:
                log.info("stopped after epoch %d: none of the last %d was better", progress.epoch, progress.since_best)
    ranks.destroy()
    if ranks.is_main:
        finish_detector(
            folder.best,
            val,
            recipe=to_mapping(config),
            precision=config.precision,
            device=config.device,
            pictures=config.pictures,
        )
    return folder.best


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


def set_norm_momentum(network: YoloNet, momentum: float) -> None:
    """Let the norms' running statistics follow a short run; at 0.03 they would still show its beginning."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum


def rate(step: int, passed: float, config: TrainConfig, *, warmup: int) -> float:
    """Share of the peak rate: warm-up by steps, then a cosine over steps or time, whichever is further."""
    if step < warmup:
        return (step + 1) / warmup
    return learning_rate_factor(int(passed * 10_000), total_steps=10_000, final_factor=config.final_factor)


def labelled_samples(
    config: TrainConfig, train: DataSet, teachers: Sequence[Teacher], out: Path, ranks: Distributed
) -> list[TrainingSample]:
    """Every training image with what its labels and the teacher tell; the first process asks, the others read."""
    finds = {}
    if teachers:
        if not ranks.is_main:
            ranks.barrier()
        cache = Path(config.teaching.cache) if config.teaching.cache else out / "teacher"
        finds = ask_teachers(train, teachers, cache, config.teaching)
        if ranks.is_main:
            ranks.barrier()
    known_to_them = {label for one in teachers for label in one.detector.labels}
    taught = tuple(row for row, label in enumerate(train.labels) if label in known_to_them)
    tables = train.targets()

    def know(sample: Sample) -> TrainingSample:
        found = finds.get(sample.path)
        return TrainingSample(sample.read(), known_truth(sample, train, found, config.teaching, tables, taught=taught))

    single = list({sample.path: sample for sample in train.samples}.values())
    with ThreadPoolExecutor(config.threads) as pool:
        known = dict(zip((sample.path for sample in single), pool.map(know, single), strict=True))
    return [known[sample.path] for sample in train.samples]


def spread(samples: Sequence[Sample], count: int) -> tuple[Sample, ...]:
    """At most `count` samples, evenly over all of them."""
    if not count or count >= len(samples):
        return tuple(samples)
    return tuple(samples[row * len(samples) // count] for row in range(count))


def judge(
    config: TrainConfig,
    average: ModelEma,
    card: ModelCard,
    judged: DataSet | None,
    folder: RunFolder,
    progress: Progress,
    board: TensorBoardWriter | None,
) -> None:
    """Evaluate the averaged weights, note the result, and keep the weights when they are the best so far."""
    assert isinstance(average.module, YoloNet)
    row: dict[str, float | int] = {"epoch": progress.epoch, "step": progress.taken, "minutes": progress.seconds / 60}
    row |= {f"loss_{name}": value for name, value in progress.means().items()}
    score = 0.0
    if judged is not None:
        judging = DetectorConfig(conf=0.02, imgsz=config.input_size, device=config.device)
        detector = TorchDetector((clone(average.module), card), judging)
        boxes, masks = evaluate_detector(detector, judged)
        for label in card.labels:
            row |= {f"ap_{label}": boxes[label].ap, f"ap50_{label}": boxes[label].ap50}
            row |= {f"mask_ap50_{label}": masks[label].ap50, f"mask_ap75_{label}": masks[label].ap75}
        score = clean_mean([part.ap for part in boxes.values()]) + 0.5 * clean_mean(
            [part.ap for part in masks.values()]
        )
        row["score"] = score
    folder.note(row)
    if board is not None:
        board.note(row, step=progress.taken)
    if config.pictures:
        draw_curves(folder.path / "curves.png", folder.results)
    figures = (
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
        if not math.isnan(value)
    )
    log.info("evaluated: %s", "  ".join(figures))
    progress.clear()
    sound = progress.broken_steps == 0  # else the weights may be finite and still give nothing but NaN
    if (sound or not folder.best.is_file()) and (score > progress.best or judged is None):
        progress.best, progress.since_best = score, 0
        save_detector(folder.best, average.module, card)
    else:
        progress.since_best += 1


def report(step: int, total: int, passed: float, progress: Progress, positive: float, samples: int) -> None:
    """One line of progress: losses, time left, speed."""
    left = f"{progress.seconds * (1 - passed) / passed / 60:.0f}" if passed else "?"
    parts = "  ".join(f"{name} {value:.3f}" for name, value in progress.means().items())
    log.info(
        "epoch %d  step %d/%d  %s  anchors %.0f  %.1f images/s  %s min left",
        progress.epoch,
        step,
        total,
        parts,
        positive,
        samples * (step + 1) / max(progress.seconds, 1e-6),
        left,
    )
