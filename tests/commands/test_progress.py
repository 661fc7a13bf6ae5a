"""The last line of the progress is the state at the end, however that came."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import main
from tests.world import ScriptedDetector, World
from tracker.commands.progress import follow_run
from tracker.errors import SinkError, SourceError
from tracker.pipeline import Pipeline
from tracker.protocols import FrameSource, Sink
from tracker.runner import Runner
from tracker.types import Frame, FrameResult, SourceInfo


class Frames(FrameSource):
    """Ten frames, then an error where one is wanted."""

    name = "ten"
    live = False
    damage = 0
    info = SourceInfo(width=64, height=64)

    def __init__(self, *, breaks: bool) -> None:
        self._breaks = breaks

    def __iter__(self) -> Iterator[Frame]:
        for index in range(10):
            yield Frame(np.zeros((64, 64, 3), np.uint8), index, index / 10, self.name)
            time.sleep(0.08)  # some readings come before the end
        if self._breaks:
            raise SourceError("ten: gone")

    def close(self) -> None:
        pass


class Full(Sink):
    """Takes so many frames."""

    def __init__(self, most: int) -> None:
        self._left = most

    def write(self, _: FrameResult) -> None:
        if not self._left:
            raise SinkError("no space left")
        self._left -= 1

    def close(self) -> None:
        pass


class Failing(ScriptedDetector):
    """Fails at the tenth image."""

    def detect(self, images):  # type: ignore[no-untyped-def]
        self.seen = getattr(self, "seen", 0) + len(images)
        if self.seen > 9:
            raise ValueError("no memory")
        return super().detect(images)


@pytest.mark.parametrize(
    ("what", "error"), [("source", SourceError), ("sink", SinkError), ("detector", ValueError), ("nothing", None)]
)
def test_the_last_line_is_the_state_at_the_end(
    capsys: pytest.CaptureFixture[str], what: str, error: type[Exception] | None
) -> None:
    """After an error it was the reading of half a second before, or none."""
    detector = (Failing if what == "detector" else ScriptedDetector)(World(seconds=1))
    sink = Full(9 if what == "sink" else 99)
    source = Frames(breaks=what == "source")
    runner = Runner(source, Pipeline(detector, None), [sink])
    runner.start()
    if error is None:
        follow_run(runner, source, style="json", total=10)
    else:
        with pytest.raises(error):
            follow_run(runner, source, style="json", total=10)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["done"] for row in rows] == [False] * (len(rows) - 1) + [True]
    assert rows[-1]["frames"] == (9 if what == "sink" else 99 - sink._left)


@pytest.mark.parametrize(
    "arguments",
    [
        ["track", "gone.mp4"],
        ["track", "empty.mp4"],
        ["track", "empty.mp4", "--conf", "7"],
        ["track", "clip.mp4", "--model", "gone.onnx"],
        ["detect", "gone.jpg"],
        ["detect", "clip.mp4", "--model", "gone.onnx"],
        ["annotate", "gone.mp4", "--out", "out"],
        ["annotate", "clip.mp4", "--out", "out", "--model", "gone.onnx"],
        ["watch", "gone.toml"],
        ["demo", "--set", "detector.conf=7"],
    ],
)
def test_a_run_that_cannot_begin_says_its_end_too(
    arguments: list[str],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(clip, "clip.mp4")
    Path("empty.mp4").touch()
    assert main.main([*arguments, "--progress", "json"]) == 2
    printed, wrong = capsys.readouterr()
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert len(wrong.splitlines()) == 1


def test_the_settings_say_so_as_well_as_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["track", "rtsp://me:secret@localhost:1/", "--no-wait", "--set", "output.progress=json"]) == 2
    line = json.loads(capsys.readouterr().out)
    assert (line["source"], line["frames"], line["done"]) == ("rtsp://localhost:1/", 0, True)
