"""`convolve`: one layer of a convolutional network on numbers or an image, with what it computes and what it costs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from tracker.commands.outputs import output_file, own_folder
from tracker.errors import ConfigError, SourceError
from tracker.image_file import read_image
from tracker.nets import convolution as layers
from tracker.nets.convolution_forms import convolve_by_fft, cost, split_separable, toeplitz_matrix

__all__ = ["KERNELS", "add_parsers"]

KERNELS = {
    "identity": "0 0 0; 0 1 0; 0 0 0",
    "blur": " ; ".join(["0.1111111111111111 " * 3] * 3),
    "gaussian": "0.0625 0.125 0.0625; 0.125 0.25 0.125; 0.0625 0.125 0.0625",
    "sharpen": "0 -1 0; -1 5 -1; 0 -1 0",
    "edge": "-1 1",
    "laplacian": "0 1 0; 1 -4 1; 0 1 0",
    "sobel-x": "-1 0 1; -2 0 2; -1 0 1",
    "sobel-y": "-1 -2 -1; 0 0 0; 1 2 1",
    "emboss": "-2 -1 0; -1 1 1; 0 1 2",
}
"""Kernels by name."""
LAYERS = ("correlation", "convolution", "transposed", "tiled", "local", "pointwise", *layers.POOLINGS)
FORMS = ("sum", "matrix", "fft")
MOST_PRINTED = 400
"""Values printed at most."""
Grid: TypeAlias = list[list[str]]


def add_parsers(subparsers: Any) -> None:
    """Add `convolve`."""
    parser = subparsers.add_parser("convolve", help="a layer of a convolutional network at work", description=__doc__)
    text = "an image; or numbers, rows parted by `;`, such as '0 1 2; 3 4 5; 6 7 8'; or 3x3, which is those"
    parser.add_argument("source", metavar="SOURCE", help=text)
    text = (
        f"numbers or letters, rows parted by `;`, or {', '.join(KERNELS)} (default sharpen); "
        "several with `|` between for tiled and local"
    )
    parser.add_argument("--kernel", default="sharpen", metavar="NUMBERS", help=text)
    text = (
        "correlation, which is what networks call convolution; convolution, which flips the kernel; transposed; tiled "
        "(kernels in turn); local (a kernel for each place); pointwise (1 x 1 across an image's channels); or pooling: "
        "max, average, l2 (default correlation). Of an image each channel goes through by itself, which is depthwise"
    )
    parser.add_argument("--layer", choices=LAYERS, default="correlation", metavar="NAME", help=text)
    text = "window of a pooling in pixels, 0 for the whole map (default 2)"
    parser.add_argument("--size", type=int, default=2, metavar="N", help=text)
    text = "valid, same, full, or values added on each side (default valid)"
    parser.add_argument("--padding", default="valid", metavar="NAME", help=text)
    text = "what lies beyond the edge (default zeros)"
    parser.add_argument("--border", choices=tuple(layers.BORDERS), default="zeros", help=text)
    text = "steps between outputs, one number or DOWNxACROSS (default 1; a pooling's own window)"
    parser.add_argument("--stride", metavar="N", help=text)
    text = "steps between the values that a kernel sees (default 1)"
    parser.add_argument("--dilation", default="1", metavar="N", help=text)
    text = (
        "how it is computed: as a sum, as a product with a doubly blocked Toeplitz matrix, or by the Fourier "
        "transform; the last two are full convolutions (default sum)"
    )
    parser.add_argument("--by", choices=FORMS, default="sum", help=text)
    parser.add_argument("--out", type=output_file(".png"), metavar="FILE.png", help="write the result as an image too")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    image = _read_source(options.source)
    grids = [_grid(part) for part in KERNELS.get(options.kernel, options.kernel).split("|")]
    symbolic = isinstance(image, list) or any(_numbers(grid) is None for grid in grids)
    if symbolic:
        if options.layer not in ("correlation", "convolution") or options.by != "sum" or len(grids) > 1:
            raise ConfigError("letters: written out for --layer correlation and convolution by sum alone; give numbers")
        if not isinstance(image, list):
            image = [[f"{value:g}" for value in row] for row in _one_map(image)]
        lines = _written_out(image, grids[0], options)
        sys.stdout.write("\n".join(lines) + "\n")
        return 0
    kernels = [np.array(grid, np.float64) for grid in grids]
    assert isinstance(image, ndarray)
    maps = image if image.ndim == 3 else image[None]
    if options.layer == "pointwise":
        if kernels[0].shape[1] != len(maps):
            raise ConfigError(f"--layer pointwise: expected {len(maps)} weights a row, one per map, as --kernel")
        result = layers.pointwise(maps, kernels[0])
    else:
        result = np.stack([_apply(each, kernels, options) for each in maps])
    lines = _facts(maps.shape[1:], kernels, result.shape[1:], options)
    if result.size <= MOST_PRINTED:
        lines = [*("\n".join(_rows(each)) for each in result), *lines]
    elif options.out is None:
        lines.append("give --out FILE.png to see it as an image")
    if options.by == "matrix":
        matrix = toeplitz_matrix(kernels[0], maps.shape[1:])
        if matrix.size <= 4 * MOST_PRINTED:
            lines = [*_rows(matrix), "times the image, row after row, gives", *lines]
    if options.out is not None:
        _write(options.out, result, of_image=image.ndim == 3 and len(result) == 3)
        lines.append(f"written to {options.out}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _apply(image: Float64[ndarray, "h w"], kernels: Sequence[ndarray], options: argparse.Namespace) -> Any:
    """One map through the layer."""
    kernel, stride, dilation = kernels[0], _step(options.stride or "1"), _step(options.dilation)
    padding = int(options.padding) if options.padding.isdecimal() else options.padding
    if options.by != "sum":
        if options.layer != "convolution" or options.stride or padding not in ("valid", "full"):
            raise ConfigError(f"--by {options.by}: for --layer convolution, which is then full and of stride 1")
        if options.by == "fft":
            return convolve_by_fft(image, kernel)
        shape = tuple(side + more - 1 for side, more in zip(image.shape, kernel.shape, strict=True))
        if shape[0] * shape[1] * image.size > 10**8:
            raise ConfigError(f"--by matrix: it has {shape[0] * shape[1] * image.size:,} entries; take a smaller image")
        return (toeplitz_matrix(kernel, (image.shape[0], image.shape[1])) @ image.ravel()).reshape(shape)
    if options.layer in layers.POOLINGS:
        if options.size == 0:
            return layers.global_pool(image, options.layer).reshape(1, 1)
        return layers.pool(
            image, options.size, stride=_step(options.stride) if options.stride else None, by=options.layer
        )
    if options.layer == "transposed":
        if isinstance(padding, str) and padding != "valid":
            raise ConfigError("--layer transposed: --padding is a number of values taken away on each side")
        amount = padding if isinstance(padding, int) else 0
        return layers.transposed(image[None], kernel[None, None], stride=stride, padding=amount)[0]
    if options.layer == "tiled":
        period = round(len(kernels) ** 0.5)
        if period**2 != len(kernels):
            raise ConfigError(f"--layer tiled: expected 1, 4, 9, ... kernels with `|` between, found {len(kernels)}")
        return layers.tiled(image[None], _per_place(kernels, (period, period)), stride=stride)[0]
    if options.layer == "local":
        steps = (stride, stride) if isinstance(stride, int) else stride
        down, across = (
            layers.output_side(side, size, stride=step)
            for side, size, step in zip(image.shape, kernel.shape, steps, strict=True)
        )
        if len(kernels) != down * across:
            found = f"expected {down * across} kernels with `|` between, one per place, found {len(kernels)}"
            raise ConfigError(f"--layer local: {found}")
        return layers.locally_connected(image[None], _per_place(kernels, (down, across)), stride=stride)[0]
    operation: Callable[..., ndarray] = layers.correlate if options.layer == "correlation" else layers.convolve
    return operation(image, kernel, padding=padding, border=options.border, stride=stride, dilation=dilation)


def _per_place(kernels: Sequence[ndarray], places: tuple[int, int]) -> ndarray:
    """Kernels of one map to one map, row after row of the output's places."""
    if len({kernel.shape for kernel in kernels}) > 1:
        raise ConfigError("--kernel: kernels with `|` between must all be of one size")
    return np.stack(kernels).reshape(*places, 1, 1, *kernels[0].shape)


def _facts(
    image: tuple[int, int], kernels: Sequence[ndarray], output: tuple[int, int], options: argparse.Namespace
) -> list[str]:
    """The shapes, and for a convolution its cost beside that of a dense layer."""
    lines = [f"{image[0]} x {image[1]} -> {output[0]} x {output[1]}  (height x width)"]
    if options.layer not in ("correlation", "convolution") or options.by != "sum":
        return lines
    (kernel,) = kernels[:1]
    price = cost(image, kernel.shape, output)
    lines.append(
        f"{price.weights:,} weights, {price.operations:,} operations ({price.multiplications:,} multiplications, "
        f"{price.additions:,} additions); as a dense layer {price.matrix_weights:,} weights, each multiplied once"
    )
    parts = split_separable(kernel)
    if parts is not None and min(kernel.shape) > 1:
        column, row = (" ".join(f"{value:.4g}" for value in part) for part in parts)
        both = sum(kernel.shape)
        lines.append(
            f"separable: column ({column}) times row ({row}): {both} multiplications per place, not {kernel.size}"
        )
    return lines


def _written_out(image: Grid, kernel: Grid, options: argparse.Namespace) -> list[str]:
    """Each place of the output as the sum of products that it is."""
    if options.layer == "convolution":
        kernel = [row[::-1] for row in kernel[::-1]]
    numbers = np.arange(1, len(image) * len(image[0]) + 1, dtype=np.float64).reshape(len(image), -1)
    names = [name for row in image for name in row]
    terms: dict[tuple[int, int], list[str]] = {}
    for u, row in enumerate(kernel):
        for v, weight in enumerate(row):
            one = np.zeros((len(kernel), len(row)))
            one[u, v] = 1.0  # where this weight meets which value
            for place, number in np.ndenumerate(
                _apply(numbers, [one], argparse.Namespace(**{**vars(options), "layer": "correlation"}))
            ):
                if number:
                    terms.setdefault((place[0], place[1]), []).append(f"{names[int(number) - 1]}·{weight}")
    return [f"({row}, {column})  {' + '.join(products)}" for (row, column), products in sorted(terms.items())]


def _read_source(source: str) -> Float64[ndarray, ...] | Grid:
    """An image (3, h, w), numbers (h, w), or letters as they stand."""
    path = Path(source)
    if path.is_file():
        pixels = read_image(path).pixels
        if pixels is None:
            raise SourceError(f"{source}: no image that can be read; check the path")
        return pixels.transpose(2, 0, 1).astype(np.float64)
    sides = source.lower().split("x")
    if len(sides) == 2 and all(side.isdecimal() for side in sides):
        height, width = map(int, sides)
        if 0 < height * width <= 10**7:
            return np.arange(height * width, dtype=np.float64).reshape(height, width)
    if path.suffix and " " not in source:
        raise SourceError(f"{source}: no such file")
    grid = _grid(source)
    numbers = _numbers(grid)
    return grid if numbers is None else numbers


def _grid(text: str) -> Grid:
    """Rows of words. Raises ConfigError where they are not of one length."""
    rows = [row.replace(",", " ").split() for row in text.split(";")]
    if not rows[0] or len({len(row) for row in rows}) > 1:
        known = ", ".join(KERNELS)
        raise ConfigError(
            f"{text!r}: expected rows of one length, parted by `;`, such as '0 1; 2 3', or one of {known}"
        )
    return rows


def _numbers(grid: Grid) -> Float64[ndarray, "h w"] | None:
    """The grid as numbers; None where it has letters."""
    try:
        return np.array([[float(word) for word in row] for row in grid])
    except ValueError:
        word = next((word for row in grid for word in row if len(word) > 1 and not _is_number(word)), "")
        if word:
            raise ConfigError(f"{word!r}: neither a number, nor a letter, nor one of {', '.join(KERNELS)}") from None
        return None


def _is_number(word: str) -> bool:
    return word.lstrip("+-").replace(".", "", 1).isdecimal()


def _one_map(image: ndarray) -> ndarray:
    if image.ndim == 3 or image.size > MOST_PRINTED:
        raise ConfigError("a kernel of letters is for small numbers, not for an image; such as 3x4")
    return image


def _step(text: str) -> int | tuple[int, int]:
    """2, or (3, 2) of `3x2`."""
    sides = text.lower().split("x")
    if not all(side.isdecimal() for side in sides) or len(sides) > 2:
        raise ConfigError(f"{text!r}: expected a number of steps, or DOWNxACROSS, such as 3x2")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def _rows(values: ndarray) -> list[str]:
    words = [[f"{round(value, 6) + 0.0:g}" for value in row] for row in values]
    width = max(len(word) for row in words for word in row)
    return [" ".join(f"{word:>{width}}" for word in row) for row in words]


def _write(path: Path, result: ndarray, *, of_image: bool) -> None:
    """As PNG: an image's values as they are, negative ones from grey; numbers stretched from black to white."""
    low, high = result.min(), result.max()
    if not of_image:
        result = (result - low) / (high - low or 1.0) * 255
    elif low < -1.0:
        result = 128 + result * 127 / max(-low, high)
    pixels = np.clip(result + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    if len(pixels.shape) == 3 and pixels.shape[2] not in (1, 3):
        raise ConfigError(f"--out: an image has 1 or 3 channels, this has {pixels.shape[2]}")
    own_folder(path.absolute().parent)
    _, content = cv2.imencode(".png", pixels[..., ::-1] if of_image else pixels)
    path.write_bytes(content.tobytes())
