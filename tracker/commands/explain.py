"""`explain`: why a detector sees what it sees in one picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tracker.errors import SourceError

__all__ = ["add_parsers"]


def add_parsers(subparsers: Any) -> None:
    """Add `explain`."""
    parser = subparsers.add_parser("explain", help="where a detector's evidence lies, and its feature maps")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a picture")
    text = "a .safetensors detector of ours, or auto (default auto)"
    parser.add_argument("--model", default="auto", metavar="MODEL", help=text)
    parser.add_argument("--conf", type=float, metavar="SCORE", help="lowest score of what is explained")
    text = "how evidence is found: layercam, hirescam, gradcam, eigencam or occlusion (default layercam)"
    parser.add_argument("--method", default="layercam", metavar="NAME", help=text)
    text = "what is explained: score, class, objectness or box, the box's size (default score)"
    parser.add_argument("--of", dest="quantity", default="score", metavar="WHAT", help=text)
    text = "stride of the feature map that evidence is looked for in: 8, 16 or 32 (default 8)"
    parser.add_argument("--stride", type=int, default=8, metavar="N", help=text)
    parser.add_argument("--most", type=int, default=5, metavar="N", help="detections explained (default 5)")
    parser.add_argument("--out", type=Path, default=Path("runs/explain"), metavar="DIR", help="(default runs/explain)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import torch

    from tracker.commands.export_network import find_weights
    from tracker.config import DetectorConfig
    from tracker.detect.engines.torch import TorchDetector
    from tracker.explain.evidence import find_evidence
    from tracker.explain.features import draw_maps, feature_maps, tint_heat
    from tracker.explain.layer_summary import summarise
    from tracker.image_file import read_image
    from tracker.nets.checkpoint import load_detector
    from tracker.overlay.palette import colour_of
    from tracker.overlay.shapes import draw_box, to_pixels
    from tracker.paths import safe_name
    from tracker.train.plots import write_picture

    image = read_image(options.image).pixels
    if image is None:
        raise SourceError(f"{options.image}: no picture that can be read; check the path")
    network, card = load_detector(find_weights(options.model))
    detector_config = DetectorConfig(conf=options.conf, max_det=options.most, device="cpu")
    (found,) = TorchDetector((network, card), detector_config).detect([image])
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("evidence-*.png"):
        old.unlink()  # another picture's would stand beside this one's
    lines = []
    for number, box in enumerate(found.boxes):
        evidence = find_evidence(
            network, card, image, box, method=options.method, stride=options.stride, quantity=options.quantity
        )
        picture = tint_heat(image, evidence.heat)
        corners = to_pixels(box.tolist(), (image.shape[1], image.shape[0]))
        if corners is not None:
            draw_box(picture, corners, colour_of(evidence.class_id + 1), line=2)
        path = options.out / f"evidence-{number}-{safe_name(card.labels[evidence.class_id])}.png"
        write_picture(path, picture)
        inside = f"{evidence.fraction_inside():.0%} of the heat inside the box"
        lines.append(f"{path}: {card.labels[evidence.class_id]} {evidence.score:.2f}, {inside}")
    for stride, maps in feature_maps(network, image, size=card.input_size).items():
        write_picture(options.out / f"features-stride-{stride}.png", draw_maps(maps))
    summary = summarise(network, torch.zeros(1, 3, card.input_size, card.input_size))
    (options.out / "summary.txt").write_text(summary.table() + "\n", encoding="utf-8")
    if not lines:
        lines.append("nothing was found in the picture; try a lower --conf")
    lines.append(f"feature maps and summary.txt ({summary.table().splitlines()[-1]}) are in {options.out}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
