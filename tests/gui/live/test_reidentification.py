"""A re-identification network in live windows: loaded beside the detector, asked by every source, or missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import gui.engine.live_network
from gui.engine.stages import LiveTracker
from gui.live.session import Session, SessionState
from gui.window import Window
from tests.gui.conftest import App
from tests.gui.live.test_memory import Crowds
from tests.gui.live.test_page import shown_tracks, start
from tracker.config import TrackerConfig
from tracker.factory import Settings
from tracker.protocols import Embed
from tracker.types import Image


class FakeEmbedder:
    """Finds all alike and counts how often it was asked."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.asked = 0

    def __call__(self, image: Image, boxes: np.ndarray) -> np.ndarray:
        self.asked += 1
        return np.full((len(boxes), self.dimensions), self.dimensions**-0.5, np.float32)


@pytest.fixture
def embedders(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeEmbedder]:
    """Networks by the file they would be read from."""
    known = {"short.safetensors": FakeEmbedder(8), "long.safetensors": FakeEmbedder(24)}

    def make(settings: Settings) -> Embed | None:
        tracker = settings.tracker
        return known[tracker.reid_model] if tracker.appearance == "reid" else None

    monkeypatch.setattr(gui.engine.live_network, "make_embedder", make)
    return known


def use(window: Window, **tracker: str) -> None:
    window.engine.replace_all({**window.engine.tree, "tracker": tracker})


def wait_for_frames(app: App, sessions: Sequence[Session]) -> None:
    """Until each has shown ten more."""

    def done() -> list[int]:
        return [now.frames for session in sessions if (now := session.progress()) is not None]

    before = done()
    app.until(lambda: min(np.subtract(done(), before)) >= 10)


def test_sources_ask_the_network_that_is_chosen_while_they_run(app: App, embedders: dict[str, FakeEmbedder]) -> None:
    window = start(app)
    window.watch("north")
    window.watch("south")
    sessions = window.live.sessions
    app.until(lambda: all(shown_tracks(session) == 1 for session in sessions))
    for name, embedder in embedders.items():
        use(window, preset="deepsort", reid_model=name)
        app.until(lambda embedder=embedder: embedder.asked > 20)
    use(window, preset="deepsort", appearance="none")
    app.until(lambda: window.engine.embedder is None)
    wait_for_frames(app, sessions)
    asked = [embedder.asked for embedder in embedders.values()]
    wait_for_frames(app, sessions)
    assert [embedder.asked for embedder in embedders.values()] == asked
    app.until(lambda: all(shown_tracks(session) == 1 for session in sessions))
    for session in sessions:
        assert session.state is SessionState.LIVE, session.message
        assert session.rendered is not None
        assert session.rendered.result.tracks.ids.min() > 1, "tracks began anew, ids went on"


def test_deepsort_takes_the_network_that_comes_with_the_program(app: App) -> None:
    window = start(app)
    chooser = window.panel._tracker
    chooser.setCurrentIndex(chooser.findData("deepsort"))
    assert window.engine.settings.tracker.appearance == "reid"
    assert not window.panel._problem.isVisibleTo(window.panel)


def test_a_file_that_is_no_such_network_is_reported_and_sources_go_on(app: App, tmp_path: Path) -> None:
    window = start(app)
    window.watch("north")
    (session,) = window.live.sessions
    app.until(lambda: shown_tracks(session) == 1)
    use(window, appearance="reid", reid_model=str(tmp_path / "none.safetensors"))
    app.until(lambda: window.engine.problem)
    assert "none.safetensors" in window.panel._problem.text()
    wait_for_frames(app, [session])
    assert session.state is SessionState.LIVE


def test_looks_are_not_taken_for_settings_without_them() -> None:
    embedder = FakeEmbedder(8)
    tracker = LiveTracker(TrackerConfig(appearance="none"))
    tracker.change(TrackerConfig(appearance="none"), embedder)
    crowd = Crowds().detect([np.zeros((4, 4, 3), np.uint8)])[0]
    for moment in range(5):
        tracker.update(
            crowd, moment / 25, embed_rows=lambda rows: embedder(np.empty((4, 4, 3), np.uint8), crowd.boxes[rows])
        )
    assert embedder.asked == 0
