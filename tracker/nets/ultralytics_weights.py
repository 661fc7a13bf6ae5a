"""Start from a published YOLO26 or YOLO11: its tensors become ours, box for box.

The files are safetensors with Ultralytics' own names, batch norm folded: `model.N.` for layer N of the description.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from tracker.config.coco_classes import COCO_LABELS
from tracker.errors import CheckpointError
from tracker.nets.anchors import Anchors
from tracker.nets.distances import DistanceHead
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.weight_files import read_weights
from tracker.nets.yolo import YoloNet

__all__ = ["copy_ultralytics", "is_ultralytics_weights", "open_ultralytics", "published_config"]

LAYERS = {
    "backbone.stem": 0,
    **{f"backbone.steps.{level}": 2 * level + 1 for level in range(4)},
    **{f"backbone.stages.{level}": 2 * level + 2 for level in range(4)},
    "backbone.pyramid": 9,
    "backbone.attention": 10,
    "neck.down4": 13,
    "neck.down3": 16,
    "neck.step3": 17,
    "neck.up4": 19,
    "neck.step4": 20,
    "neck.up5": 22,
}
"""Ours and theirs."""
HEAD = 23


def published_config(tensors: Mapping[str, Tensor], *, anchors: int = 1) -> NetworkConfig | None:
    """The network of ours that holds these tensors: YOLO26 nano's or YOLO11 nano's; None for any others."""
    sides, classes = (tensors.get(f"model.{HEAD}.{branch}.0.2.weight") for branch in ("cv2", "cv3"))
    if sides is None or classes is None or len(tensors.get("model.0.conv.weight", ())) != 16:
        return None
    name, head = ("yolo26", "distances") if len(sides) == 4 else ("yolo11", "distribution")
    with_masks = f"model.{HEAD}.proto.cv1.conv.weight" in tensors
    return NetworkConfig(
        backbone=f"{name}_nano",
        classes=len(classes),
        anchors=anchors,
        coefficients=32,
        widths=(64, 128, 256),
        neck=name,
        head=head,
        head_width=classes.shape[1],
        prototypes="full" if with_masks else "light",
        prototype_width=64,
        depthwise=not with_masks,
        norm=False,
    )


def copy_ultralytics(network: YoloNet, tensors: Mapping[str, Tensor], where: str) -> list[str]:
    """Fill a network made by `published_config`; the names of the parts that the tensors do not fill.

    The answers of each of its k anchors are copies. Raises CheckpointError for tensors of another shape.
    """
    state = network.state_dict()
    fresh: dict[str, None] = {}
    k = network.config.anchors
    for name, value in state.items():
        part, _, rest = name.removeprefix("heads.").removeprefix("prototypes.").partition(".")
        if name.startswith("heads."):
            branch, _, inner = rest.partition(".")
            source = f"model.{HEAD}.{branch}.{part}.{inner}"
        elif name.startswith("prototypes."):
            source = f"model.{HEAD}.proto.{name.removeprefix('prototypes.')}"
        else:
            ours = next(own for own in LAYERS if name.startswith(own + "."))
            source = f"model.{LAYERS[ours]}{name.removeprefix(ours)}"
        published = tensors.get(source)
        if name.endswith(".shifts"):
            continue
        if published is None and (".cv4." in name or name.startswith("prototypes.")):
            fresh[f"heads.{part}.cv4" if ".cv4." in name else "prototypes"] = None
            continue
        if published is not None and name.startswith("heads.") and rest.split(".")[1] == "2":
            published = published.repeat(k, *[1] * (published.ndim - 1))
        if published is None or published.shape != value.shape:
            found = "nothing" if published is None else f"shape {tuple(published.shape)}"
            raise CheckpointError(
                f"{where}: {source} has {found} where {tuple(value.shape)} is expected. Give a YOLO26 nano or YOLO11 "
                "nano with batch norm folded."
            )
        state[name] = published
    network.load_state_dict(state)
    return list(fresh)


def is_ultralytics_weights(path: Path) -> bool:
    """Whether a file of tensors is a YOLO26 nano or YOLO11 nano as published, and no network of ours."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    tensors, metadata = read_weights(path)
    return "format" not in metadata and published_config(tensors) is not None


def open_ultralytics(path: Path, *, anchors: Anchors | None = None) -> tuple[YoloNet, ModelCard, list[str]]:
    """(a published network as ours, its card, the parts it does not fill); one anchor per cell, as large as the stride.

    Raises CheckpointError for any other file.
    """
    tensors, _ = read_weights(path)
    sizes = anchors or tuple(((float(stride), float(stride)),) for stride in YoloNet.strides)
    config = published_config(tensors, anchors=len(sizes[0]))
    if config is None:
        raise CheckpointError(f"{path}: not a YOLO26 nano or YOLO11 nano of Ultralytics with batch norm folded.")
    network = YoloNet(config)
    fresh = copy_ultralytics(network, tensors, str(path))
    for head, stride, pairs in zip(network.heads, network.strides, sizes, strict=True):
        assert isinstance(head, DistanceHead)
        head.set_anchors(stride, tuple(pairs))
    labels = COCO_LABELS if config.classes == len(COCO_LABELS) else tuple(map(str, range(config.classes)))
    card = ModelCard(
        labels, tuple(map(tuple, sizes)), coefficients=config.coefficients, input_size=640, confidence=0.25, iou=0.6
    )
    return network.eval(), card, fresh
