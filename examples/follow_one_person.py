"""A video that follows one object: the track seen longest, or the one of --id.

python examples/follow_one_person.py street.mp4 --out followed.mp4
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

import tracker


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the video; the id that it follows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--id", type=int, help="as the window shows it; without it the track seen longest")
    parser.add_argument("--out", type=Path, default=Path("followed.mp4"))
    parser.add_argument("--recordings", type=Path, default=Path("runs/annotate"), help="folder of recordings")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    with tracker.annotate(options.video, options.recordings, model=options.model) as recording:
        chosen = options.id or max(recording.tracks(), key=lambda track: track.observations).track_id
        rows = recording.observations_of(chosen)
    boxes = dict(zip(rows.frames.tolist(), rows.boxes, strict=True))
    largest = (rows.boxes[:, 2:] - rows.boxes[:, :2]).max()
    side = max(32, round(1.5 * float(largest)))

    with (
        closing(tracker.open_source(options.video)) as source,
        closing(tracker.VideoSink(options.out, rate=source.info.rate, time_base=source.info.time_base)) as sink,
    ):
        for frame in source:
            if frame.index in boxes:
                crop = cut_square(frame.image, boxes[frame.index], side)
                shown = replace(frame, image=crop)
                sink.write(tracker.FrameResult(shown, tracker.Detections.empty(), tracker.Tracks.empty(), ()))
    print(f"track {chosen}, {len(boxes)} frames: {options.out}")
    return int(chosen)


def cut_square(image: tracker.Image, box: np.ndarray, side: int) -> tracker.Image:
    """The square of that side around the box's centre, moved inside the image, black where the image is smaller."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box.tolist()
    left = int(np.clip((x1 + x2 - side) / 2, 0, max(0, width - side)))
    top = int(np.clip((y1 + y2 - side) / 2, 0, max(0, height - side)))
    square = np.zeros((side, side, 3), np.uint8)
    part = image[top : top + side, left : left + side]
    square[: part.shape[0], : part.shape[1]] = part
    return square


if __name__ == "__main__":
    main()
