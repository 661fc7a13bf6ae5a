"""A classifier or localizer turned fully convolutional: one pass over a larger image answers a grid of windows.

Sermanet et al., "OverFeat", 2014, section 3.5; Long, Shelhamer and Darrell, 2015, section 3.1. A dense layer that reads
a map of m x m is a convolution with a kernel of m x m and no padding; those behind it are convolutions of 1 x 1. A
pooling to a fixed size before it is linear too, and goes into the kernel.

The grid is what the network answers for windows cut out every `stride` pixels: exactly so where its convolutions have
no padding (`network.padding=false`). With padding, a window by itself has zeros beyond its edge where the pass has the
neighbouring pixels, and the answers differ.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.nets.backbones.alexnet import AlexNetHead
from tracker.nets.backbones.lenet import LeNetHead, scaled_tanh
from tracker.nets.backbones.nin import NINHead
from tracker.nets.backbones.vgg import VGGHead
from tracker.nets.classifier import Classifier, PooledHead
from tracker.nets.layers import average_over, reads_beyond
from tracker.nets.localizer import PLACES, LocalizerNet

__all__ = ["Answers", "FullyConvolutional", "convolutionalize", "padded_layers", "slide"]


class Answers(NamedTuple):
    """What each window of a grid shows."""

    logits: Float32[Tensor, "b k rows columns"]
    boxes: Float32[Tensor, "b 4 rows columns"] | None
    """Of a localizer: x1, y1, x2, y2 in 0..1 of the window."""


class ScaledTanh(nn.Module):
    """LeNet's activation."""

    def forward(self, x: Tensor) -> Tensor:
        return scaled_tanh(x)


class FullyConvolutional(nn.Module):
    """Images of `window` pixels or more in, the answers for windows every `stride` pixels out; in evaluation mode.

    Windows that end beyond the image are left out, also where a window has pixels to spare.
    """

    def __init__(
        self,
        network: Classifier | LocalizerNet,
        *,
        window: int,
        stride: int,
        dense: nn.Sequential,
        heads: nn.ModuleList,
    ) -> None:
        super().__init__()
        self.window, self.stride = window, stride
        self.normalize, self.backbone = network.normalize, network.backbone
        self.dense = dense
        """The dense layers as convolutions, as far as the heads share them."""
        self.heads = heads
        """The layers that answer: classes, and of a localizer the box."""

    def forward(self, images: Float32[Tensor, "b c h w"]) -> Answers:
        shared = self.dense(self.backbone(self.normalize(images))[-1])
        rows, columns = ((side - self.window) // self.stride + 1 for side in images.shape[2:])
        logits, *others = (head(shared)[:, :, :rows, :columns] for head in self.heads)
        return Answers(logits, _to_corners(others[0]) if others else None)


def convolutionalize(network: Classifier | LocalizerNet, window: int) -> FullyConvolutional:
    """The same network, which reads squares of `window` pixels, with its dense layers as convolutions.

    It shares the backbone's weights. Raises ConfigError where the window is too small for the backbone, or its head is
    none that is known here.
    """
    network.eval()
    channels = network.config.in_channels if isinstance(network, Classifier) else 3
    try:
        with torch.inference_mode():
            deepest = network.backbone(torch.zeros(1, channels, window, window))[-1]
    except RuntimeError as error:
        raise ConfigError(f"windows of {window} pixels are too small for {network.config.backbone!r}") from error
    side, stride = deepest.shape[2], network.backbone.strides[-1]
    if isinstance(network, LocalizerNet):
        first = network.shared[0]
        assert isinstance(first, nn.Linear)
        dense = nn.Sequential(_whole_map(first, PLACES, side), nn.ReLU())
        heads = nn.ModuleList([_everywhere(network.class_head), _everywhere(network.box_head)])
        return FullyConvolutional(network, window=window, stride=stride, dense=dense, heads=heads).eval()
    if isinstance(network.head, AlexNetHead):  # pools once more, by 3 at stride 2
        side, stride = (side - 3) // 2 + 1, 2 * stride
    *before, last = _convolutions(network.head, side, network.config.backbone)
    dense, heads = nn.Sequential(*before), nn.ModuleList([last])
    return FullyConvolutional(network, window=window, stride=stride, dense=dense, heads=heads).eval()


@torch.inference_mode()
def slide(
    network: Classifier | LocalizerNet,
    images: Float32[Tensor, "1 c h w"],
    *,
    window: int,
    stride: int,
    batch: int = 32,
) -> Answers:
    """The same grid by cutting every window out of the image and running the network on each, `batch` at a time."""
    cut = images.unfold(2, window, stride).unfold(3, window, stride)[0]  # (c, rows, columns, window, window)
    rows, columns = cut.shape[1:3]
    logits, boxes = [], []
    for some in torch.split(cut.permute(1, 2, 0, 3, 4).flatten(0, 1), batch):
        answer = network(some)
        logits.append(answer[0] if isinstance(answer, tuple) else answer)
        boxes.append(answer[1] if isinstance(answer, tuple) else answer[:, :0])
    grids = [torch.cat(parts).T.reshape(1, -1, rows, columns) for parts in (logits, boxes)]
    return Answers(grids[0], grids[1] if grids[1].shape[1] else None)


def padded_layers(network: nn.Module) -> int:
    """How many of its convolutions and poolings read beyond the edge of a window."""
    return sum(map(reads_beyond, network.modules()))


def _convolutions(head: nn.Module, side: int, name: str) -> list[nn.Module]:
    """The layers of a classifier's head as convolutions over maps whose windows have side x side places."""
    if isinstance(head, PooledHead):
        return [_whole_map(head.fc, 1, side)]
    if isinstance(head, LeNetHead):
        return [_whole_map(head.f6, 1, side), ScaledTanh(), _everywhere(head.output)]
    if isinstance(head, NINHead):
        return [*head.maps, nn.AvgPool2d(side, stride=1)]
    if isinstance(head, VGGHead | AlexNetHead):
        pooled = 7 if isinstance(head, VGGHead) else 6
        first, second, third = (layer for layer in head.classifier if isinstance(layer, nn.Linear))
        before = [nn.MaxPool2d(3, stride=2)] if isinstance(head, AlexNetHead) else []
        wide = [_whole_map(first, pooled, side), nn.ReLU(), _everywhere(second), nn.ReLU()]
        return [*before, *wide, _everywhere(third)]
    raise ConfigError(f"{name}: how its {type(head).__name__} becomes convolutions is not known; take --head pooled")


def _whole_map(dense: nn.Linear, pooled: int, side: int) -> nn.Conv2d:
    """The dense layer on a map that is averaged to pooled x pooled, as a convolution of side x side on the map."""
    weights = dense.weight.detach().view(dense.out_features, -1, pooled, pooled)  # (out, c, p, p)
    means = average_over(side, pooled).to(weights)  # (p, side)
    return _filled(torch.einsum("ocpq,pi,qj->ocij", weights, means, means), dense.bias)


def _everywhere(dense: nn.Linear) -> nn.Conv2d:
    """The dense layer at each place."""
    return _filled(dense.weight.detach()[:, :, None, None], dense.bias)


def _filled(weights: Float32[Tensor, "o c i j"], bias: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(weights.shape[1], weights.shape[0], weights.shape[2], device=weights.device)
    layer.load_state_dict({"weight": weights, "bias": bias.detach()})
    return layer


def _to_corners(box: Float32[Tensor, "b 4 rows columns"]) -> Float32[Tensor, "b 4 rows columns"]:
    centre, size = torch.split(box.sigmoid(), 2, dim=1)
    return torch.cat((centre - size / 2, centre + size / 2), dim=1)
