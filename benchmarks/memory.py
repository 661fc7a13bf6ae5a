"""What the program needs of memory, and whether it grows with the length of the video.

`python -m benchmarks.memory [--video FILE]`

Tracks a clip once, then the same clip played ten times over, each in a fresh process, and prints the peak resident
sizes. The annotated video and both annotation files are written.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

from tracker.commands import demo_clip
from tracker.types import Detections, Frame, FrameResult, Tracks
from tracker.video import VideoSink, open_source

SCRIPT = """
import resource, sys
import main
code = main.main(["track", sys.argv[1], "--save", "--project", sys.argv[2], "--progress", "none"])
assert code == 0, code
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
UNITS_A_MB = 2**20 if sys.platform == "darwin" else 2**10
TIMES = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="clip to play once and ten times (default: the demo's, 720p)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        once, often = Path(folder) / "once.mp4", Path(folder) / "often.mp4"
        frames = _play(options.video, once, 1)
        _play(options.video, often, TIMES)
        peaks = [_peak_mb(clip, Path(folder) / clip.stem) for clip in (once, often)]
    print(f"clip of {frames} frames once         peak {peaks[0]:6.1f} MB")
    print(f"the same {TIMES} times over      peak {peaks[1]:6.1f} MB")
    print(f"growth                       {peaks[1] - peaks[0]:+6.1f} MB   (bar: 30)")


def _play(video: Path | None, path: Path, times: int) -> int:
    """Write the clip `times` over as one file; the number of frames in one pass."""
    sink = VideoSink(path, rate=Fraction(30), time_base=Fraction(1, 15360))
    index = 0
    for _ in range(times):
        for frame in open_source(str(video)) if video is not None else demo_clip.frames():
            copy = Frame(frame.image, index, index / 30, path.name)
            sink.write(FrameResult(copy, Detections.empty(), Tracks.empty(), ()))
            index += 1
    sink.close()
    return index // times


def _peak_mb(clip: Path, project: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(clip), str(project)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("PEAK"))
    return int(line.split()[1]) / UNITS_A_MB


if __name__ == "__main__":
    main()
