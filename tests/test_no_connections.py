"""The program connects to nothing that its user did not name."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.test_runner import until
from tests.train.shapes import write_shapes
from tests.video.synthetic import write_clip

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET6?.*")


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which sees every connection")
LONG_ENOUGH_S = 12
"""ONNX Runtime reports some ten seconds after it was loaded."""


def watched(folder: Path, *arguments: str) -> list[str]:
    """The program's command line under a watch on all its connections, children's too, which go to a file.

    Its end is watched too, so that the file is never empty: most commands do not make one of the other calls.
    """
    calls = "trace=connect,sendto,sendmsg,sendmmsg,exit_group"
    watch = ["strace", "-f", "-qq", "-e", calls, "-o", str(folder / "calls.txt")]
    return [*watch, sys.executable, str(ROOT / "main.py"), *arguments]


def environment(folder: Path) -> dict[str, str]:
    """As on a machine of somebody else: nothing of what this one sets."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "PYTHONPATH": str(ROOT),
        "QT_QPA_PLATFORM": "offscreen",
        "OMP_NUM_THREADS": "1",
    }


def check_silence(folder: Path) -> None:
    calls = (folder / "calls.txt").read_text()
    assert calls, "the watch saw nothing at all"
    assert [line for line in calls.splitlines() if OUTSIDE.search(line)] == []
    assert not list((folder / "home").rglob("*onnxruntime*"))
    assert not list((folder / "home").rglob("*deviceid*"))


@needs_strace
def test_the_watch_sees_a_connection(tmp_path: Path) -> None:
    script = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    command = watched(tmp_path)
    subprocess.run([*command[: command.index(sys.executable)], sys.executable, "-c", script], check=True)
    assert OUTSIDE.search((tmp_path / "calls.txt").read_text())


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("command", ["track", "annotate", "export", "train"])
def test_a_command_connects_to_nothing(command: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=600, width=640, height=384)
    arguments = {
        "track": ["track", str(clip), "--save", "--project", str(tmp_path / "runs"), "--progress", "none"],
        "annotate": ["annotate", str(clip), "--out", str(tmp_path / "out")],
        "export": ["export", str(ROOT / "weights" / "sightline-nano.safetensors"), "--to", "onnx", "--out", "a.onnx"],
        "train": ["train", "detector", "--data", str(write_shapes(tmp_path / "shapes", images=8)), "--epochs", "1"],
    }[command]
    if command == "train":
        arguments += ["--batch", "4", "--imgsz", "64", "--set", "sizes=[64]", "--device", "cpu", "--out", "trained"]
    done = subprocess.run(
        watched(tmp_path, *arguments),
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check_silence(tmp_path)


@pytest.mark.slow
@needs_strace
def test_the_window_connects_to_nothing(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=600, width=640, height=384)
    with subprocess.Popen(
        watched(tmp_path, str(clip)), cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    ) as window:
        until(lambda: list((tmp_path / "home").rglob("*.sqlite")) or window.poll() is not None)  # it is annotated
        assert window.poll() is None
        time.sleep(LONG_ENOUGH_S)
        (process,) = psutil.Process(window.pid).children()
        process.send_signal(signal.SIGTERM)
        _, words = window.communicate(timeout=300)
    assert window.returncode == 143, words
    check_silence(tmp_path)


def test_children_are_told_to_be_silent_too() -> None:
    child = "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    script = f"import subprocess, sys, tracker; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    silent = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=silent, check=True
    )
    assert done.stdout == "1\n"


def test_openvino_reports_nothing_to_its_maker(tmp_path: Path) -> None:
    """It keeps an id of the user as soon as it is imported, and sends it at times."""
    pytest.importorskip("openvino")
    script = (
        "import sys; from tracker.extras import import_openvino; import_openvino().Core(); "
        "print(sys.modules['openvino_telemetry'])"
    )
    surroundings = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=surroundings, check=True
    )
    assert done.stdout == "None\n"
    assert list(tmp_path.iterdir()) == []
