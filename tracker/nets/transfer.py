"""Transfer: the backbone inside a file of ours, or of the libraries whose names we follow, as another network's start.

Any file of ours will do, whatever it was trained for: its description says which backbone it holds, the entries below
that backbone's name are taken, and neck and heads are left out. Where batch norm was folded into the convolutions the
new network is built without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from tracker.errors import CheckpointError
from tracker.nets.backbones.contract import Backbone
from tracker.nets.model_card import parse_description
from tracker.nets.ultralytics_weights import is_ultralytics_weights, open_ultralytics
from tracker.nets.weight_files import read_weights

__all__ = ["PretrainedBackbone", "fill_backbone", "read_backbone"]

OURS = "sightline-"
PREFIXES = ("backbone.", "network.backbone.")
"""Where a detector, classifier or localizer, and a segmentation network, hold their backbone."""


class PretrainedBackbone(NamedTuple):
    """A backbone's weights as a file holds them."""

    where: str
    """The file."""
    name: str
    """The backbone that the file is described to hold; empty for a published state dict, which does not say."""
    state: Mapping[str, Tensor]
    """By the backbone's own names; a published classifier's own dense layers are among them."""
    left_out: int
    """Tensors of neck and heads, which are not taken."""
    kind: str = ""
    """What a file of ours was trained for, such as detector or segmentation; empty for a published one."""

    @property
    def folded(self) -> bool:
        """Whether a file of ours has no batch norm: it was folded into the convolutions."""
        return bool(self.name) and not any(name.endswith("running_mean") for name in self.state)


def read_backbone(path: Path) -> PretrainedBackbone:
    """What `path` holds of a backbone: a detector, classifier or segmentation network of ours, YOLO26 nano or YOLO11
    nano as published, or a state dict in torchvision's or timm's naming.

    Raises CheckpointError for a network of ours without a backbone, such as a plain U-Net.
    """
    if is_ultralytics_weights(path):
        network, _, _ = open_ultralytics(path)
        state = network.backbone.state_dict()
        name = network.config.backbone
        return PretrainedBackbone(str(path), name, state, len(network.state_dict()) - len(state))
    tensors, metadata = read_weights(path)
    if not metadata.get("format", "").startswith(OURS):
        return PretrainedBackbone(str(path), "", tensors, 0)
    kind = metadata["format"].removeprefix(OURS).partition("/")[0]
    if "network" in metadata:
        described = parse_description(metadata["network"], "network", path)
    else:
        described = parse_description(metadata.get("description", "null"), "description", path)
        described = described.get("network") if isinstance(described, Mapping) else None
    name = str(described.get("backbone", "")) if isinstance(described, Mapping) else ""
    for prefix in PREFIXES:
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if name and state:
            return PretrainedBackbone(str(path), name, state, len(tensors) - len(state), kind)
    raise CheckpointError(
        f"{path}: a {kind} network without a backbone to start from. Give a detector or a classifier."
    )


def fill_backbone(backbone: Backbone, start: PretrainedBackbone, *, name: str) -> str:
    """Give `backbone`, which is the one called `name`, the weights of `start`; the line to report.

    Raises CheckpointError where the file holds another backbone, or weights that do not fit.
    """
    if start.name and start.name != name:
        raise CheckpointError(
            f"{start.where}: holds a backbone {start.name}, not {name}. Give --backbone {start.name}, or another file."
        )
    backbone.load_published(_for_grey(start.state, backbone), where=start.where)
    taken = sum(key in start.state for key in backbone.state_dict())
    norm = any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    folded = "" if norm or not start.folded else ", batch norm folded in"
    left_out = f"; {start.left_out} tensors of neck and heads left out" if start.left_out else ""
    return f"{start.where}: {taken} tensors of the backbone {name} taken{folded}{left_out}"


def _for_grey(state: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """The weights with those of RGB added up where the backbone takes grey images: grey is R = G = B."""
    expected = backbone.state_dict()
    return {
        name: value.sum(dim=1, keepdim=True)
        if name in expected and value.ndim == 4 and (value.shape[1], expected[name].shape[1]) == (3, 1)
        else value
        for name, value in state.items()
    }
