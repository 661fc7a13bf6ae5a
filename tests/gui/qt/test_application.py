"""`python main.py FILE` on a virtual X display: it opens, plays and closes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
PATIENCE_S = 90.0


@contextlib.contextmanager
def virtual_display(folder: Path) -> Iterator[tuple[str, Path]]:
    """The name of a display, and the file that holds what is on it."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("Xvfb is not installed")
    read, write = os.pipe()
    command = [
        server,
        "-displayfd",
        str(write),
        "-screen",
        "0",
        "1280x800x24",
        "-fbdir",
        str(folder),
        "-nolisten",
        "tcp",
    ]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as process:
        os.close(write)
        try:
            with os.fdopen(read) as pipe:
                number = pipe.readline().strip()
            yield f":{number}", folder / "Xvfb_screen0"
        finally:
            process.terminate()


def screenshot_of(screen: Path) -> np.ndarray:
    """What the display shows now; the file is in xwd's format."""
    raw = screen.read_bytes()
    header = np.frombuffer(raw[:100], ">u4")
    size, height, width, stride, colours = (int(header[place]) for place in (0, 5, 4, 12, 19))
    start = size + 12 * colours
    rows = np.frombuffer(raw[start : start + height * stride], np.uint8).reshape(height, stride)
    return rows[:, : 4 * width].reshape(height, width, 4)[:, :, :3]


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="a virtual X display is a Linux matter")
def test_the_app_opens_a_file_plays_it_and_closes_with_exit_code_0(tmp_path: Path, shared: Path) -> None:
    video = shared / "data" / "video" / "vtest.avi"
    with virtual_display(tmp_path) as (display, screen):
        environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "HOME": str(tmp_path)}
        environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_RUNTIME_DIR": str(tmp_path)}
        command = [sys.executable, "main.py", str(video)]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as app:
            try:
                assert until(lambda: screenshot_of(screen).std() > 20 or app.poll() is not None), "it opens"
                assert app.poll() is None
                first = screenshot_of(screen).astype(int)
                assert until(lambda: bool(np.abs(screenshot_of(screen).astype(int) - first).max() > 60)), "it plays"
                app.send_signal(signal.SIGINT)
                _, words = app.communicate(timeout=PATIENCE_S)
            finally:
                app.kill()
        assert app.returncode == 0, words
        assert "Traceback" not in words


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_app_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_RUNTIME_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "main.py"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as app:
        try:
            assert until(lambda: _catches_sigterm(app.pid))
            app.send_signal(signal.SIGTERM)
            _, words = app.communicate(timeout=PATIENCE_S)
        finally:
            app.kill()
    assert app.returncode == 143, words
    assert "Traceback" not in words


def _catches_sigterm(process: int) -> bool:
    """Whether the program has a handler for the signal by now, as the kernel knows it."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def test_the_end_of_the_window_leaves_qt_as_it_is() -> None:
    lines = [
        "from gui.qt.application import application, skip_qt_cleanup",
        "from tracker.ending import leave",
        "app = application()",
        "app.destroyed.connect(lambda: print('taken apart', flush=True))",
    ]
    assert _ended_by(*lines, "leave(3)") == (3, "taken apart\n"), "what PyQt does by itself"
    assert _ended_by(*lines, "skip_qt_cleanup()", "leave(3)") == (3, "")


def _ended_by(*lines: str) -> tuple[int, str]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", "\n".join(lines)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stdout
