"""`explain`: why a network says what it says of an image, or of a track's best frame."""

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
    parser = subparsers.add_parser("explain", help="where a network's evidence lies, and its feature maps")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="an image, or with --track a recording")
    text = "a .safetensors file of ours: detector, classifier or segmentation; or auto (default auto)"
    parser.add_argument("--model", default="auto", metavar="MODEL", help=text)
    parser.add_argument("--conf", type=float, metavar="SCORE", help="lowest score of the detections explained")
    text = (
        "how evidence is found: layercam, hirescam, gradcam, eigencam, occlusion, lime, guided or deconv; "
        "the last three need captum (default layercam)"
    )
    parser.add_argument("--method", default="layercam", metavar="NAME", help=text)
    text = "what is explained of a detection: score, class, objectness or box, the box's size (default: each apart)"
    parser.add_argument("--of", dest="quantity", metavar="WHAT", help=text)
    text = "the layer whose map is weighted, as the network calls it, such as neck.down3 (default: what the heads read)"
    parser.add_argument("--layer", metavar="NAME", help=text)
    text = "the class or label explained (default: the most likely class; every label that the image shows)"
    parser.add_argument("--label", metavar="NAME", help=text)
    text = "explain this track of a recording, in the frame where its score is highest"
    parser.add_argument("--track", type=int, metavar="ID", help=text)
    text = "with --track: the recorded video, where it is not where it was"
    parser.add_argument("--video", type=Path, metavar="FILE", help=text)
    text = "detections or labels explained, the surest or largest first (default 5)"
    parser.add_argument("--most", type=int, default=5, metavar="N", help=text)
    parser.add_argument("--out", type=Path, default=Path("runs/explain"), metavar="DIR", help="(default runs/explain)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from tracker.commands.explain_kinds import explain_with

    if options.most < 1:
        raise ConfigError(f"--most {options.most}: expected 1 or more")
    if options.track is not None:
        image, box = _of_track(options.image, options.track, options.video)
    elif options.video is not None:
        raise ConfigError("--video: goes with --track")
    else:
        image, box = _read(options.image), None
    options.out.mkdir(parents=True, exist_ok=True)
    for pattern in ("evidence-*.png", "features-*.png", "filters-*.png"):
        for old in options.out.glob(pattern):
            old.unlink()  # another image's would stand beside this one's
    sys.stdout.write("\n".join(explain_with(options, image, box)) + "\n")
    return 0


def _read(path: Path) -> Image:
    from tracker.image_file import read_image

    if path.suffix == ".sqlite":
        raise ConfigError(f"{path}: a recording; say which track with --track ID")
    image = read_image(path).pixels
    if image is None:
        raise SourceError(f"{path}: no image that can be read; check the path")
    return image


def _of_track(path: Path, track: int, video: Path | None) -> tuple[Image, Any]:
    """The frame where the track's score is highest, and its box there."""
    from tracker.annotate.dataset import recorded_source
    from tracker.observations import Origin
    from tracker.store import Recording
    from tracker.video import FileSource, open_source

    with Recording(path) as recording:
        rows = recording.observations_of(track)
        rows = rows[rows.origins == Origin.DETECTED]
        if not len(rows):
            raise ConfigError(f"{path}: no track {track} with a detection; counts {path} lists the tracks")
        best = int(rows.scores.argmax())
        wanted, box = int(rows.frames[best]), rows.boxes[best].astype("float32")
        source = open_source(recorded_source(recording, video))
    try:
        if isinstance(source, FileSource):
            return source.frame_at(wanted).image, box
        for frame in source:
            if frame.index == wanted:
                return frame.image, box
    finally:
        source.close()
    raise SourceError(f"{path}: frame {wanted} is recorded, but does not decode any more")
