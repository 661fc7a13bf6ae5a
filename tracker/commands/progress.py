"""How far a run is, for a person on stderr or for a program as JSON lines on stdout."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Literal

from tqdm import tqdm

from tracker.protocols import FrameSource
from tracker.runner import Progress, Runner

__all__ = ["follow_run"]

INTERVAL_S = 0.5


def follow_run(
    runner: Runner, source: FrameSource, *, style: Literal["bar", "json", "none"], total: int | None
) -> Progress:
    """Wait for a started run and tell how far it is; raises what went wrong in it.

    Ctrl-C, or a reader of the JSON lines that went away, stops the run, lets it finish what was begun, and is raised
    again.
    """
    shown = _Bar(source, total) if style == "bar" else _JsonLines(source, total) if style == "json" else None
    try:
        while True:
            progress = runner.wait(timeout_s=INTERVAL_S)
            if shown is not None:
                shown.update(progress)
            if not runner.running:
                return runner.wait()
    except (KeyboardInterrupt, BrokenPipeError):
        runner.stop()
        runner.wait(timeout_s=10)
        raise
    finally:
        if shown is not None:
            shown.close()


class _Bar:
    """Frames, frames per second and time left for files; latency and dropped frames for live input."""

    def __init__(self, source: FrameSource, total: int | None) -> None:
        self._live = source.live
        self._bar = tqdm(
            total=None if source.live else total,
            desc=source.name,
            unit=" frames",
            dynamic_ncols=True,
            leave=False,
            disable=not sys.stderr.isatty(),
        )

    def update(self, progress: Progress) -> None:
        if self._live:
            self._bar.set_postfix_str(f"latency {progress.latency_s * 1000:.0f} ms, dropped {progress.dropped}")
        self._bar.update(progress.frames - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _JsonLines:
    """One object a line; the last has `"done": true`."""

    def __init__(self, source: FrameSource, total: int | None) -> None:
        self._source, self._total = source, None if source.live else total
        self._last: Progress | None = None

    def update(self, progress: Progress) -> None:
        self._last = None  # where printing fails nothing is to be printed at the end
        self._print(progress, done=False)
        self._last = progress

    def close(self) -> None:
        if self._last is not None:
            self._print(self._last, done=True)

    def _print(self, progress: Progress, *, done: bool) -> None:
        left = None
        if self._total and progress.rate:
            left = round(max(0, self._total - progress.frames) / progress.rate, 1)
        row: dict[str, Any] = {
            "source": self._source.name,
            "time": round(time.time(), 3),
            "frames": progress.frames,
            "total": self._total,
            "rate": round(progress.rate, 2),
            "seconds_left": left,
            "latency_ms": round(progress.latency_s * 1000, 1),
            "dropped": progress.dropped,
            "rejected": progress.rejected,
            "damage": progress.damage,
            "done": done,
        }
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
