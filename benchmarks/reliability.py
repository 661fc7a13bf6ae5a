"""Live cameras and hostile files against servers on the loopback interface: what is lost, how late, how it ends.

    python -m benchmarks.reliability                    # every subject, reduced: about ten minutes
    python -m benchmarks.reliability --full             # at the scale of the bars: hours
    python -m benchmarks.reliability loss time signals  # some subjects

One line a measurement: what it must show, what was seen, whether it passes. Exit code 1 where something does not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from benchmarks.reliability_alerts import alerts
from benchmarks.reliability_disk import disk
from benchmarks.reliability_signals import signals
from benchmarks.reliability_soak import SlowDetector, soak
from benchmarks.reliability_sources import sources
from tests.annotate.tiny import write_network
from tests.video.cameras import Camera, HlsCamera, MjpegCamera, RawCamera, RtspCamera
from tests.video.synthetic import read_number, write_clip
from tracker.errors import SourceError
from tracker.pipeline import Pipeline
from tracker.runner import Runner
from tracker.types import LinkStatus
from tracker.video import FileSource, StreamSource

ROOT = Path(__file__).parents[1]
verdicts: list[bool] = []


def show(subject: str, what: str, seen: str, *, good: bool | None) -> None:
    """One line; of what was left out (None) too, which neither passes nor fails."""
    if good is not None:
        verdicts.append(good)
    word = "left" if good is None else "pass" if good else "FAIL"
    print(f"{word}  {subject:12}  {what:58}  {seen}", flush=True)


class Listener:
    """The states of a stream with the moments they were entered."""

    def __init__(self) -> None:
        self.states: list[tuple[str, float]] = []

    def __call__(self, status: LinkStatus) -> None:
        self.states.append((str(status.state), time.monotonic()))

    def first_after(self, moment: float, *states: str) -> float | None:
        """Seconds from `moment` to the first of these states."""
        return next((at - moment for state, at in self.states if at >= moment and state in states), None)


def loss(*, full: bool) -> None:
    """Cuts of a running stream."""
    cuts("RTSP", lambda: RtspCamera(25, key_every=25), full=full)
    cuts("MJPEG", lambda: MjpegCamera(10), full=full)
    cuts("HLS", lambda: HlsCamera(25), full=full)


def cuts(name: str, make: Callable[[], Camera], *, full: bool) -> None:
    """Cuts of one kind of stream."""
    count, longest_s = (50, 30.0) if full else (8, 4.0)
    generator = random.Random(1)
    with make() as camera:
        time.sleep(3)  # segments have to be made first
        listener = Listener()
        rows: list[tuple[float, float]] = []
        source = StreamSource(camera.address, listen=listener)

        def read() -> None:
            rows.extend((frame.arrival or 0.0, frame.time) for frame in source)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        time.sleep(3)
        process = psutil.Process()
        before = (process.num_threads(), process.num_fds())
        noticed, returned, harmless = [], [], 0
        for _ in range(count):
            cut_at = time.monotonic()
            camera.down()
            time.sleep(generator.uniform(0.2, longest_s))
            camera.up()
            up_at = time.monotonic()
            time.sleep(4.0)
            noticed.append(listener.first_after(cut_at, "lost", "stalled"))
            returned.append(next((moment - up_at for moment, _ in rows if moment > up_at), None))
            steps = np.diff([stamp for moment, stamp in rows if moment > cut_at - 2])
            harmless += noticed[-1] is None and len(steps) > 0 and bool(steps.max() < 2 / camera.rate)
        time.sleep(2)
        after = (process.num_threads(), process.num_fds())
        source.close()
        reader.join(10)
    times = [value for value in noticed if value is not None]
    back = [value for value in returned if value is not None]
    show("loss", f"{name}: {count} cuts up to {longest_s:g} s, noticed within 3 s",
         f"{len(times)} of {count}, {harmless} lost no frame, latest {max(times):.2f} s",
         good=len(times) + harmless == count and max(times) <= 3)  # fmt: skip
    show("loss", f"{name}: frames within 3 s of the return", f"{len(back)} of {count}, latest {max(back):.2f} s",
         good=len(back) == count and max(back) <= 3)  # fmt: skip
    show("loss", f"{name}: threads and handles do not grow", f"{before} -> {after}",
         good=after[0] <= before[0] + 1 and after[1] <= before[1] + 2)  # fmt: skip


def true_time(*, full: bool) -> None:
    """The span and the steps of what is recorded."""
    seconds = 60 if full else 12
    jitter = random.Random(2)
    cameras: list[Callable[[], Camera]] = [
        *(lambda rate=rate: MjpegCamera(rate, jitter=lambda _: jitter.uniform(0, 0.04)) for rate in (1, 5, 12.5, 30)),
        lambda: RawCamera(8),
        lambda: RtspCamera(25, key_every=25),
    ]
    for make in cameras:
        with make() as camera:
            source = StreamSource(camera.address)
            rows = []
            for frame in source:
                rows.append((frame.time, frame.arrival or 0.0))
                if rows[-1][1] - rows[0][1] > seconds:
                    break
            source.close()
        times, arrivals = np.array(rows).T
        span, wall = times[-1] - times[0], arrivals[-1] - arrivals[0]
        steps = np.diff(times)
        off = abs(span - wall) / wall
        late = float(steps.max()) - 1 / camera.rate
        name = f"{type(camera).__name__} {camera.rate:g}/s, clock {source.clock}"
        show("time", f"{name}: span within 0.5 % of the wall", f"{span:.3f} of {wall:.3f} s ({100 * off:.2f} %)",
             good=off <= 0.005 or abs(span - wall) < 0.05)  # fmt: skip
        show("time", f"{name}: order kept, steps at most 50 ms longer", f"{1000 * late:.0f} ms longer",
             good=bool((steps > 0).all()) and late <= 0.05)  # fmt: skip


def first(*, full: bool) -> None:
    """A camera that is up later than the program."""
    for delay_s in (0, 5, 60) if full else (0, 5):
        with tempfile.TemporaryDirectory() as folder:
            camera = MjpegCamera(10, start=False)
            process = _track(camera.address, Path(folder))
            with camera:
                time.sleep(delay_s)
                camera.up()
                up_at = time.monotonic()
                seen = None
                for line in process.stdout or ():
                    if json.loads(line)["frames"]:
                        seen = time.monotonic() - up_at
                        break
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=30)
            # With no delay the program itself has still to start.
            show("first", f"camera up {delay_s} s after the program: frames in 3 s", f"{seen or -1:.2f} s",
                 good=seen is not None and (delay_s == 0 or seen <= 3))  # fmt: skip


def backpressure(*, full: bool) -> None:
    """A detector slower than the camera, and a decoder slower than it."""
    seconds = 300 if full else 20
    delay_s = 0.5
    with RtspCamera(30, key_every=30) as camera:
        ages: list[float] = []
        source = StreamSource(camera.address)
        runner = Runner(source, Pipeline(SlowDetector(delay_s), None), on_result=lambda _: None)
        runner.start()
        ended = time.monotonic() + seconds
        last = 0
        while time.monotonic() < ended:
            time.sleep(0.02)
            progress = runner.progress()
            if progress.frames != last:
                last = progress.frames
                ages.append(progress.latency_s)
        began = time.monotonic()
        runner.stop()
        runner.wait(timeout_s=5)
        stop_s = time.monotonic() - began
        high = float(np.percentile(ages[2:], 95))
        limit = 1.2 * delay_s + 1 / 30 + 0.05
        show("backpressure", f"detector of {delay_s} s: age at the 95th percentile", f"{high:.3f} s of {limit:.3f}",
             good=high <= limit)  # fmt: skip
        show("backpressure", "stopped in 0.3 s, but for the detection at work", f"{stop_s:.2f} s",
             good=stop_s <= delay_s + 0.3)  # fmt: skip
    with RtspCamera(50, key_every=25) as camera:
        source = StreamSource(camera.address)
        ages = []
        ended = time.monotonic() + seconds
        for frame in source:
            time.sleep(0.05)
            ages.append(time.monotonic() - (frame.arrival or 0.0))
            if time.monotonic() > ended:
                break
        source.close()
        high = float(np.percentile(ages, 95))
        show("backpressure", "decoder of 20/s under 50/s: age, flat", f"{high:.2f} s, {source.dropped} dropped",
             good=high <= 1.3)  # fmt: skip


def media(*, full: bool) -> None:
    """Mutated files: nothing crashes or hangs, every lost frame is reported."""
    count = 1000 if full else 120
    kinds = [
        (".mp4", {"b_frames": 2}),
        (".mkv", {"b_frames": 2}),
        (".webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}}),
        (".avi", {}),
        (".ts", {}),
        (".flv", {}),
    ]
    unreported, wrong, slowest = [], 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            generator = np.random.default_rng(number)
            suffix, settings = kinds[number % len(kinds)]
            clip = Path(folder) / f"clip{suffix}"
            if not clip.exists():
                write_clip(clip, frames=40, **settings)  # type: ignore[arg-type]
            content = bytearray(clip.read_bytes())
            _mutate(content, generator)
            mutated = Path(folder) / f"mutated{suffix}"
            mutated.write_bytes(content)
            began = time.monotonic()
            try:
                source = FileSource(mutated)
                found = [read_number(frame.image) for frame in source]
                source.close()
            except SourceError:
                continue
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                wrong += 1
                print("     ", number, suffix, repr(error))
                continue
            finally:
                slowest = max(slowest, time.monotonic() - began)
            if len(found) != 40 and not source.damage:
                unreported.append((number, suffix, len(found)))
    show("media", f"{count} mutated files: no crash, no hang", f"{wrong} crashes, slowest {slowest:.1f} s",
         good=not wrong and slowest < 10)  # fmt: skip
    show("media", "every lost frame is reported", f"{len(unreported)} unreported {unreported[:5]}", good=not unreported)


def _mutate(content: bytearray, generator: np.random.Generator) -> None:
    kind = int(generator.integers(5))
    length = int(generator.integers(1, max(2, len(content) // 5)))
    first, second = (int(place) for place in generator.integers(0, len(content) - length, 2))
    if kind == 0:
        content[second : second + length] = generator.integers(0, 256, length, np.uint8).tobytes()
    elif kind == 1:
        content[second : second + length] = content[first : first + length]
    elif kind == 2:
        del content[second : second + length]
    elif kind == 3:
        content[second:second] = content[first : first + length]
    else:
        del content[max(600, second) :]


def _track(source: str, folder: Path, *more: str) -> subprocess.Popen[str]:
    network = folder / "tiny.onnx"
    if not network.exists():
        write_network(network)
    command = [sys.executable, str(ROOT / "main.py"), "track", source, "--model", str(network), *more]
    command += ["--project", str(folder), "--name", "run", "--progress", "json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _rows(path: Path) -> list[dict[str, float]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = []
    for line in lines[1:]:
        with suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def kill(*, full: bool) -> None:
    """kill -9 while recording a live camera."""
    count = 100 if full else 6
    generator = random.Random(3)
    video_lost, rows_lost, broken = [], [], 0
    with MjpegCamera(20) as camera:
        for _ in range(count):
            with tempfile.TemporaryDirectory() as folder:
                process = _track(camera.address, Path(folder), "--save")
                for line in process.stdout or ():
                    if json.loads(line)["frames"] > 10:
                        break
                time.sleep(generator.uniform(0.5, 3.0))
                os.kill(process.pid, signal.SIGKILL)
                said = process.communicate()[0].splitlines()
                total = json.loads(said[-1])["frames"] if said else 0
                try:
                    (video,) = (Path(folder) / "run").glob("*.mp4")
                    frames = len(list(FileSource(video)))
                except (SourceError, ValueError):
                    broken += 1
                    continue
                rows = len(_rows(next((Path(folder) / "run").glob("*.jsonl.partial"))))
                video_lost.append(max(0, total - frames) / 20)
                rows_lost.append(max(0, total - rows) / 20)
    show("kill -9", f"{count} times: the video plays, at most 1 s is lost",
         f"{broken} broken, {max(video_lost):.2f} s", good=not broken and max(video_lost) <= 1.0)  # fmt: skip
    show("kill -9", "at most 1 s of annotations is lost", f"{max(rows_lost):.2f} s", good=max(rows_lost) <= 1.0)


SUBJECTS: dict[str, Callable[..., None]] = {
    "loss": loss,
    "time": true_time,
    "first": first,
    "backpressure": backpressure,
    "media": media,
    "kill": kill,
    "signals": partial(signals, show),
    "disk": partial(disk, show),
    "soak": partial(soak, show),
    "sources": partial(sources, show),
    "alerts": partial(alerts, show),
}


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", choices=[[], *SUBJECTS], help="all without any")
    parser.add_argument("--full", action="store_true", help="at the scale of the bars")
    options = parser.parse_args()
    for name in options.subjects or SUBJECTS:
        SUBJECTS[name](full=options.full)
    print(f"{sum(verdicts)} of {len(verdicts)} pass")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
