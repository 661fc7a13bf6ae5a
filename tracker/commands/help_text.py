"""What the help of every command has: defaults, an example, and how much is reported."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tracker.commands.command_parser import typed_program
from tracker.config import field_docs
from tracker.factory import Settings

__all__ = ["EXAMPLES", "complete_help", "leaves"]

EXAMPLES: Mapping[str, Sequence[str]] = {
    "demo": ("demo", "demo --datasets runs/data"),
    "track": ("track street.mp4 --classes person car --save", "track rtsp://camera.local/stream --show"),
    "detect": ("detect photos/ --out found.json --draw drawn",),
    "localize": ("localize photos/ --model runs/localizer/best.safetensors --draw boxes",),
    "classify": ("classify photos/ --model runs/flowers/best.safetensors",),
    "segment": ("segment photos/ --out labels", "segment street.mp4 --model runs/segmentation/best.safetensors"),
    "watch": ("watch cameras.toml --listen 127.0.0.1:9464",),
    "annotate": ("annotate footage/ --recursive --out labels --format mot,coco",),
    "export-annotations": ("export-annotations labels/ --format cvat,yolo --out exports",),
    "import-annotations": ("import-annotations street.xml --format cvat --video street.mp4 --out street.sqlite",),
    "report": ("report labels/street.sqlite --out street.html", "report labels/ --out reports"),
    "counts": ("counts labels/ --out counts.csv",),
    "search": ("search --like labels/street.sqlite#12 labels/",),
    "across": ("across labels/north.sqlite labels/south.sqlite --start south=12.5",),
    "convert": ("convert labels.json --from coco --to yolo --out dataset --video street.mp4",),
    "associate": ("associate detections/ --tracker bytetrack --out tracks",),
    "evaluate tracking": ("evaluate tracking --gt truth/ --results tracks/",),
    "evaluate detector": ("evaluate detector --model mine/best.onnx --data mine/data.yaml",),
    "evaluate classifier": ("evaluate classifier --model runs/flowers/best.safetensors --data flowers/val",),
    "evaluate localizer": (
        "evaluate localizer --model runs/localizer/best.safetensors --data runs/data/localize/data.yaml",
    ),
    "evaluate reid": ("evaluate reid --model runs/reid/best.safetensors --data walk.mp4=walk/gt.txt",),
    "evaluate segmentation": ("evaluate segmentation --model runs/streets/best.safetensors --data streets.tar",),
    "evaluate rcnn": (
        "evaluate rcnn --model runs/regions/best.safetensors --data runs/data/detect/data.yaml --draw ways.png",
    ),
    "tune": ("tune truth/ --trials 100 --out tuned.toml",),
    "train detector": ("train detector --data mine/data.yaml --freeze 5 --epochs 40 --out runs/mine",),
    "train classifier": ("train classifier --backbone resnet18 --data flowers/ --out runs/flowers",),
    "train reid": ("train reid --data walk.mp4=walk/gt.txt --out runs/reid",),
    "train segmentation": ("train segmentation --data streets.tar --names road,car,person,sky --out runs/streets",),
    "train localizer": ("train localizer --data runs/data/localize/data.yaml --out runs/localizer",),
    "export": ("export runs/mine/best.safetensors --to onnx --half",),
    "explain": ("explain photo.jpg --out runs/why",),
    "summary": ("summary vgg16", "summary runs/mine/best.safetensors --draw mine.svg"),
    "convolve": (
        "convolve 3x3 --kernel '0 1; 2 3'",
        "convolve photo.jpg --kernel sharpen --padding same --out sharp.png",
    ),
    "convolutionalize": (
        "convolutionalize street.jpg --model runs/flowers/best.safetensors --imgsz 448 --out found.png",
    ),
    "config": ("config > settings.toml",),
    "completion": ("completion bash > ~/.local/share/bash-completion/completions/sightline",),
}
"""One or two for each command, by its words."""

OWN_DEFAULT = " (default: %(default)s)"
"""What argparse itself puts behind the help of switches."""


def leaves(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The parser, or where it only parts into others, each of those, with its words."""
    kinds = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not kinds:
        yield words, parser
    for action in kinds:
        for name, kind in action.choices.items():
            yield from leaves(kind, f"{words} {name}".strip())


def complete_help(parser: argparse.ArgumentParser, words: str) -> None:
    """Add what every command has to its own options and help."""
    messages = parser.add_argument_group("messages")
    messages.add_argument("-v", "--verbose", action="count", default=0, help="report more; -vv reports everything")
    messages.add_argument("-q", "--quiet", action="store_true", help="report errors only, and no progress")
    settings = _setting_defaults()
    for action in parser._actions:
        if action.help and action.help != argparse.SUPPRESS:
            action.help = _with_default(action, settings)
    width = max(40, min(shutil.get_terminal_size().columns - 2, 120))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    paragraphs = (parser.description or "").replace("`", "").split("\n\n")
    parser.description = "\n\n".join(textwrap.fill(" ".join(each.split()), width) for each in paragraphs)
    examples = [f"  {typed_program()} {example}" for example in EXAMPLES.get(words, ())]
    if examples:
        head = "example:" if len(examples) == 1 else "examples:"
        parser.epilog = "\n".join([*([parser.epilog, ""] if parser.epilog else []), head, *examples])


def _setting_defaults() -> dict[str, Any]:
    """The default of each setting by the text that explains it, which is the help of its option too."""
    defaults: dict[str, Any] = {}
    for section in fields(Settings):
        values = getattr(Settings(), section.name)
        if is_dataclass(values) and not isinstance(values, type):
            docs = field_docs(type(values))
            defaults |= {docs[each.name]: getattr(values, each.name) for each in fields(values) if each.name in docs}
    return defaults


def _with_default(action: argparse.Action, settings: Mapping[str, Any]) -> str:
    text = (action.help or "").removesuffix(OWN_DEFAULT)
    setting = settings.get(text) if action.default is None else None
    default = action.default if setting is None else setting
    if "default" in text or default in (None, argparse.SUPPRESS, "", (), []):
        return text
    if setting is None and default in (False, 0):  # a switch that is off, a count that nobody asked for
        return text
    shown = {True: "on", False: "off"}[default] if isinstance(default, bool) else _shown(default)
    return f"{text} (default {shown.replace('%', '%%')})"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value.as_posix() if isinstance(value, Path) else str(value)
