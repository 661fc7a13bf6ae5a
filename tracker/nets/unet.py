"""U-Net: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015.

A contracting path that doubles the channels at each halving, an expanding path of 2 x 2 up-convolutions, and the
maps of each level carried across.

Where we differ: convolutions are padded, so the output is as large as the input (`padded=False` gives the paper's
valid convolutions, 572 -> 388 pixels); batch norm after each convolution unless switched off; no dropout at the
bottom. Sides that are no multiple of the deepest stride are padded by repeating the edge and cropped again.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from tracker.nets.backbones.start import initialize

__all__ = ["UNet"]


class UNet(nn.Module):
    """Images in, one logit per class and pixel out."""

    def __init__(
        self,
        classes: int,
        *,
        width: int = 64,
        depth: int = 4,
        batch_norm: bool = True,
        padded: bool = True,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.padded = padded
        self.stride = 2**depth
        widths = [width * 2**level for level in range(depth + 1)]
        options = {"batch_norm": batch_norm, "padded": padded}
        self.contracting = nn.ModuleList(
            _two_convolutions(inputs, outputs, **options)
            for inputs, outputs in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.upward = nn.ModuleList(
            nn.ConvTranspose2d(2 * outputs, outputs, 2, stride=2) for outputs in reversed(widths[:-1])
        )
        self.expanding = nn.ModuleList(
            _two_convolutions(2 * outputs, outputs, **options) for outputs in reversed(widths[:-1])
        )
        self.classify = nn.Conv2d(width, classes, 1)
        initialize(self)

    def forward(self, images: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b k h w"]:
        height, width = images.shape[2:]
        x = _pad_to_multiple(images, self.stride) if self.padded else images
        across: list[Tensor] = []
        for level, convolutions in enumerate(self.contracting):
            x = convolutions(x if level == 0 else functional.max_pool2d(x, 2))
            across.append(x)
        for up, convolutions, skipped in zip(self.upward, self.expanding, reversed(across[:-1]), strict=True):
            x = up(x)
            x = convolutions(torch.cat((_crop_centre(skipped, x), x), dim=1))
        logits: Tensor = self.classify(x)
        return logits[:, :, :height, :width]


def _two_convolutions(inputs: int, outputs: int, *, batch_norm: bool, padded: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(nn.Conv2d(channels, outputs, 3, padding=1 if padded else 0, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    bottom, right = -images.shape[2] % multiple, -images.shape[3] % multiple
    if not bottom and not right:
        return images
    return functional.pad(images, (0, right, 0, bottom), mode="replicate")


def _crop_centre(larger: Tensor, smaller: Tensor) -> Tensor:
    top, left = (larger.shape[2] - smaller.shape[2]) // 2, (larger.shape[3] - smaller.shape[3]) // 2
    return larger[:, :, top : top + smaller.shape[2], left : left + smaller.shape[3]]
