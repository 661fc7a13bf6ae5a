from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import main
from tests.annotate.killing import last_frame, left_in, start
from tests.annotate.tiny import write_clip, write_network

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is an extra of its own")
FRAMES = 1000
"""More than three chunks."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long video, one with a hole in its middle, and the network to look at them."""
    folder = tmp_path_factory.mktemp("archive")
    write_network(folder / "tiny.onnx")
    write_clip(folder / "in" / "long.mp4", FRAMES, seed=3)
    whole = bytearray(write_clip(folder / "in" / "sub" / "hole.mp4", 120, seed=4).read_bytes())
    half = len(whole) // 2
    whole[half : half + 2000] = np.random.default_rng(0).bytes(2000)
    (folder / "in" / "sub" / "hole.mp4").write_bytes(whole)
    return folder


@pytest.fixture(scope="module")
def expected(archive: Path) -> dict[str, object]:
    """What one machine leaves."""
    process = start(_command(archive, "local"))
    process.communicate(timeout=300)
    assert process.returncode in (0, 3)
    return left_in(archive / "local")


def _command(archive: Path, out: str, *more: str) -> list[str | Path]:
    common = ["annotate", archive / "in", "--recursive", "--model", archive / "tiny.onnx", "--progress", "none"]
    return [*common, "--format", "mot,jsonl,coco,csv", "--batch", "4", *more, "--out", archive / out]


def _workers(driver: int, title: str) -> list[psutil.Process]:
    """The workers below the driver that are at the named task."""
    found = []
    for process in psutil.Process(driver).children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.slow
@needs_ray
def test_two_workers_leave_what_one_machine_leaves(archive: Path, expected: dict[str, object]) -> None:
    process = start(_command(archive, "ray", "--engine", "ray", "--workers", "2"))
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode in (0, 3), f"{stdout}\n{stderr}"
    assert left_in(archive / "ray") == expected


@pytest.mark.slow
@needs_ray
@pytest.mark.parametrize("task", ["_look_at", "_annotate", "_Mailbox"])
def test_a_worker_that_is_killed_is_replaced(archive: Path, expected: dict[str, object], task: str) -> None:
    process = start(_command(archive, f"killed{task}", "--engine", "ray", "--workers", "2"))
    store, killed = archive / f"killed{task}" / "long.sqlite", False
    # Chunks are looked at long before their frames are written.
    earliest = -1 if task == "_look_at" else 0
    while process.poll() is None and not killed:
        if earliest <= last_frame(store) < FRAMES - 200:
            for worker in _workers(process.pid, f"ray::{task}")[:1]:
                worker.kill()
                killed = True
        time.sleep(0.02)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode in (0, 3), f"{stdout}\n{stderr}"
    assert killed
    assert left_in(archive / f"killed{task}") == expected


@needs_ray
def test_an_address_without_a_cluster_is_refused_in_one_line(archive: Path) -> None:
    process = start(_command(archive, "none", "--engine", "ray", "--ray-address", "127.0.0.1:1"))
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "no cluster answers" in stderr.splitlines()[-1]


def test_without_ray_the_user_is_reported_what_to_install(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else find(name, *more))
    assert main.main([str(part) for part in _command(archive, "none", "--engine", "ray")]) == 2
    assert capfd.readouterr().err == 'sightline: --engine ray: Ray is not installed; pip install "sightline[ray]"\n'
