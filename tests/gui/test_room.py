"""The window keeps the size it was given: whatever is shown in it finds room, or says it in fewer words."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QSize
from PyQt6.QtWidgets import QScrollArea

from tests.annotate.tiny import COLOURS
from tests.gui.conftest import App
from tracker.types import Detections, Frame, FrameResult, Tracks
from tracker.video import VideoSink

SMALL = QSize(900, 600)


def write_upright(path: Path) -> Path:
    """A video twice as high as it is wide, in which a block goes down."""
    sink = VideoSink(path, rate=Fraction(25))
    for index in range(40):
        image = np.full((320, 160, 3), 20, np.uint8)
        image[index * 4 : index * 4 + 24, 60:84] = COLOURS[0]
        sink.write(FrameResult(Frame(image, index, index / 25, path.name), Detections.empty(), Tracks.empty(), ()))
    sink.close()
    return path


def test_a_small_window_stays_small_with_an_upright_video_of_a_long_name_and_every_dock(
    app: App, tmp_path: Path
) -> None:
    window = app.start()
    window.resize(SMALL)
    words: list[str] = []
    for page in (window.start, window.networks, window.inside, window.live):
        window.show_page(page)
        assert window.size() == SMALL
    video = write_upright(tmp_path / f"Tom & Jerry 100 % {'long ' * 30}.mp4")
    recording = app.open(window, video)

    def annotated() -> bool:
        words.append(window.recordings.transport.words)
        assert window.size() == SMALL, words[-1]
        return recording.finished

    app.until(annotated)
    assert any(words)
    for name in ("settings", "events", "evidence", "jobs", "counts"):
        window.docks.bring(name)
        app.until(window.docks[name].isVisible)
        assert window.size() == SMALL, name
    app.until(lambda: window.recorded_counts.shows_heat)
    assert window.size() == SMALL
    window.docks.bring("settings")
    app.until(window.panel.isVisible)
    for area in window.docks["settings"].findChildren(QScrollArea):
        bar = area.horizontalScrollBar()
        assert bar is not None
        app.until(lambda bar=bar: bar.maximum() == 0)  # once it is laid out, a long path widens nothing
