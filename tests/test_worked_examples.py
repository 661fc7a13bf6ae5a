"""The worked examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.test_imports import modules

WITH_EXAMPLES = [name for name, path in modules().items() if "    >>> " in path.read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_worked_examples_give_what_they_say(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_what_matches_boxes_tracks_or_names_has_a_worked_example() -> None:
    wanted = {
        "tracker.geometry": ["iou", "nms"],
        "tracker.track.assignment": ["overlapping", "assign", "assign_then_reject"],
        "tracker.detect.tiles": ["join_windows"],
        "tracker.track.association": ["usable", "associate"],
        "tracker.track.augmenting_paths": ["best_matching"],
        "tracker.track.refine.link": ["link_fragments"],
        "tracker.track.refine.swaps": ["find_swaps"],
        "tracker.train.aligned": ["align"],
        "tracker.train.assign": ["assign"],
        "tracker.train.teacher": ["fuse_views"],
        "tracker.evaluate.matching": ["match_finds", "pair", "mostly_inside"],
        "tracker.nets.suppress": ["nms"],
        "tracker.formats.core.frame_matching": ["_numbers", "_unique"],
    }
    for module, names in wanted.items():
        for name in names:
            assert ">>> " in (getattr(import_module(module), name).__doc__ or ""), f"{module}.{name}"
