from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.overlay.scenes import GOLDEN, SCENES, body_mask, crowd, make_result, make_tracks, street
from tracker.config import build, field_docs
from tracker.errors import ConfigError
from tracker.overlay import Overlay, OverlayConfig
from tracker.overlay.legend import legend
from tracker.overlay.palette import LABEL_PALETTE, colour_of
from tracker.overlay.shapes import to_pixels
from tracker.overlay.text import Pen
from tracker.types import FrameResult, Tracks, TrackState

BARE = OverlayConfig(class_names=False, ids=False, scores=False, masks=False)


def changed(result: FrameResult, overlay: Overlay) -> np.ndarray:
    """Which pixels the overlay changed."""
    return np.any(overlay(result) != result.frame.image, axis=2)


@pytest.mark.parametrize("name", SCENES)
def test_scene_looks_like_its_golden_frame(name: str) -> None:
    golden = cv2.imread(str(GOLDEN / f"{name}.png"))[:, :, ::-1]
    drawn = SCENES[name]()
    assert drawn.shape == golden.shape
    apart = np.abs(drawn.astype(int) - golden)
    # another build of OpenCV may render glyph edges a shade differently; a moved line or a changed colour is more
    assert apart.mean() < 0.3
    assert (apart.max(axis=2) > 40).mean() < 0.002


def test_the_same_result_gives_the_same_frame() -> None:
    assert np.array_equal(Overlay()(crowd(480, 270)), Overlay()(crowd(480, 270)))


def test_the_frame_itself_is_left_alone() -> None:
    result = crowd(320, 180)
    result.frame.image.setflags(write=False)
    before = result.frame.image.copy()
    Overlay(OverlayConfig(trails=True, blur_classes=("person",)))(result)
    assert np.array_equal(result.frame.image, before)


def test_drawing_in_place_equals_drawing_a_copy() -> None:
    result = crowd(320, 180)
    canvas = result.frame.image.copy()
    Overlay().draw(result, canvas)
    assert np.array_equal(canvas, Overlay()(result))


@given(st.integers(360, 2160), st.sampled_from([1.25, 1.5, 2.0, 3.0]), st.floats(0.5, 3))
def test_lines_and_text_for_a_dense_screen_are_as_large_as_on_any_other(
    side: int, density: float, scale: float
) -> None:
    config = OverlayConfig(scale=scale)
    line, text = Overlay(config)._sizes(side)
    dense_line, dense_text = Overlay(config, density=density)._sizes(round(side * density))
    assert dense_line == pytest.approx(line * density, abs=0.5 + density / 2 + 0.1)
    assert dense_text == pytest.approx(text * density, abs=0.5 + density / 2 + 0.1) or text == 9


def test_nothing_is_drawn_for_nobody() -> None:
    result = make_result(Tracks.empty(), street(160, 90))
    assert not changed(result, Overlay(OverlayConfig(trails=True))).any()


def test_a_box_is_drawn_in_the_colour_of_its_id() -> None:
    tracks = make_tracks(np.array([[100, 60, 200, 160]]), ids=[7])
    canvas = Overlay(BARE)(make_result(tracks, np.zeros((240, 320, 3), np.uint8)))
    assert tuple(canvas[100, 100]) == colour_of(7)
    assert tuple(canvas[60, 150]) == colour_of(7)
    assert not canvas[110, 150].any()


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (3840, 2160)])
def test_lines_and_text_grow_with_the_frame(size: tuple[int, int]) -> None:
    width, height = size
    tracks = make_tracks(np.array([[0.4, 0.4, 0.6, 0.8]]) * [width, height, width, height])
    result = make_result(tracks, np.zeros((height, width, 3), np.uint8))
    middle_row = changed(result, Overlay(BARE))[int(0.6 * height)]
    line = middle_row[: width // 2].sum()
    assert 0.0015 < line / height < 0.006
    tag_rows = changed(result, Overlay(replace(BARE, ids=True, boxes=False))).any(axis=1).sum()
    assert 0.02 < tag_rows / height < 0.045


def test_tentative_tracks_are_hidden_unless_asked_for() -> None:
    tracks = make_tracks(np.array([[20, 20, 80, 80]]), states=[TrackState.TENTATIVE])
    result = make_result(tracks, street(160, 120))
    assert not changed(result, Overlay()).any()
    assert changed(result, Overlay(OverlayConfig(tentative=True))).any()


def test_unseen_tracks_are_dashed_and_vanish_in_time() -> None:
    box = np.array([[100, 60, 220, 180]])
    states = {"states": [TrackState.COASTING], "detection_rows": [-1]}
    black = np.zeros((240, 320, 3), np.uint8)
    solid = changed(make_result(make_tracks(box), black), Overlay(BARE)).sum()
    dashed = changed(make_result(make_tracks(box, unseen=[0.2], **states), black), Overlay(BARE)).sum()
    gone = changed(make_result(make_tracks(box, unseen=[0.6], **states), black), Overlay(BARE)).sum()
    assert 0.35 * solid < dashed < 0.75 * solid
    assert gone == 0


def test_masks_tint_the_covered_pixels_only() -> None:
    tracks = make_tracks(np.array([[100, 40, 180, 200]]), ids=[2])
    grey = np.full((240, 320, 3), 100, np.uint8)
    result = make_result(tracks, grey, masks=body_mask()[None])
    canvas = Overlay(replace(BARE, masks=True, boxes=False))(result)
    expected = np.rint(0.6 * 100 + 0.4 * np.array(colour_of(2)))
    assert np.abs(canvas[145, 140].astype(int) - expected).max() <= 1
    assert (canvas[42, 102] == 100).all()
    assert (canvas[:, :99] == 100).all()


def test_a_mask_cut_by_the_border_continues_the_whole_one() -> None:
    mask = body_mask()[None]
    overlay = Overlay(replace(BARE, masks=True, boxes=False))
    inside = make_result(make_tracks(np.array([[100, 40, 180, 200]])), np.zeros((240, 320, 3), np.uint8), masks=mask)
    cut = make_result(make_tracks(np.array([[-40, 40, 40, 200]])), np.zeros((240, 320, 3), np.uint8), masks=mask)
    whole, part = changed(inside, overlay)[:, 140:180], changed(cut, overlay)[:, :40]
    assert (whole != part).mean() < 0.03


def test_a_trail_follows_the_foot_fades_and_dies_with_its_track() -> None:
    overlay = Overlay(replace(BARE, trails=True, boxes=False, trail_s=1.0))
    black = np.zeros((240, 320, 3), np.uint8)
    for step in range(31):
        box = np.array([[20 + 8 * step, 50, 40 + 8 * step, 100]])
        canvas = overlay(make_result(make_tracks(box), black, index=step, time=step / 25))
    brightness = canvas[98:103].max(axis=(0, 2)).astype(int)
    x_now, x_old = 30 + 8 * 30, 30 + 8 * 30 - 8 * 25
    assert brightness[x_now - 12] > brightness[x_now - 100] > brightness[x_old + 12] > 0
    assert brightness[: x_old - 12].max() == 0
    assert not changed(make_result(Tracks.empty(), black, time=1.3), overlay).any()
    reborn = make_result(make_tracks(np.array([[200, 50, 220, 100]])), black, time=1.4)
    assert not changed(reborn, overlay).any()


def test_seeking_back_forgets_the_later_part_of_a_trail() -> None:
    overlay = Overlay(replace(BARE, trails=True, boxes=False))
    black = np.zeros((240, 320, 3), np.uint8)
    for step in range(20):
        box = np.array([[20 + 10 * step, 50, 40 + 10 * step, 100]])
        overlay(make_result(make_tracks(box), black, time=step / 10))
    back = overlay(make_result(make_tracks(np.array([[60, 50, 80, 100]])), black, time=0.4))
    assert not back[:, 90:].any()


@pytest.mark.parametrize("shape", ["box", "mask"])
def test_blurred_people_cannot_be_told_apart(shape: str) -> None:
    rng = np.random.default_rng(3)
    tracks = make_tracks(np.array([[60, 40, 160, 200], [200, 40, 300, 200]]), class_ids=[0, 1])
    image = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    result = make_result(tracks, image, masks=np.stack([body_mask(), body_mask()]))
    config = replace(BARE, boxes=False, blur_classes=("person",), blur_shape=shape)  # type: ignore[arg-type]
    canvas = Overlay(config)(result)
    assert np.array_equal(canvas[:, 165:], image[:, 165:])
    hidden = canvas[80:190, 95:125]  # inside the mask too
    assert len(np.unique(hidden.reshape(-1, 3), axis=0)) <= 60
    assert canvas[40:200, 60:160].std() < 0.75 * image[40:200, 60:160].std()


def test_an_unsure_or_unseen_person_is_blurred_too() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    tracks = make_tracks(
        np.array([[60, 40, 160, 200]]), states=[TrackState.COASTING], unseen=[5.0], detection_rows=[-1]
    )
    canvas = Overlay(replace(BARE, boxes=False, blur_classes=("person",)))(make_result(tracks, image))
    assert canvas[40:200, 60:160].std() < 20


def test_blur_regions_hide_their_part_of_every_frame() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (100, 200, 3), dtype=np.uint8)
    canvas = Overlay(OverlayConfig(blur_regions=((0.5, 0.0, 1.0, 1.0),)))(make_result(Tracks.empty(), image))
    assert np.array_equal(canvas[:, :100], image[:, :100])
    assert canvas[:, 100:].std() < 20


def test_pixel_labels_tint_the_whole_frame() -> None:
    image = np.full((60, 80, 3), 100, np.uint8)
    labels = np.zeros((60, 80), np.uint8)
    labels[30:] = 1
    result = replace(make_result(Tracks.empty(), image), semantic=labels)
    canvas = Overlay(OverlayConfig(semantic_opacity=0.5))(result)
    assert np.abs(canvas[10, 10].astype(int) - (50 + np.array(LABEL_PALETTE[0]) // 2)).max() <= 1
    assert np.abs(canvas[50, 10].astype(int) - (50 + np.array(LABEL_PALETTE[1]) // 2)).max() <= 1


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(0, 6), st.just(4)), elements=st.floats(-1e9, 1e9, width=32)),
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
def test_no_box_however_odd_breaks_the_drawing(boxes: np.ndarray, size: tuple[int, int]) -> None:
    width, height = size
    tracks = make_tracks(boxes, class_ids=np.full(len(boxes), 99))
    masks = np.repeat(body_mask(8)[None], len(boxes), axis=0)
    config = OverlayConfig(trails=True, blur_classes=("person",), blur_shape="mask")
    canvas = Overlay(config)(make_result(tracks, np.zeros((height, width, 3), np.uint8), masks=masks))
    assert canvas.shape == (height, width, 3)


@given(st.tuples(*[st.floats(-500, 500)] * 4))
def test_pixel_corners_hold_at_least_one_pixel(box: tuple[float, float, float, float]) -> None:
    corners = to_pixels(box, (100, 80))
    if corners is not None:
        x1, y1, x2, y2 = corners
        assert x2 > x1
        assert y2 > y1


@pytest.mark.parametrize(
    "setting",
    [
        {"mask_opacity": 1.5},
        {"trail_s": -1.0},
        {"scale": 0.0},
        {"colour_by": "moon"},
        {"blur_regions": [[0.5, 0.0, 0.2, 1.0]]},
        {"mask_opaciti": 0.3},
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        build(OverlayConfig, setting, "overlay")


def test_every_setting_is_explained() -> None:
    assert all(field_docs(OverlayConfig)[name] for name in OverlayConfig.__slots__)


def test_the_legend_names_the_labels_that_occur_and_no_single_pixels() -> None:
    image = np.full((240, 320, 3), 100, np.uint8)
    labels = np.zeros((120, 160), np.uint8)  # of any size
    labels[60:] = 2
    labels[0, 0] = 1
    result = replace(make_result(Tracks.empty(), image), semantic=labels, semantic_labels=("road", "pole", "sky"))
    pen = Pen(12)
    assert [tag.text for tag in legend(labels, result.semantic_labels, image, pen)] == ["road", "sky"]
    with_legend = Overlay(OverlayConfig())(result)
    without = Overlay(OverlayConfig(semantic_legend=False))(result)
    changed = np.argwhere((with_legend != without).any(axis=2))
    assert len(changed)
    assert changed[:, 0].min() > 160
    assert changed[:, 1].max() < 80
