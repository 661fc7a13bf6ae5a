"""The real app without a display: its settings in a folder of the test, a network that sees bright blocks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PyQt6.QtCore import QPointF, QSettings, Qt
from PyQt6.QtGui import QMouseEvent
from pytestqt.qtbot import QtBot

from gui.canvas.video_view import VideoView
from gui.qt.preferences import Preferences
from gui.recording.annotation import job_of, request_of_settings
from gui.recording.session import PlayedRecording
from gui.window import Window
from tests.annotate.conftest import network
from tests.annotate.tiny import write_clip
from tests.video.synthetic import irregular_ticks
from tests.video.synthetic import write_clip as write_numbered
from tracker.annotate.run import annotate_recording
from tracker.factory import Settings, load_settings
from tracker.store import Recording
from tracker.store.rows import to_stored

__all__ = ["network"]

WAIT_MS = 60_000
"""Long, for machines that have other things to do; nothing waits longer than it must."""


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of moving blocks."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 150)


@pytest.fixture(scope="session")
def settings_tree(network: Path) -> dict[str, dict[str, str]]:
    """The app's settings in all tests."""
    return {"detector": {"model": str(network)}}


@pytest.fixture(scope="session")
def annotated(tmp_path_factory: pytest.TempPathFactory, clip: Path, settings_tree: dict[str, dict[str, str]]) -> Path:
    """A folder of results with the clip's finished recording in it."""
    folder = tmp_path_factory.mktemp("annotated")
    settings: Settings = load_settings(settings_tree, "test")
    annotate_recording(job_of(clip, folder), request_of_settings(settings, refine=False))
    return folder


@dataclass
class App:
    """Windows on the same settings and results, one after the other."""

    bot: QtBot
    folder: Path
    tree: dict[str, dict[str, str]]
    windows: list[Window]

    def preferences(self) -> Preferences:
        return Preferences(QSettings(str(self.folder / "settings.ini"), QSettings.Format.IniFormat))

    def start(self, **parts: object) -> Window:
        """A new window, as after a start of the program."""
        preferences = self.preferences()
        preferences.keep("folder", str(self.folder / "out"))
        preferences.keep_settings(self.tree)
        window = Window(preferences, **parts)  # type: ignore[arg-type]
        self.windows.append(window)
        self.bot.addWidget(window)
        window.show()
        self.bot.waitExposed(window)
        return window

    def activate(self, window: Window) -> None:
        """Have the window get the keys, as a user's does who types."""
        window.activateWindow()
        self.until(window.isActiveWindow)

    def until(self, condition: Callable[[], object]) -> None:
        self.bot.waitUntil(lambda: bool(condition()), timeout=WAIT_MS)

    def open(self, window: Window, path: Path, *, play: bool = False) -> PlayedRecording:
        """Open a recording and wait for its first frame."""
        window.preferences.keep("autoplay", play)
        window.open(str(path))
        recording = window.recordings.recording
        assert recording is not None
        self.until(lambda: recording.rendered is not None and recording.player.ready)
        return recording

    def open_finished(self, window: Window, path: Path) -> PlayedRecording:
        """Open a recording that is annotated already."""
        recording = self.open(window, path)
        self.until(lambda: recording.finished)
        return recording

    def show(self, recording: PlayedRecording, frame: int) -> None:
        """Go to a frame and wait until it is shown."""
        recording.player.seek(frame)
        self.until(lambda: recording.rendered is not None and recording.rendered.result.frame.index == frame)

    def edit(self, window: Window, action: Callable[[], object]) -> None:
        """Make a correction and wait until the window shows it: an overview read before it may still come first."""
        recording = window.recordings.recording
        assert recording is not None
        assert recording.overview is not None
        before = recording.overview.edits
        action()
        self.until(lambda: recording.overview is not None and recording.overview.edits != before)
        assert not recording.busy

    def close(self, window: Window) -> float:
        """Close without asking; the seconds that took."""
        began = time.monotonic()
        window.quit()
        self.windows.remove(window)
        return time.monotonic() - began


@pytest.fixture
def app(qtbot: QtBot, tmp_path: Path, settings_tree: dict[str, dict[str, str]]) -> Iterator[App]:
    """The app with nothing annotated yet."""
    opened = App(qtbot, tmp_path, settings_tree, [])
    yield opened
    for window in list(opened.windows):
        window.quit()


@pytest.fixture
def finished(app: App, annotated: Path) -> App:
    """The app whose results hold the clip's finished recording."""
    shutil.copytree(annotated, app.folder / "out")
    return app


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A video of irregular stamps and B-frames whose frames carry their number."""
    ticks = irregular_ticks(60, seed=4)
    return write_numbered(tmp_path / "numbered.mkv", frames=60, ticks=ticks, b_frames=2, key_every=12)


def rows_of(store: Path) -> list[tuple[int, ...]]:
    """All observations of a store."""
    with Recording(store) as recording:
        return list(to_stored(recording.observations_in(0, 10**6)))


def put_line(view: VideoView, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Click the two ends of a line, given in pixels of the frame."""
    for point in (start, end):
        at = QPointF(*view.view().to_view(point))
        for kind in (QMouseEvent.Type.MouseButtonPress, QMouseEvent.Type.MouseButtonRelease):
            event = QMouseEvent(kind, at, at, Qt.MouseButton.LeftButton, Qt.MouseButton.LeftButton,
                                Qt.KeyboardModifier.NoModifier)  # fmt: skip
            press = kind == QMouseEvent.Type.MouseButtonPress
            view.mousePressEvent(event) if press else view.mouseReleaseEvent(event)
