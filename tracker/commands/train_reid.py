"""`train reid`: a network that finds the same person or thing again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.commands.train_options import add_fit_options, fit_config
from tracker.errors import ConfigError
from tracker.nets.reid import ReidConfig, load_reid
from tracker.train.data.identity_crops import Crops, cut_crops, join_crops, split_identities
from tracker.train.reid import ReidTraining, score_reid, train_reid
from tracker.train.run_folder import tell_if_interrupted
from tracker.train.trainer import FitConfig

__all__ = ["add_parser", "cut_pairs"]


def add_parser(train_subparsers: Any) -> None:
    """Add `reid`."""
    parser = train_subparsers.add_parser("reid", help="a network that finds the same person or thing again")
    text = "VIDEO=TRACKS: tracks are a MOT text file (ground truth or result) or a recording of ours; may be repeated"
    parser.add_argument("--data", action="append", required=True, metavar="VIDEO=TRACKS", help=text)
    parser.add_argument("--height", type=int, default=256, help="of a crop as the network takes it (default 256)")
    parser.add_argument("--width", type=int, default=128, help="of a crop as the network takes it (default 128)")
    parser.add_argument("--every", type=int, default=5, metavar="N", help="take every n-th box of a track (default 5)")
    text = "share of the identities set aside to judge by (default 0.3)"
    parser.add_argument("--validation-share", type=float, default=0.3, metavar="SHARE", help=text)
    text = "osnet_x0_25 ... osnet_x1_0, or any backbone such as resnet18 (default osnet_x0_25)"
    parser.add_argument("--backbone", default="osnet_x0_25", metavar="NAME", help=text)
    text = "a network to start from: one of ours, or a torchreid OSNet (.pt)"
    parser.add_argument("--pretrained", type=Path, metavar="FILE", help=text)
    parser.add_argument("--people", type=int, default=8, metavar="P", help="identities per batch (default 8)")
    parser.add_argument("--crops", type=int, default=4, metavar="K", help="crops of each (default 4)")
    parser.add_argument("--margin", type=float, default=0.3, help="of the triplet loss (default 0.3)")
    add_fit_options(parser, FitConfig(epochs=30, learning_rate=1e-3), out="runs/reid")
    parser.set_defaults(run=_run)


def cut_pairs(pairs: Sequence[str], *, size: tuple[int, int], every: int) -> list[Crops]:
    """The crops of each VIDEO=TRACKS, scaled to `size` (height, width)."""
    parts = []
    for pair in pairs:
        video, equals, tracks = pair.rpartition("=")
        if not equals or not video:
            raise ConfigError(f"--data {pair}: expected VIDEO=TRACKS, such as walk.mp4=walk/gt/gt.txt")
        parts.append(cut_crops(Path(video), Path(tracks), size=size, every=every))
    return parts


def _run(options: argparse.Namespace) -> int:
    crops = join_crops(cut_pairs(options.data, size=(options.height, options.width), every=options.every))
    train, val = split_identities(crops, options.validation_share, seed=options.seed)
    config = ReidTraining(
        network=ReidConfig(backbone=options.backbone, height=options.height, width=options.width),
        pretrained=options.pretrained,
        people=options.people,
        crops=options.crops,
        margin=options.margin,
        fit=fit_config(options),
    )
    _tell(
        f"{len(train)} crops of {len(set(train.ids.tolist()))} to train on, "
        f"{len(val)} of {len(set(val.ids.tolist()))} others to judge by"
    )
    with tell_if_interrupted(options.out):
        result = train_reid(config, train, val if len(val) else None, options.out, report=_tell)
    told = ""
    if len(val):
        score = score_reid(load_reid(result.best), val)
        told = f"  rank-1 {score.rank1:.3f}  mAP {score.mean_average_precision:.3f} over {score.queries} queries"
        if not score.queries:
            told = "  (the last epoch: nobody set aside was seen twice; give longer videos, or a smaller --every)"
    _tell(f"best of {result.epochs} epochs: {result.best}{told}")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
