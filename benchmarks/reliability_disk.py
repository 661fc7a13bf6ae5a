"""A full disk, a limit of file sizes, a folder that may not be written: one right line, what was written before whole.

Each command writes to a small file system of its own (tmpfs, where the user may mount one; else only the limit of file
sizes is tried). Once there is room the same command is run again and must end with what it gives undisturbed.
"""

from __future__ import annotations

import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from tests.annotate.tiny import write_network
from tests.train.shapes import write_shapes
from tests.video.cameras import MjpegCamera
from tests.video.synthetic import write_clip
from tracker.video import FileSource

__all__ = ["disk"]

ROOT = Path(__file__).parents[1]
MAIN = str(ROOT / "main.py")
TOLD_S = 2.0
AGAIN_S = 8.0
"""A recording is tried again after 5 s, and is sound after 2 more."""
REASONS = ("No space left", "File too large", "Read-only file system")
UNLIMITED = resource.RLIM_INFINITY

Show = Callable[..., None]
MakeFault = Callable[[Path, int], AbstractContextManager["Fault"]]


@dataclass(frozen=True)
class Case:
    """One command: how it is run, and what it must leave in the end."""

    name: str
    arguments: Callable[[Path], Sequence[str]]
    outputs: Callable[[Path], object]
    """Something of its outputs that can be compared; raises where one is broken."""
    again: Callable[[Path], tuple[str, ...]] = lambda _: ()
    """What is added to go on from what is left in the output folder."""
    kept: tuple[str, ...] = ()
    """Ends of names that may be there under their own name after the fault, each checked by `outputs`."""


def disk(show: Show, *, full: bool) -> None:
    """Every command that writes for long, several places and faults each."""
    count = 20 if full else 3
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for case in _cases(folder):
            whole = folder / "whole" / case.name
            done = _run(case, whole)
            if done.returncode:
                raise RuntimeError(f"{case.name}: {done.stderr}")
            expected = case.outputs(whole), set(done.stderr.splitlines())
            sizes = [path.stat().st_size for path in whole.rglob("*") if path.is_file()]
            generator = random.Random(5)
            wrong, slowest = [], 0.0
            for number in range(count):
                fault = FAULTS[number % len(FAULTS)] if _may_mount() else limited
                problem, seconds = _try(case, folder / "out", fault, generator.uniform(0.05, 0.8), sizes, expected)
                slowest = max(slowest, seconds)
                if problem:
                    wrong.append((number, fault.__name__, problem))
            what = f"{case.name}, {count} places: one line, whole before, goes on"
            show("disk", what, f"{len(wrong)} wrong {wrong[:2]}", good=not wrong)
            show("disk", f"{case.name}: told within 2 s", f"{slowest:.2f} s", good=slowest <= TOLD_S)
        _watch(show, folder, count)


def _try(
    case: Case, out: Path, fault: MakeFault, part: float, sizes: Sequence[int], expected: tuple[object, Set[str]]
) -> tuple[str, float]:
    """What was wrong, and the seconds from the last byte written to the end."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    room = int(part * (max(sizes) if fault is limited else sum(sizes)))
    outputs, usual = expected
    with fault(out, room) as made:
        disturbed = _run(case, out / "results", limit=made.limit)
        ended = time.time()
        touched = [out, *out.rglob("*")]
        written = max(path.stat().st_mtime for path in touched)  # a folder: its last file made or deleted
        seconds = 0.0 if fault is unwritable else ended - written  # where nothing was, there is no last moment
        files = [path for path in touched if path.is_file()]
        problem = _problem(case, disturbed, files, usual)
        made.lift()
        if not problem:
            again = _run(case, out / "results", *case.again(out / "results"))
            if again.returncode:
                problem = f"does not go on: {again.returncode} {again.stderr[-300:]}"
            elif case.outputs(out / "results") != outputs:
                problem = "ends with something else than undisturbed"
    return (f"{room} bytes: {problem}" if problem else ""), seconds


def _problem(case: Case, done: subprocess.CompletedProcess[str], files: Sequence[Path], usual: Set[str]) -> str:
    told = [line for line in done.stderr.splitlines() if line.startswith("sightline: ") and line not in usual]
    lines = [
        line for line in told if any(reason in line for reason in REASONS)
    ] or told  # a training reports itself too
    if done.returncode != 2:
        return f"exit {done.returncode}: {done.stderr[-300:]}"
    if len(lines) != 1 or "Traceback" in done.stderr:
        return f"{len(lines)} lines: {done.stderr[-300:]}"
    if not any(reason in lines[0] for reason in REASONS):
        return f"not the reason: {lines[0]}"
    for path in files:
        if path.name.endswith(".partial"):
            if str(path) not in lines[0]:
                return f"{path.name} is left and not named: {lines[0]}"
        elif not path.name.endswith(case.kept):
            return f"{path.name} is left: {lines[0]}"
    return ""


def _run(case: Case, out: Path, *more: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit_files() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, UNLIMITED))

    command = [sys.executable, MAIN, *case.arguments(out), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit_files)


@dataclass
class Fault:
    """What is wrong with the disk; `lift` mends it."""

    lift: Callable[[], None]
    limit: int | None = None


@contextmanager
def limited(_: Path, room: int) -> Iterator[Fault]:
    """No file may grow beyond that."""
    yield Fault(lambda: None, room)


@contextmanager
def full(out: Path, room: int) -> Iterator[Fault]:
    """So much fits altogether."""
    with _mounted(out, f"size={max(1, room // 4096) * 4096}"):
        yield Fault(lambda: _mount("-o", "remount,size=1g", str(out)))


@contextmanager
def unwritable(out: Path, _: int) -> Iterator[Fault]:
    """Nothing may be written."""
    with _mounted(out, "ro"):
        yield Fault(lambda: _mount("-o", "remount,rw", str(out)))


FAULTS = (limited, full, unwritable)


@contextmanager
def _mounted(out: Path, options: str) -> Iterator[None]:
    _mount("-t", "tmpfs", "-o", options, "tmpfs", str(out))
    try:
        yield
    finally:
        subprocess.run(["umount", str(out)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with _mounted(Path(folder), "size=64k"):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def _cases(folder: Path) -> list[Case]:
    network = str(write_network(folder / "tiny.onnx"))
    clip = str(write_clip(folder / "clip.mp4", frames=400, width=320, height=192))
    shapes = str(write_shapes(folder / "shapes", images=16))
    quiet = ("--model", network, "--progress", "none")
    training = ("--data", shapes, "--batch", "4", "--imgsz", "64", "--set", "sizes=[64]", "--device", "cpu")
    sample = folder / "sample"
    for command in (
        ["annotate", clip, "--out", str(sample), *quiet],
        ["train", "detector", *training, "--epochs", "1", "--out", str(sample / "net")],
    ):
        subprocess.run([sys.executable, MAIN, *command], check=True, capture_output=True)
    store, weights = str(sample / "clip.sqlite"), str(sample / "net" / "best.safetensors")
    return [
        Case("track", lambda out: ["track", clip, "--save", "--project", str(out), "--name", "run", *quiet],
             lambda out: _rows(next(out.rglob("*.txt"))), kept=(".mp4", "args.yaml")),
        Case("annotate", lambda out: ["annotate", clip, "--out", str(out), "--format", "mot,coco", *quiet],
             _of_annotate, kept=(".sqlite", ".sqlite-wal", ".sqlite-shm", ".lock", "summary.json")),
        Case("train", lambda out: ["train", "detector", *training, "--epochs", "2", "--out", str(out)],
             _of_training, again=_resumed, kept=(".safetensors", ".pt", ".csv", ".json", ".png")),
        Case("export", lambda out: ["export", weights, "--out", str(out / "net.onnx")],
             lambda out: (out / "net.onnx").stat().st_size),
        Case("report", lambda out: ["report", store, "--out", str(out / "page.html")],
             lambda out: (out / "page.html").stat().st_size),
        Case("export-annotations",
             lambda out: ["export-annotations", store, "--format", "mot,coco,csv", "--out", str(out)],
             lambda out: sorted(path.name for path in out.rglob("*.*")),
             kept=(".txt", ".json", ".csv")),
    ]  # fmt: skip


def _rows(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _of_annotate(out: Path) -> object:
    with closing(sqlite3.connect(out / "clip.sqlite")) as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = store.execute("SELECT * FROM observations ORDER BY 1, 2").fetchall()
    return rows, {path.name: path.read_text() for path in out.rglob("clip*.*") if path.suffix in (".txt", ".json")}


def _of_training(out: Path) -> object:
    from tracker.nets.checkpoint import load_detector

    for name in ("best", "last"):
        load_detector(out / f"{name}.safetensors")
    for path in out.glob("*.png"):
        assert cv2.imread(str(path)) is not None, path
    return [row.split(",")[0] for row in _rows(out / "results.csv")]


def _resumed(out: Path) -> tuple[str, ...]:
    """As the message says: with weights or a state in the folder the training goes on by --resume."""
    return ("--resume",) if any((out / name).is_file() for name in ("best.safetensors", "last.state.pt")) else ()


def _watch(show: Show, folder: Path, count: int) -> None:
    """The disk refuses everything for some seconds while a camera is recorded; then it has room again."""
    generator = random.Random(7)
    wrong, slowest = [], 0.0
    for number in range(count):
        fault = FAULTS[number % len(FAULTS)] if _may_mount() else limited
        problem, seconds = _watch_once(folder / "watched", fault, generator.uniform(1.0, 4.0))
        slowest = max(slowest, seconds)
        if problem:
            wrong.append((number, fault.__name__, problem))
    show("disk", f"watch, {count} times: told once, whole before, goes on", f"{len(wrong)} wrong {wrong[:2]}",
         good=not wrong)  # fmt: skip
    show("disk", "watch: told within 2 s", f"{slowest:.2f} s", good=slowest <= TOLD_S)


def _watch_once(folder: Path, fault: MakeFault, after_s: float) -> tuple[str, float]:
    """What was wrong, and the seconds from the last byte written to the line that says so."""
    shutil.rmtree(folder, ignore_errors=True)
    runs = folder / "runs"
    runs.mkdir(parents=True)
    cameras = folder / "cameras.toml"
    command = [sys.executable, MAIN, "watch", str(cameras), "--progress", "none"]
    command += ["--model", str(folder.parent / "tiny.onnx")]
    with MjpegCamera(20) as camera, nullcontext() if fault is limited else _mounted(runs, "size=64m"):
        cameras.write_text(
            f'folder = "runs"\n[[camera]]\nname = "gate"\naddress = "{camera.address}"\nrecord = "continuous"\n'
        )
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        lines: list[tuple[float, str]] = []

        def listen() -> None:
            lines.extend((time.time(), line.rstrip()) for line in process.stderr or ())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            _until(lambda: any(path.stat().st_size > 3000 for path in runs.rglob("*.mp4")))
            time.sleep(after_s)
            began, before = time.time(), set(runs.rglob("*.mp4"))
            lift = _begin_fault(fault, runs, process.pid)
            _until(lambda: any(moment > began for moment, _ in lines))
            written = max(began, *(path.stat().st_mtime for path in before if path.exists()))
            told_s = max(0.0, next(moment for moment, _ in lines if moment > began) - written)
            time.sleep(6.0)  # two tries more
            lift()
            lifted = time.time()
            _until(lambda: any(line.endswith("goes on") for _, line in lines))
            back_s = time.time() - lifted
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            listener.join(5)
        for path in [*runs.rglob("*.mp4"), *runs.rglob("*.jsonl")]:
            if path.suffix == ".mp4" and not list(FileSource(path)):
                return f"{path.name} has no frame", told_s
            if not path.with_suffix(".mp4").exists():
                return f"{path.name} is left without its video", told_s
        with closing(sqlite3.connect(runs / "events.sqlite")) as store:
            assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    told = [line for moment, line in lines if began < moment < lifted]
    if len(told) != 1 or not any(reason in told[0] for reason in REASONS):
        return f"{len(told)} lines: {told[:3]}", told_s
    if process.returncode != 143 or back_s > AGAIN_S:
        return f"exit {process.returncode}, recording again after {back_s:.1f} s", told_s
    return "", told_s


def _begin_fault(fault: MakeFault, runs: Path, pid: int) -> Callable[[], None]:
    """From now on nothing more can be written; what is given back ends that."""
    if fault is limited:
        largest = max((path.stat().st_size for path in runs.rglob("*") if path.is_file()), default=0)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (min(1000, largest), UNLIMITED))
        return lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED)) and None
    ballast = runs / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(4096))
    return ballast.unlink


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("nothing happened in a minute")
        time.sleep(0.02)
