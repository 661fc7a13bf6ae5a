from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from tracker.errors import FormatError
from tracker.formats.core.rle import masks_to_rle, rle_area, rle_to_window, runs_to_text, text_to_runs, window_to_rle
from tracker.geometry import paste_mask

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_window_code_equals_pycocotools_code_of_the_full_image(
    covered: np.ndarray, left: int, top: int, right: int, bottom: int
) -> None:
    full = np.pad(covered, ((top, bottom), (left, right)))
    height, width = full.shape
    expected = coco.encode(np.asfortranarray(full.astype(np.uint8)))
    code = window_to_rle(covered, left=left, top=top, width=width, height=height)
    assert code == {"size": [height, width], "counts": expected["counts"].decode()}


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, (3, 6, 6)),
    hnp.arrays(np.float32, (3, 4), elements=st.floats(-40, 90, width=32)),
)
def test_box_masks_come_back_as_they_were_pasted(masks: np.ndarray, boxes: np.ndarray) -> None:
    width, height = 64, 48
    for mask, box, code in zip(masks, boxes, masks_to_rle(masks, boxes, width=width, height=height), strict=True):
        full = np.zeros((height, width), bool)
        window, covered = paste_mask(mask, box, width, height)
        full[window] = covered
        assert np.array_equal(coco.decode(code).astype(bool), full)


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_codes_of_pycocotools_are_read_into_the_smallest_window(full: np.ndarray) -> None:
    code = coco.encode(np.asfortranarray(full.astype(np.uint8)))
    text = code["counts"].decode()
    window, covered = rle_to_window({"size": list(full.shape), "counts": text})
    back = np.zeros_like(full)
    back[window] = covered
    assert np.array_equal(back, full)
    assert rle_area({"size": list(full.shape), "counts": text}) == full.sum()
    if covered.size:
        assert covered.any(axis=0)[[0, -1]].all()
        assert covered.any(axis=1)[[0, -1]].all()


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30))
def test_run_lengths_come_back_from_their_text(runs: list[int]) -> None:
    assert text_to_runs(runs_to_text(np.array(runs, np.int64))).tolist() == runs


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        _, covered = rle_to_window({"size": [5, 7], "counts": text})
    except FormatError:
        return
    assert covered.size <= 35
