"""`train reid`: a network that finds the same person or thing again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.commands.command_parser import comma_list
from tracker.commands.train_options import add_fit_options, add_training_settings, training_settings, write_line
from tracker.detect.reid_embedder import CropEmbedder
from tracker.errors import ConfigError
from tracker.nets.export_reid import export_reid
from tracker.nets.reid import load_reid
from tracker.train.data.detection import load_data
from tracker.train.data.identity_crops import (
    Crops,
    Teacher,
    crops_of_images,
    cut_crops,
    join_crops,
    split_identities,
)
from tracker.train.reid import ReidTraining, score_reid, train_reid
from tracker.train.run_folder import training_into
from tracker.train.trainer import FitConfig

__all__ = ["add_parser", "cut_pairs"]


DEFAULTS = ReidTraining(fit=FitConfig(epochs=30, learning_rate=1e-3))
KEYS = {
    **{name: name for name in ("teacher_weight", "identity_weight", "triplet_weight", "pretrained")},
    **{name: name for name in ("people", "crops", "margin")},
    **{name: f"network.{name}" for name in ("height", "width", "backbone", "layout", "dimensions")},
}
"""Options and their settings."""


def add_parser(train_subparsers: Any) -> None:
    """Add `reid`."""
    parser = train_subparsers.add_parser("reid", help="a network that finds the same person or thing again")
    text = "VIDEO=TRACKS: tracks are a MOT text file (ground truth or result) or a recording of ours; may be repeated"
    parser.add_argument("--data", action="append", default=[], metavar="VIDEO=TRACKS", help=text)
    text = "data.yaml or COCO JSON: each labelled object of its training images is an identity of its own"
    parser.add_argument("--images", type=Path, metavar="FILE", help=text)
    text = "a re-identification network whose vectors are learned, any that --reid-model takes"
    parser.add_argument("--teacher", type=Path, metavar="FILE", help=text)
    text = "classes that the teacher is asked about (default: all)"
    parser.add_argument("--teach", type=comma_list, default=[], metavar="A,B", help=text)
    parser.add_argument("--teacher-weight", type=float, default=10.0, help="of its part of the loss (default 10)")
    text = "of telling the training identities apart; 0 for many of one crop each (default 1)"
    parser.add_argument("--identity-weight", type=float, default=1.0, help=text)
    parser.add_argument("--triplet-weight", type=float, default=1.0, help="of the triplets (default 1)")
    parser.add_argument("--height", type=int, default=256, help="of a crop as the network takes it (default 256)")
    parser.add_argument("--width", type=int, default=128, help="of a crop as the network takes it (default 128)")
    parser.add_argument("--every", type=int, default=5, metavar="N", help="take every n-th box of a track (default 5)")
    text = "share of the identities set aside to judge by (default 0.3)"
    parser.add_argument("--validation-share", type=float, default=0.3, metavar="SHARE", help=text)
    text = "osnet_x0_25 ... osnet_x1_0, or any backbone such as resnet18 (default osnet_x0_25)"
    parser.add_argument("--backbone", default="osnet_x0_25", metavar="NAME", help=text)
    text = "which OSNet: the authors' or that of Open Model Zoo's retail networks (default torchreid)"
    parser.add_argument("--layout", choices=("torchreid", "openvino"), default="torchreid", help=text)
    parser.add_argument("--dimensions", type=int, default=512, help="length of the vectors (default 512)")
    text = (
        "a network to start from: one of ours, a torchreid OSNet (.pt), or person-reidentification-retail-0288 (.onnx)"
    )
    parser.add_argument("--pretrained", type=Path, metavar="FILE", help=text)
    parser.add_argument("--people", type=int, default=8, metavar="P", help="identities per batch (default 8)")
    parser.add_argument("--crops", type=int, default=4, metavar="K", help="crops of each (default 4)")
    parser.add_argument("--margin", type=float, default=0.3, help="of the triplet loss (default 0.3)")
    add_fit_options(parser, DEFAULTS.fit, out="runs/reid")
    add_training_settings(parser, KEYS, kind="reid")
    parser.set_defaults(run=_run)


def cut_pairs(
    pairs: Sequence[str], *, size: tuple[int, int], every: int, teacher: Teacher | None = None
) -> list[Crops]:
    """The crops of each VIDEO=TRACKS, scaled to `size` (height, width)."""
    parts = []
    for pair in pairs:
        video, equals, tracks = pair.rpartition("=")
        if not equals or not video:
            raise ConfigError(f"--data {pair}: expected VIDEO=TRACKS, such as walk.mp4=walk/gt/gt.txt")
        parts.append(cut_crops(Path(video), Path(tracks), size=size, every=every, teacher=teacher))
    return parts


def _crops(options: argparse.Namespace, config: ReidTraining) -> tuple[Crops, Crops]:
    """What is trained on, and what is judged by."""
    if not options.data and options.images is None:
        raise ConfigError("nothing to learn from: give --data VIDEO=TRACKS, --images data.yaml, or both")
    size = (config.network.height, config.network.width)
    teacher = None
    if options.teacher is not None:
        teacher = Teacher(CropEmbedder(options.teacher), tuple(options.teach))
    train, val = [], None
    if options.data:
        along = join_crops(cut_pairs(options.data, size=size, every=options.every, teacher=teacher))
        kept, val = split_identities(along, options.validation_share, seed=config.fit.seed)
        train.append(kept)
    if options.images is not None:
        train.append(crops_of_images(load_data(options.images)[0]["train"], size=size, teacher=teacher))
    return join_crops(train), train[0][:0] if val is None else val


def _run(options: argparse.Namespace) -> int:
    config = training_settings(options, DEFAULTS, KEYS)
    train, val = _crops(options, config)
    write_line(
        f"{len(train)} crops of {len(set(train.ids.tolist()))} to train on, "
        f"{len(val)} of {len(set(val.ids.tolist()))} others to judge by"
    )
    with training_into(options.out):
        result = train_reid(config, train, val if len(val) else None, options.out, report=write_line)
    export_reid(result.best.with_suffix(".onnx"), load_reid(result.best))
    accuracy = ""
    if len(val):
        score = score_reid(load_reid(result.best), val)
        accuracy = f"  rank-1 {score.rank1:.3f}  mAP {score.mean_average_precision:.3f} over {score.queries} queries"
        if not score.queries:
            accuracy = "  (the last epoch: nobody set aside was seen twice; give longer videos, or a smaller --every)"
    write_line(f"best of {result.epochs} epochs: {result.best}{accuracy}")
    return 0
