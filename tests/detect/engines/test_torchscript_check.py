"""A TorchScript file from a stranger is read, not run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.nets.test_export_detector import CARD, lively
from tracker.detect.engines.exported import open_engine
from tracker.errors import CheckpointError
from tracker.nets.export_detector import export_torchscript

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Reader(nn.Module):
    """Reads a file of the user when it is run."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_file("/etc/passwd", False, 100, dtype=torch.uint8)


class Eager(nn.Module):
    """Runs while it is loaded."""

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return 1, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.training = bool(torch.from_file("/etc/passwd", False, 100, dtype=torch.uint8).sum() > 0)

    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.mark.parametrize(("make", "found"), [(Reader, "from_file"), (Eager, "__setstate__")])
def test_a_file_that_does_more_than_compute_is_not_run(tmp_path: Path, make: type[nn.Module], found: str) -> None:
    path = tmp_path / "strange.torchscript"
    torch.jit.save(torch.jit.script(make()), str(path), _extra_files={"card.json": "{}"})
    with pytest.raises(CheckpointError, match=found) as refusal:
        open_engine(path)
    assert "\n" not in str(refusal.value)


def test_our_own_export_passes(tmp_path: Path) -> None:
    path = tmp_path / "ours.torchscript"
    export_torchscript(path, lively(), CARD)
    assert open_engine(path).card.labels == CARD.labels


def test_what_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.torchscript"
    path.write_text("not a zip at all")
    with pytest.raises(CheckpointError, match="not a TorchScript file"):
        open_engine(path)
