"""A copy of a video in which nobody can be recognised; time stamps and sound stay.

    python examples/blur_people.py street.mp4 --out blurred.mp4

Who is not detected is not blurred: look at the result before you hand it on. A lower --conf blurs more.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import tracker


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the copy; its number of frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--out", type=Path, default=Path("blurred.mp4"))
    parser.add_argument("--classes", default="person", help="parted by commas (default %(default)s)")
    parser.add_argument("--conf", type=float, default=0.3, help="lowest score that is blurred (default %(default)s)")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    nothing_drawn = dict.fromkeys(("boxes", "masks", "class_names", "ids", "scores"), False)
    settings = {"overlay": {**nothing_drawn, "blur_classes": options.classes.split(",")}}
    with closing(tracker.open_source(options.video)) as source:
        rate, clock = source.info.rate, source.info.time_base
        sink = tracker.VideoSink(options.out, rate=rate, time_base=clock, audio_from=options.video)
        with closing(sink):
            for result in tracker.track(source, model=options.model, conf=options.conf, draw=True, settings=settings):
                sink.write(result)
    print(f"{sink.frames_written} frames: {options.out}")
    return sink.frames_written


if __name__ == "__main__":
    main()
