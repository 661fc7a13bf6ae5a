"""Every layer gives what torch's gives, and the worked numbers of the lectures."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray
from torch.nn import functional

from tracker.errors import ConfigError
from tracker.nets import convolution as layers
from tracker.nets.convolution_forms import convolve_by_fft, cost, split_separable, toeplitz_matrix

COUNT = np.arange(9.0).reshape(3, 3)
KERNEL = np.arange(4.0).reshape(2, 2)


def drawn(*shape: int, seed: int = 0) -> ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_the_worked_example_has_the_lectures_numbers() -> None:
    assert layers.correlate(COUNT, KERNEL).tolist() == [[19, 25], [37, 43]]
    padded = layers.correlate(COUNT, KERNEL, padding=1)
    assert padded.tolist() == [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]
    assert layers.correlate(COUNT, KERNEL, padding="full").tolist() == padded.tolist()
    assert layers.correlate(COUNT, KERNEL, padding=1, stride=2).tolist() == [[0, 8], [21, 43]]
    assert layers.correlate(COUNT, KERNEL, padding=1, stride=(3, 2)).tolist() == [[0, 8], [6, 8]]


def test_pooling_has_the_lectures_numbers() -> None:
    assert layers.pool(COUNT, 2, stride=1).tolist() == [[4, 5], [7, 8]]
    assert layers.pool(COUNT, 2, stride=1, by="average").tolist() == [[2, 3], [5, 6]]


def test_a_transposed_convolution_has_the_lectures_numbers() -> None:
    out = layers.transposed(KERNEL[None], KERNEL[None, None])[0]
    assert out.tolist() == [[0, 0, 1], [0, 4, 6], [4, 12, 9]]


def test_the_edge_kernel_takes_267960_operations_and_a_matrix_eight_thousand_million() -> None:
    image = drawn(280, 320)
    edges = layers.correlate(image, np.array([[-1.0, 1.0]]))
    np.testing.assert_allclose(edges, np.diff(image, axis=1))
    price = cost((280, 320), (1, 2), (edges.shape[0], edges.shape[1]))
    assert (price.operations, price.weights) == (267_960, 2)
    assert price.matrix_weights > 8e9


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_a_convolution_is_torchs(stride: int, groups: int, dilation: int, tall: int, wide: int, padding: int) -> None:
    maps, kernels, bias = drawn(2 * groups, 9, 11), drawn(3 * groups, 2, tall, wide), drawn(3 * groups)
    ours = layers.convolution_layer(
        maps, kernels, bias, padding=padding, stride=stride, dilation=dilation, groups=groups
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    theirs = functional.conv2d(*map(torch.from_numpy, (maps[None], kernels, bias)), **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-10)
    sides = [
        layers.output_side(side, kernel, stride=stride, padding=2 * padding, dilation=dilation)
        for side, kernel in ((9, tall), (11, wide))
    ]
    assert list(ours.shape[1:]) == sides


@pytest.mark.parametrize("border", layers.BORDERS)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_every_border_is_torchs_with_same_padding(border: layers.Border, size: int) -> None:
    layer = torch.nn.Conv2d(2, 3, size, padding="same", padding_mode=border, bias=False, dtype=torch.float64)
    maps = drawn(2, 7, 8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
        theirs = layer(torch.from_numpy(maps)[None])[0].detach().numpy()
    ours = layers.convolution_layer(maps, layer.weight.detach().numpy(), padding="same", border=border)
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_same_padding_with_a_stride_gives_the_side_over_the_stride_rounded_up() -> None:
    for side in range(3, 12):
        for stride in (1, 2, 3):
            assert layers.correlate(drawn(side, side), drawn(3, 3), padding="same", stride=stride).shape[0] == -(
                -side // stride
            )


def test_depthwise_and_pointwise_together_are_torchs_separable_convolution() -> None:
    maps, each, across = drawn(4, 8, 9), drawn(4, 3, 3), drawn(6, 4)
    ours = layers.pointwise(layers.depthwise(maps, each, padding=1), across)
    x = functional.conv2d(torch.from_numpy(maps)[None], torch.from_numpy(each)[:, None], padding=1, groups=4)
    theirs = functional.conv2d(x, torch.from_numpy(across)[:, :, None, None])
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-10)


@pytest.mark.parametrize("padding", ["valid", "same", "full"])
def test_column_then_row_is_their_outer_product(padding: str) -> None:
    image, column, row = drawn(8, 9), drawn(3), drawn(5)
    whole = layers.correlate(image, np.outer(column, row), padding=padding)
    np.testing.assert_allclose(layers.separable(image, column, row, padding=padding), whole, atol=1e-10)


def test_a_kernel_is_split_where_it_can_be() -> None:
    parts = split_separable(np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0]))
    assert parts is not None
    np.testing.assert_allclose(np.outer(*parts), np.outer([1, 2, 1], [-1, 0, 1]), atol=1e-12)
    assert split_separable(np.array([[0.0, 1.0], [1.0, 0.0]])) is None


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_a_transposed_convolution_is_torchs(stride: int, padding: int) -> None:
    maps, kernels = drawn(2, 4, 5), drawn(2, 3, 4, 3)
    theirs = functional.conv_transpose2d(
        torch.from_numpy(maps)[None], torch.from_numpy(kernels), stride=stride, padding=padding
    )
    ours = layers.transposed(maps, kernels, stride=stride, padding=padding)
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-10)


def test_locally_connected_has_weights_of_its_own_at_each_place() -> None:
    maps, kernels = drawn(2, 5, 6), drawn(4, 5, 3, 2, 2, 2)
    columns = functional.unfold(torch.from_numpy(maps)[None], 2)[0].numpy().reshape(2, 2, 2, 4, 5)
    expected = np.einsum("cuvij,ijdcuv->dij", columns, kernels)
    np.testing.assert_allclose(layers.locally_connected(maps, kernels), expected, atol=1e-10)


def test_tiles_of_one_are_a_convolution_and_of_every_place_locally_connected() -> None:
    maps, kernels = drawn(2, 5, 5), drawn(4, 4, 3, 2, 2, 2)
    one = layers.tiled(maps, kernels[:1, :1])
    np.testing.assert_allclose(one, layers.convolution_layer(maps, kernels[0, 0]), atol=1e-10)
    np.testing.assert_allclose(layers.tiled(maps, kernels), layers.locally_connected(maps, kernels), atol=1e-10)
    pairs = layers.tiled(maps, kernels[:2, :2])
    for down in (0, 1):
        for across in (0, 1):
            whole = layers.convolution_layer(maps, kernels[down, across])
            np.testing.assert_allclose(pairs[:, down::2, across::2], whole[:, down::2, across::2], atol=1e-10)


def test_poolings_are_torchs() -> None:
    maps = drawn(3, 9, 10)
    x = torch.from_numpy(maps)[None]
    for size, stride in ((2, 2), (3, 2), (3, 1)):
        np.testing.assert_allclose(layers.pool(maps, size, stride=stride), functional.max_pool2d(x, size, stride)[0])
        average = functional.avg_pool2d(x, size, stride)[0]
        np.testing.assert_allclose(layers.pool(maps, size, stride=stride, by="average"), average, atol=1e-12)
        l2 = functional.lp_pool2d(x, 2, size, stride)[0]
        np.testing.assert_allclose(layers.pool(maps, size, stride=stride, by="l2"), l2, atol=1e-10)
    np.testing.assert_allclose(layers.global_pool(maps), functional.adaptive_avg_pool2d(x, 1)[0, :, 0, 0])
    np.testing.assert_allclose(layers.global_pool(maps, "max"), functional.adaptive_max_pool2d(x, 1)[0, :, 0, 0])


def test_convolution_is_correlation_with_the_kernel_turned() -> None:
    from scipy.signal import convolve2d, correlate2d

    image, kernel = drawn(6, 7), drawn(3, 2)
    for padding in ("valid", "full"):
        np.testing.assert_allclose(layers.convolve(image, kernel, padding=padding), convolve2d(image, kernel, padding))
        np.testing.assert_allclose(
            layers.correlate(image, kernel, padding=padding), correlate2d(image, kernel, padding)
        )
    swapped = layers.convolve(kernel, image, padding="full")
    np.testing.assert_allclose(layers.convolve(image, kernel, padding="full"), swapped, atol=1e-12)
    assert not np.allclose(
        layers.correlate(image, kernel, padding="full"), layers.correlate(kernel, image, padding="full")
    )


def test_a_convolution_is_a_doubly_blocked_toeplitz_matrix_and_a_product_of_transforms() -> None:
    image, kernel = drawn(5, 6), drawn(3, 2)
    full = layers.convolve(image, kernel, padding="full")
    matrix = toeplitz_matrix(kernel, (5, 6))
    np.testing.assert_allclose((matrix @ image.ravel()).reshape(full.shape), full, atol=1e-12)
    np.testing.assert_allclose(convolve_by_fft(image, kernel), full, atol=1e-12)
    blocks = matrix.reshape(7, 7, 5, 6).swapaxes(1, 2)
    np.testing.assert_array_equal(blocks[1:, 1:], blocks[:-1, :-1])
    np.testing.assert_array_equal(blocks[..., 1:, 1:], blocks[..., :-1, :-1])


@given(st.integers(-9, 9), st.integers(-9, 9))
@settings(max_examples=20, deadline=None)
def test_a_convolution_moves_with_its_image(down: int, across: int) -> None:
    image, kernel = drawn(8, 9), drawn(3, 3)

    def move(values: ndarray) -> ndarray:
        return np.roll(values, (down, across), axis=(0, 1))

    whole = layers.correlate(image, kernel, padding="same", border="circular")
    moved = layers.correlate(move(image), kernel, padding="same", border="circular")
    np.testing.assert_allclose(moved, move(whole), atol=1e-12)


def test_what_does_not_fit_is_refused_with_its_sizes() -> None:
    with pytest.raises(ConfigError, match="spans 5 x 5 does not fit into 3 x 3"):
        layers.correlate(COUNT, drawn(3, 3), dilation=2)
    with pytest.raises(ConfigError, match="cannot be taken from a side of 3"):
        layers.correlate(COUNT, KERNEL, padding=3, border="reflect")
    with pytest.raises(ConfigError, match="expected valid, same, full"):
        layers.correlate(COUNT, KERNEL, padding="some")
    with pytest.raises(ConfigError, match="4 maps and 3 x 3 kernels"):
        layers.convolution_layer(drawn(4, 5, 5), drawn(3, 3, 2, 2))
    with pytest.raises(ConfigError, match="places"):
        layers.locally_connected(drawn(1, 3, 3), drawn(1, 1, 1, 1, 2, 2))
    with pytest.raises(ConfigError, match="must be 1 or more"):
        layers.pool(COUNT, 2, stride=0)
