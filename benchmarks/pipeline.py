"""What the whole program costs over its bare network: 1080p file to annotated 1080p file, as a share of its rate.

`python -m benchmarks.pipeline [--video FILE] [--model MODEL] [--imgsz 640]`

The bare network runs the letterboxed canvases of the same frames through the same engine, nothing else; the pipeline
decodes, letterboxes, detects, cuts masks, tracks, draws, encodes and writes both annotation files. Both are measured
in turns, so that a drifting machine hits both alike. The bare network is measured twice: one call at a time on all
cores, as it is usually run, and one call per core at once, the most the machine can give.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2

from tracker.commands import demo_clip
from tracker.commands.track import Outputs, open_sinks
from tracker.detect.engines.onnx import OnnxDetector
from tracker.factory import Settings, load_settings, make_pipeline, make_runner
from tracker.geometry import Letterbox
from tracker.types import Detections, Frame, FrameResult, Image, Tracks
from tracker.video import VideoSink, open_source

STREET = Path(__file__).parents[2] / "shared" / "data" / "video" / "aiguys_test.mp4"
SIZE = (1920, 1080)
FRAMES = 240
ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="any video; brought to 1080p first when it is not")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--imgsz", type=int, default=640)
    options = parser.parse_args()
    settings = load_settings(
        {"detector": {"model": options.model, "imgsz": options.imgsz}, "output": {"save": True}}, "benchmark"
    )
    with tempfile.TemporaryDirectory() as folder:
        clip = _clip(options.video or (STREET if STREET.is_file() else None), Path(folder))
        _compare(clip, settings, Path(folder))


def _clip(video: Path | None, folder: Path) -> Path:
    """A 1080p file: the video itself, or FRAMES frames of it brought to that size."""
    if video is not None and (open_source(str(video)).info.width, open_source(str(video)).info.height) == SIZE:
        return video
    path = folder / "clip.mp4"
    sink = VideoSink(path, rate=Fraction(25), time_base=Fraction(1, 12800), quality=20)
    frames = open_source(str(video)) if video is not None else demo_clip.frames()
    for index, frame in enumerate(islice(frames, FRAMES)):
        image = frame.image if frame.image.shape[1::-1] == SIZE else cv2.resize(frame.image, SIZE)
        sink.write(FrameResult(Frame(image, index, index / 25, "clip"), Detections.empty(), Tracks.empty(), ()))
    sink.close()
    return path


def _compare(clip: Path, settings: Settings, folder: Path) -> None:
    images = [frame.image for frame in islice(open_source(str(clip)), 0, FRAMES, 8)]
    built = make_pipeline(settings, live=False, draw=True)
    one_thread = built.pipeline.detector
    all_threads = make_pipeline(settings, live=True, draw=False).pipeline.detector
    assert isinstance(one_thread, OnnxDetector)
    assert isinstance(all_threads, OnnxDetector)
    canvases = [_letterbox(image, settings).apply(image) for image in images]
    usual, most, whole = [], [], []
    for number in range(ROUNDS):
        usual.append(_rate(len(canvases), lambda: [all_threads.run_network(canvas[None]) for canvas in canvases]))
        with ThreadPoolExecutor(built.workers) as pool:
            most.append(
                _rate(
                    len(canvases), lambda: list(pool.map(lambda canvas: one_thread.run_network(canvas[None]), canvases))
                )
            )
        whole.append(_whole_rate(clip, settings, folder / f"run{number}"))
    bare, ceiling, rate = statistics.median(usual), statistics.median(most), statistics.median(whole)
    print(f"engine                                        {built.engine}, {settings.detector.imgsz} pixels")
    print(f"bare network, one call at a time, all cores   {bare:6.1f} frames/s")
    print(f"bare network, one call per core at once       {ceiling:6.1f} frames/s")
    print(f"1080p file to annotated 1080p file            {rate:6.1f} frames/s")
    print(f"share of the bare network                     {rate / bare:6.0%}   (peers: 23 % to 41 %)")
    print(f"share of all the machine can give             {rate / ceiling:6.0%}")


def _letterbox(image: Image, settings: Settings) -> Letterbox:
    height, width = image.shape[:2]
    return Letterbox.fit(width, height, settings.detector.imgsz or 640)


def _rate(count: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def _whole_rate(clip: Path, settings: Settings, folder: Path) -> float:
    folder.mkdir()
    source = open_source(str(clip))
    built = make_pipeline(settings, live=False, draw=True)
    outputs = Outputs(folder / "clip.mp4", {"mot": folder / "clip.txt", "jsonl": folder / "clip.jsonl"})
    runner = make_runner(source, built, open_sinks(source, outputs), settings)
    started = time.perf_counter()
    return runner.run().frames / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
