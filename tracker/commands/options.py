"""Options that several commands share, and how they become settings: defaults < the user's
file and environment < --config < options < --set.

An option's help is the docstring of the setting it stands for.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any, NamedTuple, get_args

from tracker.commands.command_parser import comma_list
from tracker.commands.user_settings import user_settings
from tracker.config import (
    DetectorConfig,
    HardwareChoice,
    OutputConfig,
    SemanticConfig,
    SourceConfig,
    TrackerConfig,
    assign,
    assign_tables,
    field_docs,
    parse_assignment,
    read_settings,
)
from tracker.config.run_settings import read_class_conf, tile_grid
from tracker.factory import SCORE_SETTINGS, Settings, load_settings
from tracker.overlay import OverlayConfig
from tracker.paths import typed_path

__all__ = [
    "ABOUT_THE_RUN",
    "add_detector_options",
    "add_live_options",
    "add_output_options",
    "add_semantic_options",
    "add_settings_options",
    "add_source_options",
    "add_tracking_options",
    "hidden_by_user",
    "not_empty",
    "settings_from",
]

log = logging.getLogger(__name__)

ABOUT_THE_RUN = ("command", "input")
"""What args.yaml holds beside the settings."""
DETECTOR = (
    "model",
    "conf",
    "iou",
    "imgsz",
    "classes",
    "tiles",
    "roi",
    "max_det",
    "classify_tracks",
    "classify_classes",
    "device",
    "precision",
    "batch",
    "masks",
)
SECTIONS = {
    "detector": (DetectorConfig, DETECTOR),
    "source": (SourceConfig, ("vid_stride", "wait", "rtsp_transport", "hwaccel", "most_failures")),
    "semantic": (SemanticConfig, ("semantic",)),
    "tracker": (None, ("tracker", "appearance", "reid_model")),
    "overlay": (OverlayConfig, ("trails", "counts")),
    "output": (OutputConfig, ("save", "format", "project", "name", "progress")),
}


KEYS = {"tracker": "preset", "semantic": "network"}
"""Options that are called otherwise than their setting."""


def add_detector_options(parser: argparse.ArgumentParser) -> None:
    """Which network, which classes, how sure."""
    docs, group = field_docs(DetectorConfig), parser.add_argument_group("network")
    for name, kind, metavar in (
        ("model", str, "MODEL"),
        ("conf", score_thresholds, "SCORE"),
        ("iou", float, "IOU"),
        ("imgsz", int, "PIXELS"),
        ("classes", comma_list, "A,B"),
        ("tiles", tile_text, "AUTO|RxC"),
        ("roi", polygon, "'X,Y X,Y X,Y'"),
        ("max_det", int, "N"),
        ("device", str, "DEVICE"),
        ("batch", int, "N"),
    ):
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=docs[name])
    group.add_argument("--precision", choices=("float", "int8", "auto"), help=docs["precision"])
    group.add_argument("--masks", action=argparse.BooleanOptionalAction, default=None, help=docs["masks"])


def add_semantic_options(parser: argparse.ArgumentParser) -> None:
    """What every pixel shows."""
    parser.add_argument("--semantic", type=not_empty, metavar="MODEL", help=field_docs(SemanticConfig)["network"])


def not_empty(text: str) -> str:
    """The text. Raises ArgumentTypeError where there is none, as of a shell's variable that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a name, found an empty text")
    return text


class Thresholds(NamedTuple):
    """What --conf says."""

    conf: float | None
    class_conf: tuple[str, ...]


def score_thresholds(text: str) -> Thresholds:
    """Of `0.4`, of `person=0.5,car=0.35`, or of both. Raises ArgumentTypeError for anything else."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        plain = [float(part) for part in parts if "=" not in part]
        single = tuple(part for part in parts if "=" in part)
        for part in single:
            read_class_conf(part)
    except ValueError:
        plain, single = [], ()
    if len(plain) > 1 or not (plain or single):
        raise argparse.ArgumentTypeError(
            f"expected a score from 0 to 1, or scores of classes such as person=0.5,car=0.35, found {text!r}"
        )
    return Thresholds(plain[0] if plain else None, single)


def tile_text(text: str) -> str:
    """`auto` or `2x3`. Raises ArgumentTypeError for anything else."""
    try:
        tile_grid(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("tiles: ")) from None
    return text


def polygon(text: str) -> tuple[tuple[float, float], ...]:
    """The corners of `10,10 300,10 300,200`. Raises ArgumentTypeError for anything else."""
    try:
        corners = tuple((float(x), float(y)) for x, y in (pair.split(",") for pair in text.replace(";", " ").split()))
    except ValueError:
        corners = ()
    if not corners:
        raise argparse.ArgumentTypeError(
            f"expected three or more corners such as '10,10 300,10 300,200', found {text!r}"
        )
    try:
        DetectorConfig(roi=corners)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{str(error).removeprefix('roi ')}, as in '10,10 300,10 300,200'") from None
    return corners


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """How frames are read."""
    parser.add_argument("--vid-stride", type=int, metavar="N", help=field_docs(SourceConfig)["vid_stride"])


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """How cameras and streams are reached."""
    docs, group = field_docs(SourceConfig), parser.add_argument_group("cameras and streams")
    group.add_argument("--wait", action=argparse.BooleanOptionalAction, default=None, help=docs["wait"])
    group.add_argument("--rtsp-transport", choices=("tcp", "udp"), help=docs["rtsp_transport"])
    group.add_argument("--hwaccel", choices=get_args(HardwareChoice), help=docs["hwaccel"])
    group.add_argument("--most-failures", type=int, metavar="N", help=docs["most_failures"])


def add_tracking_options(parser: argparse.ArgumentParser) -> None:
    """How objects are followed and drawn."""
    group = parser.add_argument_group("tracking")
    help_text = (
        "preset (default, sort, deepsort, bytetrack, botsort, ocsort), or a YAML or TOML file of tracker settings"
    )
    group.add_argument("--tracker", metavar="NAME", help=help_text)
    of_network = field_docs(DetectorConfig)
    group.add_argument("--classify-tracks", type=not_empty, metavar="MODEL", help=of_network["classify_tracks"])
    group.add_argument("--classify-classes", type=comma_list, metavar="A,B", help=of_network["classify_classes"])
    docs = field_docs(TrackerConfig)
    group.add_argument("--appearance", choices=("auto", "none", "native", "reid"), help=docs["appearance"])
    group.add_argument("--reid-model", type=not_empty, metavar="FILE", help=docs["reid_model"])
    trails = field_docs(OverlayConfig)["trails"]
    group.add_argument("--trails", action=argparse.BooleanOptionalAction, default=None, help=trails)
    text = field_docs(OverlayConfig)["counts"]
    group.add_argument("--count", dest="counts", action=argparse.BooleanOptionalAction, default=None, help=text)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """What is written, and where."""
    docs, group = field_docs(OutputConfig), parser.add_argument_group("output")
    group.add_argument("--save", action=argparse.BooleanOptionalAction, default=None, help=docs["save"])
    group.add_argument("--format", type=comma_list, metavar="A,B", help=docs["format"])
    group.add_argument("--project", metavar="DIR", help=docs["project"])
    group.add_argument("--name", metavar="NAME", help=docs["name"])


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Every other setting, and how progress is reported."""
    group = parser.add_argument_group("settings")
    a_file = "settings file, TOML or YAML: what the command config prints, or the args.yaml of an earlier run"
    group.add_argument("--config", type=typed_path, metavar="FILE", help=a_file)
    any_setting = "any setting by its key, such as overlay.scale=2 or tracker.max_coast_s=3; may be repeated"
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=any_setting)
    progress = field_docs(OutputConfig)["progress"]
    group.add_argument("--progress", choices=("bar", "json", "none"), help=progress)


def _from_files(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The settings of the user's file and environment and of --config, and where they are from.

    The args.yaml of an earlier run stands for itself: all that it used is in it. A --tracker replaces the settings of
    the tracker in all of them.
    """
    tables, where = user_settings()
    if getattr(options, "config", None) is not None:
        read = read_settings(options.config)
        if "command" in read:
            tables, where = {}, ""
        where = ", ".join(filter(None, (where, str(options.config))))
        assign_tables(tables, {name: value for name, value in read.items() if name not in ABOUT_THE_RUN})
    if getattr(options, "tracker", None) is not None:
        tables.pop("own_scores", None)
        if tables.pop("tracker", None):
            log.warning("%s: --tracker %s replaces the tracker's settings there", where, options.tracker)
    return tables, where


def _use_reid_model(options: argparse.Namespace, tree: dict[str, Any]) -> None:
    """Who names a re-identification network wants it used, unless another appearance is asked for, which is said."""
    if not getattr(options, "reid_model", None) or not hasattr(options, "appearance"):
        return
    if options.appearance is None:
        assign(tree, ["tracker", "appearance"], "reid")
    elif options.appearance != "reid":
        log.warning("--reid-model is not used by --appearance %s, only by reid", options.appearance)


def hidden_by_user() -> OverlayConfig:
    """What is to be unrecognisable by the user's file and environment, for commands without settings of their own."""
    return load_settings(*user_settings()).overlay


def settings_from(options: argparse.Namespace, **defaults: Any) -> Settings:
    """The settings a command was called with; `defaults` are this command's own, by `section__name`."""
    tree: dict[str, Any] = {}
    for name, value in defaults.items():
        assign(tree, name.split("__"), value)
    tables, files = _from_files(options)
    where = ", ".join(filter(None, (files, "command line")))
    assign_tables(tree, tables)
    for section, (_, names) in SECTIONS.items():
        for name in names:
            value = getattr(options, name, None)
            if isinstance(value, Thresholds):
                if value.conf is not None:
                    assign(tree, [section, "conf"], value.conf)
                if value.class_conf:
                    assign(tree, [section, "class_conf"], value.class_conf)
            elif value is not None:
                assign(tree, [section, KEYS.get(name, name)], value)
    _use_reid_model(options, tree)
    for assignment in getattr(options, "set", []):
        path, value = parse_assignment(assignment)
        assign(tree, path, value)
        if path[0] == "tracker" and path[-1] in SCORE_SETTINGS:
            tree.pop("own_scores", None)  # of an args.yaml
    return load_settings(tree, where)
