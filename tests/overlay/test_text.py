from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.overlay.palette import PALETTE
from tracker.overlay.text import Pen, Tag, _tell_of_old_opencv, draw_tag, place_tag, printable

PEN = 14


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-60, 330), st.integers(-60, 250), st.integers(1, 400), st.integers(1, 300)),
        min_size=1,
        max_size=12,
    )
)
def test_tags_stay_inside_the_frame(places: list[tuple[int, int, int, int]]) -> None:
    pen, taken = Pen(PEN), list[Tag]()
    for x, y, width, height in places:
        tag = place_tag(
            ("person 12 0.87", "12"),
            (x, y, x + width, y + height),
            PALETTE[0],
            pen=pen,
            line=2,
            taken=taken,
            frame_size=(320, 240),
        )
        taken.append(tag)
        assert tag.x >= 0
        assert tag.y >= 0
        assert tag.x + tag.width <= 320
        assert tag.y + tag.height <= 240


def test_tags_of_close_boxes_do_not_cover_each_other() -> None:
    pen, taken = Pen(PEN), list[Tag]()
    for number in range(4):
        x = 200 + 12 * number
        texts = (f"person {number} 0.87", str(number))
        tag = place_tag(
            texts, (x, 200, x + 40, 300), PALETTE[number], pen=pen, line=2, taken=taken, frame_size=(640, 480)
        )
        taken.append(tag)
    assert sum(a.overlap(b) for a in taken for b in taken if a is not b) == 0


def test_a_tag_is_shortened_where_the_full_one_fits_nowhere() -> None:
    pen = Pen(PEN)
    wall = Tag("", PALETTE[0], 60, 0, 600, 400)
    tag = place_tag(
        ("person 12 0.87", "12"), (30, 100, 50, 160), PALETTE[1], pen=pen, line=2, taken=[wall], frame_size=(640, 400)
    )
    assert tag.text == "12"


@pytest.mark.parametrize("text", ["person 1", "Fußgänger", "автомобиль", "自転車", "버스"])
def test_any_script_is_written_not_question_marks(text: str) -> None:
    pen = Pen(24)
    drawn, asked = np.zeros((40, 400, 3), np.uint8), np.zeros((40, 400, 3), np.uint8)
    pen.write(drawn, text, 5, 30, (255, 255, 255))
    pen.write(asked, "?" * len(text), 5, 30, (255, 255, 255))
    assert drawn.any()
    assert cv2.absdiff(drawn, asked).max() > 200


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("size", [12, 17, 30, 61])
def test_the_measured_width_holds_the_written_text(version: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if version == 4:
        monkeypatch.delattr(cv2, "FontFace", raising=False)
    pen = Pen(size)
    for text in ("person 7 0.93", "WWW", "автомобиль 5", "人 1"):
        canvas = np.zeros((100, 1000, 3), np.uint8)
        draw_tag(canvas, Tag(text, PALETTE[9], 20, 5, pen.width(text), pen.height), pen)
        inked = np.flatnonzero(np.any(canvas != 0, axis=(0, 2)))
        assert inked[0] == 20
        assert inked[-1] == 20 + pen.width(text) - 1
        body = canvas[5 : 5 + pen.height, 20 : 20 + pen.width(text)]
        for edge in (body[0], body[-1], body[:, 0], body[:, -1]):
            assert (edge == PALETTE[9]).all(), f"{text}: the writing touches the rim of its tag"


def test_under_opencv_4_letters_lose_their_accents_and_it_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    _tell_of_old_opencv.cache_clear()
    canvases = []
    for text in ("Fahrräder é", "Fahrrader e", "Fahrr der e"):
        canvas = np.zeros((40, 400, 3), np.uint8)
        Pen(24).write(canvas, text, 5, 30, (255, 255, 255))
        canvases.append(canvas)
    assert np.array_equal(canvases[0], canvases[1])
    assert not np.array_equal(canvases[0], canvases[2])
    assert len(caplog.records) == 1
    assert "whose letters are ASCII only" in caplog.text


def test_control_characters_and_long_names_are_tamed() -> None:
    assert printable("per\nson\x00") == "per son"
    assert len(printable("x" * 500)) == 48
