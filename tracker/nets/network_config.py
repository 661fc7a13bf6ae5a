"""What a detector's network is made of: enough to build it again."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NetworkConfig"]


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build the network again."""

    backbone: str = "cspdarknet_nano"
    """Name in tracker.nets.backbones; must give maps at strides 8, 16 and 32."""
    classes: int = 6
    """Number of labels."""
    anchors: int = 2
    """Anchors per cell."""
    coefficients: int = 24
    """Prototype masks, and so mask coefficients per box."""
    widths: tuple[int, int, int] = (64, 128, 256)
    """Channels of the neck at strides 8, 16 and 32."""
    neck: str = "cspnet"
    """cspnet (YOLOX's), yolo11 or yolo26; the last two have the heads of nets.distances."""
    head: str = "offsets"
    """offsets (YOLOX's), distances (YOLO26's) or distribution (YOLO11's)."""
    head_width: int = 64
    """Channels inside the heads."""
    mask_width: int = 32
    """Channels inside the branch for mask coefficients, where it stands apart."""
    prototypes: str = "light"
    """light, fused (wider, from every map of the neck), or full (YOLO11's)."""
    prototype_width: int = 48
    """Channels inside the prototype branch."""
    depth: int = 1
    """Bottlenecks per stage of the neck."""
    depthwise: bool = True
    """Separable 3 x 3 convolutions in neck and heads."""
    norm: bool = True
    """Batch norm; without it convolutions carry biases, as in a file whose batch norm was folded."""
    residual: bool = True
    """Residual links in the backbone, where it has any."""
    backbone_norm: bool = True
    """Batch norm in the backbone, where the rest has it; without, as in one taken from a file without batch norm."""
