"""`explain`: why a network says what it says of an image or a track's best frame, and why detections are no tracks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tracker.errors import ConfigError, SourceError
from tracker.types import Image

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `explain`."""
    parser = subparsers.add_parser("explain", help="where a network's evidence lies; why detections are no tracks")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="an image, or with --track or --frame a recording")
    text = "a .safetensors file of ours: detector, classifier, segmenter or localizer; or auto (default auto)"
    parser.add_argument("--model", default="auto", metavar="MODEL", help=text)
    parser.add_argument("--conf", type=float, metavar="SCORE", help="lowest score of the detections explained")
    text = (
        "how evidence is found: layercam, hirescam, gradcam, eigencam, occlusion, lime, guided or deconv; "
        "the last three need captum (default layercam)"
    )
    parser.add_argument("--method", default="layercam", metavar="NAME", help=text)
    text = (
        "what is explained of a detection: score, class, objectness or box, the box's size; of a localizer class "
        "or box (default: each apart)"
    )
    parser.add_argument("--of", dest="quantity", metavar="WHAT", help=text)
    text = "the layer whose map is weighted, as the network calls it, such as neck.down3 (default: what the heads read)"
    parser.add_argument("--layer", metavar="NAME", help=text)
    text = "the class or label explained (default: the most likely class; every label that the image shows)"
    parser.add_argument("--label", metavar="NAME", help=text)
    text = (
        "of an image: explain the one detection that overlaps this box of its pixels most, by 0.3 at least; those of "
        "a score from 0.05 on count, or from --conf"
    )
    parser.add_argument("--box", metavar="X1,Y1,X2,Y2", help=text)
    text = "explain this track of a recording, in the frame where its score is highest"
    parser.add_argument("--track", type=int, metavar="ID", help=text)
    text = "of a recording: say what became of each detection of this frame, from 0"
    parser.add_argument("--frame", type=int, metavar="N", help=text)
    text = "with --track or --frame: the recorded video, where it is not where it was"
    parser.add_argument("--video", type=Path, metavar="FILE", help=text)
    text = "detections or labels explained, the surest or largest first (default 5)"
    parser.add_argument("--most", type=int, default=5, metavar="N", help=text)
    parser.add_argument("--out", type=Path, default=Path("runs/explain"), metavar="DIR", help="(default runs/explain)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from tracker.commands.explain_kinds import explain_with

    if options.most < 1:
        raise ConfigError(f"--most {options.most}: expected 1 or more")
    if options.box is not None and (options.frame is not None or options.track is not None):
        raise ConfigError("--box: goes with an image, not with --track or --frame")
    options.box = None if options.box is None else _corners(options.box)
    if options.frame is not None:
        return _explain_frame(options)
    if options.track is not None:
        image, box = _of_track(options.image, options.track, options.video)
    elif options.video is not None:
        raise ConfigError("--video: goes with --track or --frame")
    else:
        image, box = _read(options.image), None
    options.out.mkdir(parents=True, exist_ok=True)
    for pattern in ("evidence-*.png", "features-*.png", "filters-*.png"):
        for old in options.out.glob(pattern):
            old.unlink()  # another image's would stand beside this one's
    sys.stdout.write("\n".join(explain_with(options, image, box)) + "\n")
    return 0


def _corners(text: str) -> Any:
    """The four numbers of a box."""
    import numpy as np

    try:
        corners = np.array([float(part) for part in text.split(",")], np.float32)
    except ValueError:
        corners = np.empty(0, np.float32)
    if len(corners) != 4 or not np.isfinite(corners).all() or (corners[:2] >= corners[2:]).any():
        raise ConfigError(f"--box {text}: expected x1,y1,x2,y2 in pixels, such as 40,20,90,160, x1 < x2 and y1 < y2")
    return corners


def _read(path: Path) -> Image:
    from tracker.image_file import read_image

    if path.suffix == ".sqlite":
        raise ConfigError(f"{path}: a recording; say which track with --track ID, or which frame with --frame N")
    image = read_image(path).pixels
    if image is None:
        raise SourceError(f"{path}: no image that can be read; check the path")
    return image


def _of_track(path: Path, track: int, video: Path | None) -> tuple[Image, Any]:
    """The frame where the track's score is highest, and its box there."""
    from tracker.annotate.media_info import open_recorded
    from tracker.observations import Origin
    from tracker.store import Recording

    with Recording(path) as recording:
        rows = recording.observations_of(track)
        rows = rows[rows.origins == Origin.DETECTED]
        if not len(rows):
            raise ConfigError(f"{path}: no track {track} with a detection; counts {path} lists the tracks")
        best = int(rows.scores.argmax())
        wanted, box = int(rows.frames[best]), rows.boxes[best].astype("float32")
        with open_recorded(recording, video) as source:
            return source.frame_at(wanted).image, box


def _explain_frame(options: argparse.Namespace) -> int:
    """One line for each detection of a recorded frame."""
    from tracker.annotate.media_info import open_recorded
    from tracker.annotate.replay import recorded_tracker, replay
    from tracker.config import DetectorConfig, build
    from tracker.factory import floor_of, make_detector, usable_cores
    from tracker.store import Recording

    with Recording(options.image) as recording:
        indices, _ = recording.frame_times()
        if options.frame not in indices:
            raise SourceError(
                f"{options.image}: frame {options.frame} is not recorded; it holds {len(indices)} frames from "
                f"{recording.first_frame} to {recording.last_frame}"
            )
        settings = recording.info.settings
        asked = {"model": options.model} if options.model != "auto" else {}
        asked |= {"conf": options.conf} if options.conf is not None else {}
        config = build(DetectorConfig, {**settings["detector"], **asked}, "detector")
        floor = floor_of(recorded_tracker(settings, 0.0))
        detector = make_detector(config, threads=usable_cores(), floor=floor)
        with open_recorded(recording, options.video) as source:
            (found,) = detector.detect([source.frame_at(options.frame).image])
        explain = replay(recording, options.frame, found, recorded_tracker(settings, detector.conf))
    for row, (class_id, score) in enumerate(zip(found.class_ids.tolist(), found.scores.tolist(), strict=True)):
        x1, y1, x2, y2 = found.boxes[row].tolist()
        where = f"at {x1:.0f}, {y1:.0f} to {x2:.0f}, {y2:.0f}"
        sys.stdout.write(f"{row}: {detector.labels[class_id]} {score:.2f} {where}: {explain(row)}\n")
    if not len(found):
        sys.stdout.write("nothing was detected in the frame; try a lower --conf\n")
    return 0
