"""A convolution written otherwise: as one matrix, through the Fourier transform, and what each way costs.

Sources: Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 9.1 and 9.2 (the edge kernel on 280 x 320).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray

__all__ = ["Cost", "convolve_by_fft", "cost", "split_separable", "toeplitz_matrix"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kernel over one image costs, and the same map as a dense layer (a full matrix)."""

    weights: int
    multiplications: int
    additions: int
    matrix_weights: int
    """Entries of the matrix that does the same: outputs x inputs."""

    @property
    def operations(self) -> int:
        return self.multiplications + self.additions


def cost(image: tuple[int, int], kernel: tuple[int, int], output: tuple[int, int]) -> Cost:
    """Of a kernel of that size (height, width) giving `output` from `image`."""
    places, weights = output[0] * output[1], kernel[0] * kernel[1]
    return Cost(weights, places * weights, places * (weights - 1), places * image[0] * image[1])


def toeplitz_matrix(kernel: Shaped[ndarray, "u v"], image: tuple[int, int]) -> Float64[ndarray, "m n"]:
    """The doubly blocked Toeplitz matrix: times the flattened image, it is the full convolution, flattened.

    One block per pair of an output row and an image row: a Toeplitz matrix of the kernel row that lies between them,
    so blocks repeat along diagonals as entries do inside them. `image` is (height, width); m = (h + u - 1)(w + v - 1).
    """
    (height, width), (tall, wide) = image, kernel.shape
    tall_block = width + wide - 1
    nothing = np.zeros((tall_block, width))
    blocks = [sum((value * np.eye(tall_block, width, -k) for k, value in enumerate(row)), nothing) for row in kernel]
    rows = [
        [blocks[below - above] if 0 <= below - above < tall else nothing for above in range(height)]
        for below in range(height + tall - 1)
    ]
    return np.block(rows)


def convolve_by_fft(image: Shaped[ndarray, "h w"], kernel: Shaped[ndarray, "u v"]) -> Float64[ndarray, "i j"]:
    """The full convolution as a product of Fourier transforms: h w log(h w) work, whatever the kernel's size."""
    shape = (image.shape[0] + kernel.shape[0] - 1, image.shape[1] + kernel.shape[1] - 1)
    return np.fft.irfft2(np.fft.rfft2(image, shape) * np.fft.rfft2(kernel, shape), shape)


def split_separable(
    kernel: Shaped[ndarray, "u v"],
) -> tuple[Float64[ndarray, " u"], Float64[ndarray, " v"]] | None:
    """(column, row) whose outer product is the kernel, or None where it has a rank above 1."""
    left, strengths, right = np.linalg.svd(kernel.astype(np.float64))
    if strengths[1:].size and strengths[1] > 1e-9 * max(strengths[0], 1e-300):
        return None
    root = np.sqrt(strengths[0])
    sign = np.sign(left[np.argmax(np.abs(left[:, 0])), 0]) or 1.0
    return sign * root * left[:, 0], sign * root * right[0]
