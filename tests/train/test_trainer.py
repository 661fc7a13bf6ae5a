from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tracker import ending
from tracker.errors import CheckpointError, ConfigError, SinkError, TrackerError
from tracker.train import run_folder as state
from tracker.train import trainer
from tracker.train.run_folder import training_into
from tracker.train.trainer import FitConfig, fit


class LineTask:
    """Fits y = 2 x + 1; the loss turns NaN in the epoch given."""

    steps = 5

    def __init__(self, *, breaks_in: int = -1, scores: tuple[float, ...] = ()) -> None:
        self.breaks_in, self.scores = breaks_in, scores
        self.saved: list[tuple[str, float]] = []
        self.measured = 0

    def batches(self, epoch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(epoch)
        for step in range(self.steps):
            x = torch.randn(8, 1, generator=generator)
            yield x * float("nan") if epoch == self.breaks_in and step == 2 else x

    def losses(self, network: nn.Module, batch: Tensor) -> Mapping[str, Tensor]:
        return {"square": (network(batch) - 2 * batch - 1).square().mean()}

    def measure(self, network: nn.Module) -> Mapping[str, float]:
        self.measured += 1
        return {"score": self.scores[self.measured - 1]} if self.scores else {}

    def save(self, path: Path, network: nn.Module, measures: Mapping[str, float]) -> None:
        self.saved.append((path.name, measures.get("score", 0.0)))
        path.write_bytes(b"network")


def line_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.2), nn.Linear(4, 1))


def weights(network: nn.Module) -> list[Tensor]:
    return [value.clone() for value in network.state_dict().values()]


def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one(tmp_path: Path) -> None:
    config = FitConfig(epochs=6, learning_rate=0.05, device="cpu")
    whole = line_network()
    fit(whole, LineTask(), config, tmp_path / "whole", report=lambda _: None)

    class Interrupted(LineTask):
        def batches(self, epoch: int) -> Iterator[Tensor]:
            for step, batch in enumerate(super().batches(epoch)):
                if epoch == 3 and step == 2:
                    raise KeyboardInterrupt
                yield batch

    broken = line_network()
    with pytest.raises(KeyboardInterrupt):
        fit(broken, Interrupted(), config, tmp_path / "broken", report=lambda _: None)
    resumed = line_network()
    fit(resumed, LineTask(), dataclasses.replace(config, resume=True), tmp_path / "broken", report=lambda _: None)
    for expected, found in zip(weights(whole), weights(resumed), strict=True):
        assert torch.equal(expected, found)
    assert len((tmp_path / "broken/results.csv").read_text().splitlines()) == 1 + 6


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_last_finite_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "SAVE_SECONDS", 0.0)
    network, task = line_network(), LineTask(breaks_in=2)
    with pytest.raises(TrackerError, match=r"no longer finite in epoch 3, step 3.*last\.safetensors.*lower"):
        fit(network, task, FitConfig(epochs=4, device="cpu"), tmp_path, report=lambda _: None)
    saved = torch.load(tmp_path / "last.state.pt", weights_only=True)
    assert saved["progress"]["epoch"] == 2
    assert all(bool(value.isfinite().all()) for value in saved["network"].values())


def test_a_signal_whose_exception_was_dropped_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_noted", [KeyboardInterrupt])
    with pytest.raises(KeyboardInterrupt):
        fit(line_network(), LineTask(), FitConfig(device="cpu"), tmp_path, report=lambda _: None)


def test_a_full_disk_is_said_with_what_to_do_and_the_run_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first weights fit, the first state does not: neither the command nor --resume did anything then."""
    config = FitConfig(epochs=2, device="cpu")
    out = tmp_path / "run"

    def full(*_: object) -> None:
        raise SinkError("last.state.pt: cannot be written: No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr(state.RunFolder, "save_state", full)
        with pytest.raises(SinkError, match="the same command with --resume begins again"), training_into(out):
            fit(line_network(), LineTask(), config, out, report=lambda _: None)
    with pytest.raises(ConfigError, match="holds a training already"):
        fit(line_network(), LineTask(), config, out, report=lambda _: None)
    fit(line_network(), LineTask(), dataclasses.replace(config, resume=True), out, report=lambda _: None)
    epochs = [row.split(",")[0] for row in (out / "results.csv").read_text().splitlines()]
    assert epochs == ["epoch", "1", "2"]
    (out / "last.state.pt").unlink()
    with pytest.raises(CheckpointError, match="nothing to resume"):  # a finished one is not trained over
        fit(line_network(), LineTask(), dataclasses.replace(config, resume=True), out, report=lambda _: None)


@pytest.mark.skipif(os.name == "nt", reason="folders that take no file are made otherwise there")
def test_a_folder_that_takes_no_file_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be written"), training_into(tmp_path / "file" / "run"):
        raise AssertionError("begun all the same")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_epochs_of_an_instant_are_not_saved_one_by_one(tmp_path: Path) -> None:
    """Or else saving would take longer than training: the first and the last are there."""
    task = LineTask()
    fit(line_network(), task, FitConfig(epochs=6, device="cpu"), tmp_path, report=lambda _: None)
    assert [name for name, _ in task.saved].count("last.safetensors") == 2
    assert torch.load(tmp_path / "last.state.pt", weights_only=True)["progress"]["epoch"] == 6


def test_the_best_epoch_is_kept_and_patience_ends_the_run(tmp_path: Path) -> None:
    task = LineTask(scores=(0.1, 0.5, 0.4, 0.3, 0.9))
    result = fit(line_network(), task, FitConfig(epochs=5, patience=2, device="cpu"), tmp_path, report=lambda _: None)
    assert result.epochs == 4
    assert result.measures == {"score": 0.5}
    assert [score for name, score in task.saved if name == "best.safetensors"] == [0.1, 0.5]


@pytest.mark.parametrize(
    ("scores", "kept", "says"),
    [
        (
            (0.5, 0.4, 0.3),
            [0.5],
            "no epoch was better than the start, so best.safetensors is the start: score 0.500 to",
        ),
        ((0.5, 0.6, 0.3), [0.5, 0.6], "better than the start: score 0.500 to 0.600"),
        ((0.0, 0.0, 0.3), [0.0, 0.3], "better than the start: score 0.000 to 0.300"),
        ((0.0, 0.0, 0.0), [0.0], "no epoch was better than the start, which found nothing"),
    ],
)
def test_a_start_is_measured_first_and_the_best_until_an_epoch_beats_it(
    tmp_path: Path, scores: tuple[float, ...], kept: list[float], says: str
) -> None:
    task, lines = LineTask(scores=scores), list[str]()
    config = FitConfig(epochs=2, device="cpu")
    result = fit(line_network(), task, config, tmp_path, started=True, report=lines.append)
    assert [score for name, score in task.saved if name == "best.safetensors"] == kept
    assert result.measures == {"score": max(scores)}
    assert [line.split()[1].rstrip(",") for line in lines[:-1]] == ["0/2", "1/2", "2/2"]
    assert says in lines[-1]
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2"]
    assert rows[0].split(",") == ["epoch", "minutes", "loss_square", "score"]
    assert rows[1].split(",")[2] == ""


def test_a_start_that_is_good_outlives_a_rate_that_ruins_it(tmp_path: Path) -> None:
    class Judged(LineTask):
        def __init__(self) -> None:
            super().__init__()
            self.points = torch.linspace(-2, 2, 9)[:, None]

        def measure(self, network: nn.Module) -> Mapping[str, float]:
            return {"score": 1 / (1 + float(self.losses(network, self.points)["square"].detach()))}

        def save(self, path: Path, network: nn.Module, measures: Mapping[str, float]) -> None:
            save_file(network.state_dict(), path)

    network = line_network()
    fit(network, Judged(), FitConfig(epochs=40, learning_rate=0.03, device="cpu"), tmp_path / "a", report=str)
    network.load_state_dict(load_file(tmp_path / "a/best.safetensors"))
    start, lines = {name: value.clone() for name, value in network.state_dict().items()}, list[str]()
    ruin = FitConfig(epochs=2, learning_rate=3.0, device="cpu")
    fit(network, Judged(), ruin, tmp_path / "b", started=True, report=lines.append)
    best = load_file(tmp_path / "b/best.safetensors")
    assert all(torch.equal(best[name], value) for name, value in start.items())
    assert not all(torch.equal(value, start[name]) for name, value in network.state_dict().items())
    assert "Try --learning-rate 0.3, a tenth of this run's" in lines[-1]


@pytest.mark.parametrize(
    ("started", "warmup", "rising"), [(True, 0.05, 10), (True, 0.8, 16), (True, 0.0, 0), (False, 0.05, 1)]
)
def test_the_rate_of_a_start_rises_over_more_steps_of_a_short_run(
    started: bool, warmup: float, rising: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: list[float] = []
    monkeypatch.setattr(trainer, "set_learning_rate", lambda _, factor: factors.append(factor))
    config = FitConfig(epochs=4, warmup=warmup, device="cpu")
    fit(line_network(), LineTask(), config, tmp_path, started=started, report=str)
    assert len(factors) == 20
    assert abs(factors.index(max(factors)) - rising) <= 1


def test_a_run_that_broke_off_goes_on_without_measuring_its_start_again(tmp_path: Path) -> None:
    class Interrupted(LineTask):
        def batches(self, epoch: int) -> Iterator[Tensor]:
            yield from [next(super().batches(epoch))]
            raise KeyboardInterrupt

    config = FitConfig(epochs=2, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        fit(line_network(), Interrupted(scores=(0.5,)), config, tmp_path, started=True, report=str)
    task, lines = LineTask(scores=(0.4, 0.3)), list[str]()
    again = dataclasses.replace(config, resume=True)
    result = fit(line_network(), task, again, tmp_path, started=True, report=lines.append)
    assert (task.measured, result.measures) == (2, {"score": 0.5})
    assert [name for name, _ in task.saved if name == "best.safetensors"] == []
    assert "no epoch was better than the start" in lines[-1]
    assert [row.split(",")[0] for row in (tmp_path / "results.csv").read_text().splitlines()] == [
        "epoch",
        "0",
        "1",
        "2",
    ]


def test_a_start_whose_state_never_was_written_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = FitConfig(epochs=1, device="cpu"), tmp_path / "run"

    def full(*_: object) -> None:
        raise SinkError("last.state.pt: cannot be written: No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr(state.RunFolder, "save_state", full)
        with pytest.raises(SinkError, match="with --resume begins again"), training_into(out):
            fit(line_network(), LineTask(scores=(0.5,)), config, out, started=True, report=str)
    again = dataclasses.replace(config, resume=True)
    fit(line_network(), LineTask(scores=(0.5, 0.6)), again, out, started=True, report=str)
    assert [row.split(",")[0] for row in (out / "results.csv").read_text().splitlines()] == ["epoch", "0", "1"]


def test_a_start_without_validation_data_is_not_measured(tmp_path: Path) -> None:
    lines: list[str] = []
    fit(line_network(), LineTask(), FitConfig(epochs=2, device="cpu"), tmp_path, started=True, report=lines.append)
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]


def test_without_validation_data_the_last_epoch_is_the_best(tmp_path: Path) -> None:
    task = LineTask()
    lines: list[str] = []
    fit(line_network(), task, FitConfig(epochs=3, device="cpu"), tmp_path, report=lines.append)
    assert [name for name, _ in task.saved].count("best.safetensors") == 3
    assert len(lines) == 3
    assert all("loss square" in line and "min left" in line for line in lines)


def test_time_out_ends_the_run_with_its_files_written(tmp_path: Path) -> None:
    config = FitConfig(epochs=10_000, max_minutes=0.001, device="cpu")
    result = fit(line_network(), LineTask(), config, tmp_path, report=lambda _: None)
    assert result.epochs < 10_000
    assert (tmp_path / "best.safetensors").is_file()


def test_a_frozen_backbone_stays_until_its_epoch(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Linear(1, 3)
            self.head = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.head(self.backbone(x))
            return result

    torch.manual_seed(0)
    network = Net()
    start = network.backbone.weight.clone()
    fit(network, LineTask(), FitConfig(epochs=2, freeze=2, device="cpu"), tmp_path / "a", report=lambda _: None)
    assert torch.equal(network.backbone.weight, start)
    fit(network, LineTask(), FitConfig(epochs=2, freeze=1, device="cpu"), tmp_path / "b", report=lambda _: None)
    assert not torch.equal(network.backbone.weight, start)


def test_nothing_to_resume_and_unknown_devices_are_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to resume"):
        fit(line_network(), LineTask(), FitConfig(resume=True, device="cpu"), tmp_path, report=lambda _: None)
    with pytest.raises(ConfigError, match="--device 'gpu9000': no such device"):
        fit(line_network(), LineTask(), FitConfig(device="gpu9000"), tmp_path, report=lambda _: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sees no CUDA device"):
        fit(line_network(), LineTask(), FitConfig(device="cuda"), tmp_path, report=lambda _: None)
