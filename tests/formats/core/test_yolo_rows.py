from __future__ import annotations

import math

import pytest

from tracker.formats.core.yolo_rows import RowError, YoloRow, keypoint_values, layout_of, looks_like_row, take_apart

BOX = (0.5, 0.5, 0.2, 0.4)
TEXT = "0 0.5 0.5 0.2 0.4"
OUTLINE = "0 0.1 0.1 0.9 0.1 0.9 0.8 0.1 0.8"


def read(*lines: str, kpt_shape: object = None) -> list[YoloRow]:
    table = [line.split() for line in lines]
    layout = layout_of(table, keypoints=keypoint_values(kpt_shape))
    return [take_apart(cells, layout) for cells in table]


@pytest.mark.parametrize(
    ("behind", "score", "track_id"),
    [("", math.nan, None), (" 0.85", 0.85, None), (" 7", math.nan, 7), (" 0.85 7", 0.85, 7), (" 0.85 1", 0.85, 1)],
)
def test_what_ultralytics_puts_behind_a_box_is_told_apart(behind: str, score: float, track_id: int | None) -> None:
    (row,) = read(TEXT + behind)
    assert (row.box, row.outline, row.track_id) == (BOX, None, track_id)
    assert row.score == pytest.approx(score, nan_ok=True)


@pytest.mark.parametrize(
    ("behind", "score", "track_id"), [(" 0.85", 0.85, None), (" 0.85 7", 0.85, 7), (" 7", None, 7)]
)
def test_what_ultralytics_puts_behind_an_outline_is_told_apart(
    behind: str, score: float | None, track_id: int | None
) -> None:
    (row,) = read(OUTLINE + behind)
    assert row.outline == (0.1, 0.1, 0.9, 0.1, 0.9, 0.8, 0.1, 0.8)
    assert row.track_id == track_id
    assert row.score == score or (score is None and math.isnan(row.score))


def test_a_triangle_is_no_box_with_score_and_id() -> None:
    assert [row.outline for row in read("0 0.1 0.1 0.9 0.1 0.5 0.8")] == [(0.1, 0.1, 0.9, 0.1, 0.5, 0.8)]
    corner, other = read("0 0.1 0.1 0.9 0.3 0.85 1", OUTLINE)  # the second row shows that the file holds outlines
    assert corner.outline == (0.1, 0.1, 0.9, 0.3, 0.85, 1.0)
    assert other.outline is not None


def test_scores_of_exactly_one_are_no_track_ids() -> None:
    """ultralytics writes 1 for 1.0, so only the other rows tell what the last column is."""
    assert [(row.score, row.track_id) for row in read(f"{TEXT} 0.85", f"{TEXT} 1")] == [(0.85, None), (1.0, None)]
    assert [row.track_id for row in read(f"{TEXT} 2", f"{TEXT} 1")] == [2, 1]


@pytest.mark.parametrize(
    ("kpt_shape", "points"),
    [
        ("[5, 2]", "0.45 0.42 0.55 0.42 0.5 0.5 0.46 0.6 0.54 0.6"),
        ("[3, 3]", "0.45 0.42 2 0.55 0.42 1 0.5 0.5 0"),
        ("[4, 3]", "0.45 0.42 1 0.55 0.42 1 0.5 0.5 0 0.5 0.55 1"),
    ],
)
def test_a_pose_is_its_box(kpt_shape: str, points: str) -> None:
    shape = kpt_shape.strip("[]").split(", ")
    for behind, score, track_id in (("", None, None), (" 0.9", 0.9, None), (" 3", None, 3), (" 0.9 3", 0.9, 3)):
        (row,) = read(f"{TEXT} {points}{behind}", kpt_shape=shape)
        assert (row.box, row.outline, row.keypoints, row.track_id) == (BOX, None, True, track_id)
        assert row.score == score or (score is None and math.isnan(row.score))
    assert read(TEXT, kpt_shape=shape)[0].box == BOX
    with pytest.raises(RowError, match="expected 5 columns and"):
        read(f"{TEXT} {points} 0.5 0.5 0.5", kpt_shape=shape)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5", "of a wrong length"),
        ("0", "of a wrong length"),
        ("0 0.5 0.5 0.2 x", "that is not numbers"),
        ("0 0.5 0.5 0.2 inf", "that is not numbers"),
        ("0.5 0.5 0.5 0.2 0.4", "with a wrong class number"),
        (f"{TEXT} 1.5", "with a wrong score"),
        (f"{TEXT} 150 7", "with a wrong score"),
    ],
)
def test_rows_that_are_none_are_refused_by_kind(line: str, kind: str) -> None:
    with pytest.raises(RowError) as refused:
        read(line)
    assert refused.value.kind == kind


@pytest.mark.parametrize("kpt_shape", [None, "17", ["17"], ["17", "4"], ["x", "3"], {"a": "b"}])
def test_a_shape_of_keypoints_that_is_none_means_none(kpt_shape: object) -> None:
    assert keypoint_values(kpt_shape) == 0


def test_prose_and_names_do_not_look_like_rows() -> None:
    assert looks_like_row(["0", "0.5", "0.5", "0.1"])
    assert looks_like_row(["cat", "0.5", "0.5", "0.1", "0.1"])
    for line in ("traffic light", "", "images/a.jpg", "This dataset has 3 classes", "1"):
        assert not looks_like_row(line.split())
