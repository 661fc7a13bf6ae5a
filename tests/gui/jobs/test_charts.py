from __future__ import annotations

import pytest
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor
from pytestqt.qtbot import QtBot

from gui.jobs.charts import COLOURS, CurveChart

NAMES = ("score", "ap_person", "ap50_person", "mask_ap50_person", "mask_ap75_person", "precision")


@pytest.mark.parametrize(("width", "one_line"), [(220, False), (400, False), (1400, True)])
def test_every_curve_is_named_in_its_colour_above_the_frame(qtbot: QtBot, width: int, one_line: bool) -> None:
    chart = CurveChart("Measures")
    qtbot.addWidget(chart)
    chart.resize(width, 260)
    chart.show_curves({name: [(0.0, 0.0), (1.0, 0.0)] for name in NAMES})  # along the lower edge
    places = chart._places_of_names()
    picture = chart.grab().toImage()
    for number, place in enumerate(places):
        seen = picture.pixelColor((place + QPointF(4, 9)).toPoint())
        wanted = QColor(COLOURS[number])
        assert max(abs(seen.red() - wanted.red()), abs(seen.blue() - wanted.blue())) < 40, NAMES[number]
    assert len(places) == len(NAMES)
    assert (len({place.y() for place in places}) == 1) == one_line
