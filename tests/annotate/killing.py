"""Running the real command, killing it, and comparing what two runs left."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = ("frames", "observations", "masks", "tentative", "tracks", "events", "edits")
NOT_COMPARED = {".sqlite", ".sqlite-wal", ".sqlite-shm"}


def start(arguments: Sequence[str | Path]) -> subprocess.Popen[str]:
    """`python main.py ...` as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, ROOT / "main.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def run(arguments: Sequence[str | Path]) -> str:
    """What the command writes to stdout; it must succeed."""
    process = start(arguments)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, (process.returncode, stdout, stderr)
    return stdout


def kill_when(process: subprocess.Popen[str], due: Callable[[], bool]) -> bool:
    """Kill -9 the command once `due`; False where it ended before."""
    while process.poll() is None and not due():
        time.sleep(0.005)
    killed = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return killed


def last_frame(store: Path) -> int:
    """The last frame on disk, -1 without any."""
    if not store.exists():
        return -1
    with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT coalesce(max(frame), -1) FROM frames").fetchone()[0])
        except sqlite3.Error:
            return -1


def left_in(folder: Path) -> dict[str, object]:
    """Every export's bytes and every store's rows, by relative path; the summary gives times and is left out."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".sqlite":
            with contextlib.closing(sqlite3.connect(path)) as connection:
                for table in TABLES:
                    found[f"{name} {table}"] = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        elif path.is_file() and path.suffix not in NOT_COMPARED and path.name != "summary.json":
            found[name] = path.read_bytes()
    return found
