"""The layers of a convolutional network over arrays, written to be read: each in the few lines that define it.

What networks call a convolution is a cross-correlation: the kernel is not flipped (`correlate`, `convolution_layer`).
`convolve` is the convolution of signal processing, which flips it. Networks themselves run on torch's layers; these are
equal to them, and `python main.py convolve` shows them at work.

Sources: Goodfellow, Bengio and Courville, "Deep Learning", 2016, chapter 9; Dumoulin and Visin, "A guide to convolution
arithmetic for deep learning", 2016. Imports numpy alone: no torch is needed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view

from tracker.errors import ConfigError

__all__ = [
    "BORDERS",
    "PADDINGS",
    "POOLINGS",
    "Border",
    "Pair",
    "convolution_layer",
    "convolve",
    "correlate",
    "depthwise",
    "global_pool",
    "locally_connected",
    "output_side",
    "pad",
    "padding_amounts",
    "pointwise",
    "pool",
    "separable",
    "tiled",
    "transposed",
]

Border: TypeAlias = Literal["zeros", "replicate", "reflect", "circular"]
Pair: TypeAlias = int | tuple[int, int]
"""One number for both directions, or (down, across)."""
BORDERS: dict[str, str] = {"zeros": "constant", "replicate": "edge", "reflect": "reflect", "circular": "wrap"}
"""What stands beyond the edge, by torch's name, and numpy's word for it."""
PADDINGS = ("valid", "same", "full")
POOLINGS = ("max", "average", "l2")


def output_side(side: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """floor((side + padding - dilation (kernel - 1) - 1) / stride) + 1; `padding` is the sum of both ends."""
    return (side + padding - dilation * (kernel - 1) - 1) // stride + 1


def padding_amounts(
    side: int, kernel: int, padding: str | int, *, stride: int = 1, dilation: int = 1
) -> tuple[int, int]:
    """How many values are added (before, after) along one direction.

    valid adds none; same gives ceil(side / stride) values, the odd one after; full lets every overlap count; a number
    is added at both ends.
    """
    reach = dilation * (kernel - 1)
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return reach, reach
    if padding == "same":
        whole = max((-(-side // stride) - 1) * stride + reach + 1 - side, 0)
        return whole // 2, whole - whole // 2
    if isinstance(padding, int) and padding >= 0:
        return padding, padding
    raise ConfigError(f"padding: expected {', '.join(PADDINGS)} or a number of 0 or more, found {padding!r}")


def pad(
    maps: Shaped[ndarray, "*c h w"], down: tuple[int, int], across: tuple[int, int], border: Border = "zeros"
) -> Shaped[ndarray, "*c i j"]:
    """The maps with (before, after) values more in each direction, taken as `border` says."""
    if border not in BORDERS:
        raise ConfigError(f"border: expected {', '.join(BORDERS)}, found {border!r}")
    limit = {"reflect": -1, "circular": 0}.get(border)  # a reflection leaves the edge itself out
    for side, amounts in zip(maps.shape[-2:], (down, across), strict=True):
        if limit is not None and max(amounts) > side + limit:
            raise ConfigError(f"border {border!r}: {max(amounts)} values cannot be taken from a side of {side}")
    return np.pad(maps, [(0, 0)] * (maps.ndim - 2) + [down, across], mode=BORDERS[border])  # type: ignore[call-overload,no-any-return]


def correlate(
    image: Shaped[ndarray, "h w"],
    kernel: Shaped[ndarray, "u v"],
    *,
    padding: str | int = "valid",
    border: Border = "zeros",
    stride: Pair = 1,
    dilation: Pair = 1,
) -> Float64[ndarray, "i j"]:
    """Cross-correlation: out[i, j] = sum over u, v of image[i + u, j + v] kernel[u, v]."""
    options = {"padding": padding, "border": border, "stride": stride, "dilation": dilation}
    return convolution_layer(image[None], kernel[None, None], **options)[0]  # type: ignore[no-any-return,arg-type]


def convolve(
    image: Shaped[ndarray, "h w"],
    kernel: Shaped[ndarray, "u v"],
    *,
    padding: str | int = "valid",
    border: Border = "zeros",
    stride: Pair = 1,
    dilation: Pair = 1,
) -> Float64[ndarray, "i j"]:
    """Convolution: cross-correlation with the kernel turned by 180 degrees, which makes it commutative."""
    options = {"padding": padding, "border": border, "stride": stride, "dilation": dilation}
    return correlate(image, kernel[::-1, ::-1], **options)  # type: ignore[arg-type]


def convolution_layer(
    maps: Shaped[ndarray, "c h w"],
    kernels: Shaped[ndarray, "d e u v"],
    bias: Shaped[ndarray, " d"] | None = None,
    *,
    padding: str | int = "valid",
    border: Border = "zeros",
    stride: Pair = 1,
    dilation: Pair = 1,
    groups: int = 1,
) -> Float64[ndarray, "d i j"]:
    """What torch's Conv2d gives: every output map is the sum of its input maps, each correlated with a kernel.

    With `groups`, the input and output maps fall into that many sets that do not see each other: e = c / groups.
    """
    outputs, inputs, tall, wide = kernels.shape
    if groups < 1 or len(maps) != groups * inputs or outputs % groups:
        raise ConfigError(f"{len(maps)} maps and {outputs} x {inputs} kernels do not fit together in {groups} groups")
    windows = _windows(maps, (tall, wide), padding=padding, border=border, stride=stride, dilation=dilation)
    parts = zip(np.split(windows, groups), np.split(kernels, groups), strict=True)
    out = np.concatenate([np.einsum("cijuv,dcuv->dij", seen, kernel) for seen, kernel in parts])
    return out if bias is None else out + bias[:, None, None]


def depthwise(
    maps: Shaped[ndarray, "c h w"], kernels: Shaped[ndarray, "c u v"], *, padding: str | int = "valid", stride: Pair = 1
) -> Float64[ndarray, "c i j"]:
    """Each map with a kernel of its own, none with another: as many groups as maps."""
    return convolution_layer(maps, kernels[:, None], padding=padding, stride=stride, groups=len(maps))


def pointwise(maps: Shaped[ndarray, "c h w"], weights: Shaped[ndarray, "d c"]) -> Float64[ndarray, "d h w"]:
    """A 1 x 1 convolution: at each place the same dense layer across the maps."""
    out: ndarray = np.einsum("chw,dc->dhw", maps.astype(np.float64), weights)
    return out


def separable(
    image: Shaped[ndarray, "h w"],
    column: Shaped[ndarray, " u"],
    row: Shaped[ndarray, " v"],
    *,
    padding: str | int = "valid",
) -> Float64[ndarray, "i j"]:
    """Correlation with the outer product of `column` and `row`, by u + v multiplications in place of u v."""
    across = _one_direction(image, row, padding)
    return _one_direction(across.T, column, padding).T


def transposed(
    maps: Shaped[ndarray, "c h w"], kernels: Shaped[ndarray, "c d u v"], *, stride: Pair = 1, padding: int = 0
) -> Float64[ndarray, "d i j"]:
    """What torch's ConvTranspose2d gives: each value lays the kernel, times itself, on the output; overlaps add up.

    It has the shape that a convolution of the same stride would have come from: (h - 1) stride + u - 2 padding.
    """
    (_, height, width), (_, outputs, tall, wide) = maps.shape, kernels.shape
    down, across = _pair(stride)
    out = np.zeros((outputs, (height - 1) * down + tall, (width - 1) * across + wide))
    for u in range(tall):
        for v in range(wide):
            part = np.einsum("chw,cd->dhw", maps.astype(np.float64), kernels[:, :, u, v])
            out[:, u : u + height * down : down, v : v + width * across : across] += part
    return out[:, padding : out.shape[1] - padding, padding : out.shape[2] - padding]


def locally_connected(
    maps: Shaped[ndarray, "c h w"], kernels: Shaped[ndarray, "i j d c u v"], *, stride: Pair = 1
) -> Float64[ndarray, "d i j"]:
    """A convolution whose weights are not shared: every place of the output has kernels of its own."""
    windows = _windows(maps, kernels.shape[-2:], padding="valid", border="zeros", stride=stride, dilation=1)
    if windows.shape[1:3] != kernels.shape[:2]:
        raise ConfigError(f"the output has {windows.shape[1:3]} places, the kernels are for {kernels.shape[:2]}")
    out: ndarray = np.einsum("cijuv,ijdcuv->dij", windows, kernels)
    return out


def tiled(
    maps: Shaped[ndarray, "c h w"], kernels: Shaped[ndarray, "t s d c u v"], *, stride: Pair = 1
) -> Float64[ndarray, "d i j"]:
    """Between both: t x s sets of kernels, taken in turn like tiles (t = s = 1: a convolution)."""
    windows = _windows(maps, kernels.shape[-2:], padding="valid", border="zeros", stride=stride, dilation=1)
    rows, columns = (
        np.arange(places) % period for places, period in zip(windows.shape[1:3], kernels.shape, strict=False)
    )
    out: ndarray = np.einsum("cijuv,ijdcuv->dij", windows, kernels[rows][:, columns])
    return out


def pool(
    maps: Shaped[ndarray, "*c h w"], size: Pair = 2, *, stride: Pair | None = None, by: str = "max"
) -> Float64[ndarray, "*c i j"]:
    """The largest value, the mean, or the root of the sum of squares (l2) of each window.

    The stride is the size unless given. Windows that reach over the edge are left out.
    """
    step = size if stride is None else stride
    windows = _windows(maps, _pair(size), padding="valid", border="zeros", stride=step, dilation=1)
    return _summarise(windows, by)


def global_pool(maps: Shaped[ndarray, "*c h w"], by: str = "average") -> Float64[ndarray, "*c"]:
    """One value per map, whatever its size: pooling over the whole of it."""
    return _summarise(maps.astype(np.float64), by)


def _summarise(windows: Float64[ndarray, "*c u v"], by: str) -> Float64[ndarray, "*c"]:
    """One value of the last two directions."""
    if by == "max":
        return windows.max(axis=(-2, -1))  # type: ignore[no-any-return]
    if by == "average":
        return windows.mean(axis=(-2, -1))  # type: ignore[no-any-return]
    if by == "l2":
        return np.sqrt(np.square(windows).sum(axis=(-2, -1)))  # type: ignore[no-any-return]
    raise ConfigError(f"pooling: expected {', '.join(POOLINGS)}, found {by!r}")


def _windows(
    maps: Shaped[ndarray, "*c h w"],
    size: tuple[int, int],
    *,
    padding: str | int,
    border: Border,
    stride: Pair,
    dilation: Pair,
) -> Float64[ndarray, "*c i j u v"]:
    """What each place of the output sees, as a view of the padded maps."""
    sides, strides, dilations = maps.shape[-2:], _pair(stride), _pair(dilation)
    if min(*size, *strides, *dilations) < 1:
        raise ConfigError(f"kernel {size}, stride {strides}, dilation {dilations}: all must be 1 or more")
    above_below, left_right = (
        padding_amounts(side, kernel, padding, stride=step, dilation=apart)
        for side, kernel, step, apart in zip(sides, size, strides, dilations, strict=True)
    )
    padded = pad(maps.astype(np.float64), above_below, left_right, border)
    reach = [apart * (kernel - 1) + 1 for kernel, apart in zip(size, dilations, strict=True)]
    if any(side < need for side, need in zip(padded.shape[-2:], reach, strict=True)):
        raise ConfigError(
            f"a kernel that spans {reach[0]} x {reach[1]} does not fit into {padded.shape[-2]} x {padded.shape[-1]}; "
            "give more padding, or a larger image"
        )
    every: ndarray = sliding_window_view(padded, reach, axis=(-2, -1))
    return every[..., :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def _one_direction(image: Shaped[ndarray, "h w"], row: Shaped[ndarray, " v"], padding: str | int) -> ndarray:
    """Correlation along the rows alone; padded in that direction alone."""
    before, after = padding_amounts(image.shape[1], len(row), padding)
    return correlate(pad(image, (0, 0), (before, after)), row[None])


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
