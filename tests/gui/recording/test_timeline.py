"""What the timeline paints."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PyQt6.QtGui import QColor
from pytestqt.qtbot import QtBot

from gui.qt.theme import accent
from gui.recording.timeline import RULER, Timeline

WIDTH = 600


def filled(timeline: Timeline) -> Sequence[int]:
    """The first and last pixel of the strip that says what is annotated."""
    image = timeline.grab().toImage()
    blue = accent(timeline.palette())
    columns = [x for x in range(WIDTH) if QColor(image.pixel(x, RULER + 1)) == blue]
    return (columns[0], columns[-1]) if columns else ()


@pytest.mark.parametrize(
    ("end_s", "annotated", "wanted"),
    [
        (60.0, None, ()),
        (60.0, (0.0, 60.0), (0, 599)),
        (60.0, (12.0, 24.0), (120, 239)),
        (0.0, (0.0, 0.0), (0, 599)),
    ],
)
def test_the_strip_is_filled_where_frames_are_annotated(
    qtbot: QtBot, end_s: float, annotated: tuple[float, float] | None, wanted: Sequence[int]
) -> None:
    timeline = Timeline()
    qtbot.addWidget(timeline)
    timeline.resize(WIDTH, 200)
    timeline.show()
    timeline.show_times(0.0, end_s)
    timeline.show_annotated(annotated)
    timeline.show_position(end_s, follow=False)
    assert list(filled(timeline)) == pytest.approx(wanted, abs=2)
