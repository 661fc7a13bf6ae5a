"""Images of the app for the README: `python -m benchmarks.screenshots [--out DIR] [--only NAME]`.

Drives the real window offscreen on the videos of ../shared/data/video, in both themes. What takes the network long is
annotated first, from the first seconds of the video.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import QSettings, Qt
from PyQt6.QtGui import QFont
from PyQt6.QtWidgets import QApplication

from gui.canvas.hit_testing import Shape
from gui.jobs.queue import JobState
from gui.qt.preferences import Preferences
from gui.qt.theme import Theme, apply_theme
from gui.recording.annotation import job_of, request_of_settings
from gui.window import Window
from tracker.annotate.run import annotate_recording
from tracker.commands.demo_clip import frames
from tracker.factory import Settings

VIDEOS = Path(os.environ.get("SIGHTLINE_SHARED", "../shared")) / "data" / "video"
SIZE = (1360, 850)
STEP_S = 0.01
CLIP_S = 14.0
COLOURS = 256


class Studio:
    """A window that is brought into a state and photographed."""

    def __init__(self, app: QApplication, work: Path, out: Path) -> None:
        self.app, self.work, self.out = app, work, out
        self.window: Window | None = None

    def open(self, theme: Theme) -> Window:
        """A fresh window in that theme."""
        apply_theme(self.app, theme)
        store = QSettings(str(self.work / f"{theme}.ini"), QSettings.Format.IniFormat)
        store.clear()
        preferences = Preferences(store)
        preferences.keep("folder", str(self.work / "Sightline"))
        preferences.keep("theme", theme)
        preferences.keep("autoplay", False)
        self.window = Window(preferences)
        self.window.resize(*SIZE)
        self.window.show()
        return self.window

    def close(self) -> None:
        """End it."""
        if self.window is not None:
            self.window.quit()
            self.window.deleteLater()  # here and now: the garbage collector may come by on any thread
            self.window = None
            self.app.processEvents()
            gc.collect()

    def wait(self, condition: Callable[[], object], seconds: float = 120.0) -> None:
        """Let the app run until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the app did not get there in time; try again on an idle machine")
            self.app.processEvents()
            time.sleep(STEP_S)

    def run(self, seconds: float) -> None:
        """Let the app run for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.app.processEvents()
            time.sleep(STEP_S)

    def shoot(self, name: str) -> None:
        """Keep what the window looks like, as a small PNG."""
        assert self.window is not None
        self.run(0.3)
        path = self.out / f"{name}.png"
        self.window.grab().save(str(path))
        _shrink(path)
        print(f"{path}  {path.stat().st_size // 1024} kB")


def _shrink(path: Path) -> None:
    """The image with few colours: a tenth of the size, hardly to be told from the original."""
    from PIL import Image

    with Image.open(path) as screenshot:
        small = screenshot.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
    small.save(path, optimize=True)


def shoot_live(studio: Studio, theme: Theme) -> None:
    """Four sources, one with a line drawn."""
    window = studio.open(theme)
    for name in ("supervision_walking.mp4", "car_traffic_small.mp4", "vtest.avi", "cctv.mp4"):
        window.watch(str(VIDEOS / name), loop=True)
    window.engine.change("overlay.trails", True)
    sessions = window.live.sessions
    studio.wait(lambda: all(session.rendered is not None for session in sessions))
    width, height = sessions[0].frame_size or (1, 1)
    line = Shape("line", "kerb", ((0.1 * width, 0.62 * height), (0.9 * width, 0.55 * height)))
    sessions[0].use_shapes([line])
    window.live.tiles[0].view.show_shapes([line])
    window.live.choose(window.live.tiles[0])
    studio.run(12)
    window.say("")
    studio.shoot(f"live-{theme}")


def shoot_recording(studio: Studio, theme: Theme) -> None:
    """A finished recording with a selected track."""
    window = studio.open(theme)
    window.engine.change("overlay.trails", True)
    window.play(str(studio.work / "walking.mp4"))
    recording = window.recordings.recording
    assert recording is not None
    studio.wait(lambda: recording.finished and recording.player.ready)
    overview = recording.overview
    assert overview is not None
    width, height = overview.size
    recording.use_shapes([Shape("line", "gate", ((0.05 * width, 0.55 * height), (0.95 * width, 0.62 * height)))])
    window.recordings.view.show_shapes(recording.counts.shapes)
    middle = recording.player.count // 2
    for frame in range(middle - 30, middle + 1):
        recording.player.seek(frame)
        studio.wait(lambda frame=frame: recording.player.index == frame)  # type: ignore[misc]
    here = [track for track in overview.tracks if track.first_frame <= middle <= track.last_frame]
    if here:
        recording.select([max(here, key=lambda track: track.observations).track_id])
    studio.run(3)
    window.say("")
    studio.shoot(f"recording-{theme}")


def shoot_lines(studio: Studio, theme: Theme) -> None:
    """The line editor: a line, a zone, and a second zone being drawn."""
    window = studio.open(theme)
    window.play(str(studio.work / "court.mp4"))
    recording = window.recordings.recording
    assert recording is not None
    studio.wait(lambda: recording.finished and recording.player.ready)
    assert recording.overview is not None
    width, height = recording.overview.size
    recording.use_shapes(
        [
            Shape("line", "path", ((0.3 * width, 0.3 * height), (0.62 * width, 0.66 * height))),
            Shape("zone", "forecourt", tuple((x * width, y * height) for x, y in ZONE)),
        ]
    )
    window.recordings.view.show_shapes(recording.counts.shapes)
    middle = recording.player.count // 2
    recording.player.seek(middle)
    studio.wait(lambda: recording.player.index == middle)
    window.docks.bring("counts")
    studio.wait(lambda: any(row.inward + row.outward for row in window.recorded_counts.rows))
    studio.run(2)
    view = window.recordings.view
    window.commands["recording.zone"].setChecked(True)
    view._drawn = [(0.05 * width, 0.36 * height), (0.3 * width, 0.4 * height), (0.36 * width, 0.55 * height)]
    view._pointer = view.view().to_view((0.08 * width, 0.52 * height))
    view.update()
    window.say("Click the corners of the zone; double-click or Return closes it")
    studio.shoot(f"lines-{theme}")
    window.commands["recording.zone"].setChecked(False)


INSIDE_FRAME = 200
ZONE = ((0.62, 0.35), (0.83, 0.38), (0.95, 0.72), (0.6, 0.55))


def shoot_jobs(studio: Studio, theme: Theme) -> None:
    """The jobs dock: an archive that is annotated, a training at work with its curves, and an export that waits."""
    window = studio.open(theme)
    window.show_page(window.networks)
    studio.wait(lambda: window.networks.names)
    window.docks.bring("jobs")
    window.resizeDocks([window.docks["jobs"]], [330], Qt.Orientation.Vertical)
    jobs, out = window.jobs, studio.work / f"shapes-{theme}"
    shutil.rmtree(out, ignore_errors=True)
    archive = jobs.add("Annotate videos: archive", ["annotate", str(studio.work / "walking.mp4"), "--out",
                       str(studio.work / "archive"), "--progress", "json"])  # fmt: skip
    data = write_shapes(studio.work / "shapes.npz")
    command = ["train", "classifier", "--data", str(data), "--backbone", "lenet5", "--out", str(out), "--epochs", "60"]
    training = jobs.add("Train a classifier: shapes.npz", command, out)
    jobs.add("Export recordings: walking.sqlite", ["export-annotations", str(studio.work / "archive/walking.sqlite"),
             "--format", "coco,cvat", "--out", str(studio.work / "exported")])  # fmt: skip
    studio.wait(lambda: archive.state is not JobState.RUNNING, 300)
    window.jobs_panel._list.setCurrentRow(1)
    studio.wait(lambda: any(len(points) >= 12 for points in training.curves.values()), 300)
    window.jobs_panel.show_curves_tab()
    studio.shoot(f"jobs-{theme}")
    shutil.rmtree(out, ignore_errors=True)


def shoot_inside(studio: Studio, theme: Theme) -> None:
    """The page that looks inside, with the cells and boxes of a frame of the demo."""
    window = studio.open(theme)
    window.show_page(window.inside)
    page = window.inside
    page.take(next(frame for frame in frames() if frame.index == INSIDE_FRAME).image)
    studio.wait(lambda: page.shown is not None and page.network.count() and not page.busy)
    page.tabs.setCurrentIndex(2)
    page.stride.setCurrentIndex(2)
    studio.wait(lambda: not page.busy and page.shown is not None and "boxes above" in page.shown.words)
    studio.shoot(f"inside-{theme}")


def write_shapes(path: Path) -> Path:
    """Noisy discs, squares and crosses with their labels, for a training that takes seconds."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:28, :28]
    images, labels = [], rng.integers(0, 3, 700)
    for label in labels.tolist():
        y, x, size = rng.uniform(9, 19), rng.uniform(9, 19), rng.uniform(4, 8)
        down, along = np.abs(rows - y), np.abs(columns - x)
        inside = (
            down**2 + along**2 < size**2,
            np.maximum(down, along) < size * 0.9,
            (np.minimum(down, along) < 1.5) & (np.maximum(down, along) < size),
        )[label]
        images.append(np.clip(inside * 110 + rng.normal(70, 55, (28, 28)), 0, 255))
    np.savez(path, images=np.array(images, np.uint8), labels=labels)
    return path


SCENES = {
    "live": shoot_live,
    "recording": shoot_recording,
    "lines": shoot_lines,
    "jobs": shoot_jobs,
    "inside": shoot_inside,
}
CLIPS = {"walking.mp4": "supervision_walking.mp4", "court.mp4": "vtest.avi"}


def _prepare(work: Path, names: list[str]) -> None:
    """Cut the videos short and annotate them."""
    for name in names:
        _cut(VIDEOS / CLIPS[name], work / name)
        job = job_of(work / name, work / "Sightline")
        report = annotate_recording(job, request_of_settings(Settings(), refine=True))
        print(f"{name}: {report.frames} frames, {report.tracks} tracks in {report.seconds:.0f} s")


def _cut(source: Path, path: Path) -> None:
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream("libx264", rate=stream.average_rate, options={"crf": "18", "preset": "ultrafast"})
        copy.width, copy.height, copy.pix_fmt = stream.width, stream.height, "yuv420p"
        for frame in read.decode(stream):
            if frame.time is not None and frame.time > CLIP_S:
                break
            image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            written.mux(copy.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        written.mux(copy.encode(None))


def main() -> int:
    """Make all images; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"), help="folder for the PNG files")
    parser.add_argument("--only", nargs="*", default=list(SCENES), choices=list(SCENES), help="scenes to shoot")
    parser.add_argument("--theme", nargs="*", default=["light", "dark"], choices=["light", "dark"])
    parser.add_argument("--work", type=Path, help="folder for clips and recordings, kept; else a temporary one")
    options = parser.parse_args()
    app = QApplication(sys.argv[:1])
    app.setFont(QFont("DejaVu Sans", 9))
    options.out.mkdir(parents=True, exist_ok=True)
    work = options.work or Path(tempfile.mkdtemp(prefix="sightline-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        needed = {"recording": "walking.mp4", "lines": "court.mp4", "jobs": "walking.mp4"}
        wanted = dict.fromkeys(needed[scene] for scene in options.only if scene in needed)
        _prepare(work, [name for name in wanted if not (work / name).exists()])
        studio = Studio(app, work, options.out)
        for name in options.only:
            for theme in options.theme:
                SCENES[name](studio, theme)
                studio.close()
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
