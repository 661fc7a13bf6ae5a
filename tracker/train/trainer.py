"""The loop that classifiers, re-identification and segmentation networks share; the detector's own is in detector.py.

A task says what a batch, a loss and a measure are; the loop does the rest in plain sight. Batches depend on
(seed, epoch) alone and the random state is set anew each epoch, so on a CPU a resumed run continues to the bit.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from tracker.detect.engines.torch import find_device
from tracker.ending import raise_if_interrupted
from tracker.errors import ConfigError, TrackerError
from tracker.train.ema import ModelEma
from tracker.train.mixed_precision import mixed_precision
from tracker.train.run_folder import Progress, RunFolder
from tracker.train.schedule import learning_rate_factor, least_warm_up, parameter_groups, set_learning_rate
from tracker.train.seeds import check_seed, seed_of

__all__ = ["FitConfig", "FitResult", "Task", "fit"]

Batch = TypeVar("Batch")

AVERAGED = 0.2
"""Share of the steps so far that the average looks back over, at most: a short run would else keep its beginning."""


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How any of these networks is trained."""

    epochs: int = 20
    """Times every example is used."""
    max_minutes: float = 0.0
    """Stop, fully annealed, after this many minutes; 0 for no limit."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    body_factor: float = 1.0
    """Share of that rate for the backbone, such as 0.1 when it is pretrained."""
    weight_decay: float = 0.02
    """AdamW's, on weights only."""
    warmup: float = 0.05
    """Share of the run over which the rate rises; from a start 20 steps at least, or half of a shorter run."""
    final_factor: float = 0.01
    """Share of the peak rate left at the end."""
    clip: float = 5.0
    """Largest norm of the gradient."""
    average: float = 0.999
    """Largest decay of the moving average of the weights, which is what is measured and kept."""
    freeze: int = 0
    """Epochs during which the backbone stays as it is."""
    patience: int = 0
    """Stop after this many epochs without a better one; 0 never stops early."""
    seed: int = 0
    """Of fresh weights, order, augmentation and dropout."""
    device: str = "auto"
    """cpu, cuda or auto."""
    mixed_precision: bool = False
    """bfloat16 where the network multiplies, on devices that are faster so."""
    resume: bool = False
    """Go on from the last state in the output folder."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.epochs < 1:
            raise ValueError(f"epochs must be 1 or more, found {self.epochs}")
        if not 0 <= self.freeze <= self.epochs:
            raise ValueError(f"freeze must be from 0 to the {self.epochs} epochs, found {self.freeze}")
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        for name in ("max_minutes", "body_factor", "weight_decay", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, found {getattr(self, name)}")
        for name in ("warmup", "final_factor", "average"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, found {getattr(self, name)}")


class Task(Protocol[Batch]):
    """What is learned."""

    steps: int
    """Batches per epoch."""

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, the same each time it is asked."""
        ...

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Parts of the loss; their sum is minimised."""
        ...

    def measure(self, network: nn.Module) -> Mapping[str, float]:
        """Figures on the validation data; `score` (higher is better) chooses the best epoch. Empty without data."""
        ...

    def save(self, path: Path, network: nn.Module, measures: Mapping[str, float]) -> None:
        """Write a file that the program can use."""
        ...


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a run gave."""

    best: Path
    """The network of the best epoch, or the start where none was better; of the last epoch where there was nothing to
    measure on."""
    measures: Mapping[str, float]
    """Figures of that network; empty where there was nothing to measure on."""
    epochs: int
    """Epochs done."""


def fit(
    network: nn.Module,
    task: Task[Any],
    config: FitConfig,
    out: Path,
    *,
    started: bool = False,
    report: Callable[[str], None],
) -> FitResult:
    """Train until the epochs, the minutes or the patience are used up; `report` takes a line of progress per epoch.

    A network that `started` from another one's weights is measured before its first step too, and is the best until an
    epoch beats it; the last line then says what was measured of both.
    Leaves best.safetensors, last.safetensors, last.state.pt and results.csv in `out`. Raises TrackerError when the
    loss is no longer finite: the files of the last finite epoch stay. Raises ConfigError under torchrun,
    and while another training writes into `out`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            f"{out}: torchrun started {os.environ['WORLD_SIZE']} processes, which would all train into this folder; "
            "only `train detector` spreads its work. Start this training without torchrun."
        )
    folder = RunFolder(out)
    with folder.claimed(resume=config.resume):
        return _fit(network, task, config, folder, started=started, report=report)


def _fit(
    network: nn.Module,
    task: Task[Any],
    config: FitConfig,
    folder: RunFolder,
    *,
    started: bool,
    report: Callable[[str], None],
) -> FitResult:
    device = find_device(config.device)
    folder.make()
    network = network.to(device)
    _freeze(network, frozen=False)
    factors = {"backbone": config.body_factor, "network.backbone": config.body_factor}
    groups = parameter_groups(
        network, learning_rate=config.learning_rate, weight_decay=config.weight_decay, rate_factors=factors
    )
    optimizer = torch.optim.AdamW(groups)
    total = config.epochs * task.steps
    warmup = config.warmup
    if started and warmup:
        warmup = max(warmup, least_warm_up(total) / total)
    average = ModelEma(network, decay=config.average, warmup_steps=1, reach=AVERAGED)
    progress = folder.restore(network, average, optimizer) if config.resume and folder.can_go_on else Progress()
    begun = time.monotonic() - progress.seconds

    if started and progress.epoch == 0 and not progress.start:
        measures = _evaluate(average.module, task, progress, config, folder, report=report)
        if measures:
            progress.seconds = progress.start_seconds = time.monotonic() - begun
            task.save(folder.last, average.module, measures)
            folder.save_state(network, average, optimizer, progress)

    while progress.epoch < config.epochs:
        torch.manual_seed(seed_of(config.seed, progress.epoch))
        network.train()
        _freeze(network, frozen=progress.epoch < config.freeze)
        for batch in task.batches(progress.epoch):
            raise_if_interrupted()
            passed = _passed(progress, task.steps, total, config)
            set_learning_rate(optimizer, _rate(passed, warmup, config))
            with mixed_precision(device, wanted=config.mixed_precision):
                losses = _losses(task, network, batch)
                loss = torch.stack([part.float() for part in losses.values()]).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            if not math.isfinite(float(norm)):
                raise TrackerError(
                    f"{folder.path}: the loss is no longer finite in epoch {progress.epoch + 1}, step "
                    f"{progress.step + 1}. "
                    f"{folder.what_is_left(progress)} with a lower --learning-rate."
                )
            optimizer.step()
            average.update(network)
            progress.step += 1
            progress.seconds = time.monotonic() - begun
            progress.add({name: float(value.detach()) for name, value in losses.items()})
            if config.max_minutes and progress.seconds >= 60 * config.max_minutes:
                break
        out_of_time = progress.step < task.steps
        progress.epoch, progress.step = progress.epoch + 1, 0

        measures = _evaluate(average.module, task, progress, config, folder, report=report)
        stale = 0 < config.patience <= progress.since_best
        if stale or out_of_time or progress.epoch == config.epochs or folder.due():
            task.save(folder.last, average.module, measures)
            folder.save_state(network, average, optimizer, progress)
        if stale:
            report(f"stopped after epoch {progress.epoch}: none of the last {progress.since_best} was better")
        if stale or out_of_time:
            break
    compared = folder.against_start(progress, learning_rate=config.learning_rate)
    if compared:
        report(compared)
    return FitResult(folder.best, progress.best_measured, progress.epoch)


def _evaluate(
    network: nn.Module,
    task: Task[Any],
    progress: Progress,
    config: FitConfig,
    folder: RunFolder,
    *,
    report: Callable[[str], None],
) -> Mapping[str, float]:
    """Measure the network, note the figures, and save it when it is the best so far; a start without figures is not."""
    measures = dict(task.measure(network))
    if not measures and not progress.epoch:
        return measures
    better = progress.judge(measures)
    if better:
        task.save(folder.best, network, measures)
    report(_line(progress, measures, config, task.steps) + (" *" if better else ""))
    means = {f"loss_{name}": value for name, value in progress.means().items()}
    folder.note({"epoch": progress.epoch, "minutes": progress.seconds / 60, **means, **measures})
    progress.clear()
    return measures


def _losses(task: Task[Any], network: nn.Module, batch: Any) -> Mapping[str, Tensor]:
    try:
        return task.losses(network, batch)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ConfigError(
            "a batch of one image has nothing to normalise over where maps are one pixel; give a larger --batch, or "
            "--set network.norm=false"
        ) from error


def _passed(progress: Progress, steps: int, total: int, config: FitConfig) -> float:
    """The share of the run that is over, by steps or by time, whichever is further."""
    by_step = (progress.epoch * steps + progress.step) / max(total - 1, 1)
    by_time = progress.seconds / 60 / config.max_minutes if config.max_minutes else 0.0
    return min(max(by_step, by_time), 1.0)


def _rate(passed: float, warmup: float, config: FitConfig) -> float:
    grain = 100_000
    return learning_rate_factor(
        int(passed * grain), total_steps=grain, warmup_steps=int(warmup * grain), final_factor=config.final_factor
    )


def _freeze(network: nn.Module, *, frozen: bool) -> None:
    backbone = getattr(network, "backbone", None)
    if isinstance(backbone, nn.Module):
        backbone.requires_grad_(not frozen)
        backbone.train(not frozen)  # norms keep their statistics too


def _line(progress: Progress, measures: Mapping[str, float], config: FitConfig, steps: int) -> str:
    figures = {**{f"loss {name}": value for name, value in progress.means().items()}, **measures}
    line = "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "score")
    if not progress.epoch:
        return f"epoch 0/{config.epochs}, the start  {line}"
    left = progress.seconds_left(progress.epoch / config.epochs, 60 * config.max_minutes)
    rate = progress.epoch * steps / max(progress.seconds - progress.start_seconds, 1e-9)
    return f"epoch {progress.epoch}/{config.epochs}  {line}  {rate:.1f} steps/s  {left / 60:.1f} min left"
