"""A network between two others, such as a start and what fine-tuning made of it: `START TUNED SHARE OUT`.

Weight averaging (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022): SHARE of the tuned weights and
the rest of the start's keep most of what tuning gained and most of what it forgot; two trainings from one start are
averaged likewise (Wortsman et al., "Model soups", ICML 2022). START is a published file (YOLOX nano .onnx, YOLO26 or
YOLO11 nano .safetensors) or a network of ours, TUNED a .safetensors network of ours that was trained from it or beside
it. Classes that the tuned one does not know keep the start's answers; masks that a start lacks are the tuned one's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from tracker.config.coco_classes import COCO_LABELS
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.ultralytics_weights import is_ultralytics_weights, open_ultralytics
from tracker.nets.yolo import YoloNet, is_mask_part
from tracker.nets.yolox import copy_yolox
from tracker.train.initial_weights import change_classes

ANSWERS = (".classes.", ".cv3.2.")


def main() -> None:
    """Read, mix, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path)
    parser.add_argument("tuned", type=Path)
    parser.add_argument("share", type=float, help="of the tuned weights, 0 to 1")
    parser.add_argument("out", type=Path, help=".safetensors to write")
    parser.add_argument("--half", action="store_true", help="keep convolutions in half precision: half the size")
    parser.add_argument("--input-scale", type=float, help="by which the network scales its input (default: TUNED's)")
    parser.add_argument("--input-size", type=int, help="longest side that images are scaled to (default: TUNED's)")
    parser.add_argument("--confidence", type=float, help="default threshold (default: TUNED's)")
    parser.add_argument("--iou", type=float, help="of suppression (default: TUNED's)")
    parser.add_argument("--voting", type=float, help="width of voting (default: TUNED's)")
    options = parser.parse_args()
    if not 0 <= options.share <= 1:
        parser.error(f"share must be from 0 to 1, found {options.share}")
    tuned, card = load_detector(options.tuned)
    ours = options.start.suffix != ".onnx" and not is_ultralytics_weights(options.start)
    if options.start.suffix == ".onnx":
        start = YoloNet(replace(tuned.config, classes=len(COCO_LABELS)))
        copy_yolox(start, options.start, COCO_LABELS, card.anchors)
    elif not ours:
        start = open_ultralytics(options.start, anchors=card.anchors)[0]
    else:
        start = load_detector(options.start)[0]
    given = {name: getattr(options, name) for name in ("input_scale", "input_size", "confidence", "iou", "voting")}
    card = replace(card, **{name: value for name, value in given.items() if value is not None})
    masks = start.config == replace(tuned.config, classes=start.config.classes) and ours
    mixed = mix(start, change_classes(tuned, card.labels, COCO_LABELS), card.labels, options.share, masks=masks)
    save_detector(options.out, mixed, replace(card, labels=COCO_LABELS, accuracy={}), half=options.half)
    print(options.out)


def mix(start: YoloNet, tuned: YoloNet, known: tuple[str, ...], share: float, *, masks: bool) -> YoloNet:
    """The network between the two; `known` are the classes that the tuned one learned.

    Masks are the tuned one's unless both have them.
    """
    state = tuned.state_dict()
    rows = [COCO_LABELS.index(label) for label in known if label in COCO_LABELS]
    for name, value in start.state_dict().items():
        if is_mask_part(name) and not masks:
            continue
        between = value + share * (state[name] - value)
        if any(part in name for part in ANSWERS):
            between = keep_unknown(value, between, rows, anchors=start.config.anchors)
        state[name] = between
    result = YoloNet(tuned.config)
    result.load_state_dict(state)
    return result


def keep_unknown(start: Tensor, between: Tensor, rows: list[int], *, anchors: int) -> Tensor:
    """The start's answers but for the classes in `rows`; tensors are laid out anchor by anchor."""
    answers = start.clone().view(anchors, -1, *start.shape[1:])
    answers[:, rows] = between.view(anchors, -1, *start.shape[1:])[:, rows]
    return answers.view(start.shape)


if __name__ == "__main__":
    main()
