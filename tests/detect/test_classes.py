from __future__ import annotations

import pytest

from tracker.config.coco_classes import CLASS_GROUPS, COCO_LABELS
from tracker.detect.classes import choose_classes
from tracker.errors import ConfigError

SIX = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


def names(wanted: tuple[str, ...], labels: tuple[str, ...] = COCO_LABELS) -> set[str]:
    rows = choose_classes(wanted, labels)
    return set(labels) if rows is None else {labels[row] for row in rows}


@pytest.mark.parametrize("group", CLASS_GROUPS)
def test_a_group_stands_for_its_members(group: str) -> None:
    assert names((group,)) == set(CLASS_GROUPS[group])
    assert names((group.upper(), "kite")) == {*CLASS_GROUPS[group], "kite"}


def test_all_and_nothing_are_every_class() -> None:
    assert choose_classes(("all",), COCO_LABELS) is choose_classes((), COCO_LABELS) is None


def test_a_network_gives_what_it_knows_of_a_group_and_refuses_one_it_knows_nothing_of() -> None:
    assert names(("people-and-vehicles",), SIX) == set(SIX)
    with pytest.raises(ConfigError, match="--classes animals: the network knows none of them; it knows person"):
        choose_classes(("animals",), SIX)


def test_a_misspelt_group_is_reported_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'animals'"):
        choose_classes(("animal",), COCO_LABELS)
