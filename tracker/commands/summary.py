"""`summary`: the layers of a network: shape, parameters, work, stride, receptive field; as text, JSON or a drawing."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.commands.outputs import own_folder
from tracker.config import LARGEST_IMAGE
from tracker.embedded import embedded_networks
from tracker.errors import ConfigError
from tracker.explain.layer_drawing import draw_layers
from tracker.explain.layer_table import FORMULA, Summary
from tracker.extras import explain_missing
from tracker.factory import DEFAULT_NETWORK

if TYPE_CHECKING:
    from tracker.nets.named_network import AnyNetwork

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `summary`."""
    parser = subparsers.add_parser("summary", help="a network's layers, counted", description=__doc__)
    text = (
        "a .safetensors or .onnx file; auto, sightline-small; or a name: lenet5, lenet5_common, alexnet, vgg16, "
        "resnet50, xception, unet, fcn8s, osnet_x0_25, yolo, torchvision:NAME, timm:NAME"
    )
    parser.add_argument("network", metavar="NAME|FILE", help=text)
    text = "the image's side in pixels, or WIDTHxHEIGHT (default: what the network is made for)"
    parser.add_argument("--imgsz", metavar="PIXELS", help=text)
    text = "classes of a named network (default 1000, LeNet 10)"
    parser.add_argument("--classes", type=int, default=0, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="numbers for programs")
    text = "also draw the layers, from the image to the answer"
    parser.add_argument("--draw", type=Path, metavar="FILE.svg", help=text)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.draw is not None and options.draw.suffix != ".svg":
        raise ConfigError(f"--draw {options.draw}: drawings are .svg files, which every browser shows")
    if options.classes < 0:
        raise ConfigError(f"--classes {options.classes}: must be 1 or more")
    size = None if options.imgsz is None else _size(options.imgsz)
    summary, note = summarise_any(options.network, size, classes=options.classes)
    if options.json:
        sys.stdout.write(json.dumps({"network": options.network, **summary.to_mapping()}, indent=1) + "\n")
    else:
        lines = [summary.table(), "", FORMULA, *([note] if note else [])]
        sys.stdout.write("\n".join(lines) + "\n")
    if options.draw is not None:
        own_folder(options.draw.absolute().parent)
        options.draw.write_text(draw_layers(summary, Path(options.network).name), encoding="utf-8")
        sys.stderr.write(f"drawn to {options.draw}\n")
    return 0


def summarise_any(name: str, size: tuple[int, int] | None, *, classes: int = 0) -> tuple[Summary, str]:
    """(the layers of a network given by name or file, what else is to be said of it); `size` is (height, width)."""
    networks = embedded_networks()
    known = networks.get(DEFAULT_NETWORK if name == "auto" else name)
    path = known or Path(name).expanduser()
    height, width = size or (None, None)
    if path.suffix == ".onnx":
        from tracker.explain.onnx_summary import summarise_onnx

        return summarise_onnx(path, height=height, width=width), ""
    with explain_missing(f"summary {name}"):
        import torch

        from tracker.explain.layer_summary import summarise
        from tracker.nets.named_network import build_network, open_network

        is_file = path.suffix in (".safetensors", ".pt", ".pth") or path.is_file()
        found: AnyNetwork = open_network(path) if is_file else build_network(name, classes=classes)
        if is_file and classes:
            raise ConfigError("--classes: of a named network; a file has classes of its own")
        height, width = size or (found.height, found.width)
        with torch.device("meta"):
            images = torch.zeros(1, found.channels, height, width)
        try:
            return summarise(found.network.to("meta"), images), found.note
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            advice = f"it is made for {found.width} x {found.height}; give another --imgsz"
            raise ConfigError(f"{name}: does not run on an image of {width} x {height} ({reason}); {advice}") from error


def _size(text: str) -> tuple[int, int]:
    """(height, width) of `416` or `480x360`."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and 0 < int(side) <= LARGEST_IMAGE for side in sides):
        raise ConfigError(
            f"--imgsz {text}: expected a side in pixels or WIDTHxHEIGHT, up to {LARGEST_IMAGE}, such as 224 or 480x360"
        )
    return int(sides[-1]), int(sides[0])
