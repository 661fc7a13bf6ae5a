"""LeNet-5: LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.

Kept from the paper: the layers C1 to F6 with their sizes, the partial connections of C3 (table I), the trainable
subsampling S2 and S4, the scaled tanh, and the uniform start scaled by the fan-in: 156 + 12 + 1516 + 32 + 48120
parameters, and 10164 in F6.

`lenet5` is the paper's, 60,850 parameters with its output layer; `lenet5_common` is the one that goes by the name
today, 61,706: C3 sees every map, subsampling is plain average pooling without anything to train, and weights start as
they do today (Glorot and Bengio, 2010), with which deeper signals are not as faint.

Where we differ: C1 pads its input by 2, which gives a 28 x 28 digit the place that the paper makes by drawing it
on 32 x 32; the output layer is a dense layer for softmax cross-entropy where the paper compares with drawn digits
(radial basis functions); training is ours (the paper: stochastic diagonal Levenberg-Marquardt).
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float32
from torch import Tensor, nn

from tracker.nets.backbones.contract import Backbone

__all__ = ["LeNet5", "LeNetHead", "lenet5", "lenet5_common"]

C3_SOURCES = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
"""Table I: the S2 maps that each C3 map looks at."""


def scaled_tanh(x: Tensor) -> Tensor:
    """A tanh(S x) with A = 1.7159 and S = 2/3, so that f(1) = 1 and f(-1) = -1 (appendix A)."""
    return 1.7159 * torch.tanh(x * (2.0 / 3.0))


class Subsampling(nn.Module):
    """Each 2 x 2 block summed, times a trained coefficient, plus a trained bias, squashed: one of each per map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((channels,), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b c h/2 w/2"]:
        sums = 4 * F.avg_pool2d(x, 2)  # exactly the sum; ONNX knows no other divisor
        return scaled_tanh(sums * self.coefficient[:, None, None] + self.bias[:, None, None])


class PartialConvolution(nn.Module):
    """A 5 x 5 convolution in which every output map looks at its own choice of input maps."""

    rows: Tensor
    columns: Tensor

    def __init__(self, sources: tuple[tuple[int, ...], ...], *, in_channels: int) -> None:
        super().__init__()
        self.shape = (len(sources), in_channels, 5, 5)
        pairs = [(out, source) for out, chosen in enumerate(sources) for source in chosen]
        rows, columns = zip(*pairs, strict=True)
        self.register_buffer("rows", torch.tensor(rows), persistent=False)
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(pairs), 5, 5))
        self.bias = nn.Parameter(torch.zeros(len(sources)))
        with torch.no_grad():
            for kernel, out in zip(self.weight, rows, strict=True):
                bound = 2.4 / (25 * len(sources[out]))
                kernel.uniform_(-bound, bound)

    def forward(self, x: Float32[Tensor, "b c h w"]) -> Tensor:
        dense = self.weight.new_zeros(self.shape).index_put((self.rows, self.columns), self.weight)
        return F.conv2d(x, dense, self.bias)


class LeNet5(Backbone):
    """The maps after S2, S4 and C5."""

    channels = (6, 16, 120)
    strides = (2, 4, 4)
    exact_strides: bool = False

    def __init__(self, *, in_channels: int = 1, partial: bool = True) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(in_channels, 6, 5, padding=2)
        self.s2: nn.Module = Subsampling(6) if partial else nn.AvgPool2d(2)
        self.c3: nn.Module = PartialConvolution(C3_SOURCES, in_channels=6) if partial else nn.Conv2d(6, 16, 5)
        self.s4: nn.Module = Subsampling(16) if partial else nn.AvgPool2d(2)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.partial = partial
        for layer in (self.c1, self.c3, self.c5):
            if isinstance(layer, nn.Conv2d):
                _start(layer, of_paper=partial)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        s2 = self.s2(scaled_tanh(self.c1(images)))
        s4 = self.s4(scaled_tanh(self.c3(s2)))
        c5 = scaled_tanh(self.c5(s4))
        return s2, s4, c5

    def paper_head(self, classes: int, *, dropout: float) -> nn.Module:
        return LeNetHead(classes, dropout=dropout, of_paper=self.partial)


class LeNetHead(nn.Module):
    """F6 and the output layer; larger images are averaged over C5's positions."""

    def __init__(self, classes: int, *, dropout: float, of_paper: bool = True) -> None:
        super().__init__()
        self.f6 = nn.Linear(120, 84)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(84, classes)
        _start(self.f6, of_paper=of_paper)
        _start(self.output, of_paper=of_paper)

    def forward(self, c5: Float32[Tensor, "b 120 h w"]) -> Float32[Tensor, "b k"]:
        logits: Tensor = self.output(self.dropout(scaled_tanh(self.f6(c5.mean(dim=(2, 3))))))
        return logits


def _start(layer: nn.Conv2d | nn.Linear, *, of_paper: bool) -> None:
    if of_paper:
        bound = 2.4 / layer.weight[0].numel()
        nn.init.uniform_(layer.weight, -bound, bound)
    else:
        nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


lenet5 = LeNet5
lenet5_common = partial(LeNet5, partial=False)
