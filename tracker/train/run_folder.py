"""What a run leaves on disk: weights, everything needed to go on, and a table of how it went."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tracker.errors import CheckpointError, ConfigError, SinkError, refusal_beside, why_unwritable
from tracker.lock import Claim
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.weight_files import load_tensors, write_atomically
from tracker.nets.yolo import YoloNet
from tracker.train.ema import ModelEma

__all__ = ["Progress", "RunFolder", "training_into"]

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a run stands."""

    epoch: int = 0
    step: int = 0
    """Steps done of this epoch."""
    taken: int = 0
    """Steps done altogether."""
    seconds: float = 0.0
    """Spent so far, over all resumptions."""
    best: float = -1.0
    """Best score of an evaluation."""
    since_best: int = 0
    """Evaluations since then."""
    start: dict[str, float] = field(default_factory=dict)
    """What was measured of the start, before the first step; empty where nothing was."""
    start_seconds: float = 0.0
    """Seconds that this took."""
    trained: dict[str, float] = field(default_factory=dict)
    """The best that was measured after a step."""
    broken_steps: int = 0
    """Steps in a row without a finite gradient."""
    sums: dict[str, float] = field(default_factory=dict)
    """Losses added up since the last evaluation."""
    counted: int = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """Take one step's losses into the mean."""
        for name, value in losses.items():
            if math.isfinite(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
        self.counted += 1

    def means(self) -> dict[str, float]:
        return {name: value / max(self.counted, 1) for name, value in self.sums.items()}

    def clear(self) -> None:
        self.sums, self.counted = {}, 0

    def judge(self, figures: Mapping[str, float]) -> bool:
        """Whether what was measured, with its `score`, is the best so far; without a score the last one always is.

        Before the first step it is the start's, which is the best until it is beaten. A start that scores nothing is
        not: its head is fresh, and any network that learned is of more use.
        """
        if "score" not in figures:
            self.since_best = 0
            return True
        figures = {name: float(value) for name, value in figures.items()}  # a state holds no numbers of numpy
        score = figures["score"]
        if self.epoch == self.step == 0:
            self.start = figures
            better = score > 0
        else:
            if score > self.trained.get("score", -math.inf):
                self.trained = figures
            better = score > self.best
            self.since_best = 0 if better else self.since_best + 1
        if better:
            self.best = score
        return better

    @property
    def best_measured(self) -> dict[str, float]:
        """What was measured of the best; empty where nothing was."""
        return max(self.start, self.trained, key=lambda figures: figures.get("score", -math.inf))

    def seconds_left(self, passed: float, limit: float) -> float:
        """Seconds to the end, of which `passed` of the steps lie behind, or to the limit (0 for none).

        Infinite before the first step. The start's own time tells nothing about that of steps.
        """
        by_step = (self.seconds - self.start_seconds) * (1 - passed) / passed if passed else math.inf
        return min(by_step, max(limit - self.seconds, 0.0) if limit else math.inf)


@contextmanager
def training_into(out: Path) -> Iterator[None]:
    """Refuse at once where nothing can be written; say what is left of a training that is stopped, or has no room left.

    Raises SinkError for either.
    """
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    refused = refusal_beside(there / out.name)
    if refused is not None:
        raise SinkError(f"{out}: cannot be written: {why_unwritable(refused)}")
    try:
        yield
    except KeyboardInterrupt:
        log.warning("%s: stopped; %s", out, RunFolder(out).next_command())
        raise
    except SinkError as error:
        raise SinkError(f"{error} Once it can be, {RunFolder(out).next_command()}.") from error


SAVE_SECONDS = 15.0
"""Time between saves where epochs are shorter: what an interruption may cost, for saving not to cost more."""


LOCK_FILE = "training.lock"


class RunFolder:
    """The folder of one run: best.safetensors, last.safetensors, last.state.pt, results.csv, config.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saved_at = -math.inf
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.state = path / "last.state.pt"
        self.results = path / "results.csv"

    @contextmanager
    def claimed(self, *, resume: bool) -> Iterator[None]:
        """Hold the folder as its only writer; of the processes that torchrun started the main one holds it for all.

        Raises ConfigError while another training writes into it, and what `check_free` raises. A folder made for this
        goes again where nothing came to be written.
        """
        self.check_free(resume=resume)
        if int(os.environ.get("RANK", "0")) > 0:
            yield
            return
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        claim = Claim.take(self.path / LOCK_FILE)
        if claim is None:
            raise ConfigError(
                f"{self.path}: another training is writing into it. Wait for its end, or give another folder as --out."
            )
        try:
            self.check_free(resume=resume)  # the other one may have ended just before
            yield
        finally:
            claim.release()
            with suppress(OSError):  # not empty
                for folder in made:
                    folder.rmdir()

    def check_free(self, *, resume: bool) -> None:
        """ConfigError where another training's weights would be overwritten, or there is nothing to go on from."""
        if not resume and (self.best.is_file() or self.state.is_file()):
            raise ConfigError(
                f"{self.path}: holds a training already. Go on with it by --resume, or give another folder as --out."
            )
        if resume and not self.can_go_on and not self.broke_off_at_first:
            raise CheckpointError(f"{self.state}: no such file, nothing to resume. Start the run without --resume.")

    @property
    def can_go_on(self) -> bool:
        """Whether there is a state to go on from."""
        return self.state.is_file()

    @property
    def broke_off_at_first(self) -> bool:
        """Whether the run ended between its first weights and its first state, as on a full disk.

        Of a run that came further the state was taken away: its weights are not overwritten.
        """
        return self.best.is_file() and not self.state.is_file() and len(self._table()[1]) <= 1

    def next_command(self) -> str:
        """What a run that broke off is gone on with by."""
        if self.can_go_on:
            return "the same command with --resume goes on from the last save"
        if self.broke_off_at_first:
            return "the same command with --resume begins again, since no state was saved yet"
        return "the same command begins again, since nothing was saved yet"

    def make(self) -> None:
        """Be there. What a run noted that never came to a state of its own is done again."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.can_go_on:
            self._forget_after(Progress())

    def what_is_left(self, progress: Progress) -> str:
        """What is left of a run that ends before its time, as an instruction."""
        if self.state.is_file():
            return f"Go on by --resume from {self.last}, the last sound state,"
        return f"Nothing was kept of {progress.taken} steps, no epoch being complete: begin again"

    def against_start(self, progress: Progress, *, learning_rate: float) -> str:
        """One line on whether the run beat its start, with what was measured of both; empty where the start was not."""
        start, trained = progress.start, progress.trained
        if not start or not trained:
            return ""
        names = [name for name in start if name in trained and name != "score"] or ["score"]
        figures = ", ".join(f"{name} {start[name]:.3f} to {trained[name]:.3f}" for name in names)
        if trained["score"] > start["score"]:
            return f"{self.path}: better than the start: {figures}"
        if start["score"] > 0:
            return (
                f"{self.path}: no epoch was better than the start, so {self.best.name} is the start: {figures} at "
                f"best. Try --learning-rate {learning_rate / 10:g}, a tenth of this run's, more --epochs or images."
            )
        return (
            f"{self.path}: no epoch was better than the start, which found nothing. Try more --epochs, or more images."
        )

    def write_config(self, config: Any) -> None:
        text = json.dumps(asdict(config), indent=2, default=str)
        write_atomically(self.path / "config.json", lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def due(self) -> bool:
        """Whether the last save lies so far back that another is worth its time; at the first epoch's end it is."""
        return time.monotonic() - self.saved_at >= SAVE_SECONDS

    def save_state(self, network: nn.Module, average: ModelEma, optimizer: Optimizer, progress: Progress) -> None:
        """Write what `restore` needs, and know when."""
        content = {
            "network": network.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "progress": asdict(progress),
        }
        write_atomically(self.state, lambda temporary: torch.save(content, temporary))
        self.saved_at = time.monotonic()

    def save(
        self, network: YoloNet, average: ModelEma, optimizer: Optimizer, card: ModelCard, progress: Progress
    ) -> None:
        """Write `last`, unless weights or the last step are no longer finite: then the one before stays."""
        if progress.broken_steps or not all(
            bool(value.isfinite().all()) for value in average.module.state_dict().values()
        ):
            log.error("%s: not finite any more, the last sound checkpoint is kept", self.path)
            return
        module = average.module
        assert isinstance(module, YoloNet)
        save_detector(self.last, module, card)
        self.save_state(network, average, optimizer, progress)

    def kept_anchors(self, labels: Sequence[str]) -> tuple[tuple[tuple[float, float], ...], ...]:
        """The anchors that the run began with: other images would give others, which its weights do not answer for.

        Raises CheckpointError where it learned other classes, or the same in another order.
        """
        _, card = load_detector(self.last)
        if card.labels != tuple(labels):
            raise CheckpointError(
                f"{self.last}: learned the classes {', '.join(card.labels)}, the data have {', '.join(labels)}. Resume "
                "with the data the run was started with, or begin a new one from it by --start."
            )
        return card.anchors

    def restore(self, network: nn.Module, average: ModelEma, optimizer: Optimizer) -> Progress:
        """Put everything back as it was saved, but for the rates and decays, which are this run's own.

        What results.csv lists of steps after that is taken out: they are done again.
        """
        content = load_tensors(self.state)
        own = [(group["peak_lr"], group["weight_decay"]) for group in optimizer.param_groups]
        try:
            network.load_state_dict(content["network"])
            average.load_state_dict(content["average"])
            optimizer.load_state_dict(content["optimizer"])
            progress = Progress(**content["progress"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.state}: does not fit this run ({error}). Resume with the options the run was started with."
            ) from error
        for group, (peak, decay) in zip(optimizer.param_groups, own, strict=True):
            group["peak_lr"], group["weight_decay"] = peak, decay
        self._forget_after(progress)
        return progress

    def _forget_after(self, progress: Progress) -> None:
        header, rows = self._table()
        if "epoch" not in header:
            return
        column = header.index("step" if "step" in header else "epoch")
        done = progress.taken if "step" in header else progress.epoch
        if not done and not progress.start:
            done = -1  # the start's row is written anew
        kept = [row for row in rows if int(row[column]) <= done]

        def write(temporary: Path) -> None:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([header, *kept])

        write_atomically(self.results, write)

    def note(self, row: Mapping[str, float | int]) -> None:
        """Append one line to results.csv, whole or not at all; columns that it lacks stay empty.

        The first line has the start's figures, before there are losses: later ones bring their columns.
        """
        header, rows = self._table()
        names = [*row, *(name for name in header if name not in row)]
        before = [dict(zip(header, cells, strict=False)) for cells in rows]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, fieldnames=names)
        writer.writeheader()
        writer.writerows([*before, {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}])
        text = table.getvalue()
        write_atomically(self.results, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """The names of the columns of results.csv and its lines; both empty without it."""
        if not self.results.is_file():
            return [], []
        with self.results.open(newline="", encoding="utf-8") as file:
            header, *rows = [*csv.reader(file)] or [[]]
        return header, rows


def clean_mean(values: Sequence[float]) -> float:
    """Mean of the numbers that are numbers; 0 without any."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else 0.0
