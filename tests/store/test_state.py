from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import FormatError
from tracker.store import pack_state, unpack_state

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(tree=st.dictionaries(st.text(max_size=4), plain, max_size=4))
@settings(max_examples=60, deadline=None)
def test_plain_values_come_back_equal(tree: dict[str, object]) -> None:
    assert unpack_state(pack_state(tree)) == tree


def test_arrays_come_back_exactly_with_type_and_shape() -> None:
    arrays = {
        "one": np.array([np.nan, -0.0, 1e-300, 0.1]),
        "nested": [{"two": np.arange(6, dtype=np.uint8).reshape(2, 3)}, np.empty((0, 4), np.float32)],
    }
    found = unpack_state(pack_state(arrays))
    assert found["one"].tobytes() == arrays["one"].tobytes()
    assert found["nested"][0]["two"].dtype == np.uint8
    assert found["nested"][0]["two"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["nested"][1].shape == (0, 4)


def test_equal_states_give_equal_bytes() -> None:
    state = {"a": np.arange(5), "b": [1, 2.5, "x"]}
    assert pack_state(state) == pack_state(state)


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array([None, "x"], object), {"__array__": "a0"}])
def test_other_objects_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        pack_state({"state": value})


@given(places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_damaged_bytes_are_refused_or_harmless(places: list[tuple[int, int]]) -> None:
    whole = pack_state({"a": np.arange(300), "b": [1, {"c": np.zeros(5)}]})
    packed = bytearray(whole)
    for place, value in places:
        packed[place % len(packed)] = value
    try:
        found = unpack_state(bytes(packed))
    except FormatError:
        return
    assert pack_state(found) == whole, "a byte that nobody reads, or what was there before"


def test_a_byte_that_calls_it_encrypted_is_damage() -> None:
    packed = bytearray(pack_state({"a": np.arange(300)}))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(FormatError, match="checkpoint"):
        unpack_state(bytes(packed))


@pytest.mark.parametrize("packed", [b"", b"PK\x03\x04 cut off", b"\x80\x04N."])
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(FormatError, match="checkpoint"):
        unpack_state(packed)
