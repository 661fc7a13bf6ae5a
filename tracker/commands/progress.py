"""How far a run is, for a person on stderr or for a program as JSON lines on stdout."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from tqdm import tqdm

from tracker.ending import HeldSignals, raise_if_interrupted
from tracker.protocols import FrameSource
from tracker.runner import Progress, Runner
from tracker.video.address import redact_within

__all__ = ["Ended", "LastLine", "follow_run"]

INTERVAL_S = 0.5
FINISH_S = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run came to its end."""

    progress: Progress
    interrupt: KeyboardInterrupt | None = None
    """The signal that ended it."""


class LastLine:
    """Around a command: its last JSON line where it fails before it has begun to tell how far it is.

    `style` is what the settings say once they are read; `reported` is set where what follows prints it.
    """

    def __init__(self, options: argparse.Namespace, **row: str | int) -> None:
        self.style: str | None = options.progress
        self.reported = False
        self._row = row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is not None and self.style == "json" and not self.reported and not isinstance(error, BrokenPipeError):
            row = {key: redact_within(value) if isinstance(value, str) else value for key, value in self._row.items()}
            sys.stdout.write(json.dumps({**row, "time": round(time.time(), 3), "done": True}) + "\n")
            sys.stdout.flush()


def follow_run(
    runner: Runner,
    source: FrameSource,
    *,
    style: Literal["bar", "json", "none"],
    total: int | None,
    held: HeldSignals | None = None,
) -> Ended:
    """Wait for a started run and tell how far it is; raises what went wrong in it.

    Ctrl-C and SIGTERM stop the run and let it finish what was begun; a reader of the JSON lines that went away too, and
    that is raised. Signals that were `held` while the run was prepared are let through.
    """
    shown = _Bar(source, total) if style == "bar" else _JsonLines(source, total) if style == "json" else None
    interrupt: KeyboardInterrupt | None = None
    try:
        try:
            if held is not None:
                held.release()
            while True:
                progress = runner.wait(timeout_s=INTERVAL_S)
                raise_if_interrupted()
                if shown is not None:
                    shown.update(progress)
                if not runner.running:
                    break
            progress = runner.wait()
        except KeyboardInterrupt as signal:
            interrupt = signal
            runner.stop()
            progress = runner.wait(timeout_s=FINISH_S)
        except BrokenPipeError:
            runner.stop()
            runner.wait(timeout_s=FINISH_S)
            raise
        except Exception:
            if shown is not None:  # the last reading is from before what ended the run
                shown.update(runner.progress())
            raise
        if shown is not None:
            shown.update(progress)
        return Ended(progress, interrupt)
    finally:
        if shown is not None:
            shown.close()


class _Bar:
    """Frames, frames per second and time left for files; state, latency and dropped frames for live input."""

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
            away = f"{progress.link}, " if progress.link not in ("", "live") else ""
            self._bar.set_postfix_str(f"{away}latency {progress.latency_s * 1000:.0f} ms, dropped {progress.dropped}")
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
            "failed": progress.failed,
            "damage": progress.damage,
            "decoder": self._source.decoder,
        }
        if self._source.live:
            row |= {"link": progress.link, "reconnects": progress.reconnects}
            row["clock"] = self._source.clock
        sys.stdout.write(json.dumps({**row, "done": done}) + "\n")
        sys.stdout.flush()
