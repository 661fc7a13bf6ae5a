"""What a training from a start says of it, and keeps of it."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from safetensors.torch import load_file

from tests.archives import unpack
from tests.train.small_runs import interrupt_at, noted, small, started
from tracker.embedded import trainable_file
from tracker.evaluate.detection import ClassPrecision
from tracker.nets.checkpoint import load_detector
from tracker.train import detector as loop
from tracker.train.detector import train_detector
from tracker.train.detector_run import set_up


def score_in_turn(monkeypatch: pytest.MonkeyPatch, *precisions: float) -> list[float]:
    """Evaluations give this AP of both classes one after the other, whatever the network; what is left of them."""
    left = list(precisions)

    def scored(*_: Any) -> Any:
        ap = left.pop(0)
        one, nothing = ClassPrecision(ap, ap, ap, 4), ClassPrecision(math.nan, math.nan, math.nan, 0)
        return {"disc": one, "box": one}, {"disc": nothing, "box": nothing}

    monkeypatch.setattr(loop, "evaluate_detector", scored)
    return left


def test_a_start_that_no_epoch_beats_is_the_best_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tracker")
    score_in_turn(monkeypatch, 0.8, 0.3, 0.4)
    config = started(tmp_path, epochs=2, pictures=True)
    best = train_detector(config)
    before, after, last = map(load_file, (config.start, best, config.out / "last.safetensors"))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not all(torch.equal(value, last[name]) for name, value in before.items())
    rows = noted(config)
    assert [(row["epoch"], row["step"], row["score"]) for row in rows] == [
        ("0", "0", "0.8"),
        ("1", "2", "0.3"),
        ("2", "4", "0.4"),
    ]
    assert [bool(row["loss_box"]) for row in rows] == [False, True, True]
    assert "evaluated, the start: epoch 0  step 0" in caplog.text
    assert "no epoch was better than the start, so best.safetensors is the start: AP 0.800 to 0.400" in caplog.text
    assert "Try --learning-rate 0.0001" in caplog.text
    assert cv2.imread(str(config.out / "curves.png")) is not None
    assert "failed" not in caplog.text


def test_a_resumed_run_keeps_what_was_measured_of_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tracker")
    config = started(tmp_path, epochs=2)
    left = score_in_turn(monkeypatch, 0.2, 0.1, 0.5)
    with monkeypatch.context() as patch:
        interrupt_at(1, patch)  # in the first epoch
        with pytest.raises(KeyboardInterrupt):
            train_detector(config)
    assert left == [0.1, 0.5]
    train_detector(replace(config, resume=True))
    assert [row["score"] for row in noted(config)] == ["0.2", "0.1", "0.5"]
    assert "better than the start: AP 0.200 to 0.500" in caplog.text


def test_a_start_that_finds_nothing_is_no_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tracker")
    score_in_turn(monkeypatch, 0.0, 0.0)
    config = started(tmp_path, epochs=1)
    before, after = load_file(config.start), load_file(train_detector(config))
    assert not all(torch.equal(value, after[name]) for name, value in before.items())
    assert "no epoch was better than the start, which found nothing" in caplog.text


@pytest.mark.parametrize(("validated", "changes"), [(True, {"start": ""}), (False, {})])
def test_without_a_start_or_validation_nothing_is_measured_before_the_first_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, validated: bool, changes: dict[str, Any]
) -> None:
    caplog.set_level("INFO", "tracker")
    config = started(tmp_path, epochs=1, **changes)
    if not validated:
        config.data.write_text(config.data.read_text().replace("val: images\n", ""))
    train_detector(config)
    assert [row["epoch"] for row in noted(config)] == ["1"]
    assert "the start" not in caplog.text


def test_the_time_that_a_start_takes_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_in_turn(monkeypatch, 0.2, 0.1)
    at_once = loop.evaluate_detector

    def slow(*arguments: Any) -> Any:
        time.sleep(0.2)
        return at_once(*arguments)

    monkeypatch.setattr(loop, "evaluate_detector", slow)
    config = started(tmp_path, epochs=1000, max_minutes=0.1 / 60)
    train_detector(config)
    assert [row["step"] for row in noted(config)] == ["0", "1"]


@pytest.mark.parametrize(
    ("start", "epochs", "warmup_steps", "rising"),
    [(True, 2, 200, 2), (True, 12, 200, 12), (True, 500, 200, 100), (True, 12, 3, 3), (False, 12, 200, 2)],
)
def test_the_rate_of_a_start_rises_over_20_steps_or_half_of_a_short_run(
    start: bool, epochs: int, warmup_steps: int, rising: int, tmp_path: Path
) -> None:
    changes = {} if start else {"start": ""}
    run = set_up(started(tmp_path, epochs=epochs, warmup_steps=warmup_steps, **changes), ())
    factors = []
    for step in range(run.total_steps):
        run.progress.epoch, run.progress.step = divmod(step, run.steps_per_epoch)
        factors.append(run.rate_factor(run.passed(0.0)))
    assert factors[:rising] == pytest.approx([(step + 1) / rising for step in range(rising)])
    assert factors[rising:] == sorted(factors[rising:], reverse=True)


@pytest.mark.shared
def test_a_rate_that_ruins_a_good_start_leaves_the_start_as_the_best(tmp_path: Path, shared: Path) -> None:
    people = unpack(shared / "data/detection/pennfudan.tar", tmp_path, lambda name: "Ped0001" in name) / "pennfudan"
    names = sorted(path.name for path in (people / "images").iterdir())[:4]
    (people / "four.txt").write_text("".join(f"images/{name}\n" for name in names))
    (people / "data.yaml").write_text("path: .\ntrain: four.txt\nval: four.txt\nnames: [person]\n")
    start = trainable_file("sightline-nano")
    config = small(tmp_path, data=people / "data.yaml", start=str(start), teacher="none", epochs=1, learning_rate=0.1)
    best = train_detector(replace(config, sizes=(), input_size=320))
    first, second = (float(row["ap_person"]) for row in noted(config))
    assert first > 0.5 > second
    before, after = load_file(start), load_file(best)
    assert all(torch.equal(value.float(), after[name]) for name, value in before.items() if ".cv3.2." not in name)
    assert load_detector(best)[1].accuracy["AP person"] > 50
