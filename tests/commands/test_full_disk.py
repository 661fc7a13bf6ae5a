"""Where a file may not grow any more: one line with the reason, no half file, and the same command does it later."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import main
from tests.annotate.test_run import annotate, request
from tests.file_limits import files_up_to
from tracker.errors import SinkError
from tracker.nets.checkpoint import save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.weight_files import write_atomically
from tracker.nets.yolo import YoloNet

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits on file sizes are Unix's")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, clip: Path, network: Path) -> Path:
    """A folder with a recording and with weights."""
    folder = tmp_path_factory.mktemp("inputs")
    annotate(clip, folder, request(network))
    card = ModelCard(("disc",), (((20.0, 20.0),),) * 3, coefficients=4, input_size=96, confidence=0.3)
    save_detector(folder / "net.safetensors", YoloNet(NetworkConfig(classes=1, coefficients=4)).eval(), card)
    return folder


@pytest.mark.parametrize(
    ("size", "command"),
    [
        (700, lambda folder, out: ["report", folder / "clip.sqlite", "--out", out / "page.html"]),
        (200, lambda folder, out: ["export-annotations", folder / "clip.sqlite", "--format", "csv", "--out", out]),
        (9000, lambda folder, out: ["export", folder / "net.safetensors", "--out", out / "net.onnx"]),
    ],
    ids=["report", "export-annotations", "export"],
)
def test_what_does_not_fit_is_told_and_done_later(
    inputs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    size: int,
    command: Callable[[Path, Path], list[object]],
) -> None:
    arguments = [str(each) for each in command(inputs, tmp_path)]
    with files_up_to(size):
        assert main.main(arguments) == 2
    [told] = capsys.readouterr().err.splitlines()
    assert "File too large. Raise the limit of file sizes" in told
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert main.main(arguments) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] != []


def test_a_library_that_does_not_say_why_is_asked_again(tmp_path: Path) -> None:
    """torch tells positions of its own writer and no reason."""
    network = torch.nn.Linear(200, 200)
    with files_up_to(50_000), pytest.raises(SinkError, match="File too large"):
        write_atomically(tmp_path / "last.state.pt", lambda temporary: torch.save(network.state_dict(), temporary))
    assert list(tmp_path.iterdir()) == []
