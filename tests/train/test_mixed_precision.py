"""bfloat16 is used where it is faster, and asking whether it is changes nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from tracker.train import mixed_precision as module
from tracker.train.mixed_precision import is_faster_in_bfloat16, mixed_precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    is_faster_in_bfloat16.cache_clear()
    yield
    is_faster_in_bfloat16.cache_clear()


@pytest.mark.parametrize(("half_s", "single_s", "expected"), [(0.5, 1.0, torch.bfloat16), (9.0, 1.0, torch.float32)])
def test_a_processor_multiplies_in_what_is_faster_there(
    half_s: float, single_s: float, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_seconds", lambda *_, half: half_s if half else single_s)
    layer, images = nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2)
    with mixed_precision(CPU, wanted=True):
        assert layer(images).dtype == expected
    with mixed_precision(CPU, wanted=False):
        assert layer(images).dtype == torch.float32


def test_the_trial_draws_nothing_and_leaves_no_gradient() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        is_faster_in_bfloat16(CPU)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.rand(3), expected)


def test_whoever_only_runs_forward_may_ask_first() -> None:
    with torch.inference_mode():
        assert is_faster_in_bfloat16(CPU) in {True, False}
        assert torch.is_inference_mode_enabled()
