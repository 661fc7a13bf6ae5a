"""`train detector`: a YOLO of your own, from a data.yaml or a COCO JSON file."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

from tracker.commands.evaluate_detector import open_detector
from tracker.config import DetectorConfig, assign, build, field_docs, parse_assignment, read_settings
from tracker.detect.engines.torch import TorchDetector
from tracker.embedded import trainable_file
from tracker.errors import ConfigError, named_by
from tracker.nets.ultralytics_weights import is_ultralytics_weights, open_ultralytics
from tracker.protocols import Detector
from tracker.train.data.data_yaml import read_description
from tracker.train.detector import train_detector
from tracker.train.detector_config import TrainConfig
from tracker.train.initial_weights import OWN_BACKBONE, check_start
from tracker.train.run_folder import training_into
from tracker.train.teacher import Teacher

__all__ = ["add_parser"]

NAMES = {"input_size": ("--imgsz",), "max_minutes": ("--minutes",), "start": ("--start", "--weights")}
"""Options that are called otherwise than their setting; torchrun takes --start for one of its own, hence --weights."""
FAINT = 0.02
"""Score down to which a teacher is asked: what several views see faintly counts when they agree."""


def add_parser(train_subparsers: Any) -> None:
    """Add `detector`: one option per plain setting of TrainConfig; the rest through --config and --set."""
    parser = train_subparsers.add_parser("detector", help="a network that finds objects, with masks")
    docs = field_docs(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        option = NAMES.get(field.name, (f"--{field.name.replace('_', '-')}",))
        text = docs.get(field.name, "")
        if field.name == "data":
            parser.add_argument(*option, type=Path, required=True, metavar="FILE", help=text)
        elif isinstance(field.default, bool):
            help_text = f"{text} (default {'on' if field.default else 'off'})"
            parser.add_argument(
                *option, dest=field.name, action=argparse.BooleanOptionalAction, default=None, help=help_text
            )
        elif isinstance(field.default, int | float | str | Path):
            help_text = f"{text} (default {field.default})" if field.default != "" else text
            parser.add_argument(
                *option, dest=field.name, type=type(field.default), metavar="VALUE", help=help_text.replace("%", "%%")
            )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="settings file; options given here win")
    any_setting = "any setting by its key, such as augment.mosaic=0.3 or losses.mask=1; may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=any_setting)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    logging.getLogger("tracker").setLevel(logging.INFO)
    config = _train_config(options)
    check_start(config.start)
    with training_into(config.out):
        best = train_detector(config, teachers=_open_teachers(config))
    sys.stdout.write(f"best weights: {best}\n")
    return 0


def _open_teachers(config: TrainConfig) -> list[Teacher]:
    """Any models that the program can run, looking as `teaching` says; the start only where it may have to teach."""
    teachers = []
    for name in (part.strip() for part in config.teacher.split(",")):
        option, model = ("--start", config.start) if name == "start" else ("--teacher", name)
        if model in ("", "none") or (config.teacher == "start" and not _leaves_to_teachers(config.data)):
            continue
        settings = {"model": model, "conf": FAINT, "iou": 0.6, "imgsz": config.teaching.size}
        settings |= {"masks": config.teaching.masks, "device": config.device}
        detector_config = build(DetectorConfig, settings, "settings of teaching")
        with named_by(option):
            detector = _open_teacher(detector_config)
        teachers.append(Teacher.of_file(Path(model), detector, size=config.teaching.size))
    return teachers


def _leaves_to_teachers(data: Path) -> bool:
    """Whether some folder leaves classes unlabelled, or blends its labels with a teacher's word."""
    description = read_description(data)
    return bool(description.labelled or description.blend)


def _open_teacher(detector_config: DetectorConfig) -> Detector:
    """The model; a published YOLO26 or YOLO11 is the network that a training starts from, without masks of its own."""
    path = Path(detector_config.model)
    if not is_ultralytics_weights(path):
        return open_detector(detector_config, threads=2)
    network, card, fresh = open_ultralytics(path)
    masks = detector_config.masks and "prototypes" not in fresh
    return TorchDetector((network, card), dataclasses.replace(detector_config, masks=masks))


def _train_config(options: argparse.Namespace) -> TrainConfig:
    """Defaults < --config < options < --set."""
    tree: dict[str, Any] = {}
    where = "command line"
    if options.config is not None:
        tree, where = read_settings(options.config), f"{options.config}, command line"
    for field in dataclasses.fields(TrainConfig):
        value = getattr(options, field.name, None)
        if value is not None:
            tree[field.name] = value
    for name in ("start", "pretrained"):
        if tree.get(name):
            tree[name] = str(trainable_file(str(tree[name])))
    for text in options.set:
        path, value = parse_assignment(text)
        assign(tree, path, value)
    if options.backbone is not None and tree.get("start"):
        raise ConfigError(OWN_BACKBONE)
    return build(TrainConfig, tree, where)
