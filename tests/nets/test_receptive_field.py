"""The field of a position is the pixels whose change it feels, through any chain of layers."""

from __future__ import annotations

from fractions import Fraction

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tracker.nets.receptive_field import IMAGE, Field

SIDE = 400


def felt(network: nn.Module, position: int) -> tuple[int, int]:
    """(first, last) pixel with a gradient from one position near the middle of a one-dimensional network."""
    signal = torch.zeros(1, 1, SIDE, dtype=torch.float64, requires_grad=True)
    network(signal)[0, 0, position].backward()
    assert signal.grad is not None
    touched = signal.grad[0, 0].nonzero()
    return int(touched.min()), int(touched.max())


def convolution(kernel: int, stride: int, padding: int, dilation: int) -> nn.Module:
    layer = nn.Conv1d(1, 1, kernel, stride, padding, dilation, bias=False, dtype=torch.float64)
    nn.init.ones_(layer.weight)
    return layer


def transposed(kernel: int, stride: int, padding: int) -> nn.Module:
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding, bias=False, dtype=torch.float64)
    nn.init.ones_(layer.weight)
    return layer


LAYERS = st.one_of(
    st.tuples(st.just("conv"), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
    st.tuples(st.just("transposed"), st.integers(2, 4), st.integers(1, 2), st.integers(0, 1)),
    st.tuples(st.just("nearest"), st.integers(2, 3)),
    st.tuples(st.just("linear"), st.just(2)),
)


@given(st.lists(LAYERS, min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_the_field_is_what_back_propagation_reaches(chain: list[tuple[str, *tuple[int, ...]]]) -> None:
    field, modules = IMAGE, []
    for kind, *numbers in chain:
        if kind == "conv":
            kernel, stride, padding, dilation = numbers
            modules.append(convolution(kernel, stride, padding, dilation))
            field = field.windowed(kernel, stride=stride, before=padding, dilation=dilation)
        elif kind == "transposed":
            kernel, stride, padding = numbers
            modules.append(transposed(kernel, stride, padding))
            field = field.transposed(kernel, stride=stride, before=padding)
        else:
            modules.append(nn.Upsample(scale_factor=numbers[0], mode=kind))
            field = field.enlarged(numbers[0], linear=kind == "linear")
    network = nn.Sequential(*modules)
    length = network(torch.zeros(1, 1, SIDE, dtype=torch.float64)).shape[2]
    middle = length // 2
    for position in range(middle, min(middle + len(field.low), length)):
        low, high = field.at(position)
        if low >= 0 and high < SIDE:  # else the edge takes a part away
            assert felt(network, position) == (low, high)


def test_the_textbook_fields() -> None:
    threes = IMAGE.windowed(3, before=1).windowed(3, before=1).windowed(3, before=1)
    assert (threes.size, threes.stride) == (7, 1)
    down = IMAGE.windowed(7, stride=2, before=3).windowed(3, stride=2, before=1)
    assert (down.size, down.stride) == (11, 4)
    assert down.enlarged(4, linear=False).stride == Fraction(1)
    assert IMAGE.windowed(2, stride=2).enlarged(2, linear=False).low == (0, 0)


def test_maps_that_join_see_what_both_see() -> None:
    wide, narrow = IMAGE.windowed(5, before=2), IMAGE.windowed(3, before=1)
    assert wide.joined(narrow) == wide
    assert wide.joined(IMAGE.windowed(2, stride=2)) is None
    shifted = IMAGE.moved(3)
    assert shifted == Field(1, (3,), (3,))
    assert shifted.joined(IMAGE) == Field(1, (0,), (3,))
    assert IMAGE.moved(1, stride=2).at(4) == (9, 9)
