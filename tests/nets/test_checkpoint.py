from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tracker.errors import CheckpointError, SinkError
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.weight_files import read_weights, write_atomically
from tracker.nets.yolo import YoloNet

ANCHORS = (((10.0, 12.0),), ((30.0, 40.0),), ((90.0, 100.0),))
CARD = ModelCard(
    ("cat", "dog"), ANCHORS, coefficients=4, input_size=320, training={"epochs": 3}, accuracy={"ap_cat": 0.5}
)


def small() -> YoloNet:
    torch.manual_seed(0)
    return YoloNet(NetworkConfig(classes=2, anchors=1, coefficients=4)).eval()


def test_a_saved_network_comes_back_with_its_card(tmp_path: Path) -> None:
    network = small()
    save_detector(tmp_path / "a.safetensors", network, CARD)
    again, card = load_detector(tmp_path / "a.safetensors")
    assert card == CARD
    assert again.config == network.config
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_a_truncated_file_says_so(tmp_path: Path) -> None:
    save_detector(tmp_path / "a.safetensors", small(), CARD)
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        load_detector(tmp_path / "a.safetensors")


def test_a_foreign_file_says_what_was_expected(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="expected a detector; the file does not say"):
        load_detector(tmp_path / "b.safetensors")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    network = small()
    save_detector(tmp_path / "a.safetensors", network, CARD)
    weights, metadata = read_weights(tmp_path / "a.safetensors")
    del weights["backbone.stem.conv.weight"]
    save_file(weights, tmp_path / "c.safetensors", metadata)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_detector(tmp_path / "c.safetensors")


def test_labels_must_match_the_head(tmp_path: Path) -> None:
    save_detector(tmp_path / "a.safetensors", small(), CARD)
    weights, metadata = read_weights(tmp_path / "a.safetensors")
    save_file(weights, tmp_path / "d.safetensors", {**metadata, "labels": '["cat"]'})
    with pytest.raises(CheckpointError, match="2 classes, labels list 1"):
        load_detector(tmp_path / "d.safetensors")


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2), "hook": Path("/tmp")}, tmp_path / "e.pt")
    with pytest.raises(CheckpointError, match="state dict"):
        read_weights(tmp_path / "e.pt")


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", b"\x80\x02junk.", b"(lp0\n.", b"\xff" * 99])
def test_bytes_that_torch_did_not_write_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"f\.pth"):
        read_weights(tmp_path / "f.pth")


def test_a_truncated_torch_file_says_so(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(5000)}, tmp_path / "g.pth")
    content = (tmp_path / "g.pth").read_bytes()
    (tmp_path / "g.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        read_weights(tmp_path / "g.pth")


@pytest.mark.parametrize("wrapping", ["state_dict", "model"])
def test_a_state_dict_inside_a_training_checkpoint_is_found(tmp_path: Path, wrapping: str) -> None:
    torch.save({wrapping: {"weight": torch.ones(2)}, "epoch": 3}, tmp_path / "h.pth")
    assert read_weights(tmp_path / "h.pth")[0]["weight"].tolist() == [1, 1]


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_detector(tmp_path / "none.safetensors")


def test_what_cannot_be_written_leaves_nothing_and_is_one_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    (tmp_path / ".a.txt.part").symlink_to(full)
    with pytest.raises(SinkError, match="No space left") as refusal:
        write_atomically(tmp_path / "a.txt", lambda temporary: temporary.write_text("x" * 100_000))
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are POSIX's")
def test_a_network_that_the_disk_cannot_hold_is_one_line(tmp_path: Path) -> None:
    script = f"""
        import resource, sys
        from pathlib import Path
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        import torch
        from tests.nets.test_checkpoint import CARD, small
        from tracker.errors import SinkError
        from tracker.nets.checkpoint import save_detector
        from tracker.nets.weight_files import write_atomically
        folder = Path({str(tmp_path)!r})
        for write in (
            lambda: save_detector(folder / "a.safetensors", small(), CARD),
            lambda: write_atomically(folder / "b.pt", lambda path: torch.save(small().state_dict(), path)),
        ):
            try:
                write()
            except SinkError as error:
                print("reported", "\\n" in str(error))
        print(len(list(folder.iterdir())))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["reported", "False", "reported", "False", "0"]
