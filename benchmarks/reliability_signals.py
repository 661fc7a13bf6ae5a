"""Ctrl-C and SIGTERM at any moment of every command that runs for long: clean, soon, its outputs whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.annotate.tiny import write_clip, write_network
from tests.train.shapes import write_shapes
from tests.video.cameras import MjpegCamera
from tracker.errors import SourceError
from tracker.video import FileSource

__all__ = ["signals"]

ROOT = Path(__file__).parents[1]
WINDOW_S = 6.0
"""The signal comes in so many seconds after the start, evenly."""

Show = Callable[..., None]


def _commands(folder: Path, address: str) -> dict[str, list[str]]:
    """What is run; all but track and watch on input that lasts for minutes."""
    network = str(write_network(folder / "tiny.onnx"))
    clip = write_clip(folder / "long.mp4", 3000)
    shapes = write_shapes(folder / "shapes", images=64)
    cameras = folder / "cameras.toml"
    cameras.write_text(f'folder = "runs"\n[[camera]]\nname = "gate"\naddress = "{address}"\nrecord = "continuous"\n')
    runs = str(folder / "runs")
    return {
        "track": ["track", address, "--save", "--model", network, "--project", runs, "--progress", "none"],
        "watch": ["watch", str(cameras), "--model", network, "--progress", "none"],
        "annotate": ["annotate", str(clip), "--model", network, "--out", runs, "--progress", "none"],
        "train": ["train", "detector", "--data", str(shapes), "--epochs", "50", "--batch", "4", "--imgsz", "64",
                  "--set", "sizes=[64]", "--device", "cpu", "--out", runs],
    }  # fmt: skip


def signals(show: Show, *, full: bool) -> None:
    """Each command, each signal."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs behind it ignores Ctrl-C, children too
    count = 100 if full else 4
    generator = random.Random(4)
    with MjpegCamera(20) as camera, tempfile.TemporaryDirectory() as text:
        for name, command in _commands(Path(text), camera.address).items():
            for sent, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
                wrong, slowest = [], 0.0
                for number in range(count):
                    for path in sorted((Path(text) / "runs").rglob("*"), reverse=True):
                        path.rmdir() if path.is_dir() else path.unlink()
                    problem, seconds = _end(command, sent, code, generator.uniform(0.0, WINDOW_S))
                    problem = problem or _problem_of(Path(text) / "runs")
                    slowest = max(slowest, seconds)
                    if problem:
                        wrong.append((number, problem))
                show("signals", f"{name}, {sent.name} {count} times: clean, exit {code}",
                     f"{len(wrong)} wrong {wrong[:2]}", good=not wrong)  # fmt: skip
                show("signals", f"{name}, {sent.name}: ended within 2 s", f"{slowest:.2f} s", good=slowest <= 2)


def _end(command: list[str], sent: signal.Signals, code: int, after_s: float) -> tuple[str, float]:
    """What was wrong with the end, and how long it took. Before Python itself is up the signal ends it as such."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(after_s)
    if process.poll() is not None:
        return f"over before the signal: {process.returncode} {process.communicate()[1][-200:]}", 0.0
    began = time.monotonic()
    process.send_signal(sent)
    try:
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "not ended after 60 s", 60.0
    seconds = time.monotonic() - began
    if "Traceback" in errors and "KeyboardInterrupt" in errors and str(ROOT) not in errors:
        return "", seconds  # Python had not begun with the program's first line
    if "Traceback" in errors or process.returncode not in (code, -sent):
        return f"exit {process.returncode}: {errors[-900:]}", seconds
    return "", seconds


def _problem_of(folder: Path) -> str:
    """What is left of outputs that nobody can use."""
    for path in folder.rglob("*"):
        if path.name.endswith(".partial"):
            return f"{path.name} was left"
        if path.suffix == ".mp4":
            try:
                list(FileSource(path))
            except SourceError as error:
                return str(error)
    return ""
