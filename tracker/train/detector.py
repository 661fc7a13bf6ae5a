"""The training of a detector: set-up, step, end of epoch, to be read from top to bottom.

Not a task of the loop in trainer.py: a step here may lie in several processes, be evaluated by the clock and be left
out where its gradient is no number, and a run goes on from the middle of an epoch.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tracker.config import DetectorConfig, to_mapping
from tracker.detect.engines.torch import TorchDetector
from tracker.ending import raise_if_interrupted
from tracker.errors import TrackerError
from tracker.evaluate.detection import evaluate_detector
from tracker.nets.checkpoint import save_detector
from tracker.nets.export_detector import clone
from tracker.nets.yolo import YoloNet, scale_input
from tracker.train.aligned import aligned_loss
from tracker.train.data.batches import Batch, shown, to_device
from tracker.train.detector_config import TrainConfig
from tracker.train.detector_run import DetectorRun, set_up
from tracker.train.finalize import finish_detector
from tracker.train.losses import LossSums, yolo_loss
from tracker.train.mixed_precision import mixed_precision
from tracker.train.plots import draw_batch, draw_curves
from tracker.train.run_folder import RunFolder, clean_mean
from tracker.train.schedule import set_learning_rate
from tracker.train.teacher import Teacher

__all__ = ["train_detector"]

log = logging.getLogger(__name__)

DRAWN_BATCHES = 3
"""Batches drawn for a person to check labels and augmentation by; more show nothing new."""
REPORT_STEPS = 20
"""Steps between two lines of progress: some seconds on a CPU."""
BROKEN_STEPS = 20
"""Steps in a row without a finite gradient that end a run; single ones are left out."""
EVALUATION_SCORE = 0.02
"""Score from which detections count for AP: there are very many below, which hardly add to the area under the curve."""
MASK_SHARE = 0.5
"""Weight of mask AP beside box AP in the score that chooses the best weights: masks follow boxes, hence half."""


def train_detector(config: TrainConfig, *, teachers: Sequence[Teacher] = ()) -> Path:
    """Train and return the path of the best weights; `teachers` are those of `config.teacher`, opened.

    Raises ConfigError while another training writes into `config.out`, or holds one that is not to be gone on with.
    """
    with RunFolder(config.out).claimed(resume=config.resume):
        run = set_up(config, teachers)
        evaluate_start(run)
        while run.goes_on:
            run.choose_learning_parts()
            for batch in run.batches():
                raise_if_interrupted()
                training_step(run, batch)
                evaluate_if_due(run)
                if run.finished:
                    break
            else:
                end_epoch(run)
        run.ranks.destroy()
        if run.ranks.is_main:
            finish_detector(
                run.folder.best,
                run.validation,
                recipe=to_mapping(config),
                precision=config.precision,
                device=config.device,
                pictures=config.pictures,
            )
            compared = run.folder.against_start(run.progress, learning_rate=config.learning_rate)
            if compared:
                log.info("%s", compared)
        return run.folder.best


def training_step(run: DetectorRun, batch: Batch) -> None:
    """One step of the optimizer on one batch, over all processes; `run.finished` when it was the last.

    Raises TrackerError after so many steps without a finite gradient that the run is lost.
    """
    config, progress, ranks, network = run.config, run.progress, run.ranks, run.network
    step = run.step
    if run.draws and step < DRAWN_BATCHES:
        draw_batch(run.folder.path / f"batch-{step}.png", *shown(batch))

    # Forward: this process' images, and the sums of their losses.
    canvases, truths = to_device(batch, run.device)  # (b, 3, h, w), 0..1
    images = scale_input(canvases, run.card.input_scale)
    truths = [each.scaled(images.shape[-1] / canvases.shape[-1]) for each in truths]
    with mixed_precision(run.device, wanted=config.mixed_precision):
        raw = network(images.contiguous(memory_format=torch.channels_last))  # levels (b, a (5 + c + m), h / s, w / s)
    loss = yolo_loss if network.config.head == "offsets" else aligned_loss
    grid = run.grids[images.shape[-1]]
    sums: LossSums = loss(raw, truths, grid, config.losses, class_count=len(run.card.labels), seeds=batch.seeds)

    # Divided by the counts of all processes, so that their gradients add up to that of one process. The main process'
    # clock goes for all, or they would disagree about the end.
    minutes = (time.monotonic() - run.begun) / 60 if ranks.is_main else 0.0
    positive, mask_count, all_minutes = ranks.all_reduce_sum(sums.positive, sums.mask_count, minutes)
    losses = sums.weighted(config.losses, positive, mask_count)
    passed = run.passed(float(all_minutes))

    # Backward: the rate depends on how far the run is, the gradient is summed over processes, then clipped.
    set_learning_rate(run.optimizer, run.rate_factor(passed))
    run.optimizer.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    ranks.all_reduce_gradients(network.parameters())
    norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip)

    # Update, unless a gradient is no number: it would make every weight none.
    if math.isfinite(float(norm)):
        run.optimizer.step()
        run.average.update(network)
        progress.broken_steps = 0
    else:
        _leave_out(run, step)

    # Account.
    progress.step, progress.taken = progress.step + 1, progress.taken + 1
    progress.seconds = time.monotonic() - run.begun
    progress.add(dict(zip(losses, ranks.all_reduce_sum(*losses.values()).tolist(), strict=True)))
    run.finished = passed >= 1.0
    if step % REPORT_STEPS == 0 and ranks.is_main:
        _report(run, step, positive)


def evaluate_start(run: DetectorRun) -> None:
    """Evaluate the weights that a run begins from before its first step: a training can leave them worse."""
    progress = run.progress
    if not run.started or run.evaluated is None or run.step or progress.start:
        return
    if run.ranks.is_main:
        evaluate(run)
        progress.seconds = progress.start_seconds = time.monotonic() - run.begun
        run.folder.save(run.network, run.average, run.optimizer, run.card, progress)
        run.evaluated_at = time.monotonic()


def evaluate_if_due(run: DetectorRun) -> None:
    """Evaluate and save in the middle of an epoch: at the end of the time, and every `evaluate_minutes`."""
    every = 60 * run.config.evaluate_minutes
    due = bool(every) and time.monotonic() - run.evaluated_at > every
    if (run.finished or due) and run.ranks.is_main:
        evaluate(run)
        run.folder.save(run.network, run.average, run.optimizer, run.card, run.progress)
        run.evaluated_at = time.monotonic()


def end_epoch(run: DetectorRun) -> None:
    """Evaluate unless the clock decides that, stop where patience is over, save where that is worth its time."""
    config, progress, ranks = run.config, run.progress, run.ranks
    progress.epoch, progress.step = progress.epoch + 1, 0
    last = progress.epoch == config.epochs
    if ranks.is_main and (not config.evaluate_minutes or last):
        evaluate(run)
    # The main process alone has evaluated: the others learn from it whether to stop.
    stale = ranks.is_main and 0 < config.patience <= progress.since_best
    run.finished = bool(ranks.all_reduce_sum(float(stale))[0])
    if ranks.is_main and (run.finished or last or run.folder.due()):
        run.folder.save(run.network, run.average, run.optimizer, run.card, progress)
    if stale:
        log.info("stopped after epoch %d: none of the last %d was better", progress.epoch, progress.since_best)


def evaluate(run: DetectorRun) -> None:
    """Evaluate the averaged weights, note the result, and save the weights when they are the best so far."""
    config, progress, folder, card = run.config, run.progress, run.folder, run.card
    average = run.average.module
    assert isinstance(average, YoloNet)

    # AP per class on the validation images, by the detector that the program runs.
    row: dict[str, float | int] = {"epoch": progress.epoch, "step": progress.taken, "minutes": progress.seconds / 60}
    row |= {f"loss_{name}": value for name, value in progress.means().items()}
    judged: dict[str, float] = {}
    if run.evaluated is not None:
        detector_config = DetectorConfig(conf=EVALUATION_SCORE, imgsz=config.input_size, device=config.device)
        boxes, masks = evaluate_detector(TorchDetector((clone(average), card), detector_config), run.evaluated)
        for label in card.labels:
            row |= {f"ap_{label}": boxes[label].ap, f"ap50_{label}": boxes[label].ap50}
            row |= {f"mask_ap50_{label}": masks[label].ap50, f"mask_ap75_{label}": masks[label].ap75}
        box_ap, mask_ap = (clean_mean([part.ap for part in parts.values()]) for parts in (boxes, masks))
        has_masks = any(math.isfinite(part.ap) for part in masks.values())
        row["score"] = box_ap + MASK_SHARE * mask_ap
        judged = {"score": row["score"], "AP": box_ap, **({"mask AP": mask_ap} if has_masks else {})}

    # The result: results.csv, TensorBoard, curves, one line.
    folder.note(row)
    if run.board is not None:
        run.board.note(row, step=progress.taken)
    if config.pictures:
        draw_curves(folder.path / "curves.png", folder.results)
    figures = (
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
        if not math.isnan(value)
    )
    log.info("evaluated%s: %s", "" if progress.taken else ", the start", "  ".join(figures))
    progress.clear()

    # The best so far; after a broken step the weights may be finite and still give nothing but NaN.
    if progress.broken_steps and folder.best.is_file():
        progress.since_best += 1
    elif progress.judge(judged):
        save_detector(folder.best, average, card)


def _leave_out(run: DetectorRun, step: int) -> None:
    run.progress.broken_steps += 1
    log.warning("step %d: gradient is not finite, step left out", step)
    if run.progress.broken_steps >= BROKEN_STEPS:
        raise TrackerError(
            f"{run.config.out}: {BROKEN_STEPS} steps in a row without a finite gradient. "
            f"{run.folder.what_is_left(run.progress)} with a lower --learning-rate."
        )


def _report(run: DetectorRun, step: int, positive: Tensor) -> None:
    """One line of progress: losses, time left, speed."""
    progress = run.progress
    seconds_left = progress.seconds_left(step / run.total_steps, 60 * run.config.max_minutes)
    left = f"{seconds_left / 60:.0f}" if math.isfinite(seconds_left) else "?"
    parts = "  ".join(f"{name} {value:.3f}" for name, value in progress.means().items())
    log.info(
        "epoch %d  step %d/%d  %s  anchors %.0f  %.1f images/s  %s min left",
        progress.epoch,
        step,
        run.total_steps,
        parts,
        float(positive),
        run.config.batch * (step + 1) / max(progress.seconds - progress.start_seconds, 1e-6),
        left,
    )
