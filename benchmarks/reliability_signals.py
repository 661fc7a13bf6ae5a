"""Ctrl-C and SIGTERM at any moment of every command that runs for long: clean, soon, its outputs whole."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from tests.annotate.tiny import write_clip, write_network
from tests.train.shapes import write_shapes
from tests.video.cameras import MjpegCamera
from tracker.errors import SourceError
from tracker.video import FileSource

__all__ = ["row", "signals"]

ROOT = Path(__file__).parents[1]
OURS = ("main.py", "tracker", "gui")
_FRAME = re.compile(r'^  File "([^"]+)"', re.MULTILINE)
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


def signals(show: Show, *, full: bool, names: Container[str] | None = None) -> None:
    """Each command, or each of those named, with each signal."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs behind it ignores Ctrl-C, children too
    with MjpegCamera(20) as camera, tempfile.TemporaryDirectory() as text:
        for name, command in _commands(Path(text), camera.address).items():
            for sent in (signal.SIGTERM, signal.SIGINT):
                if names is None or name in names:
                    row(show, name, command, sent, Path(text) / "runs", count=100 if full else 4)


def row(show: Show, name: str, command: list[str], sent: signal.Signals, runs: Path, *, count: int) -> None:
    """One command that is sent one signal at so many moments; all that is wrong is printed as it comes."""
    generator = random.Random(4)
    wrong, slowest, early = 0, 0.0, list[float]()
    for number in range(count):
        for path in sorted(runs.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        after_s = generator.uniform(0.0, WINDOW_S)
        end = _end(command, sent, after_s)
        problem = end.problem or _problem_of(runs)
        slowest = max(slowest, end.seconds)
        if problem:
            wrong += 1
            print(f"      {name}, {sent.name}, {number} after {after_s:.2f} s: {problem}", flush=True)
        elif not end.begun:
            early.append(after_s)
    before = f", {len(early)} before the first line, latest after {max(early):.2f} s" if early else ""
    show("signals", f"{name}, {sent.name} {count} times: clean, exit {128 + sent}", f"{wrong} wrong{before}",
         good=not wrong)  # fmt: skip
    show("signals", f"{name}, {sent.name}: ended within 2 s", f"{slowest:.2f} s", good=slowest <= 2)


@dataclass(frozen=True)
class _End:
    """How a command ended."""

    problem: str
    seconds: float
    begun: bool = True
    """Whether the program had come to its first line: until then Python itself answers signals, or the system does."""


def _end(command: list[str], sent: signal.Signals, after_s: float) -> _End:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(after_s)
    if process.poll() is not None:
        return _End(f"over before the signal: {process.returncode} {process.communicate()[1]}", 0.0)
    began = time.monotonic()
    process.send_signal(sent)
    try:
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return _End("not ended after 60 s", 60.0)
    seconds = time.monotonic() - began
    if _before_the_first_line(process.returncode, errors, sent):
        return _End("", seconds, begun=False)
    if "Traceback" in errors or process.returncode != 128 + sent:
        return _End(f"exit {process.returncode}: {errors}", seconds)
    return _End("", seconds)


def _before_the_first_line(code: int, errors: str, sent: signal.Signals) -> bool:
    """Whether the end is the system's, without a word, or Python's, with a traceback that no file of ours is in."""
    if not errors:
        return code == -sent
    ours = tuple(str(ROOT / name) for name in OURS)
    return (
        "KeyboardInterrupt" in errors
        and not errors.startswith("sightline: ")
        and not any(path.startswith(ours) for path in _FRAME.findall(errors))
    )


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
