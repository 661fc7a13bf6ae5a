"""Whether the window stays quick: `python -m benchmarks.gui [--minutes M] [--sources N] [--play]`.

Watches 1080p sources in the real app, offscreen, with the default network on this machine's cores, while a probe timer
asks for its turn in the event loop every 5 ms; how late it comes is how long the window would have stood still. One
source carries the time at which each of its frames was made in its pixels: the latency shown is held against it.
Memory is that of the process, read every second. With --play a recording is played and annotated besides.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import QEventLoop, QSettings, Qt, QTimer
from PyQt6.QtWidgets import QApplication

from gui.app import prepare_process
from gui.live.session import Session
from gui.qt.preferences import Preferences
from gui.qt.theme import apply_theme
from gui.window import Window
from tracker.protocols import FrameSource
from tracker.types import Frame, Image, SourceInfo
from tracker.video import open_source

VIDEO = Path(os.environ.get("SIGHTLINE_SHARED", "../shared")) / "data" / "video" / "aiguys_test.mp4"
PLAYED = VIDEO.with_name("supervision_walking.mp4")
PROBE_MS = 5
WARM_UP_S = 15.0
BITS, BAR = 40, 24
CLOCK = "clock"
RATE = 30


def stamp_image(image: Image, microseconds: int) -> None:
    """Write a number into the frame's first rows."""
    for bit in range(BITS):
        image[:BAR, bit * BAR : (bit + 1) * BAR] = 255 if microseconds >> bit & 1 else 0


def read_stamp(image: Image) -> int:
    """The number that `stamp_image` wrote."""
    return sum(int(image[BAR // 2, bit * BAR + BAR // 2, 0] > 127) << bit for bit in range(BITS))


class ClockSource(FrameSource):
    """A camera of 1080p whose frames say when they were made."""

    live = True

    def __init__(self) -> None:
        self.name = CLOCK
        self.info = SourceInfo(1920, 1080)
        self.damage = 0
        self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        index, began = 0, time.perf_counter()
        base = next(iter(open_source(str(VIDEO)))).image
        while not self._closed:
            image = base.copy()
            stamp_image(image, round(time.perf_counter() * 1e6))
            yield Frame(image, index, time.perf_counter() - began, self.name)
            index += 1
            time.sleep(max(0.0, began + index / RATE - time.perf_counter()))

    def close(self) -> None:
        self._closed = True


def open_any(spec: str) -> FrameSource:
    """The clock, or whatever else was named."""
    return ClockSource() if spec == CLOCK else open_source(spec)


class Readings:
    """Numbers in memory taken beforehand: what is measured here is memory too."""

    def __init__(self, most: int) -> None:
        self._values = np.full(most, np.nan)
        self._count = 0

    def append(self, value: float) -> None:
        """Keep one more; beyond the most it is let go."""
        if self._count < len(self._values):
            self._values[self._count] = value
            self._count += 1

    def all(self) -> Float64[ndarray, " n"]:
        """Those kept, in order."""
        return self._values[: self._count]


class Probe:
    """How late a timer of the event loop comes, for that many seconds."""

    def __init__(self, seconds: float) -> None:
        self.late_s = Readings(round(seconds * 1000 / PROBE_MS) + 1)
        self._due: float | None = None
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(PROBE_MS)

    def _tick(self) -> None:
        now = time.perf_counter()
        if self._due is not None:
            self.late_s.append(max(0.0, now - self._due))
        self._due = now + PROBE_MS / 1000

    def stop(self) -> None:
        """Ask no more."""
        self._timer.stop()


def resident_mib() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(window: Window, seconds: float) -> tuple[ndarray, ndarray, ndarray]:
    """How late the probe came, memory each second, and by how much the latency shown was wrong, in seconds."""
    probe, memory, errors = Probe(seconds), Readings(round(seconds) + 1), Readings(round(seconds * RATE) + 1)
    memory.append(resident_mib())

    def check(session: Session) -> None:
        rendered, shown = session.rendered, session.shown_age_s
        if rendered is not None and shown is not None:
            made = read_stamp(rendered.result.frame.image) / 1e6
            errors.append(shown - (time.perf_counter() - made))

    for session in window.live.sessions:
        if session.spec == CLOCK:
            session.frame_rendered.connect(lambda session=session: check(session))
    reader = QTimer()
    reader.timeout.connect(lambda: memory.append(resident_mib()))
    reader.start(1000)
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()
    probe.stop()
    reader.stop()
    return probe.late_s.all(), memory.all(), errors.all()


def tell(late_s: ndarray, memory: ndarray, errors: ndarray) -> bool:
    """Print the figures; whether the window stayed quick."""
    late = late_s * 1000
    within = 100 * float((late < 33).mean())
    print(f"event loop: {len(late)} probes, median {np.median(late):.1f} ms, 99 % {np.percentile(late, 99):.1f} ms, "
          f"worst {late.max():.1f} ms; {within:.2f} % under 33 ms, {int((late > 100).sum())} over 100 ms")  # fmt: skip
    half = memory[len(memory) // 2 :]
    later = float(np.polyfit(np.arange(len(half)) / 60, half, 1)[0]) if len(half) > 2 else 0.0
    minutes = ", ".join(f"{value:.0f}" for value in memory[::60])
    print(f"memory: {minutes} MiB each minute; {later:+.2f} MiB a minute in the second half")
    if len(errors):
        wrong = np.abs(errors) * 1000
        print(f"latency shown: {np.median(wrong):.1f} ms off in the median, {np.percentile(wrong, 99):.1f} ms in 99 % "
              f"of {len(wrong)} frames")  # fmt: skip
    return within >= 99 and bool(late.max() <= 100)


def main() -> int:
    """Measure; exit code 1 when the window stood still."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to measure (default 1)")
    parser.add_argument("--sources", type=int, default=4, help="how many 1080p sources (default 4)")
    parser.add_argument("--play", action="store_true", help="play and annotate a recording in front of them")
    options = parser.parse_args()
    app = QApplication(sys.argv[:1])
    prepare_process()
    apply_theme(app, "dark")
    work = Path(tempfile.mkdtemp(prefix="sightline-"))
    preferences = Preferences(QSettings(str(work / "settings.ini"), QSettings.Format.IniFormat))
    preferences.keep("folder", str(work))
    began = time.perf_counter()
    window = Window(preferences, open_source=open_any)
    window.resize(1600, 900)
    window.show()
    app.processEvents()
    print(f"window up {1000 * (time.perf_counter() - began):.0f} ms after Qt; torch imported: {'torch' in sys.modules}")
    try:
        window.watch(CLOCK)
        for _ in range(options.sources - 1):
            window.watch(str(VIDEO), loop=True)
        if options.play:
            window.play(str(PLAYED))
        measure(window, WARM_UP_S)
        figures = measure(window, 60 * options.minutes)
        for session in window.live.sessions:
            progress = session.progress()
            if progress is not None:
                age = session.shown_age_s or 0.0
                print(f"{session.name}: {progress.rate:.1f} frames/s, {1000 * age:.0f} ms, {progress.dropped} dropped")
        quick = tell(*figures)
    finally:
        began = time.perf_counter()
        window.quit()
        print(f"closed in {time.perf_counter() - began:.2f} s")
        shutil.rmtree(work, ignore_errors=True)
    return 0 if quick else 1


if __name__ == "__main__":
    sys.exit(main())
